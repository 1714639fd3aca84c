//! From entries of the run manifest to plugins that can be called.

use crate::args::COMPILE;
use crate::builtin::BUILTINS;
use crate::compose::dev::{self, Dev};
use crate::compose::{fetch, lock, words};
use crate::config::{Config, variable};
use crate::credentials::Credentials;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui;
use ml_intern_agent::approval::LOCAL_MARK;
use ml_intern_manifest::{
    self as manifest, Access, Digest, Effective, Entry, Lockfile, Section, Source, WORKSPACE_MOUNT,
};
use ml_intern_registry::{Catalog, Resolved, Store};
use ml_intern_runtime::tool::Descriptor;
use ml_intern_runtime::{
    ComponentSource, Credential, KeyValue, Plugin, Runtime, RuntimeConfig, Services, Setup,
    Written, description_digest,
};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Plugins that are loaded at the same time.
const SIDE_BY_SIDE: usize = 16;
/// Characters of a tool's name, its prefix included.
const TOOL_NAME: usize = 64;
/// Configuration key under which a plugin with a folder finds the workspace's real path, because
/// models use it.
const WORKSPACE_KEY: &str = "workspace";

/// A plugin of the run manifest, found, read and measured against its grant; not yet compiled.
pub(crate) struct Loaded {
    pub(crate) section: Section,
    pub(crate) name: String,
    pub(crate) resolved: Resolved,
    pub(crate) effective: Effective,
    pub(crate) limits: manifest::Limits,
    pub(crate) prefix: String,
    /// Digest of the description that was approved, where the lockfile has one.
    pub(crate) approved: Option<Digest>,
    /// It is being written: what it is loaded again from.
    pub(crate) dev: Option<Dev>,
}

impl Loaded {
    /// `plugins.NAME`.
    pub(crate) fn path(&self) -> String {
        self.section.path(&self.name)
    }

    /// `id@version`, for what does not come with the program with the beginning of its digest: anybody may use any id.
    pub(crate) fn title(&self) -> String {
        let header = &self.resolved.manifest.plugin;
        let title = format!("{}@{}", header.id, header.version);
        match self.resolved.source {
            Source::Builtin(_) => title,
            _ => format!("{title}{LOCAL_MARK}{}", short(&self.resolved.digest)),
        }
    }

    /// The file of what the plugin keeps. A plugin is known by its id and its source without a version, so that
    /// another with the same id inherits nothing and a new build of it everything.
    fn values_file(&self) -> String {
        let id = self
            .resolved
            .manifest
            .plugin
            .id
            .to_string()
            .replace('/', "_");
        match &self.resolved.source {
            Source::Builtin(_) => format!("{id}.jsonl"),
            source => format!("{id}-{}.jsonl", short(&Digest::of(&source.place()))),
        }
    }

    pub(crate) fn kind(&self) -> manifest::Kind {
        kind_of(self.section)
    }

    pub(crate) fn source(&self) -> ComponentSource {
        let header = &self.resolved.manifest.plugin;
        let bytes = self.resolved.bytes.clone();
        ComponentSource {
            id: header.id.to_string(),
            version: header.version.to_string(),
            digest: self.resolved.digest,
            bytes: Arc::new(move || bytes.read().map_err(io::Error::other)),
        }
    }
}

/// The tools of a plugin.
pub(crate) struct Described {
    /// As this project sees them.
    pub(crate) tools: Vec<Descriptor>,
    /// As the plugin names them.
    own: Vec<Descriptor>,
}

impl Described {
    /// By which the lockfile pins what the plugin says.
    pub(crate) fn digest(&self) -> Digest {
        description_digest(&self.own)
    }
}

fn kind_of(section: Section) -> manifest::Kind {
    match section {
        Section::Plugins => manifest::Kind::Tool,
        Section::Providers => manifest::Kind::Provider,
        Section::Notifiers => manifest::Kind::Notifier,
    }
}

/// Finds, reads and measures plugins.
pub(crate) struct Plugins<'a> {
    pub(crate) config: &'a Config,
    pub(crate) runtime: Arc<Runtime>,
    /// None for whoever only looks.
    pub(crate) credentials: Credentials,
    pub(crate) lockfile: Lockfile,
    pub(crate) store: Store,
}

impl<'a> Plugins<'a> {
    pub(crate) fn new(config: &'a Config) -> Result<Self> {
        let mut settings = RuntimeConfig::new(config.paths.components(), config.paths.cache_key());
        // Without the cache every start compiles, which a user would only see as slowness.
        settings.report = Some(Arc::new(ui::warn));
        settings.compiling = Some(Arc::new(|plugin| {
            ui::progress(&format!("compiling {plugin}, once"))
        }));
        let program = std::env::current_exe().or_fail(Kind::Failed)?;
        settings.compiler = Some(vec![program.into_os_string(), COMPILE.into()]);
        settings.roots = variable("SSL_CERT_FILE").map(PathBuf::from);
        let runtime = Runtime::new(settings);
        Ok(Self {
            config,
            runtime: runtime.or_fail(Kind::Plugin)?,
            credentials: Credentials::default(),
            lockfile: lock::read(&config.lockfile_path())?,
            store: fetch::store(config),
        })
    }

    /// Every tool plugin and notifier, and the provider of this name.
    pub(crate) fn load_all(&self, provider: &str) -> Result<Vec<Loaded>> {
        let wanted =
            |section: Section, name: &str| section != Section::Providers || name == provider;
        let entries = self.config.manifest.entries();
        // The entry of a plugin that is being written may have nothing that loads yet.
        let own = self.config.dev.as_deref().map(dev::name_of).transpose()?;
        let stands = |section: Section, entry: &Entry| {
            section == Section::Plugins && own.as_deref() == Some(entry.name.as_str())
        };
        let entries = entries
            .filter(|(section, entry)| wanted(*section, &entry.name) && !stands(*section, entry));
        let entries = entries.collect::<Vec<_>>();
        let mut loaded = Vec::with_capacity(entries.len());
        for some in entries.chunks(SIDE_BY_SIDE) {
            loaded.extend(self.load_side_by_side(some)?);
        }
        lock::check(self.config, &self.lockfile, &mut loaded)?;
        if let Some(folder) = &self.config.dev {
            dev::join(folder, self.config, &mut loaded)?;
        }
        Ok(loaded)
    }

    /// Files are read, hashed and inspected on threads of their own, which is most of what starting
    /// with many plugins takes.
    fn load_side_by_side(&self, entries: &[(Section, &'a Entry)]) -> Result<Vec<Loaded>> {
        std::thread::scope(|scope| {
            let start = |&(section, entry): &(Section, &'a Entry)| {
                let load = move || self.load(section, entry);
                match entry.source() {
                    Source::Local(_) => Started::Running(scope.spawn(load)),
                    // What was found in it is known already.
                    _ => Started::Done(Box::new(load())),
                }
            };
            let started = entries.iter().map(start).collect::<Vec<_>>();
            started.into_iter().map(Started::finish).collect()
        })
    }

    pub(crate) fn load(&self, section: Section, entry: &Entry) -> Result<Loaded> {
        let path = section.path(&entry.name);
        let resolved = self.resolve(section, entry).map_err(|failure| {
            failure.hint(format!("the plugin is [{path}] of the run manifest"))
        })?;
        load_resolved(section, entry, resolved)
    }

    /// What the entry's source leads to: of one that lies elsewhere what is locked, and nothing else.
    fn resolve(&self, section: Section, entry: &Entry) -> Result<Resolved> {
        let source = entry.source();
        if !source.is_remote() {
            return resolve(&source);
        }
        let path = section.path(&entry.name);
        let locked = fetch::locked(self.lockfile.get(section, &entry.name), &path)?;
        if locked.source != source.to_string() {
            let error = anyhow::anyhow!(
                "[{path}] is not what the lockfile says: source was {}, is {source}",
                ui::one_line(&locked.source, 500)
            );
            return Err(Failure::new(Kind::Plugin, error).hint(format!(
                "see what is there now with `ml-intern plugin update {}`",
                entry.name
            )));
        }
        self.fetched(&source, &locked.sha256)
    }

    /// A component of the store.
    pub(crate) fn fetched(&self, source: &Source, digest: &Digest) -> Result<Resolved> {
        let resolved = Catalog::new(BUILTINS).resolve_fetched(source, digest, &self.store);
        resolved.map_err(|error| fetch::failure(&error))
    }

    /// The tools of a plugin as this project sees them: with the prefix that the user set, and with
    /// nothing in their words that a terminal or a model would read as something else.
    pub(crate) async fn describe(&self, loaded: &Loaded) -> Result<Described> {
        describe(&self.runtime, loaded).await
    }
}

/// See [`Plugins::describe`].
pub(crate) async fn describe(runtime: &Arc<Runtime>, loaded: &Loaded) -> Result<Described> {
    let described = runtime.describe(&loaded.source()).await;
    let mut own = described.or_fail(Kind::Plugin)?;
    let said = words::put(&mut own, &loaded.resolved.manifest);
    said.map_err(|problem| Failure::new(Kind::Plugin, anyhow::anyhow!(problem)))?;
    let mut tools = own.clone();
    for tool in &mut tools {
        tool.name.insert_str(0, &loaded.prefix);
        if tool.name.len() > TOOL_NAME {
            return Err(Failure::usage(format!(
                "the tool `{}` has more than {TOOL_NAME} characters; shorten `prefix` in [{}]",
                tool.name,
                loaded.path()
            )));
        }
        tool.description = ui::for_model(&tool.description);
        tool.input_schema = ui::json_for_model(&tool.input_schema);
    }
    Ok(Described { tools, own })
}

impl Plugins<'_> {
    /// Makes a plugin callable. `session` is the session's folder, for values that last as long.
    pub(crate) fn plugin(
        &self,
        loaded: &Loaded,
        session: Option<PathBuf>,
        services: Services,
    ) -> Plugin {
        callable(&self.runtime, loaded, self.place(loaded, session), services)
    }

    /// Where a plugin's calls happen in a session.
    pub(crate) fn place(&self, loaded: &Loaded, session: Option<PathBuf>) -> Place {
        let file = loaded.values_file();
        let project = self.config.paths.project(&self.config.workspace);
        Place {
            workspace: self.config.workspace.clone(),
            protected: self.config.protected(),
            store: KeyValue::new(
                session.map(|folder| folder.join("values").join(&file)),
                Some(project.join("values").join(&file)),
            ),
            credentials: self.credentials.of(&loaded.effective),
        }
    }
}

/// Makes a plugin callable in a place.
pub(crate) fn callable(
    runtime: &Arc<Runtime>,
    loaded: &Loaded,
    place: Place,
    services: Services,
) -> Plugin {
    let fs = loaded.effective.fs.access(WORKSPACE_MOUNT);
    let mut effective = loaded.effective.clone();
    if fs.is_some() {
        let path = place.workspace.display().to_string();
        Arc::make_mut(&mut effective.config).insert(WORKSPACE_KEY.to_owned(), path);
    }
    let setup = Setup {
        policy: effective.into(),
        workspace: fs.map(|_| place.workspace),
        protected: place.protected,
        written: Written::default(),
        store: place.store,
        credentials: place.credentials,
        limits: loaded.limits.clone(),
        services,
    };
    runtime.plugin(loaded.source(), setup)
}

/// Where a plugin's calls happen, and what they find there.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) workspace: PathBuf,
    /// What no plugin changes, relative to the workspace.
    pub(crate) protected: Vec<PathBuf>,
    pub(crate) store: KeyValue,
    pub(crate) credentials: Vec<Credential>,
}

/// [`Plugins::load`] of what was found and read already.
pub(crate) fn load_resolved(section: Section, entry: &Entry, resolved: Resolved) -> Result<Loaded> {
    let path = section.path(&entry.name);
    let request = &resolved.manifest.request;
    let config = values(entry, &resolved);
    let grant = entry.grant_for(request);
    let effective = Effective::compute(&path, request, &grant, &config).or_fail(Kind::Usage)?;
    let limits = resolved.manifest.limits(kind_of(section));
    let loaded = Loaded {
        section,
        name: entry.name.clone(),
        resolved,
        effective,
        limits: entry.limits.over(limits),
        prefix: entry.prefix.clone().unwrap_or_default(),
        approved: None,
        dev: None,
    };
    let kind = loaded.kind();
    if !loaded.resolved.kinds.contains(&kind) {
        let kinds = loaded.resolved.kinds.iter().map(|kind| kind.as_str());
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let text = format!(
            "[{path}] needs a {} plugin, but {} is a {kinds} plugin",
            kind.as_str(),
            loaded.title()
        );
        return Err(Failure::new(Kind::Plugin, anyhow::anyhow!(text)));
    }
    Ok(loaded)
}

/// A plugin that is being loaded.
enum Started<'scope> {
    Done(Box<Result<Loaded>>),
    Running(std::thread::ScopedJoinHandle<'scope, Result<Loaded>>),
}

impl Started<'_> {
    fn finish(self) -> Result<Loaded> {
        match self {
            Self::Done(loaded) => *loaded,
            Self::Running(thread) => thread.join().unwrap_or_else(|_| {
                let error = anyhow::anyhow!("a plugin could not be inspected");
                Err(Failure::new(Kind::Plugin, error))
            }),
        }
    }
}

/// What the user set: in the manifest, and over it in the environment. Guests see these values, so
/// a stranger's plugin names no variables; and a variable is about the entry of the plugin's own
/// name, so that another entry of the same plugin can stand beside it.
pub(crate) fn values(entry: &Entry, resolved: &Resolved) -> BTreeMap<String, String> {
    let mut values = entry.config.clone();
    let Source::Builtin(name) = &resolved.source else {
        return values;
    };
    for wanted in &resolved.manifest.request.config {
        let Some(value) = wanted.env.iter().find_map(|name| variable(name)) else {
            continue;
        };
        if *name == entry.name {
            values.insert(wanted.key.clone(), value);
        } else {
            values.entry(wanted.key.clone()).or_insert(value);
        }
    }
    values
}

/// Enough of a digest to tell two plugins apart on a screen.
fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

/// A source's plugin.
pub(crate) fn resolve(source: &manifest::Source) -> Result<Resolved> {
    Catalog::new(BUILTINS).resolve(source).or_fail(Kind::Plugin)
}

/// Whether calls of the plugin may write files of the workspace.
pub(crate) fn writes_files(effective: &Effective) -> bool {
    effective.fs.access(WORKSPACE_MOUNT) == Some(Access::ReadWrite)
}

/// Whether calls of the plugin may send requests that change something.
pub(crate) fn sends_requests(effective: &Effective) -> bool {
    let changes = |method: &manifest::Method| !matches!(method.as_str(), "GET" | "HEAD");
    effective
        .http
        .rules()
        .iter()
        .any(|rule| rule.methods.iter().any(changes))
}
