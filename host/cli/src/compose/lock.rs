//! The lockfile: what the user's plugins were when they were approved.

use crate::compose::Loaded;
use crate::config::{Config, text_of};
use crate::error::{Failure, Kind, OrFail, Result};
use ml_intern_manifest::{Digest, LockEntry, Lockfile, Source};
use ml_intern_registry::Store;
use rustix::fs::{Mode, OFlags};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Bytes of an old file that are written over in one step; no file that the host reads is longer.
const MOST: usize = 1 << 20;

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
    let written = match in_place(path, text) {
        Err(error) if error.kind() == ErrorKind::NotFound => anew(path, text),
        written => written,
    };
    written.map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}

/// A file that is there stays the same file: a program that runs has it mounted over itself, and a new one in its
/// place would lie there unprotected.
fn in_place(path: &Path, text: &str) -> io::Result<()> {
    let facts = std::fs::symlink_metadata(path)?;
    if !facts.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    // One write as long as the old text, and empty lines at its end: who is killed between the two steps leaves a
    // file that reads the same.
    let mut bytes = text.as_bytes().to_vec();
    let old = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    bytes.resize(bytes.len().max(old.min(MOST)), b'\n');
    file.write_all_at(&bytes, 0)?;
    file.set_len(text.len() as u64)?;
    file.sync_data()
}

/// Written aside and renamed.
fn anew(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    std::fs::create_dir_all(folder)?;
    // What stands there is a leftover, or a link that somebody prepared: it is not written through.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::File::create_new(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    // What keeps the place free while a program runs, and what a host left that was killed then.
    if std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()) {
        std::fs::remove_dir(path)?;
    }
    std::fs::rename(&temporary, path)
}

/// Where a plugin from elsewhere was found, and who vouches for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    pub(crate) resolved: Option<Source>,
    pub(crate) signed_by: Option<String>,
}

impl Origin {
    /// As it is locked.
    pub(crate) fn of(entry: &LockEntry) -> Self {
        Self {
            resolved: entry.resolved.clone(),
            signed_by: entry.signed_by.clone(),
        }
    }
}

/// Tells the store that a lockfile names components of it, so that they are not pruned.
pub(crate) fn remember(lockfile: &Path, store: &Store) -> Result<()> {
    store.remember(lockfile).or_fail(Kind::Plugin)
}

/// What the lockfile says of a plugin as it is now. `describe` is the digest of what a tool plugin
/// says of its tools.
pub(crate) fn entry(
    loaded: &Loaded,
    source: String,
    describe: Option<Digest>,
    origin: Origin,
) -> LockEntry {
    let header = &loaded.resolved.manifest.plugin;
    LockEntry {
        id: header.id.clone(),
        version: header.version.clone(),
        source,
        resolved: origin.resolved,
        signed_by: origin.signed_by,
        sha256: loaded.resolved.digest,
        abi: loaded.resolved.abi,
        kinds: loaded.resolved.kinds.clone(),
        describe,
        grants: loaded.effective.describe(),
    }
}

const ACCEPT: &str = "read what it may do with `ml-intern plugin info NAME`, then accept it as it is \
                      with `ml-intern plugin lock`";

/// Stops when a plugin says something else of its tools than when it was approved. The same bytes
/// need not give the same answer: a component can ask for the time, or for a random number.
pub(crate) fn check_description(config: &Config, plugin: &Loaded, now: Digest) -> Result<()> {
    let Some(approved) = plugin.approved.filter(|approved| *approved != now) else {
        return Ok(());
    };
    let error = anyhow::anyhow!(
        "[{}] describes its tools in another way than when it was approved, and its version is the \
         same: {} has {approved}, and now it is {now}",
        plugin.path(),
        config.lockfile_path().display()
    );
    Err(Failure::new(Kind::Plugin, error).hint(ACCEPT))
}

/// Stops where the lockfile has more than the manifest lists; what it lacks stops every run.
pub(crate) fn exact(config: &Config) -> Result<()> {
    let path = config.lockfile_path();
    let lockfile = read(&path)?;
    let locked = lockfile.iter();
    let unlisted = locked.filter(|(section, name, _)| config.entry(*section, name).is_none());
    let unlisted = unlisted.map(|(section, name, _)| format!("[{}]", section.path(name)));
    let unlisted = unlisted.collect::<Vec<_>>();
    if unlisted.is_empty() {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "{} has {}, which the run manifest does not list",
        path.display(),
        unlisted.join(", ")
    );
    Err(Failure::new(Kind::Plugin, error).hint("`ml-intern plugin lock` takes it out"))
}

/// Stops when a plugin is not what it was when it was approved. Builtin plugins are as trusted as
/// the program that carries them, and change with it, so they are not locked. What was approved of
/// its descriptions is kept for [`check_description`], because nothing runs here.
pub(crate) fn check(config: &Config, locked: &Lockfile, loaded: &mut [Loaded]) -> Result<()> {
    let path = config.lockfile_path();
    let mut now = Lockfile::default();
    let mut before = Lockfile::default();
    let mut missing = Vec::new();
    for plugin in loaded
        .iter_mut()
        .filter(|plugin| !plugin.resolved.source.is_builtin())
    {
        match locked.get(plugin.section, &plugin.name) {
            Some(entry) => {
                plugin.approved = entry.describe;
                let entry = LockEntry {
                    describe: None,
                    ..entry.clone()
                };
                let now_from = &plugin.resolved.source;
                // A path is written relative to the manifest, and known here in full.
                let source = match now_from.is_remote() {
                    true => now_from.to_string(),
                    false => entry.source.clone(),
                };
                let current = self::entry(plugin, source, None, Origin::of(&entry));
                before.insert(plugin.section, &plugin.name, entry);
                now.insert(plugin.section, &plugin.name, current);
            }
            None => missing.push(format!("[{}]", plugin.path())),
        }
    }
    let changes = before.diff(&now);
    if !changes.is_empty() {
        let list = changes
            .iter()
            .map(|change| format!("\n  {change}"))
            .collect::<String>();
        let error = anyhow::anyhow!("a plugin is not what {} says:{list}", path.display());
        return Err(Failure::new(Kind::Plugin, error).hint(ACCEPT));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let error = anyhow::anyhow!("{} is not in {}", missing.join(", "), path.display());
    Err(Failure::new(Kind::Plugin, error).hint(ACCEPT))
}
