//! Which plugin a command is about: a file, the folder of one, or a name of the run manifest.

use crate::compose::plugins::load_resolved;
use crate::compose::{Loaded, Plugins, lock};
use crate::config::Config;
use crate::error::{Failure, Result};
use ml_intern_manifest::{Entry, Grant, Kind, RequestedLimits, Section, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How an author's folder is known.
pub(super) const AUTHORS: &str = "plugin.toml";

/// A plugin that was chosen.
pub(super) struct Chosen {
    pub(super) loaded: Loaded,
    /// It is in the run manifest, whose grant holds; else it gets what it asks for, if a person agrees.
    pub(super) listed: bool,
}

/// What is named on the command line.
pub(super) enum Named {
    File(PathBuf),
    Name(String),
}

/// A path that is there is a file or folder; what could not be one is a name.
pub(super) fn named(config: &Config, text: &str) -> Result<Named> {
    let path = config.workspace.join(text);
    let looks = text.contains('/') || text.ends_with(".wasm") || text == "." || text == "..";
    match path.canonicalize() {
        Ok(path) if looks || config.any_entry(text).is_none() => Ok(Named::File(path)),
        Err(error) if looks => Err(Failure::usage(format!("cannot read {text}: {error}"))),
        _ => Ok(Named::Name(text.to_owned())),
    }
}

/// The plugin of this name or path. `config` is set for that of a file; one of the run manifest has its own.
pub(super) fn chosen(
    plugins: &Plugins<'_>,
    text: &str,
    config: BTreeMap<String, String>,
) -> Result<Chosen> {
    match named(plugins.config, text)? {
        Named::File(path) => of_file(&path, None, config),
        Named::Name(name) => {
            if !config.is_empty() {
                return Err(Failure::usage(format!(
                    "--config sets the configuration of a plugin of a file; that of `{name}` is in the run manifest"
                )));
            }
            let (section, entry) = plugins
                .config
                .any_entry(&name)
                .ok_or_else(|| super::unknown(plugins.config, &name))?;
            of_entry(plugins, section, entry)
        }
    }
}

/// A plugin of the run manifest, held to the lockfile.
pub(super) fn of_entry(plugins: &Plugins<'_>, section: Section, entry: &Entry) -> Result<Chosen> {
    let mut loaded = vec![plugins.load(section, entry)?];
    lock::check(plugins.config, &plugins.lockfile, &mut loaded)?;
    let loaded = loaded.pop();
    Ok(Chosen {
        loaded: loaded.ok_or_else(|| super::unknown(plugins.config, &entry.name))?,
        listed: true,
    })
}

/// A plugin that is in no manifest. `grant` is what it gets; all that it asks for where there is none.
pub(super) fn of_file(
    path: &Path,
    grant: Option<Grant>,
    config: BTreeMap<String, String>,
) -> Result<Chosen> {
    let source = Source::Local(path.to_owned());
    let resolved = crate::compose::plugins::resolve(&source)?;
    let section = match resolved.kinds.first() {
        Some(Kind::Provider) => Section::Providers,
        Some(Kind::Notifier) => Section::Notifiers,
        _ => Section::Plugins,
    };
    let entry = Entry {
        name: resolved.manifest.plugin.id.name().to_owned(),
        given_source: Some(source),
        grant: Some(grant.unwrap_or_else(|| Grant::all_of(&resolved.manifest.request))),
        config,
        limits: RequestedLimits::default(),
        prefix: None,
        events: None,
        serves: None,
    };
    Ok(Chosen {
        loaded: load_resolved(section, &entry, resolved)?,
        listed: false,
    })
}

/// The text of a file of at most `most` bytes, UTF-8.
pub(super) fn text_of(path: &Path, most: u64) -> Result<String> {
    let cannot = |why: String| Failure::usage(format!("cannot read {}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?;
    if !size.is_file() || size.len() > most {
        return Err(cannot(format!("it is no file of at most {most} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8".to_owned()))
}
