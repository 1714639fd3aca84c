//! The folder behind a mount: which of its files only the user changes, and whether a folder still
//! lies in it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::entry::Entry;
use super::originals::Originals;
use super::quota::Quota;
use super::refusal::{Refused, Why};

/// Folders between a file and the mount. Deeper ones can be made by renaming, and are not changed.
const MAX_DEPTH: usize = 1024;

/// To look at a folder, not into it.
#[cfg(target_os = "linux")]
pub(crate) const LOOK: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub(crate) const LOOK: OFlags = OFlags::RDONLY;

/// Device and inode.
pub(crate) type Id = (u64, u64);

/// The folder behind a mount, opened for one call.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) folder: File,
    pub(crate) quota: Quota,
    /// Where what files were before is kept.
    pub(crate) originals: Option<Originals>,
    id: Id,
    protected: Vec<PathBuf>,
    looked: AtomicBool,
}

/// What the protected paths are at this moment.
#[derive(Default)]
struct Kept {
    /// Names on the way to a protected file, with the folder each stands in.
    names: Vec<(Id, String)>,
    /// The protected files and folders themselves, also where a link leads to them.
    files: Vec<Id>,
    /// The folders above them, which keep their names.
    above: Vec<Id>,
}

impl Mount {
    /// Opens `path`. `protected` is relative to it.
    pub(crate) fn open(path: &Path, protected: &[PathBuf], quota: Quota) -> Result<Self, String> {
        let failed =
            |error: Errno| format!("cannot open the workspace `{}`: {error}", path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let id = id(&rustix::fs::fstat(&folder).map_err(failed)?);
        let plain = |path: &&PathBuf| {
            path.components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(strange) = protected.iter().find(|path| !plain(path)) {
            return Err(format!(
                "the protected path `{}` must be relative to the workspace, without `..`",
                strange.display()
            ));
        }
        Ok(Self {
            folder: folder.into(),
            quota,
            originals: None,
            id,
            protected: protected.to_vec(),
            looked: AtomicBool::new(false),
        })
    }

    /// The entry is about to be made, changed, moved or removed.
    pub(super) fn before_change(&self, entry: &Entry) -> Result<(), Refused> {
        match &self.originals {
            Some(originals) => {
                originals.before(entry, super::shown(self, &entry.folder, &entry.name))
            }
            None => Ok(()),
        }
    }

    /// Whether nobody asked before.
    pub(super) fn first_look(&self) -> bool {
        !self.looked.swap(true, Ordering::Relaxed)
    }

    /// Whether the entry `name` of `folder`, which is the file `victim` if it is there, may be
    /// made, changed, moved or removed. Returns how deep below the mount `folder` lies.
    pub(crate) fn guard(
        &self,
        folder: &File,
        name: &str,
        victim: Option<Id>,
    ) -> Result<usize, Refused> {
        let here = id(&rustix::fs::fstat(folder)?);
        let above = self.up_to_mount(folder, here)?;
        let kept = self.kept();
        let name = name.to_lowercase();
        let within = above.iter().any(|folder| kept.files.contains(folder));
        let named = kept
            .names
            .iter()
            .any(|(folder, kept)| *folder == here && *kept == name);
        let itself = victim.is_some_and(|id| kept.files.contains(&id) || kept.above.contains(&id));
        if within || named || itself {
            return Err(Why::Protected.into());
        }
        Ok(above.len())
    }

    /// Whether a folder's own times may be changed.
    pub(crate) fn guard_folder(&self, folder: &File) -> Result<(), Refused> {
        let here = id(&rustix::fs::fstat(folder)?);
        let above = self.up_to_mount(folder, here)?;
        let kept = self.kept();
        if above.iter().any(|folder| kept.files.contains(folder)) {
            return Err(Why::Protected.into());
        }
        Ok(())
    }

    /// The folders from this one up to the mount, which is not among them.
    fn up_to_mount(&self, folder: &File, here: Id) -> Result<Vec<Id>, Refused> {
        let mut above = Vec::new();
        let mut at = here;
        let mut opened: Option<OwnedFd> = None;
        while at != self.id {
            above.push(at);
            let flags = LOOK | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let from = opened.as_ref().map_or(folder.as_fd(), AsFd::as_fd);
            let up = rustix::fs::openat(from, "..", flags, Mode::empty())?;
            let next = id(&rustix::fs::fstat(&up)?);
            // The root of the file system is its own parent.
            if next == at || above.len() > MAX_DEPTH {
                return Err(Why::Moved.into());
            }
            at = next;
            opened = Some(up);
        }
        Ok(above)
    }

    /// Looked at anew each time: the lockfile is replaced, a manifest is made.
    fn kept(&self) -> Kept {
        let mut kept = Kept::default();
        for path in &self.protected {
            let mut parent = Some(self.id);
            let mut at = PathBuf::new();
            let mut parts = path.components().peekable();
            while let Some(part) = parts.next() {
                if let Some(parent) = parent {
                    // A file system may take two spellings of a letter for one name.
                    let name = part.as_os_str().to_string_lossy().to_lowercase();
                    kept.names.push((parent, name));
                }
                at.push(part);
                // What is not there has no identity, and is kept by its name.
                let look = |flags| rustix::fs::statat(&self.folder, &at, flags).ok();
                let own = look(AtFlags::SYMLINK_NOFOLLOW);
                let is_link = own.is_some_and(|stat| kind(&stat) == FileType::Symlink);
                let target = if is_link { look(AtFlags::empty()) } else { own };
                let ids = if parts.peek().is_none() {
                    &mut kept.files
                } else {
                    &mut kept.above
                };
                ids.extend([own, target].iter().flatten().map(id));
                parent = target.as_ref().map(id);
            }
        }
        kept
    }
}

#[expect(
    clippy::unnecessary_cast,
    reason = "the fields have other types on other systems"
)]
pub(crate) fn id(stat: &Stat) -> Id {
    (stat.st_dev as u64, stat.st_ino as u64)
}

pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
