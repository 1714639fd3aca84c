//! How native programs and local jobs are kept from the rest of the machine: the run manifest's
//! `[programs]`, this machine's abilities, and the paths that follow.

use crate::config::{Config, program_folders};
use ml_intern_exec::{Isolation, Support, View, toolchains};
use ml_intern_manifest::ProgramIsolation;
use std::path::PathBuf;
use std::sync::OnceLock;

/// What all programs of a session have in common.
pub(crate) struct Confinement {
    /// The user accepted that programs have the user's own rights.
    accepted: bool,
    base: View,
    workspace: PathBuf,
    pub(crate) path: Vec<PathBuf>,
    view: OnceLock<View>,
}

impl Confinement {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            accepted: config.manifest.programs.isolation == Some(ProgramIsolation::None),
            base: base_view(config),
            workspace: config.workspace.clone(),
            path: program_folders(),
            view: OnceLock::new(),
        }
    }

    /// Whether programs are isolated at all.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.accepted
    }

    /// The level at which programs run.
    ///
    /// # Errors
    /// This machine has none, and the user has not accepted that.
    pub(crate) async fn level(&self) -> Result<Isolation, String> {
        if self.accepted {
            return Ok(Isolation::None);
        }
        let support = Support::of_this_machine().await;
        if support.level == Isolation::None {
            return Err(format!(
                "this machine cannot isolate programs ({}); accept that they have your rights in ml-intern.toml with: [programs] isolation = \"none\"",
                support.missing.join("; ")
            ));
        }
        Ok(support.level)
    }

    /// What jobs see, without workspace and tool chains.
    pub(crate) fn base(&self) -> &View {
        &self.base
    }

    /// What programs see. Looked up once, at the first program: it reads many folders.
    pub(crate) fn view(&self) -> &View {
        self.view.get_or_init(|| {
            let mut view = self.base.clone();
            view.write.push(self.workspace.clone());
            let tools = toolchains(&self.path, view.home.as_deref(), &view.write);
            view.read.extend(tools);
            view
        })
    }

    /// Variables without which tool chains of the home do not find themselves, because programs
    /// have another home.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let rustup = self.base.home.as_ref().map(|home| home.join(".rustup"));
        let cargo = self
            .path
            .iter()
            .any(|folder| folder.ends_with(".cargo/bin"));
        rustup
            .filter(|folder| cargo && folder.is_dir())
            .map(|folder| ("RUSTUP_HOME".to_owned(), folder.display().to_string()))
            .into_iter()
            .collect()
    }
}

/// Removes what a host that was killed left in the workspace.
pub(crate) fn tidy(config: &Config) {
    ml_intern_exec::free_places(&base_view(config).protected);
}

fn base_view(config: &Config) -> View {
    let paths = &config.paths;
    let programs = &config.manifest.programs;
    let protected = config.protected();
    View {
        read: expand(&programs.read, paths.home.as_ref()),
        write: expand(&programs.write, paths.home.as_ref()),
        protected: protected
            .iter()
            .map(|below| config.workspace.join(below))
            .collect(),
        hidden: vec![
            paths.config.clone(),
            paths.data.clone(),
            paths.cache.clone(),
        ],
        home: paths.home.clone(),
        tmp: None,
    }
}

/// `~/data` below the home. The manifest holds nothing but these and absolute paths.
fn expand(folders: &[String], home: Option<&PathBuf>) -> Vec<PathBuf> {
    folders
        .iter()
        .map(|text| match (text.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(text),
        })
        .collect()
}
