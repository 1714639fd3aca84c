//! The session's tools: each name leads to the plugin that owns it.

use super::audit::CallObserver;
use super::originals::Originals;
use super::permission::{Asker, Calls};
use crate::ui;
use async_trait::async_trait;
use ml_intern_agent::message::Image;
use ml_intern_agent::ports::{Effects, Invocation, Outcome, Powers, Tool, Toolbox};
use ml_intern_agent::redaction::Rules;
use ml_intern_agent::{Event, Session};
use ml_intern_runtime::{CallContext, CallError, GuestError, Plugin, restore_below, tool, types};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Bytes of a result's text that the model gets. Plugins page their own output well below this; a stranger's may not.
const RESULT_BYTES: usize = 128 * 1024;

/// Builds of plugins that a session takes while it runs.
const VERSIONS: usize = 1000;

/// A call that takes longer says so.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// At most this long nothing is said.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

pub(crate) struct PluginTools {
    first: Version,
    session: OnceLock<Arc<Session>>,
    calls: Arc<Calls>,
    originals: Arc<Originals>,
    spill: Spill,
    verbose: bool,
}

/// The tools as they are until a plugin that is being written is built again. Versions are only added, so that whoever
/// has the tools of one keeps them.
#[derive(Default)]
struct Version {
    tools: Vec<Tool>,
    /// By the name of the tool: whose it is, and what its plugin calls it.
    plugins: BTreeMap<String, (Plugin, String)>,
    number: usize,
    next: OnceLock<Box<Version>>,
}

impl Version {
    fn add(&mut self, loaded: ToolPlugin) {
        for descriptor in loaded.descriptors {
            let own = descriptor.name[loaded.prefix.len()..].to_owned();
            self.plugins
                .insert(descriptor.name.clone(), (loaded.plugin.clone(), own));
            self.tools.push(offered(
                descriptor,
                &loaded.title,
                loaded.powers,
                &loaded.grants,
            ));
        }
    }
}

/// A tool plugin, loaded as far as a session's start needs.
pub(crate) struct ToolPlugin {
    /// `id@version`.
    pub(crate) title: String,
    /// What the names of its tools begin with here.
    pub(crate) prefix: String,
    pub(crate) plugin: Plugin,
    pub(crate) descriptors: Vec<tool::Descriptor>,
    pub(crate) powers: Powers,
    pub(crate) grants: Vec<String>,
}

impl PluginTools {
    /// The tools of these plugins; no two of them have the same name.
    pub(crate) fn new(
        plugins: Vec<ToolPlugin>,
        calls: Arc<Calls>,
        originals: Arc<Originals>,
        spill: Spill,
        verbose: bool,
    ) -> Self {
        let mut first = Version::default();
        for loaded in plugins {
            first.add(loaded);
        }
        Self {
            first,
            session: OnceLock::new(),
            calls,
            originals,
            spill,
            verbose,
        }
    }

    fn current(&self) -> &Version {
        let mut version = &self.first;
        while let Some(next) = version.next.get() {
            version = next;
        }
        version
    }

    /// From the next call on, `new` stands in the place of the plugin that is called `title` here. Calls that run go on
    /// with the old one.
    ///
    /// # Errors
    /// Another plugin has a tool of the same name, or there were too many versions.
    pub(crate) fn replace(&self, title: &str, new: ToolPlugin) -> Result<(), String> {
        let current = self.current();
        if current.number >= VERSIONS {
            return Err(format!(
                "a session takes {VERSIONS} builds; begin another one"
            ));
        }
        let mut next = Version {
            number: current.number + 1,
            ..Version::default()
        };
        for tool in current.tools.iter().filter(|tool| tool.plugin != title) {
            if let Some(owner) = current.plugins.get(&tool.name) {
                next.plugins.insert(tool.name.clone(), owner.clone());
            }
            next.tools.push(tool.clone());
        }
        let clash = |tool: &&tool::Descriptor| next.plugins.contains_key(&tool.name);
        if let Some(tool) = new.descriptors.iter().find(clash) {
            return Err(format!(
                "its tool `{}` is one that another plugin of the session has",
                tool.name
            ));
        }
        next.add(new);
        // Whoever was faster has a newer build.
        let _first_wins = current.next.set(Box::new(next));
        Ok(())
    }

    /// Called once, when the session exists.
    pub(crate) fn attach(&self, session: Arc<Session>) {
        // A second session would be a second toolbox.
        let _first_wins = self.session.set(session);
    }
}

/// A tool as the agent knows it.
pub(crate) fn offered(
    descriptor: tool::Descriptor,
    plugin: &str,
    powers: Powers,
    grants: &[String],
) -> Tool {
    let operations = descriptor.operations.map(|(argument, operations)| {
        let operations = operations
            .into_iter()
            .map(|operation| (operation.name, effects(&operation.effects)));
        (argument, operations.collect())
    });
    Tool {
        name: descriptor.name,
        description: descriptor.description,
        input_schema: descriptor.input_schema,
        plugin: plugin.to_owned(),
        effects: effects(&descriptor.effects),
        operations,
        powers,
        grants: grants.to_vec(),
    }
}

fn effects(effects: &tool::Effects) -> Effects {
    Effects {
        read_only: effects.read_only,
        destructive: effects.destructive,
        idempotent: effects.idempotent,
    }
}

#[async_trait]
impl Toolbox for PluginTools {
    fn tools(&self) -> &[Tool] {
        &self.current().tools
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        let version = self.current();
        let (Some((plugin, own_name)), Some(session)) =
            (version.plugins.get(&invocation.tool), self.session.get())
        else {
            return Outcome::Error(format!("there is no tool `{}`", invocation.tool));
        };
        let asker = version
            .tools
            .iter()
            .find(|tool| tool.name == invocation.tool)
            .map(|tool| Asker {
                tool: tool.name.clone(),
                plugin: tool.plugin.clone(),
                grants: tool.grants.clone(),
                operation: tool.operation_of(&invocation.arguments),
            })
            .unwrap_or_default();
        let cancel = CancellationToken::new();
        // Dropped with this future: what the call started in the background ends with it.
        let _end_with_the_call = cancel.clone().drop_guard();
        let observer = CallObserver {
            session: session.clone(),
            call: invocation.call.clone(),
            plugin: asker.plugin.clone(),
            cancel: cancel.clone(),
            verbose: self.verbose,
        };
        let context = CallContext {
            session: session.id().to_owned(),
            call: invocation.call.clone(),
            read_only: invocation.read_only,
            within: invocation.call.contains('/'),
            timeout: None,
        };
        let _files_are_looked_at_again = self.originals.watch(&invocation.call);
        let running = self.calls.start(&invocation.call, asker);
        let arguments = invocation.arguments.to_string();
        let call = plugin.call_tool(own_name, &arguments, context, Arc::new(observer), &cancel);
        let result = watched(call, session, &invocation).await;
        let asked = running.asked();
        let outcome = match result {
            Ok(output) => answered(output, asked.denied, |text| {
                self.spill.shorten(text, session, &invocation.call)
            }),
            Err(CallError::Guest(error)) => refused(&error, asked.denied),
            Err(CallError::Fault(fault)) => {
                Outcome::Fault(ui::for_model(&format!("the plugin failed: {fault}")))
            }
            Err(error) => Outcome::Error(error.to_string()),
        };
        with_notes(outcome, &asked.notes)
    }
}

/// Says from time to time that a call goes on: after 10 s, 20 s, 40 s and so on, and at least every 5 minutes.
async fn watched<T>(
    call: impl Future<Output = T>,
    session: &Session,
    invocation: &Invocation,
) -> T {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    tokio::pin!(call);
    loop {
        tokio::select! {
            biased;
            done = &mut call => return done,
            () = tokio::time::sleep(pause) => {
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                session.show(&Event::ToolWaiting {
                    call: invocation.call.clone(),
                    tool: invocation.tool.clone(),
                    ms,
                });
                pause = began.elapsed().min(LONGEST_PAUSE);
            }
        }
    }
}

/// Where the whole of a text goes of which the model gets the beginning.
#[derive(Clone)]
pub(crate) struct Spill {
    pub(crate) workspace: PathBuf,
    /// Below the workspace.
    pub(crate) folder: &'static str,
}

impl Spill {
    /// The text, or its beginning and where the rest is. A file that cannot be made costs the rest of the text only.
    fn shorten(&self, text: String, session: &Session, call: &str) -> String {
        if text.len() <= RESULT_BYTES {
            return text;
        }
        let path = format!("{}/{}.txt", self.folder, call.replace('/', "-"));
        let mut whole = text.clone();
        session.redactor().text(&mut whole, Rules::All);
        let written = std::fs::create_dir_all(self.workspace.join(self.folder))
            // Whatever links the folder holds, it is written below the workspace.
            .and_then(|()| restore_below(&self.workspace, &path, Some(whole.as_bytes())));
        let short = bounded(text, RESULT_BYTES);
        match written {
            Ok(()) => format!("{short}\n[the whole result is in `{path}`]"),
            Err(_) => short,
        }
    }
}

fn answered(output: tool::Output, denied: bool, shorten: impl FnOnce(String) -> String) -> Outcome {
    let mut texts = Vec::new();
    let mut images = Vec::new();
    for content in output.content {
        match content {
            tool::Content::Text(text) | tool::Content::Json(text) => texts.push(text),
            tool::Content::File(path) => texts.push(format!("[file: {path}]")),
            tool::Content::Image(blob) => images.push(Image {
                media_type: blob.media_type,
                base64: encode(&blob.data),
            }),
        }
    }
    let content = shorten(ui::for_model(&texts.join("\n\n")));
    if denied && output.is_error {
        return Outcome::Denied(content);
    }
    Outcome::Output {
        content,
        images,
        is_error: output.is_error,
    }
}

fn refused(error: &GuestError, denied: bool) -> Outcome {
    let text = bounded(ui::for_model(&error.to_string()), RESULT_BYTES);
    if denied || matches!(error.error, types::Error::Denied(_)) {
        Outcome::Denied(text)
    } else {
        Outcome::Error(text)
    }
}

fn with_notes(outcome: Outcome, notes: &[String]) -> Outcome {
    if notes.is_empty() {
        return outcome;
    }
    let notes = notes.join("\n");
    match outcome {
        Outcome::Output {
            content,
            images,
            is_error,
        } => Outcome::Output {
            content: format!("{notes}\n{content}"),
            images,
            is_error,
        },
        Outcome::Error(text) => Outcome::Error(format!("{notes}\n{text}")),
        Outcome::Denied(text) => Outcome::Denied(format!("{notes}\n{text}")),
        Outcome::Fault(text) => Outcome::Fault(format!("{notes}\n{text}")),
    }
}

/// At most `bytes` of a text, and how much is missing.
pub(super) fn bounded(text: String, bytes: usize) -> String {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    format!(
        "{}\n[cut: the result has {} bytes, shown are the first {end}; ask for less at a time]",
        &text[..end],
        text.len()
    )
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
