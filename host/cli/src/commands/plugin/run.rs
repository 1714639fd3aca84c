//! `plugin run`: one call of one tool by a person, and what it touched.

use super::call::{Called, Ended, Touched, Watch, call, only_tools, text_of, tool_of};
use super::chosen::{AUTHORS, Chosen, chosen, of_entry, of_file};
use super::show;
use crate::adapters::permission::{Asker, Permissions};
use crate::args::RunToolArgs;
use crate::commands::confirmed;
use crate::compose::workbench::{Callable, Choices, Prepared};
use crate::compose::{Plugins, fetch};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ids;
use crate::ui::{self, Style};
use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Decision, Gate, Mode, Rule, Rules};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::PermissionRequest;
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::{Approver, Journal, JournalError, Observer, Tool};
use ml_intern_agent::{Event, Session, Stamp, State};
use ml_intern_manifest::{Section, shorten};
use ml_intern_runtime::{CallContext, CancellationToken, tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of arguments; what a call of the host may carry.
const ARGUMENT_BYTES: u64 = 16 << 20;
/// The id of the one call.
const CALL: &str = "c1.0";

pub(super) async fn run(config: &Config, arguments: &RunToolArgs) -> Result<u8> {
    let given = given(config, &arguments.args)?;
    let plugins = Plugins::new(config)?;
    fetch::missing(config, &plugins.lockfile).await?;
    let Chosen { loaded, listed } = choose(&plugins, arguments).await?;
    only_tools(&loaded)?;
    if !listed && !loaded.effective.describe().is_empty() {
        show::title(&loaded);
        show::asked(&loaded);
        if !arguments.yes && !confirmed("calling it with these rights", "call it?")? {
            let nothing = anyhow::anyhow!("nothing was called");
            return Err(Failure::new(Kind::Blocked, nothing));
        }
    }
    let prepared = Prepared::of_one(plugins, loaded).await?;
    let tool = tool_of(
        prepared.one()?,
        prepared.descriptors(),
        arguments.tool.as_deref(),
    )?;
    let called = in_session(config, &prepared, &tool, &given, arguments).await?;
    let loaded = prepared.one()?;
    if arguments.json {
        let mut told = json!({ "tool": tool.name, "plugin": loaded.title() });
        if let (Some(told), Value::Object(called)) = (told.as_object_mut(), called.as_json()) {
            told.extend(called);
        }
        ui::out(&told.to_string());
    } else {
        show(&called);
        touched(&called.touched, &called, loaded);
    }
    let code = code(&called);
    if code == Kind::Blocked as u8 && !arguments.yes && !std::io::stdin().is_terminal() {
        let style = Style::stderr();
        let hint =
            "--yes allows what a person would be asked about; what is not granted stays denied";
        ui::err(&format!("{} {hint}", style.dim("hint:")));
    }
    Ok(code)
}

/// The plugin that is meant: the one that is named, the one in this folder, or the one that has the tool.
async fn choose(plugins: &Plugins<'_>, arguments: &RunToolArgs) -> Result<Chosen> {
    if let Some(named) = &arguments.plugin {
        return chosen(plugins, named, arguments.config.iter().cloned().collect());
    }
    let config = plugins.config;
    if config.workspace.join(AUTHORS).is_file() {
        return of_file(&config.workspace, None, BTreeMap::new());
    }
    let Some(tool) = &arguments.tool else {
        return Err(Failure::usage("no tool is named").hint(
            "name one, or a plugin with --plugin; in the folder of a plugin its only tool is meant",
        ));
    };
    for entry in config.manifest.section(Section::Plugins) {
        let loaded = plugins.load(Section::Plugins, entry)?;
        let described = plugins.describe(&loaded).await?;
        if described.tools.iter().any(|one| one.name == *tool) {
            return of_entry(plugins, Section::Plugins, entry);
        }
    }
    Err(Failure::usage(format!(
        "no plugin of the run manifest has a tool `{}`",
        shorten(tool)
    ))
    .hint("`ml-intern plugin list` shows the plugins; a file is named with --plugin FILE"))
}

/// The arguments as they are given: JSON, `@FILE`, or `-` for standard input.
fn given(config: &Config, text: &str) -> Result<Value> {
    let json = match text {
        "-" => {
            let mut text = String::new();
            std::io::stdin()
                .lock()
                .take(ARGUMENT_BYTES)
                .read_to_string(&mut text)
                .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            text
        }
        text => match text.strip_prefix('@') {
            Some(file) => super::chosen::text_of(&config.workspace.join(file), ARGUMENT_BYTES)?,
            None => text.to_owned(),
        },
    };
    let wrong = |why: String| {
        Failure::usage(format!("--args: {why}"))
            .hint("write a JSON object such as '{\"path\": \"a.txt\"}', `@FILE`, or `-` for standard input")
    };
    match serde_json::from_str::<Value>(&json) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(wrong(
            "the arguments of a tool are one JSON object".to_owned(),
        )),
        Err(error) => Err(wrong(format!("not JSON: {error}"))),
    }
}

/// Makes the call within a session of which nothing is kept.
async fn in_session(
    config: &Config,
    prepared: &Prepared<'_>,
    tool: &Tool,
    given: &Value,
    arguments: &RunToolArgs,
) -> Result<Called> {
    let folder = tempfile::Builder::new().prefix("ml-intern-run-").tempdir();
    let folder = folder.or_fail(Kind::Failed)?;
    let id = ids::session().or_fail(Kind::Failed)?;
    let session = Arc::new(Session::new(
        id.clone(),
        State::default(),
        Stamp { seq: 0, ms: 0 },
        Arc::new(Unkept::default()),
        vec![Arc::new(Notices)],
        Arc::new(prepared.secrets()),
    ));
    let choices = choices(config, arguments.yes);
    let approver = (std::io::stdin().is_terminal() && arguments.args != "-")
        .then(|| Arc::new(Asking) as Arc<dyn Approver>);
    let gate = Gate::new(choices.mode, Rules::default(), approver, session.clone());
    let permissions = Arc::new(Permissions {
        gate: OnceLock::new(),
        calls: Arc::default(),
    });
    // Set here and nowhere else.
    let _first_wins = permissions.gate.set(Arc::new(gate));
    let Callable {
        plugin,
        jobs,
        calls,
    } = prepared.callable(&choices, &session, permissions, folder.path())?;
    let loaded = prepared.one()?;
    let cancel = CancellationToken::new();
    let watch = Arc::new(Watch {
        plugin: loaded.title(),
        aloud: true,
        cancel: cancel.clone(),
        seen: Mutex::new(Touched::default()),
    });
    let asker = Asker {
        tool: tool.name.clone(),
        plugin: loaded.title(),
        grants: loaded.effective.describe(),
        operation: tool.operation_of(given),
    };
    let _running = calls.start(CALL, asker);
    let context = CallContext {
        session: id,
        call: CALL.to_owned(),
        ..CallContext::default()
    };
    let called = call(&plugin, loaded, tool, given, watch, context, &cancel);
    tokio::pin!(called);
    let interrupted = tokio::select! {
        called = &mut called => return Ok(told_jobs(called, &jobs)),
        pressed = tokio::signal::ctrl_c() => pressed,
    };
    interrupted.or_fail(Kind::Failed)?;
    cancel.cancel();
    let called = called.await;
    jobs.cancel_running().await;
    Ok(called)
}

/// A job goes on when the call is over.
fn told_jobs(called: Called, jobs: &crate::adapters::jobs::SessionJobs) -> Called {
    jobs.tell_running();
    called
}

fn choices(config: &Config, yes: bool) -> Choices {
    let budget = &config.manifest.budget;
    Choices {
        model: String::new(),
        mode: if yes { Mode::Auto } else { Mode::Ask },
        rules: Rules::default(),
        budget: Budget {
            usd: budget.usd.map(MicroUsd::from_usd),
            ..Budget::default()
        },
        stream: false,
        effort: None,
        schema: None,
        window: None,
        input: None,
        verbose: true,
        effects: None,
    }
}

fn show(called: &Called) {
    match &called.ended {
        Ended::Output(output) => {
            let text = text_of(output);
            if !text.is_empty() {
                ui::out(&ui::clean(&text));
            }
            for content in &output.content {
                if let tool::Content::Image(blob) = content {
                    let kind = ui::one_line(&blob.media_type, 64);
                    ui::out(&format!("[picture: {kind}, {} bytes]", blob.data.len()));
                }
            }
        }
        Ended::Error { text, .. } | Ended::Fault { text, .. } => {
            ui::err(&format!(
                "{} {}",
                Style::stderr().red("error:"),
                ui::clean(text)
            ));
        }
        Ended::Cancelled => ui::err("cancelled"),
    }
}

fn touched(touched: &Touched, called: &Called, loaded: &crate::compose::Loaded) {
    let style = Style::stderr();
    ui::err(&style.bold("touched"));
    for line in touched.lines(&loaded.limits, &called.kept) {
        ui::err(&format!("  {}", ui::clean(&line)));
    }
}

/// As the exit codes of a run: an error of the tool is 1, a denial 4, a fault 7.
fn code(called: &Called) -> u8 {
    let kind = match &called.ended {
        Ended::Output(output) if !output.is_error => return 0,
        Ended::Fault { .. } => Kind::Plugin,
        Ended::Cancelled => Kind::Interrupted,
        Ended::Output(_) | Ended::Error { .. } if called.was_denied() => Kind::Blocked,
        Ended::Output(_) | Ended::Error { .. } => Kind::Failed,
    };
    kind as u8
}

/// The log of a session of which nothing is kept.
#[derive(Default)]
struct Unkept(AtomicU64);

#[async_trait]
impl Journal for Unkept {
    fn append(&self, _event: &Event) -> std::result::Result<Stamp, JournalError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        Ok(Stamp {
            seq: self.0.fetch_add(1, Ordering::SeqCst) + 1,
            ms,
        })
    }

    async fn sync(&self) -> std::result::Result<(), JournalError> {
        Ok(())
    }
}

/// Says what the host has to tell, such as a job that goes on.
struct Notices;

impl Observer for Notices {
    fn event(&self, _stamp: Stamp, event: &Event) {
        if let Event::Notice { text, .. } = event {
            ui::warn(text);
        }
    }
}

/// The person at the terminal.
struct Asking;

#[async_trait]
impl Approver for Asking {
    async fn ask(&self, request: &PermissionRequest) -> Option<Answer> {
        ui::err(&ui::clean(&format!("it wants {}", request.summary)));
        ui::err(&ui::clean(&format!("  {}", request.detail)));
        // The read waits for a person, and the call's clock stands meanwhile.
        let asked = tokio::task::spawn_blocking(|| confirmed("this", "allow it?"));
        let allowed = asked.await.ok()?.ok()?;
        Some(Answer {
            decision: if allowed {
                Decision::Allow
            } else {
                Decision::Deny
            },
            feedback: None,
            edited: None,
            pattern: None,
        })
    }

    fn remember(&self, _rule: &Rule) -> std::result::Result<(), String> {
        Err("nothing of this session is kept".to_owned())
    }
}
