//! The runtime of a process: engine, compile cache, network.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use ml_intern_manifest::Digest;
use tokio::sync::OnceCell;

use crate::cache::Cache;
use crate::egress::connect::Clients;
use crate::egress::resolve::Resolve;
use crate::egress::secret::{Known, Secret};
use crate::engine::Host;
use crate::fault::{Error, FaultCause};
use crate::load::Loaded;
use crate::meter::lock;

/// Told in words what went wrong.
pub type Report = Arc<dyn Fn(&str) + Send + Sync>;

/// What a runtime is made of.
#[derive(Clone)]
pub struct RuntimeConfig {
    /// Folder of the compile cache. Made when needed, private to the user.
    pub cache_dir: PathBuf,
    /// File of the key that authenticates the cache, outside of it. Made when needed.
    pub key_file: PathBuf,
    /// Calls that run side by side; more wait. 1 to 1024.
    pub instances: u32,
    /// Certificates (PEM) that are trusted beside Mozilla's.
    pub roots: Option<PathBuf>,
    /// Looks names up; the operating system's resolver when absent. Its answers are vetted.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Told what was wrong with the cache; nothing of it fails a call.
    pub report: Option<Report>,
    /// A program and its arguments, to which one more is added, that calls
    /// [`compile_for_parent`](crate::compile_for_parent); with it a component is compiled in a process
    /// of its own, under limits. None: in this process, whatever it takes; for components that are
    /// trusted.
    pub compiler: Option<Vec<OsString>>,
    /// Told the id of a plugin whose compilation begins, which takes from 0.1 s to minutes.
    pub compiling: Option<Report>,
}

impl RuntimeConfig {
    /// 64 calls side by side, Mozilla's certificates, no reports.
    pub fn new(cache_dir: PathBuf, key_file: PathBuf) -> Self {
        Self {
            cache_dir,
            key_file,
            instances: 64,
            roots: None,
            resolver: None,
            report: None,
            compiler: None,
            compiling: None,
        }
    }
}

impl fmt::Debug for RuntimeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cache_dir,
            key_file,
            instances,
            roots,
            resolver,
            report: _,
            compiler,
            compiling: _,
        } = self;
        f.debug_struct("RuntimeConfig")
            .field("cache_dir", cache_dir)
            .field("key_file", key_file)
            .field("instances", instances)
            .field("roots", roots)
            .field("compiler", compiler)
            .field("resolver", resolver)
            .finish_non_exhaustive()
    }
}

/// Runs plugins. One per process; cheap to make, for nothing is set up before it is used.
pub struct Runtime {
    config: RuntimeConfig,
    pub(crate) cache: Cache,
    pub(crate) network: Arc<Clients>,
    pub(crate) secrets: Known,
    host: OnceLock<Result<Host, String>>,
    /// Components in use, so that plugins of one digest share their code.
    components: Mutex<HashMap<Digest, Weak<OnceCell<Loaded>>>>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of its bounds.
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, Error> {
        if !(1..=1024).contains(&config.instances) {
            return Err(Error::Config(format!(
                "`instances` must be 1 to 1024, not {}",
                config.instances
            )));
        }
        if config.key_file.starts_with(&config.cache_dir) {
            return Err(Error::Config(format!(
                "the key `{}` must lie outside the cache `{}` that it protects",
                config.key_file.display(),
                config.cache_dir.display()
            )));
        }
        Ok(Arc::new(Self {
            cache: Cache::new(config.cache_dir.clone(), config.key_file.clone()),
            network: Arc::new(Clients::new(config.roots.clone(), config.resolver.clone())),
            secrets: Known::default(),
            host: OnceLock::new(),
            components: Mutex::default(),
            config,
        }))
    }

    /// Adds values that no plugin may send or receive, from the next call on. Those of the
    /// credentials of every plugin of this runtime are known already.
    pub fn learn_secrets<'a>(&self, values: impl IntoIterator<Item = &'a Secret>) {
        self.secrets.learn(values);
    }

    /// The engine, made at the first call.
    pub(crate) fn host(&self) -> Result<&Host, FaultCause> {
        let made = self
            .host
            .get_or_init(|| Host::new(self.config.instances).map_err(|error| format!("{error:#}")));
        made.as_ref()
            .map_err(|error| FaultCause::Host(format!("the engine cannot be made: {error}")))
    }

    pub(crate) fn compiler(&self) -> Option<&[OsString]> {
        self.config.compiler.as_deref()
    }

    pub(crate) fn compiling(&self, plugin: &str) {
        if let Some(told) = &self.config.compiling {
            told(plugin);
        }
    }

    pub(crate) fn report(&self, problem: &str) {
        if let Some(report) = &self.config.report {
            report(problem);
        }
    }

    /// The place where the component of this digest is, or will be, loaded.
    pub(crate) fn component(&self, digest: Digest) -> Arc<OnceCell<Loaded>> {
        let mut components = lock(&self.components);
        if let Some(cell) = components.get(&digest).and_then(Weak::upgrade) {
            return cell;
        }
        components.retain(|_, cell| cell.strong_count() > 0);
        let cell = Arc::new(OnceCell::new());
        components.insert(digest, Arc::downgrade(&cell));
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        let config = |instances, key: &str| RuntimeConfig {
            instances,
            ..RuntimeConfig::new("cache".into(), key.into())
        };
        assert!(Runtime::new(config(1, "key")).is_ok());
        for (instances, key) in [(0, "key"), (1025, "key"), (1, "cache/key")] {
            assert!(
                matches!(Runtime::new(config(instances, key)), Err(Error::Config(_))),
                "{instances} {key}"
            );
        }
    }
}
