//! System calls that have no safe wrapper elsewhere, for the moments between `fork` and `exec`.
//!
//! Everything here is async-signal-safe: it neither allocates nor takes a lock, so that it may
//! run in the child of a process with threads.

use std::ffi::{CStr, c_char, c_int, c_long};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, Result};
use rustix::process::Pid;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

/// `MOUNT_ATTR_*` of `linux/mount.h`.
pub(super) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
pub(super) const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
pub(super) const NO_DEVICES: u64 = libc::MOUNT_ATTR_NODEV;

fn last_error() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

fn check(returned: c_long) -> Result<c_long> {
    if returned < 0 {
        Err(last_error())
    } else {
        Ok(returned)
    }
}

/// The side of a fork that a caller finds itself on.
pub(super) enum Fork {
    Parent { child: Pid, handle: OwnedFd },
    Child,
}

/// `clone3(2)` like `fork`, into new namespaces. The parent gets a pidfd.
///
/// # Safety
/// The child may only make system calls, on memory that was prepared before, until it calls
/// `execve` or `_exit`: other threads may have held any lock at this moment.
#[expect(unsafe_code, reason = "there is no safe way to fork")]
pub(super) unsafe fn fork(flags: c_int) -> Result<Fork> {
    let mut handle: c_int = -1;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = (flags | libc::CLONE_PIDFD) as u64;
    arguments.pidfd = std::ptr::from_mut(&mut handle) as u64;
    // A sibling of the caller has the exit signal of the caller, and may not name one.
    if flags & libc::CLONE_PARENT == 0 {
        arguments.exit_signal = libc::SIGCHLD as u64;
    }
    // SAFETY: the structure is of the size given and outlives the call; without CLONE_VM and with
    // no stack given, the child gets a copy of everything, as with `fork`.
    let returned = check(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_mut(&mut arguments),
            size_of::<libc::clone_args>(),
        )
    })?;
    match i32::try_from(returned).ok().and_then(Pid::from_raw) {
        None => Ok(Fork::Child),
        Some(child) => Ok(Fork::Parent {
            child,
            // SAFETY: the kernel just made this descriptor for us.
            handle: unsafe { OwnedFd::from_raw_fd(handle) },
        }),
    }
}

/// Ends this process at once, without destructors or handlers.
#[expect(unsafe_code, reason = "the standard library's exit runs handlers")]
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: it does not return, and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Blocks every signal and returns the mask that was in force.
#[expect(unsafe_code, reason = "signal masks have no safe wrapper")]
pub(super) fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are initialised by the calls before they are read.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

#[expect(unsafe_code, reason = "signal masks have no safe wrapper")]
pub(super) fn restore_signals(mask: &libc::sigset_t) {
    // SAFETY: the mask is one that `block_signals` returned.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut());
    }
}

/// Unblocks every signal, as a program expects it.
#[expect(unsafe_code, reason = "signal masks have no safe wrapper")]
pub(super) fn unblock_signals() {
    // SAFETY: the set is initialised before it is read.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Handlers of the parent must not run in a child that shares nothing with it but the memory.
#[expect(unsafe_code, reason = "signal handlers have no safe wrapper")]
pub(super) fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: the default action needs no handler; signals that cannot be set are refused.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// A descriptor that is readable when a child ended. Every signal must be blocked.
#[expect(unsafe_code, reason = "signalfd has no safe wrapper")]
pub(super) fn child_signals() -> Result<OwnedFd> {
    // SAFETY: the set is initialised before it is read, and the descriptor is new.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let descriptor = libc::signalfd(-1, &raw const set, flags);
        check(descriptor.into())?;
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// Gives this process a mount namespace of its own.
#[expect(unsafe_code, reason = "leaving namespaces behind is unsafe in general")]
pub(super) fn own_mounts() -> Result<()> {
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    // SAFETY: called in a forked child with one thread; no descriptor table is unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}

/// Changes the attributes of a mount, and with `recursive` of all below it.
#[expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]
pub(super) fn set_mount(mount: BorrowedFd<'_>, attributes: u64, recursive: bool) -> Result<()> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut wanted: libc::mount_attr = unsafe { std::mem::zeroed() };
    wanted.attr_set = attributes;
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path and the structure outlive the call, whose size is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

/// Brings the loopback interface of a new network namespace up.
#[expect(unsafe_code, reason = "interface flags have no safe wrapper")]
pub(super) fn loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the structure is plain data, its name ends in NUL, and it outlives the call; the
    // kernel reads and writes the flags of the union for these two requests.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = (*from).cast_signed();
        }
        let socket = socket.as_raw_fd();
        check(libc::ioctl(socket, libc::SIOCGIFFLAGS, &raw mut request).into())?;
        #[expect(clippy::cast_possible_truncation, reason = "the flag is 1")]
        let up = libc::IFF_UP as i16;
        request.ifr_ifru.ifru_flags |= up;
        check(libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request).into())?;
    }
    Ok(())
}

/// Closes every descriptor above the standard three when a program is executed.
#[expect(unsafe_code, reason = "close_range has no safe wrapper")]
pub(super) fn close_on_exec_from(first: RawFd) -> Result<()> {
    // SAFETY: marking descriptors closes none now.
    check(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            c_int::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    })?;
    Ok(())
}

/// Closes every descriptor but two.
///
/// # Safety
/// No other descriptor may be used by this process any more.
#[expect(unsafe_code, reason = "closing what others own is unsafe")]
pub(super) unsafe fn close_all_but(one: RawFd, other: RawFd) {
    let (low, high) = (one.min(other), one.max(other));
    for (first, last) in [(0, low - 1), (low + 1, high - 1), (high + 1, c_int::MAX)] {
        if first <= last {
            // SAFETY: promised by the caller. It cannot fail with such a range.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// Opens a copy of `descriptor` at `number`, open across `exec`.
#[expect(unsafe_code, reason = "replacing a numbered descriptor is unsafe")]
pub(super) fn place(descriptor: RawFd, number: RawFd) -> Result<()> {
    // SAFETY: called with the standard three in a child that is about to become a program.
    check(unsafe { libc::dup2(descriptor, number) }.into())?;
    Ok(())
}

/// Becomes another program; returns only when that failed.
///
/// # Safety
/// `arguments` and `environment` are arrays of strings that end in NUL, each array with a null
/// pointer at its end.
#[expect(unsafe_code, reason = "pointers to strings")]
pub(super) unsafe fn execute(
    file: &CStr,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    // SAFETY: promised by the caller.
    unsafe { libc::execve(file.as_ptr(), arguments, environment) };
    last_error()
}

/// Overwrites memory of this process with zeros.
///
/// # Safety
/// Nothing may read that memory later and expect something else.
#[expect(unsafe_code, reason = "the kernel made this memory, not Rust")]
pub(super) unsafe fn wipe(range: std::ops::Range<usize>) {
    // SAFETY: promised by the caller.
    unsafe { std::ptr::write_bytes(range.start as *mut u8, 0, range.len()) };
}

/// Gives up every capability, and every way to get one back: being user number 0 means nothing
/// any more, also not for a program that is started. Who had none has less to give up.
pub(super) fn drop_capabilities() -> Result<()> {
    let unless_refused = |result: Result<()>| match result {
        Err(Errno::PERM) => Ok(()),
        other => other,
    };
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // Past the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            result => unless_refused(result)?,
        }
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    unless_refused(rustix::thread::set_capabilities_secure_bits(bits))?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)?;
    rustix::thread::set_no_new_privs(true)
}

/// The Landlock ABI of this kernel; an error without Landlock.
#[expect(unsafe_code, reason = "the crate does not tell the version")]
pub(super) fn landlock_version() -> Result<i32> {
    const VERSION: u32 = 1;
    // SAFETY: without an attribute structure the kernel only answers.
    let version = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0usize,
            VERSION,
        )
    })?;
    Ok(i32::try_from(version).unwrap_or(i32::MAX))
}

/// Allows `access` on everything below `parent`.
#[expect(unsafe_code, reason = "the crate's own function may allocate")]
pub(super) fn landlock_allow(
    ruleset: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    access: u64,
) -> Result<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        access: u64,
        parent: i32,
    }
    const PATH_BENEATH: u32 = 1;
    let rule = PathBeneath {
        access,
        parent: parent.as_raw_fd(),
    };
    // SAFETY: the structure is `struct landlock_path_beneath_attr` and outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            PATH_BENEATH,
            &raw const rule,
            0,
        )
    })?;
    Ok(())
}

/// Holds this process, and all that it starts, to a ruleset.
#[expect(unsafe_code, reason = "the crate's own function may allocate")]
pub(super) fn landlock_restrict(ruleset: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })?;
    Ok(())
}

/// A descriptor that its owner keeps open while the result is used.
#[expect(unsafe_code, reason = "a number has no owner to borrow from")]
pub(super) fn borrow<'a>(descriptor: RawFd) -> BorrowedFd<'a> {
    // SAFETY: only called in forked children, with numbers of descriptors that their parent
    // opened for them and that stay open until the child closes all of them.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}
