//! Keeping files absent: what does not exist cannot be covered by a mount, and a program must
//! not be the one who makes it.
//!
//! Where a protected file is missing, an empty folder stands in its place while a program runs
//! and is mounted over itself there, so that it can neither be removed, renamed nor replaced. A
//! folder, because whoever else looks then finds neither a manifest nor something to commit, and
//! because removing it never removes anything of value.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

/// More would mean that somebody else makes and removes it all the time.
const ATTEMPTS: usize = 100;

/// A place kept empty. The lock on it is shared by every run that relies on it; who drops the
/// last one removes it.
#[derive(Debug)]
pub(super) struct Placeholder {
    path: PathBuf,
    lock: File,
}

impl Placeholder {
    /// Keeps `path` empty if nothing but another placeholder stands there. None where something
    /// does, and where nobody can make anything.
    pub(super) fn hold(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..ATTEMPTS {
            match std::fs::DirBuilder::new().mode(0o755).create(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()) {
                        return Ok(None);
                    }
                }
                Err(error) if is_refused(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let lock = match open(path, flags, Mode::empty()) {
                Ok(folder) => File::from(folder),
                // Removed, or replaced by a file, in the meantime.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => continue,
                Err(error) => return Err(error.into()),
            };
            flock(&lock, FlockOperation::LockShared)?;
            if is_at(&lock, path)? {
                return Ok(Some(Self {
                    path: path.to_owned(),
                    lock,
                }));
            }
        }
        Err(io::Error::other("it changes all the time"))
    }
}

/// Removes the placeholders that nobody holds: a host that was killed leaves them.
pub(super) fn clear(paths: &[PathBuf]) {
    let folders = paths
        .iter()
        .filter(|path| std::fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()));
    for path in folders {
        // What cannot be removed is no worse than before; the next program tries again.
        drop(Placeholder::hold(path));
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        let alone = flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if alone && is_at(&self.lock, &self.path).unwrap_or(false) {
            // Something was put into it by now; then it stays.
            std::fs::remove_dir(&self.path).unwrap_or_default();
        }
    }
}

/// Whether the open folder is still the one at `path`.
fn is_at(folder: &File, path: &Path) -> io::Result<bool> {
    let own = folder.metadata()?;
    Ok(std::fs::symlink_metadata(path)
        .is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

/// Where this process may not make a folder, a program of the same user may not either.
fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotFound
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_until_the_last_holder_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ml-intern.toml");
        let first = Placeholder::hold(&path).unwrap();
        let second = Placeholder::hold(&path).unwrap();
        assert!(first.is_some() && second.is_some() && path.is_dir());
        drop(first);
        assert!(path.is_dir());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_host_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let [left, held, full, file, none] =
            ["left", "held", "full", "file", "none"].map(|name| directory.path().join(name));
        std::fs::create_dir(&left).unwrap();
        let holder = Placeholder::hold(&held).unwrap();
        std::fs::create_dir_all(full.join("output")).unwrap();
        std::fs::write(&file, "x").unwrap();
        clear(&[
            left.clone(),
            held.clone(),
            full.clone(),
            file.clone(),
            none.clone(),
        ]);
        assert!(!left.exists() && !none.exists());
        assert!(held.is_dir() && full.join("output").is_dir() && file.is_file());
        drop(holder);
        assert!(!held.exists());
    }

    #[test]
    fn files_of_the_user_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ml-intern.toml");
        std::fs::write(&path, "[agent]").unwrap();
        assert!(Placeholder::hold(&path).unwrap().is_none());
        assert!(path.is_file());
        let folder = directory.path().join(".ml-intern");
        let held = Placeholder::hold(&folder).unwrap();
        std::fs::write(folder.join("output"), "kept").unwrap();
        drop(held);
        assert!(folder.join("output").is_file());
    }
}
