//! Everything that a turn needs, put together.

use crate::adapters::agents::{Bench, SessionAgents};
use crate::adapters::clock::SystemClock;
use crate::adapters::confinement::Confinement;
use crate::adapters::inbox::{self, Inbox};
use crate::adapters::jobs::SessionJobs;
use crate::adapters::notifiers::{Listener, Notifiers};
use crate::adapters::originals::Originals;
use crate::adapters::permission::{Calls, Patient, Permissions};
use crate::adapters::processes::{NativePrograms, SPILL};
use crate::adapters::provider::PluginProvider;
use crate::adapters::rules::remembered;
use crate::adapters::toolbox::{PluginTools, Spill, ToolPlugin};
use crate::compose::dev::Reload;
use crate::compose::plugins::{Loaded, Plugins, sends_requests, writes_files};
use crate::compose::watch::{Watch, Watched};
use crate::compose::{fetch, lock};
use crate::config::{Config, program_folders};
use crate::credentials::Credentials;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui;
use ml_intern_agent::approval::{Gate, Mode, Rules};
use ml_intern_agent::budget::Budget;
use ml_intern_agent::ports::{Approver, Observer, Powers, Toolbox};
use ml_intern_agent::turn::Agent;
use ml_intern_agent::{Session, Stamp, State};
use ml_intern_jobs::{LocalBackend, LocalOptions};
use ml_intern_manifest::Section;
use ml_intern_runtime::{Effects, Plugin, Services, tool};
use ml_intern_trace::{SecretRules, SessionLog};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What the user chose for this run.
#[derive(Clone)]
pub(crate) struct Choices {
    /// `provider/model`.
    pub(crate) model: String,
    pub(crate) mode: Mode,
    /// What flags and manifest allow and deny.
    pub(crate) rules: Rules,
    pub(crate) budget: Budget,
    pub(crate) stream: bool,
    /// How hard the model is to think, where the user says: a level, or as it does by itself.
    pub(crate) effort: Option<Option<String>>,
    /// JSON Schema that final answers have to satisfy.
    pub(crate) schema: Option<serde_json::Value>,
    /// Tokens of the model's context, where the user says.
    pub(crate) window: Option<u64>,
    /// What standard input is to the session; none where nobody can be asked.
    pub(crate) input: Option<inbox::Format>,
    pub(crate) verbose: bool,
    /// Whether what enters calls of tools from outside is recorded, or comes from a recording.
    pub(crate) effects: Option<Effects>,
}

/// A session ready to run turns.
pub(crate) struct Workbench {
    pub(crate) agent: Agent,
    pub(crate) jobs: Arc<SessionJobs>,
    pub(crate) notifiers: Arc<Notifiers>,
    /// Where the session's log is.
    pub(crate) folder: PathBuf,
}

/// A session's log, opened.
pub(crate) struct OpenSession {
    pub(crate) id: String,
    pub(crate) log: SessionLog,
    pub(crate) state: State,
    pub(crate) last: Stamp,
}

/// What a session's tools are made of.
struct Workshop {
    toolbox: Arc<PluginTools>,
    services: Services,
    jobs: Arc<SessionJobs>,
    agents: Arc<SessionAgents>,
}

/// What a session's tools reach.
struct Behind {
    services: Services,
    jobs: Arc<SessionJobs>,
    agents: Arc<SessionAgents>,
    originals: Arc<Originals>,
}

/// A plugin that a person calls.
pub(crate) struct Callable {
    pub(crate) plugin: Plugin,
    pub(crate) jobs: Arc<SessionJobs>,
    pub(crate) calls: Arc<Calls>,
}

/// What has to be right before a session may begin: every plugin is there, is what it was, and
/// offers its tools. No component is instantiated but for a first look at a new one.
pub(crate) struct Prepared<'a> {
    plugins: Plugins<'a>,
    loaded: Vec<Loaded>,
    descriptors: Vec<Vec<tool::Descriptor>>,
    model: String,
    /// What must not be written down, shown or told.
    secrets: SecretRules,
}

impl<'a> Prepared<'a> {
    pub(crate) async fn new(config: &'a Config, model: &str) -> Result<Self> {
        let (provider, model) = config.model(model)?;
        let mut plugins = Plugins::new(config)?;
        fetch::missing(config, &plugins.lockfile).await?;
        let loaded = plugins.load_all(provider)?;
        plugins.credentials = Credentials::find(&config.paths, &loaded).await?;
        let secrets = plugins.credentials.rules();
        ui::keep_secret(secrets.clone());
        check_python(config, &loaded)?;
        let mut descriptors = Vec::new();
        for one in loaded.iter().filter(|one| one.section == Section::Plugins) {
            let described = plugins.describe(one).await?;
            if one.approved.is_some() {
                lock::check_description(config, one, described.digest())?;
            }
            descriptors.push(described.tools);
        }
        check_names(&loaded, &descriptors)?;
        Ok(Self {
            plugins,
            loaded,
            descriptors,
            model,
            secrets,
        })
    }

    /// Compiles in the background what is not compiled: after an update of the program a guest with an interpreter
    /// takes seconds, which its first call would have to wait for. What does not compile is told by that call.
    fn compile_ahead(&self) {
        let foreign = |one: &&Loaded| !one.resolved.source.is_builtin();
        let sources = self.loaded.iter().filter(foreign).map(Loaded::source);
        let sources = sources.collect::<Vec<_>>();
        if sources.is_empty() {
            return;
        }
        let runtime = self.plugins.runtime.clone();
        tokio::spawn(async move {
            for source in sources {
                let _told_by_its_call = runtime.compile(&source).await;
            }
        });
    }

    /// Puts the session together, and what takes back from it what the user takes back while it runs.
    pub(crate) fn build(
        self,
        choices: &Choices,
        opened: OpenSession,
        screen: Arc<dyn Observer>,
        inbox: Option<Arc<Inbox>>,
    ) -> Result<(Workbench, Watch)> {
        self.compile_ahead();
        let config = self.plugins.config;
        let folder = opened.log.folder().to_path_buf();
        let notifiers = Arc::new(Notifiers::new(opened.id.clone(), self.listeners()));
        // Whoever listens for answers first, so that no answer comes before it is listened for.
        let mut observers = Vec::from_iter(inbox.clone().map(|inbox| inbox as Arc<dyn Observer>));
        observers.extend([screen, notifiers.clone() as Arc<dyn Observer>]);
        let log = Arc::new(opened.log);
        let session = Session::new(
            opened.id,
            opened.state,
            opened.last,
            log,
            observers,
            Arc::new(self.secrets.clone()),
        );
        let session = Arc::new(session);
        notifiers.attach(&session);

        let calls = Arc::new(Calls::default());
        let permissions = Arc::new(Permissions {
            gate: OnceLock::new(),
            calls: calls.clone(),
        });
        let rules = Rules {
            deny: choices.rules.deny.clone(),
            allow: [
                choices.rules.allow.clone(),
                remembered(&config.paths.approvals()),
            ]
            .concat(),
        };
        let approver = inbox.map(|approver| {
            let calls = calls.clone();
            Arc::new(Patient { approver, calls }) as Arc<dyn Approver>
        });
        let gate = Arc::new(Gate::new(choices.mode, rules, approver, session.clone()));
        // Set here and nowhere else.
        let _first_wins = permissions.gate.set(gate.clone());

        let mut watched = Vec::new();
        let Workshop {
            toolbox,
            services,
            jobs,
            agents,
        } = self.workshop(choices, &session, permissions, &folder, &mut watched)?;
        let provider = self
            .loaded
            .iter()
            .find(|one| one.section == Section::Providers);
        let provider = provider.ok_or_else(|| Failure::usage("the session has no provider"))?;
        let plugin = self.plugins.plugin(provider, None, Services::default());
        watched.push(Watched::new(provider, plugin.policy()));
        let reload = self.reload(&services, &toolbox, &session, &folder);
        let watch = Watch::new(config, watched, session.clone(), reload);
        let (paths, verbose) = (&config.paths, choices.verbose);
        let provider = PluginProvider::new(plugin, provider, paths, session.clone(), verbose);
        let (provider, clock) = (Arc::new(provider), Arc::new(SystemClock));
        // As above.
        let _first_wins = agents.bench.set(Bench {
            toolbox: Arc::downgrade(&toolbox),
            provider: provider.clone(),
            model: self.model.clone(),
            clock: clock.clone(),
            budget: choices.budget,
            stream: choices.stream,
            window: choices.window,
        });
        let agent = Agent {
            session,
            provider,
            model: self.model,
            toolbox: toolbox as Arc<dyn Toolbox>,
            gate,
            clock,
            budget: choices.budget,
            stream: choices.stream,
            window: choices.window,
        };
        let bench = Workbench {
            agent,
            jobs,
            notifiers,
            folder,
        };
        Ok((bench, watch))
    }

    /// What takes new builds of a plugin that is being written, if there is one.
    fn reload(
        &self,
        services: &Services,
        toolbox: &Arc<PluginTools>,
        session: &Arc<Session>,
        folder: &Path,
    ) -> Option<Reload> {
        let one = self.loaded.iter().find(|one| one.dev.is_some())?;
        let dev = one.dev.clone()?;
        Some(Reload {
            seen: dev.stamps(),
            dev,
            runtime: self.plugins.runtime.clone(),
            place: self.plugins.place(one, Some(folder.to_path_buf())),
            services: services.clone(),
            toolbox: toolbox.clone(),
            session: session.clone(),
            began_with: one.effective.clone(),
            title: one.title(),
            digest: one.resolved.digest,
        })
    }

    /// The tools of a session, and what stands behind them.
    fn workshop(
        &self,
        choices: &Choices,
        session: &Arc<Session>,
        permissions: Arc<Permissions>,
        folder: &Path,
        watched: &mut Vec<Watched>,
    ) -> Result<Workshop> {
        let calls = permissions.calls.clone();
        let Behind {
            services,
            jobs,
            agents,
            originals,
        } = self.behind(choices, session, permissions, folder)?;
        let spill = Spill {
            workspace: self.plugins.config.workspace.clone(),
            folder: SPILL,
        };
        let tools = self.tools(folder, &services, watched);
        let toolbox = Arc::new(PluginTools::new(
            tools,
            calls,
            originals,
            spill,
            choices.verbose,
        ));
        toolbox.attach(session.clone());
        Ok(Workshop {
            toolbox,
            services,
            jobs,
            agents,
        })
    }

    /// What stands behind the tools of a session.
    fn behind(
        &self,
        choices: &Choices,
        session: &Arc<Session>,
        permissions: Arc<Permissions>,
        folder: &Path,
    ) -> Result<Behind> {
        let config = self.plugins.config;
        let confinement = Arc::new(Confinement::new(config));
        let credentials = self.plugins.credentials.for_jobs();
        let backend = Arc::new(backend(config, &confinement, credentials)?);
        let jobs = Arc::new(SessionJobs::new(
            backend,
            session.clone(),
            permissions.clone(),
            choices.budget,
        ));
        let agents = Arc::new(SessionAgents {
            session: session.clone(),
            permissions: permissions.clone(),
            bench: OnceLock::new(),
        });
        let workspace = config.workspace.clone();
        let originals = Arc::new(Originals::new(session.clone(), folder, workspace));
        let programs = NativePrograms::new(config.workspace.clone(), permissions, confinement);
        let services = Services {
            processes: Some(Arc::new(programs)),
            jobs: Some(jobs.clone()),
            session: Some(agents.clone()),
            originals: Some(originals.clone()),
            effects: choices.effects.clone(),
            recordings: None,
        };
        Ok(Behind {
            services,
            jobs,
            agents,
            originals,
        })
    }

    /// One plugin alone, for a call that a person makes. There is no model behind it: what it asks of one is refused.
    pub(crate) async fn of_one(mut plugins: Plugins<'a>, loaded: Loaded) -> Result<Self> {
        let loaded = vec![loaded];
        plugins.credentials = Credentials::find(&plugins.config.paths, &loaded).await?;
        let secrets = plugins.credentials.rules();
        ui::keep_secret(secrets.clone());
        let mut descriptors = Vec::new();
        for one in &loaded {
            let described = plugins.describe(one).await?;
            if one.approved.is_some() {
                lock::check_description(plugins.config, one, described.digest())?;
            }
            descriptors.push(described.tools);
        }
        Ok(Self {
            plugins,
            loaded,
            descriptors,
            model: String::new(),
            secrets,
        })
    }

    /// The plugin of [`Self::of_one`], ready to be called within `session`, whose folder is `folder`.
    pub(crate) fn callable(
        &self,
        choices: &Choices,
        session: &Arc<Session>,
        permissions: Arc<Permissions>,
        folder: &Path,
    ) -> Result<Callable> {
        let calls = permissions.calls.clone();
        let behind = self.behind(choices, session, permissions, folder)?;
        let folder = Some(folder.to_path_buf());
        Ok(Callable {
            plugin: self.plugins.plugin(self.one()?, folder, behind.services),
            jobs: behind.jobs,
            calls,
        })
    }

    /// The plugin of [`Self::of_one`].
    pub(crate) fn one(&self) -> Result<&Loaded> {
        let one = self.loaded.first();
        one.ok_or_else(|| Failure::usage("there is no plugin to call"))
    }

    /// What must not be written down, shown or told.
    pub(crate) fn secrets(&self) -> SecretRules {
        self.secrets.clone()
    }

    /// The tools of [`Self::of_one`].
    pub(crate) fn descriptors(&self) -> &[tool::Descriptor] {
        self.descriptors.first().map_or(&[], Vec::as_slice)
    }

    /// Real tools for a session that is played again. There is no model behind them: what they ask of it is refused.
    pub(crate) fn tools_for_replay(
        &self,
        choices: &Choices,
        session: &Arc<Session>,
        gate: Arc<Gate>,
        folder: &Path,
    ) -> Result<Arc<dyn Toolbox>> {
        let permissions = Arc::new(Permissions {
            gate: OnceLock::new(),
            calls: Arc::default(),
        });
        // Set here and nowhere else.
        let _first_wins = permissions.gate.set(gate);
        let workshop = self.workshop(choices, session, permissions, folder, &mut Vec::new())?;
        Ok(workshop.toolbox)
    }

    fn tools(
        &self,
        session: &Path,
        services: &Services,
        watched: &mut Vec<Watched>,
    ) -> Vec<ToolPlugin> {
        let loaded = self
            .loaded
            .iter()
            .filter(|one| one.section == Section::Plugins);
        let tools = loaded.zip(&self.descriptors).map(|(one, descriptors)| {
            let session = Some(PathBuf::from(session));
            let plugin = self.plugins.plugin(one, session, services.clone());
            // What is being written has no entry that it could be narrowed by while it changes.
            if one.dev.is_none() {
                watched.push(Watched::new(one, plugin.policy()));
            }
            ToolPlugin {
                title: one.title(),
                prefix: one.prefix.clone(),
                plugin,
                descriptors: descriptors.clone(),
                powers: Powers {
                    writes_files: writes_files(&one.effective),
                    sends_requests: sends_requests(&one.effective),
                },
                grants: one.effective.describe(),
            }
        });
        tools.collect()
    }

    fn listeners(&self) -> Vec<Listener> {
        let notifiers = self
            .loaded
            .iter()
            .filter(|one| one.section == Section::Notifiers);
        let listeners = notifiers.map(|one| {
            let entry = self.plugins.config.entry(Section::Notifiers, &one.name);
            Listener {
                name: one.name.clone(),
                title: one.title(),
                plugin: self.plugins.plugin(one, None, Services::default()),
                events: entry
                    .map(|entry| entry.events().to_vec())
                    .unwrap_or_default(),
            }
        });
        listeners.collect()
    }
}

/// The job back end of this machine.
pub(crate) fn backend(
    config: &Config,
    confinement: &Confinement,
    credentials: BTreeMap<String, Vec<(String, String)>>,
) -> Result<LocalBackend> {
    let program = std::env::current_exe().or_fail(Kind::Failed)?;
    let supervisor = vec![
        program.into_os_string(),
        OsString::from(crate::args::SUPERVISE),
    ];
    let mut options = LocalOptions::new(config.paths.jobs(), supervisor, config.workspace.clone());
    options.path.clone_from(&confinement.path);
    options.env = confinement.environment();
    options.credentials = credentials;
    options.isolated = confinement.is_wanted();
    options.view = confinement.base().clone();
    LocalBackend::new(options).or_fail(Kind::Failed)
}

/// Two owners of one name would make a call go to whoever comes first.
fn check_names(loaded: &[Loaded], descriptors: &[Vec<tool::Descriptor>]) -> Result<()> {
    let mut owners = BTreeMap::new();
    let plugins = loaded.iter().filter(|one| one.section == Section::Plugins);
    for (plugin, tools) in plugins.zip(descriptors) {
        for tool in tools {
            let Some(other) = owners.insert(tool.name.clone(), plugin.path()) else {
                continue;
            };
            let text = format!(
                "the tool `{}` is offered by both [{other}] and [{}]",
                tool.name,
                plugin.path()
            );
            return Err(Failure::new(Kind::Plugin, anyhow::anyhow!(text))
                .hint(format!(
                    "set one of the two apart in ml-intern.toml with: [{}] prefix = \"{}_\"",
                    plugin.path(),
                    plugin.name.replace('-', "_")
                ))
                .hint("or remove one with `ml-intern plugin remove NAME`"));
        }
    }
    Ok(())
}

/// A project that names its job back end must have it before anything starts, not after an hour
/// of work.
fn check_python(config: &Config, loaded: &[Loaded]) -> Result<()> {
    let jobs = loaded.iter().any(|one| one.effective.jobs.is_granted());
    if !config.jobs_wanted || !jobs || has_python() {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "the local job back end needs `python3`, which is in none of the folders of PATH"
    );
    Err(Failure::new(Kind::Usage, error).hint(
        "install Python 3, for example with `apt-get install python3`, or activate the \
         environment that has it",
    ))
}

pub(crate) fn has_python() -> bool {
    ml_intern_exec::resolve("python3", &program_folders()).is_ok()
}
