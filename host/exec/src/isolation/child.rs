//! What runs between `fork` and `exec` of an isolated program. Only system calls, on memory that
//! the parent prepared.
//!
//! A run has two processes beside the program's own. The first enters the user, network and mount
//! namespaces of the room and makes the second, its sibling, in new mount, process, IPC and
//! host-name namespaces, and is gone. The second is number 1 of its process namespace: it
//! completes the tree of files, starts the program as its child, reports how that ended, collects orphans,
//! and ends when no process is left or the host is gone. With it ends whatever it looks after.

use std::ffi::{CStr, CString, c_char};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::process::{Pid, Resource, Rlimit};
use seccompiler::BpfProgram;

use super::layout::{Layout, Step};
use super::mounts::{Mounts, attach, memory, open_mounts, take_steps};
use super::sys::{self, Fork};
use super::wire::{Message, Stage};

/// Namespaces of one run; those of the room are shared by many.
const OF_A_RUN: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// A list of strings as `execve` wants it.
pub(super) struct Strings {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Strings {
    pub(super) fn new(strings: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = strings.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self {
            pointers,
            _strings: strings,
        }
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// What becomes of the innermost process.
pub(super) struct Program {
    pub(super) file: CString,
    pub(super) arguments: Strings,
    /// The same through a shell, for a file that no interpreter is named in.
    pub(super) shell: Strings,
    pub(super) environment: Strings,
    pub(super) directory: CString,
    /// Standard input, output and error.
    pub(super) streams: [RawFd; 3],
}

/// Everything prepared for a run. Descriptors stay open in the parent until it has forked.
pub(super) struct Setup<'a> {
    pub(super) channel: RawFd,
    /// The room's user, network and mount namespaces, in the order in which they are entered.
    pub(super) namespaces: [RawFd; 3],
    pub(super) layout: &'a Layout,
    /// What Landlock allows, by path.
    pub(super) rights: &'a [(CString, u64)],
    /// Room for the descriptor of each step's mount.
    pub(super) mounts: Mounts,
    /// The most processes and threads, as text.
    pub(super) tasks: CString,
    pub(super) ruleset: Option<RawFd>,
    pub(super) filters: &'static [BpfProgram],
    pub(super) limits: Vec<(Resource, Rlimit)>,
    /// Where this process keeps its own arguments and environment.
    pub(super) secrets: Vec<Range<usize>>,
    /// None only tries whether everything before works.
    pub(super) program: Option<Program>,
}

/// Why a stage failed: at which of its steps, and how.
pub(super) struct Trouble {
    pub(super) stage: Stage,
    pub(super) step: usize,
    pub(super) errno: Errno,
}

pub(super) type Done<T = ()> = std::result::Result<T, Trouble>;

fn at<T>(stage: Stage, result: Result<T>) -> Done<T> {
    result.map_err(|errno| Trouble {
        stage,
        step: 0,
        errno,
    })
}

impl Setup<'_> {
    fn channel(&self) -> BorrowedFd<'_> {
        sys::borrow(self.channel)
    }

    fn report(&self, trouble: &Trouble) {
        tell(self.channel, trouble);
    }

    /// The first process.
    pub(super) fn enter(&mut self) -> ! {
        if let Err(trouble) = self.enter_and_fork() {
            self.report(&trouble);
            sys::exit(1);
        }
        sys::exit(0)
    }

    fn enter_and_fork(&mut self) -> Done {
        for namespace in self.namespaces {
            let entered = rustix::thread::move_into_link_name_space(sys::borrow(namespace), None);
            at(Stage::Namespaces, entered)?;
        }
        match at(Stage::Processes, fork(libc::CLONE_PARENT | OF_A_RUN))? {
            Fork::Child => self.init(),
            Fork::Parent { child, handle } => {
                let message = Message::Forked(child.as_raw_pid());
                at(Stage::Fork, message.send(self.channel(), &[handle.as_fd()]))
            }
        }
    }

    /// The second process.
    fn init(&mut self) -> ! {
        match self.prepare_and_start() {
            Ok(program) => self.look_after(program),
            Err(trouble) => {
                self.report(&trouble);
                sys::exit(1)
            }
        }
    }

    fn prepare_and_start(&mut self) -> Done<Pid> {
        sys::default_signals();
        at(Stage::Fork, rustix::process::setsid())?;
        self.hide_memory()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = at(Stage::Root, rustix::fs::open(c"/", flags, Mode::empty()))?;
        let tasks = self.tasks.as_bytes();
        open_mounts(&self.layout.steps, &mut self.mounts)?;
        take_steps(root.as_fd(), &self.layout.steps, &mut self.mounts, tasks)?;
        at(Stage::Capabilities, sys::drop_capabilities())?;
        self.allow_files()?;
        self.start()
    }

    /// This process is a copy of the host, with all that the host knows.
    #[expect(unsafe_code, reason = "see the safety comment")]
    fn hide_memory(&self) -> Done {
        let never = rustix::process::DumpableBehavior::NotDumpable;
        at(Stage::Fork, rustix::process::set_dumpable_behavior(never))?;
        for range in &self.secrets {
            // Unlike the rest of the memory, this can be read by everybody: `cmdline`.
            // SAFETY: it is this process's own copy of what `main` was called with, which nothing
            // here reads.
            unsafe { sys::wipe(range.clone()) };
        }
        Ok(())
    }

    fn allow_files(&self) -> Done {
        let Some(ruleset) = self.ruleset else {
            return Ok(());
        };
        for (number, (path, rights)) in self.rights.iter().enumerate() {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let allowed = rustix::fs::open(&**path, flags, Mode::empty())
                .and_then(|file| sys::landlock_allow(sys::borrow(ruleset), file.as_fd(), *rights));
            allowed.map_err(|errno| Trouble {
                stage: Stage::Landlock,
                step: number,
                errno,
            })?;
        }
        Ok(())
    }

    /// Starts the program and waits until it has replaced the copy of this process.
    fn start(&self) -> Done<Pid> {
        let (reader, writer) = at(
            Stage::Fork,
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC),
        )?;
        match at(Stage::Fork, fork(0))? {
            Fork::Child => {
                drop(reader);
                let trouble = match self.become_program() {
                    Err(trouble) => trouble,
                    Ok(()) => sys::exit(0),
                };
                // As many bytes as fit a pipe in one piece.
                let [a, b, c, d] = trouble.errno.raw_os_error().to_ne_bytes();
                let bytes = [trouble.stage as u8, a, b, c, d];
                let _untold = write_all(writer.as_fd(), &bytes);
                sys::exit(1)
            }
            Fork::Parent { child, .. } => {
                drop(writer);
                match read_trouble(reader.as_fd()) {
                    None => Ok(child),
                    Some(trouble) => Err(trouble),
                }
            }
        }
    }

    fn become_program(&self) -> Done {
        // A session of its own: `kill 0` in it must not reach number 1.
        at(Stage::Fork, rustix::process::setsid())?;
        if let Some(program) = &self.program {
            for (number, stream) in (0..).zip(program.streams) {
                at(Stage::Streams, sys::place(stream, number))?;
            }
            let directory = rustix::process::chdir(&*program.directory);
            at(Stage::Directory, directory)?;
        }
        at(Stage::Streams, sys::close_on_exec_from(3))?;
        for (resource, limit) in &self.limits {
            at(Stage::Limits, rustix::process::setrlimit(*resource, *limit))?;
        }
        if let Some(ruleset) = self.ruleset {
            let held = sys::landlock_restrict(sys::borrow(ruleset));
            at(Stage::Landlock, held)?;
        }
        for filter in self.filters {
            let applied = seccompiler::apply_filter(filter).map_err(|_| Errno::INVAL);
            at(Stage::Filter, applied)?;
        }
        let Some(program) = &self.program else {
            return Ok(());
        };
        sys::unblock_signals();
        at(Stage::Execute, Err(program.execute()))
    }

    /// Collects what ends, tells how the program did, and ends when nothing is left to look
    /// after or nobody wants it.
    fn look_after(&self, program: Pid) -> ! {
        let Ok(signals) = sys::child_signals() else {
            sys::exit(1)
        };
        // Pipes to the host must not be held open, nor locks be held, by this copy of it.
        close_others(self.channel, signals.as_raw_fd());
        if Message::Started.send(self.channel(), &[]).is_err() {
            sys::exit(1);
        }
        loop {
            self.collect(program);
            let mut wait = [
                rustix::event::PollFd::from_borrowed_fd(
                    self.channel(),
                    rustix::event::PollFlags::IN,
                ),
                rustix::event::PollFd::new(&signals, rustix::event::PollFlags::IN),
            ];
            // The host sends nothing: whatever happens on the channel is its end.
            if rustix::event::poll(&mut wait, None).is_err() || !wait[0].revents().is_empty() {
                sys::exit(0);
            }
            let mut signal = [0u8; 256];
            let _one_is_as_good_as_many = rustix::io::read(&signals, &mut signal);
        }
    }

    fn collect(&self, program: Pid) {
        loop {
            match rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
                Ok(Some((ended, status))) if ended == program => {
                    let message = Message::Exited(status.as_raw());
                    let _the_host_is_gone = message.send(self.channel(), &[]);
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                // No child is left.
                Err(_) => sys::exit(0),
            }
        }
    }
}

/// The process that builds the tree of a room, which lives on in a descriptor of its mount
/// namespace.
pub(super) struct TreeSetup<'a> {
    pub(super) channel: RawFd,
    pub(super) user: RawFd,
    pub(super) steps: &'a [Step],
    /// A folder to mount the new tree on until it becomes the root.
    pub(super) base: &'static CStr,
    pub(super) mounts: Mounts,
}

impl TreeSetup<'_> {
    pub(super) fn run(&mut self) -> ! {
        if let Err(trouble) = self.build() {
            tell(self.channel, &trouble);
            sys::exit(1);
        }
        sys::exit(0)
    }

    fn build(&mut self) -> Done {
        let user = sys::borrow(self.user);
        let entered = rustix::thread::move_into_link_name_space(user, None);
        at(Stage::Namespaces, entered)?;
        at(Stage::Processes, sys::own_mounts())?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(c"/proc/self/ns/mnt", flags, Mode::empty());
        let namespace = at(Stage::Namespaces, opened)?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        at(Stage::Root, rustix::mount::mount_change(c"/", private))?;
        open_mounts(self.steps, &mut self.mounts)?;
        let root = at(Stage::Root, memory(c"8m", c"755"))?;
        at(
            Stage::Root,
            attach(root.as_fd(), rustix::fs::CWD, self.base),
        )?;
        take_steps(root.as_fd(), self.steps, &mut self.mounts, b"")?;
        let seal = sys::READ_ONLY | sys::NO_SUID | sys::NO_DEVICES;
        at(Stage::Root, sys::set_mount(root.as_fd(), seal, false))?;
        at(Stage::Pivot, change_root(root.as_fd()))?;
        let sent = Message::Room.send(sys::borrow(self.channel), &[namespace.as_fd()]);
        at(Stage::Namespaces, sent)
    }
}

fn tell(channel: RawFd, trouble: &Trouble) {
    let message = Message::Failed {
        stage: trouble.stage,
        step: i32::try_from(trouble.step).unwrap_or(i32::MAX),
        errno: trouble.errno.raw_os_error(),
    };
    // Without anybody to tell it there is nothing else to do.
    let _untold = message.send(sys::borrow(channel), &[]);
}

impl Program {
    #[expect(unsafe_code, reason = "pointers to strings")]
    fn execute(&self) -> Errno {
        let environment = self.environment.as_ptr();
        // SAFETY: `Strings` holds strings that end in NUL, and ends with a null pointer.
        let errno = unsafe { sys::execute(&self.file, self.arguments.as_ptr(), environment) };
        if errno != Errno::NOEXEC {
            return errno;
        }
        // SAFETY: as above.
        unsafe { sys::execute(c"/bin/sh", self.shell.as_ptr(), environment) }
    }
}

/// The processes that make the namespaces which many runs share.
pub(super) struct RoomSetup {
    pub(super) channel: RawFd,
    pub(super) user_map: CString,
    pub(super) group_map: CString,
    /// A port on the namespace's loopback address to listen on for the host.
    pub(super) port: u16,
}

impl RoomSetup {
    /// Runs in new user and network namespaces, which live on in their descriptors.
    pub(super) fn run(&self) -> ! {
        if let Err(trouble) = self.make() {
            tell(self.channel, &trouble);
            sys::exit(1);
        }
        sys::exit(0)
    }

    fn make(&self) -> Done {
        // A host that lets nobody look into its memory has files in `/proc/self` that belong to root, and so has this
        // copy of it; an ordinary user could write none of the three below.
        let seen = rustix::process::DumpableBehavior::Dumpable;
        at(Stage::Users, rustix::process::set_dumpable_behavior(seen))?;
        // Without this an ordinary user may not map a group.
        at(Stage::Users, write_file(c"/proc/self/setgroups", b"deny"))?;
        let maps = [
            (c"/proc/self/uid_map", &self.user_map),
            (c"/proc/self/gid_map", &self.group_map),
        ];
        for (file, map) in maps {
            at(Stage::Users, write_file(file, map.as_bytes()))?;
        }
        let hidden = rustix::process::DumpableBehavior::NotDumpable;
        at(Stage::Users, rustix::process::set_dumpable_behavior(hidden))?;
        let listener = at(Stage::Loopback, self.listen())?;
        let open = |path: &CStr| rustix::fs::open(path, OFlags::CLOEXEC, Mode::empty());
        let user = at(Stage::Namespaces, open(c"/proc/self/ns/user"))?;
        let network = at(Stage::Namespaces, open(c"/proc/self/ns/net"))?;
        let descriptors = [user.as_fd(), network.as_fd(), listener.as_fd()];
        let sent = Message::Room.send(sys::borrow(self.channel), &descriptors);
        at(Stage::Namespaces, sent)
    }

    fn listen(&self) -> Result<OwnedFd> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType};
        let stream = SocketType::STREAM;
        let flags = SocketFlags::CLOEXEC;
        let listener = rustix::net::socket_with(AddressFamily::INET, stream, flags, None)?;
        sys::loopback_up(listener.as_fd())?;
        let address = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, self.port);
        rustix::net::bind(&listener, &address)?;
        rustix::net::listen(&listener, 128)?;
        Ok(listener)
    }
}

#[expect(unsafe_code, reason = "see the safety comment")]
fn fork(flags: i32) -> Result<Fork> {
    // SAFETY: this file keeps to system calls on prepared memory in every child.
    unsafe { sys::fork(flags) }
}

#[expect(unsafe_code, reason = "see the safety comment")]
fn close_others(channel: RawFd, signals: RawFd) {
    // SAFETY: number 1 uses these two from here on, and drops no owner of another.
    unsafe { sys::close_all_but(channel, signals) };
}

fn read_trouble(pipe: BorrowedFd<'_>) -> Option<Trouble> {
    let mut bytes = [0u8; 5];
    loop {
        match rustix::io::read(pipe, &mut bytes) {
            Err(Errno::INTR) => {}
            Ok(5) => {
                let [stage, a, b, c, d] = bytes;
                return Some(Trouble {
                    stage: Stage::of(stage),
                    step: 0,
                    errno: Errno::from_raw_os_error(i32::from_ne_bytes([a, b, c, d])),
                });
            }
            // Closed by becoming the program.
            _ => return None,
        }
    }
}

/// Makes `root` the root and lets go of everything else.
fn change_root(root: BorrowedFd<'_>) -> Result<()> {
    rustix::process::fchdir(root)?;
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}

fn write_file(path: &CStr, bytes: &[u8]) -> Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    write_all(file.as_fd(), bytes)
}

/// The kernel takes such short texts whole or not at all.
pub(super) fn write_all(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    rustix::io::write(file, bytes).map(drop)
}
