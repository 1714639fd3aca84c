//! From a guest's path to a name in an opened folder. Links on the way are followed within the
//! folder that the guest started from and never out of it; the last name is looked at, not opened.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::mount::kind;
use super::refusal::{Refused, Why};

/// Links in a row that are followed at the end of a path: what Linux does.
const MAX_LINKS: usize = 40;
/// A path made longer by links; Linux takes 4096 bytes.
const MAX_PATH: usize = 16 << 10;

/// What a path leads to.
pub(crate) enum Place {
    /// A name in a folder.
    Entry(Entry),
    /// A folder without a name: the path ends in `.` or `..`.
    Folder(File),
}

/// A name in a folder, which is there or not.
pub(crate) struct Entry {
    pub(crate) folder: Arc<File>,
    pub(crate) name: String,
    /// The path ended in a slash, and means a folder.
    pub(crate) slash: bool,
    pub(crate) stat: Option<Stat>,
}

/// The entry that `path` names, its last link not followed.
pub(crate) fn entry(start: &Arc<File>, path: &str) -> Result<Entry, Refused> {
    match named(start, path)? {
        Place::Entry(entry) => Ok(entry),
        Place::Folder(_) => Err(Errno::INVAL.into()),
    }
}

/// What `path` leads to, with the last link followed as well.
pub(crate) fn followed(start: &Arc<File>, path: &str) -> Result<Place, Refused> {
    let mut path = Cow::Borrowed(path);
    for _ in 0..MAX_LINKS {
        let entry = match named(start, &path)? {
            Place::Entry(entry) => entry,
            folder @ Place::Folder(_) => return Ok(folder),
        };
        if !entry.is(FileType::Symlink) {
            return Ok(Place::Entry(entry));
        }
        let target = target(&entry)?;
        let slash = if entry.slash { "/" } else { "" };
        // Put together as text, so that whoever walks it meets the folders that are really there.
        let next = match path.trim_end_matches('/').rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{target}{slash}"),
            None => format!("{target}{slash}"),
        };
        if next.len() > MAX_PATH {
            return Err(Errno::NAMETOOLONG.into());
        }
        path = Cow::Owned(next);
    }
    Err(Errno::LOOP.into())
}

impl Entry {
    pub(crate) fn is(&self, wanted: FileType) -> bool {
        self.stat.as_ref().is_some_and(|stat| kind(stat) == wanted)
    }
}

/// The target of the link that an entry is.
pub(crate) fn target(entry: &Entry) -> Result<String, Refused> {
    let target = rustix::fs::readlinkat(&entry.folder, entry.name.as_str(), Vec::new())?;
    if target.is_empty() {
        return Err(Errno::NOENT.into());
    }
    target.into_string().map_err(|_| Errno::ILSEQ.into())
}

/// Whether a link with this target, in a folder so deep below the mount, stays in the mount.
/// A `..` after a name is refused: the name may be a link, and lead less deep than it looks.
pub(crate) fn stays_inside(target: &str, depth: usize) -> bool {
    let mut parts = target
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let ups = parts.by_ref().take_while(|part| *part == "..").count();
    !target.starts_with('/') && ups <= depth && parts.all(|part| part != "..")
}

/// Follows the links up to the last name.
pub(crate) fn named(start: &Arc<File>, path: &str) -> Result<Place, Refused> {
    if path.is_empty() {
        return Err(Errno::NOENT.into());
    }
    if path.starts_with('/') {
        return Err(Why::Outside.into());
    }
    let trimmed = path.trim_end_matches('/');
    let (folder, name) = match trimmed.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, trimmed),
    };
    if matches!(name, "." | "..") {
        return Ok(Place::Folder(open_folder(start, path)?));
    }
    let folder = match folder {
        Some(folder) => Arc::new(open_folder(start, folder)?),
        None => Arc::clone(start),
    };
    let stat = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(stat),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Place::Entry(Entry {
        folder,
        name: name.to_owned(),
        slash: trimmed.len() < path.len(),
        stat,
    }))
}

/// Opens a folder below `start` to look at it; cap-primitives keeps every link inside.
pub(crate) fn open_folder(start: &File, path: &str) -> Result<File, Refused> {
    cap_primitives::fs::open_dir(start, Path::new(path)).map_err(|error| {
        // An escape is an error of its own making, without a number of the system's.
        if error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none() {
            Refused::Denied(Why::Outside)
        } else {
            Refused::Io(error)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_when_it_does_from_its_own_folder() {
        for (target, depth) in [
            ("a", 0),
            ("a/b", 0),
            ("..", 1),
            ("../../a/./b", 2),
            ("./../a", 1),
        ] {
            assert!(stays_inside(target, depth), "{target} at {depth}");
        }
        for (target, depth) in [
            ("/etc/passwd", 5),
            ("..", 0),
            ("../../a", 1),
            ("a/..", 3),
            ("../a/../../b", 4),
            ("//a", 1),
        ] {
            assert!(!stays_inside(target, depth), "{target} at {depth}");
        }
    }
}
