//! What plugins do with files, on the host's side: each function looks at what is there, decides,
//! and then acts on the very folder and file that it looked at. All of them may block.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timestamps};
use rustix::io::Errno;

use super::entry::{Entry, Place, entry, followed, named, stays_inside, target};
use super::mount::{Id, Mount, id, kind};
use super::refusal::{Refused, Why};

/// Looks at a path that somebody else is changing.
const ATTEMPTS: usize = 16;

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    /// Only a folder will do.
    pub(crate) folder: bool,
    /// The last name may be a link.
    pub(crate) follow: bool,
}

#[derive(Debug)]
pub(crate) enum Opened {
    File(File),
    Folder(File),
}

/// Opens a regular file or a folder, or makes a file.
pub(crate) fn open(
    mount: &Mount,
    start: &Arc<File>,
    path: &str,
    how: How,
) -> Result<Opened, Refused> {
    for _ in 0..ATTEMPTS {
        let found = if how.follow && !how.exclusive {
            followed(start, path)?
        } else {
            named(start, path)?
        };
        let opened = match found {
            Place::Folder(folder) => Some(look_into(&folder, how)?),
            Place::Entry(entry) => open_entry(mount, &entry, how)?,
        };
        if let Some(opened) = opened {
            return Ok(opened);
        }
    }
    // Whoever changes it at this rate does not want it to be read.
    Err(Errno::BUSY.into())
}

/// None when the entry is not what it was a moment ago.
fn open_entry(mount: &Mount, entry: &Entry, how: How) -> Result<Option<Opened>, Refused> {
    let Some(stat) = &entry.stat else {
        return if how.create {
            make(mount, entry, how)
        } else {
            Err(Errno::NOENT.into())
        };
    };
    if how.create && how.exclusive {
        return Err(Errno::EXIST.into());
    }
    match kind(stat) {
        FileType::Directory if how.write => Err(Errno::ISDIR.into()),
        FileType::Directory => open_checked(entry, OFlags::RDONLY | OFlags::DIRECTORY, id(stat))
            .map(|folder| folder.map(Opened::Folder)),
        FileType::RegularFile if how.folder || entry.slash => Err(Errno::NOTDIR.into()),
        FileType::RegularFile => open_file(mount, entry, id(stat), how),
        FileType::Symlink => Err(Errno::LOOP.into()),
        _ => Err(Why::Special.into()),
    }
}

fn open_file(mount: &Mount, entry: &Entry, was: Id, how: How) -> Result<Option<Opened>, Refused> {
    if how.write {
        mount.guard(&entry.folder, &entry.name, Some(was))?;
    }
    let Some(file) = open_checked(entry, access(how), was)? else {
        return Ok(None);
    };
    if how.write {
        let names = rustix::fs::fstat(&file)?.st_nlink;
        if names > 1 {
            return Err(Why::Shared(names).into());
        }
    }
    if how.write {
        mount.before_change(entry)?;
    }
    // Only now: before, it could have been another file.
    if how.truncate {
        file.set_len(0)?;
    }
    Ok(Some(Opened::File(file)))
}

/// Opens a name, and takes what it opened only if that is what was looked at. What took its place
/// meanwhile is opened at worst without waiting, and closed.
fn open_checked(entry: &Entry, flags: OFlags, was: Id) -> Result<Option<File>, Refused> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(&entry.folder, entry.name.as_str(), flags, Mode::empty())
    {
        Ok(opened) => opened,
        Err(Errno::LOOP | Errno::NOENT | Errno::NXIO | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let now = id(&rustix::fs::fstat(&opened)?);
    Ok((now == was).then(|| opened.into()))
}

fn make(mount: &Mount, entry: &Entry, how: How) -> Result<Option<Opened>, Refused> {
    if entry.slash {
        return Err(Errno::ISDIR.into());
    }
    mount.guard(&entry.folder, &entry.name, None)?;
    let reserved = mount.quota.reserve_file()?;
    mount.before_change(entry)?;
    let flags = access(how) | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o666);
    match rustix::fs::openat(&entry.folder, entry.name.as_str(), flags, mode) {
        Ok(file) => {
            reserved.keep();
            Ok(Some(Opened::File(file.into())))
        }
        Err(Errno::EXIST) if !how.exclusive => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn access(how: How) -> OFlags {
    match (how.read, how.write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    }
}

fn look_into(folder: &File, how: How) -> Result<Opened, Refused> {
    if how.write {
        return Err(Errno::ISDIR.into());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(folder, ".", flags, Mode::empty())?;
    Ok(Opened::Folder(opened.into()))
}

pub(crate) fn create_folder(mount: &Mount, start: &Arc<File>, path: &str) -> Result<(), Refused> {
    let Place::Entry(new) = named(start, path)? else {
        return Err(Errno::EXIST.into());
    };
    if new.stat.is_some() {
        return Err(Errno::EXIST.into());
    }
    mount.guard(&new.folder, &new.name, None)?;
    let reserved = mount.quota.reserve_file()?;
    rustix::fs::mkdirat(&new.folder, new.name.as_str(), Mode::from_raw_mode(0o777))?;
    reserved.keep();
    Ok(())
}

pub(crate) fn remove(
    mount: &Mount,
    start: &Arc<File>,
    path: &str,
    folder: bool,
) -> Result<(), Refused> {
    let old = entry(start, path)?;
    let Some(stat) = &old.stat else {
        return Err(Errno::NOENT.into());
    };
    if !folder && old.slash {
        return Err(Errno::NOTDIR.into());
    }
    mount.guard(&old.folder, &old.name, Some(id(stat)))?;
    let flags = if folder {
        AtFlags::REMOVEDIR
    } else {
        mount.before_change(&old)?;
        AtFlags::empty()
    };
    Ok(rustix::fs::unlinkat(&old.folder, old.name.as_str(), flags)?)
}

pub(crate) fn rename(
    mount: &Mount,
    (old_start, old): (&Arc<File>, &str),
    (new_start, new): (&Arc<File>, &str),
) -> Result<(), Refused> {
    let old = entry(old_start, old)?;
    let new = entry(new_start, new)?;
    let Some(stat) = &old.stat else {
        return Err(Errno::NOENT.into());
    };
    if (old.slash || new.slash) && !old.is(FileType::Directory) {
        return Err(Errno::NOTDIR.into());
    }
    mount.guard(&old.folder, &old.name, Some(id(stat)))?;
    let depth = mount.guard(&new.folder, &new.name, new.stat.as_ref().map(id))?;
    if old.is(FileType::Symlink) {
        check_link(&target(&old)?, depth)?;
    }
    mount.before_change(&old)?;
    mount.before_change(&new)?;
    Ok(rustix::fs::renameat(
        &old.folder,
        old.name.as_str(),
        &new.folder,
        new.name.as_str(),
    )?)
}

/// A second name for a regular file, both inside the mount.
pub(crate) fn link(
    mount: &Mount,
    (old_start, old): (&Arc<File>, &str),
    (new_start, new): (&Arc<File>, &str),
) -> Result<(), Refused> {
    let old = entry(old_start, old)?;
    let new = entry(new_start, new)?;
    let Some(stat) = &old.stat else {
        return Err(Errno::NOENT.into());
    };
    if new.stat.is_some() {
        return Err(Errno::EXIST.into());
    }
    match kind(stat) {
        FileType::RegularFile if !old.slash && !new.slash => {}
        FileType::Directory | FileType::Symlink => return Err(Errno::PERM.into()),
        FileType::RegularFile => return Err(Errno::NOTDIR.into()),
        _ => return Err(Why::Special.into()),
    }
    mount.guard(&old.folder, &old.name, Some(id(stat)))?;
    mount.guard(&new.folder, &new.name, None)?;
    let reserved = mount.quota.reserve_file()?;
    mount.before_change(&new)?;
    rustix::fs::linkat(
        &old.folder,
        old.name.as_str(),
        &new.folder,
        new.name.as_str(),
        AtFlags::empty(),
    )?;
    reserved.keep();
    Ok(())
}

pub(crate) fn symlink(
    mount: &Mount,
    target: &str,
    start: &Arc<File>,
    path: &str,
) -> Result<(), Refused> {
    if target.is_empty() {
        return Err(Errno::NOENT.into());
    }
    let new = entry(start, path)?;
    if new.stat.is_some() {
        return Err(Errno::EXIST.into());
    }
    if new.slash {
        return Err(Errno::NOENT.into());
    }
    let depth = mount.guard(&new.folder, &new.name, None)?;
    check_link(target, depth)?;
    let reserved = mount.quota.reserve_file()?;
    mount.before_change(&new)?;
    rustix::fs::symlinkat(target, &new.folder, new.name.as_str())?;
    reserved.keep();
    Ok(())
}

fn check_link(target: &str, depth: usize) -> Result<(), Refused> {
    if stays_inside(target, depth) {
        return Ok(());
    }
    Err(Why::LinkOut(target.to_owned()).into())
}

pub(crate) fn set_times(
    mount: &Mount,
    start: &Arc<File>,
    path: &str,
    follow: bool,
    times: &Timestamps,
) -> Result<(), Refused> {
    let found = if follow {
        followed(start, path)?
    } else {
        named(start, path)?
    };
    let entry = match found {
        Place::Folder(folder) => {
            mount.guard_folder(&folder)?;
            return Ok(rustix::fs::utimensat(
                &folder,
                ".",
                times,
                AtFlags::empty(),
            )?);
        }
        Place::Entry(entry) => entry,
    };
    let Some(stat) = &entry.stat else {
        return Err(Errno::NOENT.into());
    };
    mount.guard(&entry.folder, &entry.name, Some(id(stat)))?;
    match kind(stat) {
        FileType::RegularFile if stat.st_nlink > 1 => {
            return Err(Why::Shared(stat.st_nlink).into());
        }
        FileType::RegularFile | FileType::Directory | FileType::Symlink => {}
        _ => return Err(Why::Special.into()),
    }
    // What takes its place meanwhile is changed itself, should it be a link.
    Ok(rustix::fs::utimensat(
        &entry.folder,
        entry.name.as_str(),
        times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// What writing at `end` adds to a file: a hole counts like what is written.
pub(crate) fn growth(file: impl AsFd, end: u64) -> Result<u64, Refused> {
    let size = u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0);
    Ok(end.saturating_sub(size))
}

/// Makes a file what it was, for the host itself: `bytes`, or nothing where it was not there.
pub(crate) fn restore(
    mount: &Mount,
    start: &Arc<File>,
    path: &str,
    bytes: Option<&[u8]>,
) -> Result<(), Refused> {
    let Some(bytes) = bytes else {
        return remove(mount, start, path, false);
    };
    let how = How {
        write: true,
        create: true,
        truncate: true,
        ..How::default()
    };
    match open(mount, start, path, how)? {
        Opened::File(mut file) => Ok(std::io::Write::write_all(&mut file, bytes)?),
        Opened::Folder(_) => Err(Errno::ISDIR.into()),
    }
}
