//! The lockfile: what the user's local plugins were when they were approved.

use crate::compose::Loaded;
use crate::config::{Config, text_of};
use crate::error::{Failure, Kind, OrFail, Result};
use ml_intern_manifest::{LockEntry, Lockfile};
use std::io::Write;
use std::path::Path;

pub(crate) fn read(path: &Path) -> Result<Lockfile> {
    match text_of(path)? {
        Some(text) => Lockfile::parse(&path.display().to_string(), &text).or_fail(Kind::Usage),
        None => Ok(Lockfile::default()),
    }
}

pub(crate) fn write(path: &Path, lockfile: &Lockfile) -> Result<()> {
    replace(path, &lockfile.render())
}

/// Writes a whole file, or leaves the old one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let write = || {
        std::fs::create_dir_all(folder)?;
        // What stands there is a leftover, or a link that somebody prepared: it is not written through.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error: std::io::Error| {
        Failure::usage(format!("cannot write {}: {error}", path.display()))
    })
}

/// What the lockfile says of a plugin as it is now.
pub(crate) fn entry(loaded: &Loaded, source: String) -> LockEntry {
    let header = &loaded.resolved.manifest.plugin;
    LockEntry {
        id: header.id.clone(),
        version: header.version.clone(),
        source,
        sha256: loaded.resolved.digest,
        abi: loaded.resolved.abi,
        kinds: loaded.resolved.kinds.clone(),
        describe: None,
        grants: loaded.effective.describe(),
    }
}

/// Stops when a plugin is not what it was when it was approved. Builtin plugins are as trusted as
/// the program that carries them, and change with it, so they are not locked.
pub(crate) fn check(config: &Config, loaded: &[Loaded]) -> Result<()> {
    let path = config.lockfile_path();
    let locked = read(&path)?;
    let mut now = Lockfile::default();
    let mut before = Lockfile::default();
    let mut missing = Vec::new();
    for plugin in loaded
        .iter()
        .filter(|plugin| !plugin.resolved.source.is_builtin())
    {
        match locked.get(plugin.section, &plugin.name) {
            Some(entry) => {
                // The digest of the bytes stands for everything that they answer.
                let entry = LockEntry {
                    describe: None,
                    ..entry.clone()
                };
                let current = self::entry(plugin, entry.source.clone());
                before.insert(plugin.section, &plugin.name, entry);
                now.insert(plugin.section, &plugin.name, current);
            }
            None => missing.push(format!("[{}]", plugin.path())),
        }
    }
    let accept = "read what it may do with `ml-intern plugin info NAME`, then accept it as it is \
                  with `ml-intern plugin lock`";
    let changes = before.diff(&now);
    if !changes.is_empty() {
        let list = changes
            .iter()
            .map(|change| format!("\n  {change}"))
            .collect::<String>();
        let error = anyhow::anyhow!("a plugin is not what {} says:{list}", path.display());
        return Err(Failure::new(Kind::Plugin, error).hint(accept));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let error = anyhow::anyhow!("{} is not in {}", missing.join(", "), path.display());
    Err(Failure::new(Kind::Plugin, error).hint(accept))
}
