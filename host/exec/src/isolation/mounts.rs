//! The steps that build a tree of files, taken between `fork` and `exec`: only system calls, on memory that the
//! parent prepared.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use super::child::{Done, Trouble, write_all};
use super::layout::{Place, Step};
use super::sys;
use super::wire::Stage;

/// Room for the descriptor of each step's mount.
pub(super) type Mounts = Vec<Option<OwnedFd>>;

/// Opens the sources of all mounts: once some are made, they may stand in front of others.
pub(super) fn open_mounts(steps: &[Step], mounts: &mut Mounts) -> Done {
    for (number, (step, mount)) in (0..).zip(steps.iter().zip(mounts)) {
        if let Step::Tree {
            source, attributes, ..
        } = step
        {
            let opened = clone_tree(source, *attributes);
            *mount = Some(opened.map_err(|errno| Trouble {
                stage: Stage::Mount,
                step: number,
                errno,
            })?);
        }
    }
    Ok(())
}

pub(super) fn take_steps(
    root: BorrowedFd<'_>,
    steps: &[Step],
    mounts: &mut Mounts,
    tasks: &[u8],
) -> Done {
    for (number, step) in steps.iter().enumerate() {
        take_step(root, step, mounts[number].take(), tasks).map_err(|errno| Trouble {
            stage: Stage::Mount,
            step: number,
            errno,
        })?;
    }
    Ok(())
}

fn take_step(
    root: BorrowedFd<'_>,
    step: &Step,
    mount: Option<OwnedFd>,
    tasks: &[u8],
) -> Result<()> {
    let plain = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    match step {
        Step::Folder(place) => {
            let folder = Holder::of(root, place)?;
            match rustix::fs::mkdirat(folder.as_fd(), &*place.name, Mode::from(0o755)) {
                Err(Errno::EXIST) => Ok(()),
                made => made,
            }
        }
        Step::File(place) => {
            let folder = Holder::of(root, place)?;
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(folder.as_fd(), &*place.name, flags, Mode::from(0o644))?;
            Ok(())
        }
        Step::Link { place, target } => {
            let folder = Holder::of(root, place)?;
            match rustix::fs::symlinkat(&**target, folder.as_fd(), &*place.name) {
                Err(Errno::EXIST) => Ok(()),
                made => made,
            }
        }
        Step::Tree { path, .. } => {
            let mount = mount.ok_or(Errno::BADF)?;
            attach(mount.as_fd(), root, path)
        }
        Step::Memory { path, size, mode } => attach(memory(size, mode)?.as_fd(), root, path),
        Step::Proc { path, frozen } => {
            let proc = file_system(c"proc", &[], plain)?;
            limit_tasks(proc.as_fd(), tasks);
            if frozen.is_none() {
                sys::set_mount(proc.as_fd(), sys::READ_ONLY, false)?;
            }
            attach(proc.as_fd(), root, path)?;
            let Some(names) = frozen else {
                return Ok(());
            };
            let place = inside(root, path)?;
            names
                .iter()
                .try_for_each(|name| freeze(place.as_fd(), name))
        }
        Step::Terminals(path) => {
            let options = [
                (c"newinstance", None),
                (c"ptmxmode", Some(c"666")),
                (c"mode", Some(c"600")),
            ];
            attach(file_system(c"devpts", &options, plain)?.as_fd(), root, path)
        }
        Step::Seal(path) => {
            let folder = inside(root, path)?;
            sys::set_mount(folder.as_fd(), sys::READ_ONLY, false)
        }
    }
}

/// Makes an entry of a mounted folder one that nobody writes.
fn freeze(folder: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        // The host's kernel had it a moment ago.
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(place.as_fd(), c"", clone)?;
    sys::set_mount(tree.as_fd(), sys::READ_ONLY, false)?;
    let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree.as_fd(), c"", place.as_fd(), c"", both)
}

/// Bounds the process namespace. Only since Linux 6.14 each one has a bound of its own; the
/// others hold where it has not.
fn limit_tasks(proc: BorrowedFd<'_>, tasks: &[u8]) {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(proc, c"sys/kernel/pid_max", flags, Mode::empty());
    if let Ok(file) = file {
        let _not_this_kernel = write_all(file.as_fd(), tasks);
    }
}

/// A copy of a part of the host's tree that is mounted nowhere yet.
fn clone_tree(source: &CStr, attributes: u64) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let tree = rustix::mount::open_tree(rustix::fs::CWD, source, flags)?;
    sys::set_mount(tree.as_fd(), attributes, true)?;
    Ok(tree)
}

pub(super) fn memory(size: &CStr, mode: &CStr) -> Result<OwnedFd> {
    let plain = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let options = [(c"size", Some(size)), (c"mode", Some(mode))];
    file_system(c"tmpfs", &options, plain)
}

fn file_system(
    name: &CStr,
    options: &[(&CStr, Option<&CStr>)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value)?,
            None => rustix::mount::fsconfig_set_flag(context.as_fd(), *key)?,
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Mounts at a path below `root`, which no link may lead out of.
pub(super) fn attach(mount: BorrowedFd<'_>, root: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.to_bytes().starts_with(b"/") {
        return rustix::mount::move_mount(mount, c"", root, path, empty);
    }
    let place = inside(root, path)?;
    let both = empty | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", place.as_fd(), c"", both)
}

/// Opens a place below `root`; links on the way are refused.
fn inside(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}

/// The folder of a place: the root itself, or one that was opened.
enum Holder<'a> {
    Root(BorrowedFd<'a>),
    Below(OwnedFd),
}

impl<'a> Holder<'a> {
    fn of(root: BorrowedFd<'a>, place: &Place) -> Result<Self> {
        if place.folder.is_empty() {
            Ok(Self::Root(root))
        } else {
            inside(root, &place.folder).map(Self::Below)
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(root) => *root,
            Self::Below(folder) => folder.as_fd(),
        }
    }
}
