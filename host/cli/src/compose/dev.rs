//! A plugin that is being written, in a session that runs: `--dev FOLDER` loads what is built there, unpinned, in the
//! place of the manifest's entry of its name. A new build takes its place from the next call on. What it may do stays
//! what was said at the session's start: what a later build asks for beyond that waits for the next session.

use super::plugins::{
    Loaded, Place, callable, describe, load_resolved, resolve, sends_requests, writes_files,
};
use crate::adapters::toolbox::{PluginTools, ToolPlugin};
use crate::config::Config;
use crate::error::{Failure, OrFail as _, Result};
use crate::ui;
use ml_intern_agent::ports::Powers;
use ml_intern_agent::{Event, Session};
use ml_intern_manifest::{
    Digest, Effective, Entry, Grant, Kind, PluginManifest, RequestedLimits, Section, Source,
};
use ml_intern_registry::Resolved;
use ml_intern_runtime::{Runtime, Services};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes of a `plugin.toml` that is read here.
const MANIFEST_BYTES: u64 = 256 << 10;
/// Where a component may be left, as the registry looks for one.
const PLACES: [&str; 3] = ["", "build", "target/wasm32-wasip2/release"];
/// Components of one folder that are looked at.
const MOST: usize = 64;

/// What a plugin that is being written is loaded again from.
#[derive(Clone)]
pub(crate) struct Dev {
    folder: PathBuf,
    /// What the run manifest says of it, if it has it.
    listed: Option<Entry>,
}

impl Dev {
    /// The entry that counts: the manifest's with the folder as its source, or one that grants what is asked for.
    fn entry(&self, name: &str, resolved: &Resolved) -> Entry {
        let source = Some(Source::Local(self.folder.clone()));
        match &self.listed {
            Some(listed) => Entry {
                given_source: source,
                // An entry without a grant grants nothing to a plugin of a file, and everything to a builtin one.
                grant: Some(listed.grant_for(&resolved.manifest.request)),
                ..listed.clone()
            },
            None => Entry {
                name: name.to_owned(),
                given_source: source,
                grant: Some(Grant::all_of(&resolved.manifest.request)),
                config: BTreeMap::new(),
                limits: RequestedLimits::default(),
                prefix: None,
                events: None,
                serves: None,
            },
        }
    }

    fn load(&self) -> Result<Loaded> {
        let resolved = resolve(&Source::Local(self.folder.clone()))?;
        if !resolved.kinds.contains(&Kind::Tool) {
            return Err(Failure::usage(format!(
                "--dev takes a tool plugin, and {} has none",
                self.folder.display()
            )));
        }
        let name = resolved.manifest.plugin.id.name().to_owned();
        let entry = self.entry(&name, &resolved);
        let loaded = load_resolved(Section::Plugins, &entry, resolved)?;
        Ok(Loaded {
            dev: Some(self.clone()),
            ..loaded
        })
    }
}

/// The name of the plugin that is written in a folder, by its `plugin.toml`.
pub(crate) fn name_of(folder: &Path) -> Result<String> {
    let file = folder.join("plugin.toml");
    let cannot = |why: String| {
        Failure::usage(format!("--dev: cannot read {}: {why}", file.display()))
            .hint("--dev takes the folder of a plugin, with its `plugin.toml` and what was built in `build/`")
    };
    let facts = std::fs::metadata(&file).map_err(|error| cannot(error.to_string()))?;
    if !facts.is_file() || facts.len() > MANIFEST_BYTES {
        return Err(cannot("it is no manifest".to_owned()));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| cannot(error.to_string()))?;
    let manifest = PluginManifest::parse(&file.display().to_string(), &text);
    let manifest = manifest.or_fail(crate::error::Kind::Usage)?;
    Ok(manifest.plugin.id.name().to_owned())
}

/// Adds the plugin of a folder to those of the session, and says what it may do.
pub(crate) fn join(folder: &Path, config: &Config, loaded: &mut Vec<Loaded>) -> Result<()> {
    let name = name_of(folder)?;
    let dev = Dev {
        folder: folder.to_owned(),
        listed: config.entry(Section::Plugins, &name).cloned(),
    };
    let one = dev.load()?;
    let may = one.effective.describe();
    let may = match may.is_empty() {
        true => "it only computes".to_owned(),
        false => format!("it {}", may.join("; ")),
    };
    let by = match dev.listed {
        Some(_) => format!(", as [{}] grants", one.path()),
        None => String::new(),
    };
    ui::warn(&format!(
        "--dev: {} is not pinned and is loaded again when it is built{by}: {may}",
        one.title()
    ));
    loaded.push(one);
    Ok(())
}

/// Looks after a plugin that is being written.
pub(crate) struct Reload {
    pub(crate) dev: Dev,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) place: Place,
    pub(crate) services: Services,
    pub(crate) toolbox: Arc<PluginTools>,
    pub(crate) session: Arc<Session>,
    /// What it may do at most.
    pub(crate) began_with: Effective,
    /// What it is called now, and what its bytes are.
    pub(crate) title: String,
    pub(crate) digest: Digest,
    pub(crate) seen: Stamps,
}

/// The components of a folder, with what changes when one is written.
pub(crate) type Stamps = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// The components that lie in a plugin's folder now.
pub(crate) fn stamps(folder: &Path) -> Stamps {
    let mut found = Vec::new();
    for place in PLACES {
        let Ok(entries) = std::fs::read_dir(folder.join(place)) else {
            continue;
        };
        let files = entries.flatten().map(|entry| entry.path());
        let components = files.filter(|path| path.extension().is_some_and(|kind| kind == "wasm"));
        for path in components.take(MOST) {
            if let Ok(facts) = std::fs::metadata(&path) {
                found.push((path, facts.modified().ok(), facts.len()));
            }
        }
    }
    found.sort();
    found
}

impl Dev {
    /// The components that lie in its folder now.
    pub(crate) fn stamps(&self) -> Stamps {
        stamps(&self.folder)
    }
}

impl Reload {
    /// Takes a new build, if there is one. What does not load is said, and the old one stays.
    pub(crate) async fn look(&mut self) {
        let now = self.dev.stamps();
        if now == self.seen {
            return;
        }
        self.seen = now;
        let dev = self.dev.clone();
        let loaded = tokio::task::spawn_blocking(move || dev.load()).await;
        let taken = match loaded {
            Ok(Ok(loaded)) if loaded.resolved.digest == self.digest => return,
            Ok(Ok(loaded)) => self.take(loaded).await,
            Ok(Err(failure)) => Err(format!("{:#}", failure.error)),
            Err(error) => Err(error.to_string()),
        };
        let (code, text) = match taken {
            Ok(text) => ("dev_reloaded", text),
            Err(why) => (
                "dev_not_reloaded",
                format!(
                    "the new build of {} is not taken, and the one before stays: {why}",
                    self.title
                ),
            ),
        };
        // A log that cannot be written stops the turn itself, at its next step.
        let _the_turn_stops = self.session.record(Event::Notice {
            code: code.into(),
            text: ui::one_line(&text, 1000),
        });
    }

    async fn take(&mut self, mut loaded: Loaded) -> std::result::Result<String, String> {
        let asked = loaded.effective.describe();
        let config = loaded.effective.config.clone();
        loaded.effective = self.began_with.and(&loaded.effective);
        loaded.effective.config = config;
        let described = describe(&self.runtime, &loaded).await;
        let described = described.map_err(|failure| format!("{:#}", failure.error))?;
        let plugin = callable(
            &self.runtime,
            &loaded,
            self.place.clone(),
            self.services.clone(),
        );
        // Compiled now, so that the next call need not wait, and what does not link is known.
        let prepared = plugin.prepare().await;
        prepared.map_err(|error| error.to_string())?;
        let title = loaded.title();
        let names = described.tools.iter().map(|tool| tool.name.clone());
        let names = names.collect::<Vec<_>>().join(", ");
        let may = loaded.effective.describe();
        let tools = ToolPlugin {
            title: title.clone(),
            prefix: loaded.prefix.clone(),
            plugin,
            descriptors: described.tools,
            powers: Powers {
                writes_files: writes_files(&loaded.effective),
                sends_requests: sends_requests(&loaded.effective),
            },
            grants: may.clone(),
        };
        self.toolbox.replace(&self.title, tools)?;
        self.digest = loaded.resolved.digest;
        self.title.clone_from(&title);
        let waits = asked.into_iter().filter(|line| !may.contains(line));
        let waits = waits.collect::<Vec<_>>();
        let more = match waits.is_empty() {
            true => String::new(),
            false => format!("; for the next session only: it {}", waits.join("; ")),
        };
        Ok(format!("{title} is in use now, with {names}{more}"))
    }
}
