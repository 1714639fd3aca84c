//! Files that the host makes where programs can write: no link on the way is followed, so that
//! nobody who can rename a folder chooses where the host writes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// To look at a folder, not into it: one above may be searched and not read.
#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const LOOK: OFlags = OFlags::RDONLY;

/// Makes a new file, readable by the user alone, with the folders on the way to it.
///
/// # Errors
/// `path` is not absolute or has `..`, the file is there already, or a name on the way is a link
/// or no folder.
pub fn create_new(path: &Path) -> io::Result<File> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    let folder = open_folder(folder)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(file.into())
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = LOOK | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return Err(Errno::INVAL.into());
    }
    let mut folder = rustix::fs::open("/", flags, Mode::empty())?;
    for part in parts {
        let Component::Normal(name) = part else {
            return Err(Errno::INVAL.into());
        };
        let opened = rustix::fs::openat(&folder, name, flags, Mode::empty());
        folder = match opened {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(&folder, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                rustix::fs::openat(&folder, name, flags, Mode::empty())?
            }
            opened => opened?,
        };
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_made_with_its_folders_once() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let path = root.join("a/b/file.txt");
        create_new(&path).unwrap().write_all(b"x").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        create_new(&path).unwrap_err();
        create_new(&root.join("a/../c.txt")).unwrap_err();
        create_new(Path::new("c.txt")).unwrap_err();
    }

    #[test]
    fn no_link_on_the_way_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let outside = root.join("outside");
        std::fs::create_dir_all(outside.join("output")).unwrap();
        std::fs::create_dir(root.join("work")).unwrap();
        symlink(&outside, root.join("work/.own")).unwrap();
        create_new(&root.join("work/.own/output/x.txt")).unwrap_err();
        std::fs::remove_file(root.join("work/.own")).unwrap();
        std::fs::create_dir(root.join("work/.own")).unwrap();
        symlink(outside.join("output"), root.join("work/.own/output")).unwrap();
        create_new(&root.join("work/.own/output/x.txt")).unwrap_err();
        symlink(outside.join("x.txt"), root.join("work/x.txt")).unwrap();
        create_new(&root.join("work/x.txt")).unwrap_err();
        assert!(!outside.join("x.txt").exists() && !outside.join("output/x.txt").exists());
    }
}
