//! From files, environment and flags to one set of values. The only place that reads the environment for settings.

mod model;

use crate::error::{Failure, Kind, OrFail, Result};
use crate::paths::Paths;
use ml_intern_manifest::{Entry, RunManifest, Section};
use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

/// Name of the run manifest.
pub(crate) const MANIFEST: &str = "ml-intern.toml";
/// Name of the lockfile, beside the manifest.
pub(crate) const LOCKFILE: &str = "ml-intern.lock";
/// The host's own folder in the workspace.
pub(crate) const OWN: &str = ".ml-intern";
const DEFAULT: &str = include_str!("default.toml");
/// Bytes of a manifest; it is written by hand.
const MANIFEST_BYTES: u64 = 1 << 20;

/// Where we are and what was configured, flags not counted.
pub(crate) struct Config {
    pub(crate) paths: Paths,
    /// Absolute, links resolved.
    pub(crate) workspace: PathBuf,
    /// The project's manifest; `None` when only the built-in one and the user's hold.
    pub(crate) manifest_path: Option<PathBuf>,
    pub(crate) manifest: RunManifest,
    /// The project's manifest names a job back end, so it has to work.
    pub(crate) jobs_wanted: bool,
    /// The folder of a plugin that is being written, which joins the session: `--dev`.
    pub(crate) dev: Option<PathBuf>,
}

impl Config {
    /// `directory` is `-C`, `manifest` is `--manifest`.
    pub(crate) fn load(directory: Option<&Path>, manifest: Option<&Path>) -> Result<Self> {
        let paths = Paths::from_environment()?;
        let given = directory.unwrap_or(Path::new("."));
        let workspace = given.canonicalize().map_err(|error| {
            Failure::usage(format!("cannot work in {}: {error}", given.display()))
        })?;
        if !workspace.is_dir() {
            return Err(Failure::usage(format!(
                "cannot work in {}: not a folder",
                workspace.display()
            )));
        }
        let manifest_path = match manifest {
            Some(path) => Some(path.canonicalize().map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", path.display()))
            })?),
            None => upwards(&workspace),
        };
        let mut listed = BTreeSet::new();
        let mut merged = RunManifest::parse("built-in manifest", DEFAULT).or_fail(Kind::Usage)?;
        if let Some(user) = read(&paths.user_manifest())? {
            listed.extend(user.plugins.iter().map(|entry| entry.name.clone()));
            merged = user.merge_over(&merged);
        }
        let mut jobs_wanted = false;
        if let Some(path) = &manifest_path {
            let project = read(path)?
                .ok_or_else(|| Failure::usage(format!("{} does not exist", path.display())))?;
            jobs_wanted = project.jobs.backend.is_some();
            listed.extend(project.plugins.iter().map(|entry| entry.name.clone()));
            merged = project.merge_over(&merged);
        }
        if merged.agent.default_plugins == Some(false) {
            let defaults = RunManifest::parse("built-in manifest", DEFAULT).or_fail(Kind::Usage)?;
            merged.plugins.retain(|entry| {
                listed.contains(&entry.name)
                    || !defaults
                        .plugins
                        .iter()
                        .any(|other| other.name == entry.name)
            });
        }
        Ok(Self {
            paths,
            workspace,
            manifest_path,
            manifest: merged,
            jobs_wanted,
            dev: None,
        })
    }

    /// With a plugin that is being written; `folder` is `--dev`.
    pub(crate) fn with_dev(mut self, folder: Option<&Path>) -> Result<Self> {
        let absolute = folder.map(|folder| {
            let canonical = self.workspace.join(folder).canonicalize();
            canonical.map_err(|error| {
                Failure::usage(format!("--dev: cannot read {}: {error}", folder.display()))
            })
        });
        self.dev = absolute.transpose()?;
        Ok(self)
    }

    pub(crate) fn entry(&self, section: Section, name: &str) -> Option<&Entry> {
        self.manifest
            .section(section)
            .iter()
            .find(|entry| entry.name == name)
    }

    /// The entry with this name in any section.
    pub(crate) fn any_entry(&self, name: &str) -> Option<(Section, &Entry)> {
        self.manifest
            .entries()
            .find(|(_, entry)| entry.name == name)
    }

    pub(crate) fn lockfile_path(&self) -> PathBuf {
        match &self.manifest_path {
            Some(path) => self.lockfile_path_for(path),
            None => self.paths.config.join(LOCKFILE),
        }
    }

    /// The lockfile beside a manifest.
    pub(crate) fn lockfile_path_for(&self, manifest: &Path) -> PathBuf {
        manifest.with_file_name(LOCKFILE)
    }

    /// What no plugin and no program changes, relative to the workspace: what decides about them.
    pub(crate) fn protected(&self) -> Vec<PathBuf> {
        let mut protected = [MANIFEST, LOCKFILE, OWN].map(PathBuf::from).to_vec();
        let in_use = self.manifest_path.iter().cloned();
        for path in in_use.chain([self.lockfile_path()]) {
            if let Ok(below) = path.strip_prefix(&self.workspace)
                && !protected.iter().any(|known| known == below)
            {
                protected.push(below.to_owned());
            }
        }
        protected
    }

    /// The manifest that `plugin add` writes to: the project's, or a new one in the workspace.
    pub(crate) fn editable_manifest(&self) -> PathBuf {
        self.manifest_path
            .clone()
            .unwrap_or_else(|| self.workspace.join(MANIFEST))
    }
}

/// Reads a manifest, its relative sources made absolute; `None` where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<RunManifest>> {
    let Some(text) = text_of(path)? else {
        return Ok(None);
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let manifest = RunManifest::parse(&path.display().to_string(), &text).or_fail(Kind::Usage)?;
    Ok(Some(manifest.based_at(folder)))
}

/// A configuration file's text; `None` where there is no such file.
pub(crate) fn text_of(path: &Path) -> Result<Option<String>> {
    let cannot =
        |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MANIFEST_BYTES => {
            return Err(Failure::usage(format!(
                "{} is larger than {MANIFEST_BYTES} bytes",
                path.display()
            )));
        }
        // An empty folder keeps the place free while a program runs.
        Ok(metadata) if metadata.is_dir() => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    }
    std::fs::read_to_string(path).map(Some).map_err(cannot)
}

fn upwards(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(MANIFEST))
        .find(|path| path.is_file())
}

/// A variable that is set to more than blanks. Line ends that came with a pasted key are dropped.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The user's search path for programs, absolute folders only: a relative one would be the agent's to fill.
pub(crate) fn program_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute() && folder.is_dir())
        .collect()
}
