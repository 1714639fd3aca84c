//! The run manifest `ml-intern.toml`: the user's agent settings, budget, plugins and grants.

mod entry;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::document;
use crate::error::Error;
use crate::limits::within;
use crate::plugin_ref::shorten;
use crate::size::DurationText;
use crate::source::Source;

pub(crate) use entry::EntryName;
pub use entry::{Entry, Event};
use entry::{entries, merge_entries, notifiers, providers};

/// The whole of an `ml-intern.toml`. Layers of it (built in, user, project) are joined with
/// [`RunManifest::merge_over`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunManifest {
    /// How the agent works.
    pub agent: AgentSection,
    /// When a session must stop.
    pub budget: BudgetSection,
    /// Tool plugins, in the order written.
    #[serde(deserialize_with = "entries")]
    pub plugins: Vec<Entry>,
    /// Provider plugins; `openai/MODEL` selects the entry `openai`, or the one that serves `openai`.
    #[serde(deserialize_with = "providers")]
    pub providers: Vec<Entry>,
    /// Notifier plugins.
    #[serde(deserialize_with = "notifiers")]
    pub notifiers: Vec<Entry>,
    /// Where training runs.
    pub jobs: JobsSection,
    /// How native programs and local jobs are kept from the rest of the machine.
    pub programs: ProgramsSection,
    /// Where plugins are found.
    pub registry: RegistrySection,
}

/// The `[agent]` table; what is absent is left to weaker layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AgentSection {
    /// `provider/model`.
    #[serde(deserialize_with = "model")]
    pub model: Option<String>,
    /// How hard the model is to think: `minimal`, `low`, `medium`, `high`, `xhigh`, `max`, a word of the service's own, or
    /// `off` for what the service does by itself.
    #[serde(deserialize_with = "effort")]
    pub effort: Option<String>,
    /// Model calls in one turn, 1 to 100000.
    #[serde(deserialize_with = "iterations")]
    pub max_iterations: Option<u32>,
    /// Tokens of the model's context, 4096 to 100 million, where its service does not say or says too much.
    #[serde(deserialize_with = "context_window")]
    pub context_window: Option<u32>,
    /// When the user is asked.
    pub permission_mode: Option<PermissionMode>,
    /// Rules of what happens without asking, as `--allow` takes them.
    pub allow: Vec<String>,
    /// Rules of what never happens.
    pub deny: Vec<String>,
    /// Extra text for the system prompt, at most 64 KiB.
    #[serde(deserialize_with = "instructions")]
    pub instructions: Option<String>,
    /// Whether the tool plugins that come with the program are there without being listed;
    /// true if absent.
    pub default_plugins: Option<bool>,
}

/// When the user is asked before something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionMode {
    /// Nothing is changed at all.
    Plan,
    /// Every effect asks.
    Ask,
    /// Edits in the workspace do not ask.
    AutoEdit,
    /// Nothing asks.
    Auto,
}

impl PermissionMode {
    /// The word in a manifest and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Ask => "ask",
            Self::AutoEdit => "auto-edit",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for PermissionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `[budget]` table; what is absent is left to weaker layers.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetSection {
    /// US dollars over model calls and jobs.
    #[serde(deserialize_with = "usd")]
    pub usd: Option<f64>,
    /// US dollars that a million tokens of a model of unknown price count as.
    #[serde(rename = "assumed-usd-per-million-tokens", deserialize_with = "usd")]
    pub assumed_usd_per_million_tokens: Option<f64>,
    /// Wall time of a session, 1 s to 30 d.
    #[serde(deserialize_with = "time")]
    pub time: Option<Duration>,
}

/// The `[jobs]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsSection {
    /// The back end.
    pub backend: Option<JobBackend>,
}

/// A place where jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobBackend {
    /// This machine.
    Local,
}

/// The `[programs]` table: what native programs and local jobs see, of every plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramsSection {
    /// How strongly they are isolated.
    pub isolation: Option<ProgramIsolation>,
    /// Folders and files that they read, beside the workspace: absolute, or below the home as
    /// `~/data`.
    #[serde(deserialize_with = "folders")]
    pub read: Vec<String>,
    /// Folders that they also change.
    #[serde(deserialize_with = "folders")]
    pub write: Vec<String>,
}

/// The `[registry]` table: where plugins are looked for, beside the places that their sources name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrySection {
    /// Hosts of registries that are asked in place of others, by the other's name.
    pub mirrors: BTreeMap<String, String>,
    /// Files that list plugins, for a search; beside the one that comes with the program.
    pub index: Vec<Source>,
}

/// What the user wants of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramIsolation {
    /// The strongest that the machine has; without any, programs do not run.
    Auto,
    /// None, accepted by the user: programs have the user's own rights.
    None,
}

/// The table of the run manifest that a plugin is listed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Section {
    Plugins,
    Providers,
    Notifiers,
}

impl Section {
    /// Every section.
    pub const ALL: [Self; 3] = [Self::Plugins, Self::Providers, Self::Notifiers];

    /// The name of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plugins => "plugins",
            Self::Providers => "providers",
            Self::Notifiers => "notifiers",
        }
    }

    /// `plugins.arxiv`, as messages and the lockfile name an entry.
    pub fn path(self, name: &str) -> String {
        format!("{}.{name}", self.as_str())
    }
}

impl RunManifest {
    /// Parses `text`; `file` is the path that errors show.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        document::parse(file, text)
    }

    /// Makes relative sources absolute below `folder`, the folder of the file that was parsed.
    #[must_use]
    pub fn based_at(mut self, folder: &Path) -> Self {
        for entry in self
            .plugins
            .iter_mut()
            .chain(&mut self.providers)
            .chain(&mut self.notifiers)
        {
            entry.given_source = entry
                .given_source
                .take()
                .map(|source| source.based_at(folder));
        }
        let index = self.registry.index.into_iter();
        self.registry.index = index.map(|source| source.based_at(folder)).collect();
        self
    }

    /// Lays this manifest over a weaker one: single values replace, entries of the same name merge
    /// (a grant replaces as a whole, configuration key by key) and others are added after the
    /// weaker layer's. An entry with another source inherits nothing.
    #[must_use]
    pub fn merge_over(self, base: &RunManifest) -> Self {
        Self {
            agent: AgentSection {
                model: self.agent.model.or_else(|| base.agent.model.clone()),
                effort: self.agent.effort.or_else(|| base.agent.effort.clone()),
                max_iterations: self.agent.max_iterations.or(base.agent.max_iterations),
                context_window: self.agent.context_window.or(base.agent.context_window),
                allow: [base.agent.allow.clone(), self.agent.allow].concat(),
                deny: [base.agent.deny.clone(), self.agent.deny].concat(),
                permission_mode: self.agent.permission_mode.or(base.agent.permission_mode),
                default_plugins: self.agent.default_plugins.or(base.agent.default_plugins),
                instructions: self
                    .agent
                    .instructions
                    .or_else(|| base.agent.instructions.clone()),
            },
            budget: BudgetSection {
                usd: self.budget.usd.or(base.budget.usd),
                assumed_usd_per_million_tokens: self
                    .budget
                    .assumed_usd_per_million_tokens
                    .or(base.budget.assumed_usd_per_million_tokens),
                time: self.budget.time.or(base.budget.time),
            },
            plugins: merge_entries(self.plugins, &base.plugins),
            providers: merge_entries(self.providers, &base.providers),
            notifiers: merge_entries(self.notifiers, &base.notifiers),
            jobs: JobsSection {
                backend: self.jobs.backend.or(base.jobs.backend),
            },
            programs: ProgramsSection {
                isolation: self.programs.isolation.or(base.programs.isolation),
                read: joined(&base.programs.read, self.programs.read),
                write: joined(&base.programs.write, self.programs.write),
            },
            registry: RegistrySection {
                mirrors: base
                    .registry
                    .mirrors
                    .clone()
                    .into_iter()
                    .chain(self.registry.mirrors)
                    .collect(),
                index: [base.registry.index.clone(), self.registry.index].concat(),
            },
        }
    }

    /// The entries of one section.
    pub fn section(&self, section: Section) -> &[Entry] {
        match section {
            Section::Plugins => &self.plugins,
            Section::Providers => &self.providers,
            Section::Notifiers => &self.notifiers,
        }
    }

    /// Every entry with its section: plugins, then providers, then notifiers.
    pub fn entries(&self) -> impl Iterator<Item = (Section, &Entry)> {
        Section::ALL.into_iter().flat_map(|section| {
            self.section(section)
                .iter()
                .map(move |entry| (section, entry))
        })
    }
}

/// Folders of both layers: each says what it needs, and a weaker one is the user's own.
fn joined(base: &[String], over: Vec<String>) -> Vec<String> {
    let mut all = base.to_vec();
    all.extend(over.into_iter().filter(|folder| !base.contains(folder)));
    all
}

fn folders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let folders: Vec<String> = crate::grant::set(deserializer)?.unwrap_or_default();
    let fits =
        |text: &&String| (text.starts_with('/') || text.starts_with("~/")) && !text.contains('\0');
    match folders.iter().find(|text| !fits(text)) {
        Some(text) => Err(de::Error::custom(format!(
            "`{}` does not fit; write an absolute path, or one below your home such as `~/datasets`",
            shorten(text)
        ))),
        None => Ok(folders),
    }
}

fn model<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    crate::plugin_manifest::line(deserializer, 256).map(Some)
}

fn effort<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    crate::plugin_manifest::line(deserializer, 32).map(Some)
}

fn iterations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 1, 100_000).map(Some)
}

fn context_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 4096, 100_000_000).map(Some)
}

fn instructions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > 64 * 1024 {
        return Err(de::Error::custom(
            "the text has more than 64 KiB; shorten it",
        ));
    }
    Ok(Some(text))
}

fn usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    crate::grant::usd(deserializer).map(Some)
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let month = Duration::from_secs(30 * 86_400);
    let DurationText(time) = within(
        deserializer,
        DurationText(Duration::from_secs(1)),
        DurationText(month),
    )?;
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Grant;

    const WHOLE: &str = r#"
        [agent]
        model = "openai/gpt-5.5"
        max-iterations = 300
        permission-mode = "auto-edit"
        instructions = "be brief"
        [budget]
        usd = 20
        time = "2h"
        [plugins.zeta]
        source = "builtin:files"
        [plugins.alpha]
        source = "./arxiv.wasm"
        grant = { http = [{ host = "export.arxiv.org" }], credentials = ["hf"] }
        [plugins.alpha.config]
        text = "value"
        number = 3
        fraction = 0.5
        flag = true
        [providers.lm_studio]
        [notifiers.hook]
        source = "builtin:webhook"
        events = ["error", "job_finished"]
        config = { url = "https://example.org/x" }
        [jobs]
        backend = "local"
    "#;

    fn parse(text: &str) -> RunManifest {
        RunManifest::parse("ml-intern.toml", text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_whole_manifest_is_read_in_order() {
        let run = parse(WHOLE);
        let names: Vec<&str> = run
            .entries()
            .map(|(_, entry)| entry.name.as_str())
            .collect();
        assert_eq!(names, ["zeta", "alpha", "lm_studio", "hook"]);
        assert_eq!(run.agent.permission_mode, Some(PermissionMode::AutoEdit));
        assert_eq!(
            run.budget,
            BudgetSection {
                usd: Some(20.0),
                assumed_usd_per_million_tokens: None,
                time: Some(Duration::from_secs(7200))
            }
        );
        let config: Vec<(&str, &str)> = run.plugins[1]
            .config
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            config,
            [
                ("flag", "true"),
                ("fraction", "0.5"),
                ("number", "3"),
                ("text", "value")
            ]
        );
        assert_eq!(
            run.providers[0].source(),
            Source::Builtin("lm_studio".to_owned())
        );
        assert_eq!(
            run.notifiers[0].events(),
            [Event::Error, Event::JobFinished]
        );
        assert_eq!(run.jobs.backend, Some(JobBackend::Local));
        assert_eq!(parse(""), RunManifest::default());
    }

    #[test]
    fn wrong_manifests_are_refused_with_a_position() {
        for (text, expected) in [
            (
                "[plugins.A]\n",
                "1:10: `plugins.A`: `A` cannot name a plugin",
            ),
            ("[plugins]\na = 1\n", "2:5: `plugins.a`: "),
            (
                "[plugins.a]\nsource = \"ftp://x/y\"\n",
                "2:10: `plugins.a.source`: not a source: `ftp://x/y`; write `builtin:NAME`",
            ),
            (
                "[plugins.a]\nevents = [\"error\"]\n",
                "unknown key `events`",
            ),
            (
                "[notifiers.a]\nevents = [\"eror\"]\n",
                "did you mean `error`?",
            ),
            (
                "[plugins.a.config]\nx = []\n",
                "2:5: `plugins.a.config.x`: ",
            ),
            (
                "[plugins.a.config]\nx = 2026-01-01\n",
                "`plugins.a.config.x`",
            ),
            ("[plugins.a]\n[plugins.a]\n", "duplicate key"),
            (
                "[agent]\nmax-iterations = 0\n",
                "write a value from 1 to 100000",
            ),
            ("[budget]\nusd = inf\n", "`inf` is out of bounds"),
            ("[budget]\ntime = \"31d\"\n", "write a value from 1s to 30d"),
            (
                "[jobs]\nbackend = \"slurm\"\n",
                "2:11: `jobs.backend`: unknown value `slurm`; expected `local`",
            ),
            (
                "[plugins.a.grant]\nhttp = [{ host = \"a.org\", max-response = \"1MiB\" }]\n",
                "belongs in plugin.toml",
            ),
            ("[plugins.a.grant]\nall = true\n", "unknown key `all`"),
        ] {
            let error = RunManifest::parse("ml-intern.toml", text)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("ml-intern.toml:") && error.contains(expected),
                "{error}\n{expected}"
            );
        }
    }

    #[test]
    fn a_layer_replaces_values_and_merges_entries() {
        let base = parse(WHOLE);
        let over = parse(
            "[agent]\nmodel = \"a/b\"\n[plugins.new]\n[plugins.alpha.config]\ntext = \"other\"\n",
        );
        let merged = over.merge_over(&base);
        assert_eq!(merged.agent.model.as_deref(), Some("a/b"));
        assert_eq!(merged.agent.max_iterations, Some(300));
        let names: Vec<&str> = merged
            .plugins
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(names, ["zeta", "alpha", "new"]);
        assert_eq!(
            merged.plugins[1].source(),
            Source::Local("./arxiv.wasm".into())
        );
        assert_eq!(merged.plugins[1].grant, base.plugins[1].grant);
        assert_eq!(
            (
                merged.plugins[1].config["text"].as_str(),
                merged.plugins[1].config["number"].as_str()
            ),
            ("other", "3")
        );
    }

    #[test]
    fn another_source_inherits_no_grant_and_no_configuration() {
        let base = parse(WHOLE);
        let merged = parse("[plugins.alpha]\nsource = \"./evil.wasm\"\n").merge_over(&base);
        assert_eq!(merged.plugins[1].grant, None);
        assert!(merged.plugins[1].config.is_empty());
        // An entry without a source keeps the weaker layer's, also when it is not builtin.
        let merged = parse("[plugins.alpha.grant]\n").merge_over(&base);
        assert_eq!(
            merged.plugins[1].source(),
            Source::Local("./arxiv.wasm".into())
        );
        assert_eq!(merged.plugins[1].grant, Some(Grant::default()));
    }

    #[test]
    fn relative_sources_are_taken_from_the_manifests_folder() {
        let run = parse(WHOLE).based_at(Path::new("/home/u/p"));
        assert_eq!(
            run.plugins[1].source(),
            Source::Local("/home/u/p/arxiv.wasm".into())
        );
        assert_eq!(run.plugins[0].source(), Source::Builtin("files".to_owned()));
    }

    #[test]
    fn folders_of_programs_add_up_over_the_layers_and_isolation_is_replaced() {
        let user = parse("[programs]\nisolation = \"none\"\nread = [\"~/datasets\"]");
        let project = parse(
            "[programs]\nisolation = \"auto\"\nread = [\"/data\", \"~/datasets\"]\nwrite = [\"/out\"]",
        );
        let both = project.merge_over(&user).programs;
        assert_eq!(both.isolation, Some(ProgramIsolation::Auto));
        assert_eq!(both.read, ["~/datasets", "/data"]);
        assert_eq!(both.write, ["/out"]);
        for wrong in [
            "isolation = \"weak\"",
            "read = [\"data\"]",
            "read = []",
            "write = [\"~\"]",
            "hide = [\"/x\"]",
        ] {
            let text = format!("[programs]\n{wrong}");
            assert!(RunManifest::parse("x", &text).is_err(), "{wrong}");
        }
    }
}
