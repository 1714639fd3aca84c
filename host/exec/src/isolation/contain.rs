//! The host's side of a program in namespaces of its own.

use std::ffi::{CStr, CString};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid,
};
use tokio::net::UnixStream;

use super::child::{Program, Setup, Strings};
use super::filter::{self, Sockets};
use super::layout::{self, Layout};
use super::room::{
    Channel, Room, RoomTree, broken, describe, failure, pair, receive, receive_on, step_name,
};
use super::sys::{self, Fork};
use super::wire::{Message, Stage};
use super::{View, landlock};
use crate::cgroup::{Group, tasks};
use crate::{ExecError, Limits};

/// Programs whose background children are looked after at one time. Each costs a process.
const MAX_KEPT: usize = 256;
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// How long a destructor waits for a killed tree.
const DROP_PATIENCE: Duration = Duration::from_millis(500);

/// Taking namespaces apart takes the kernel a few milliseconds; this is how often and how many
/// times we look whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOOKS: usize = 500;

/// What to run in namespaces, checked and resolved.
pub(crate) struct Inside<'a> {
    pub(crate) view: &'a View,
    pub(crate) limits: &'a Limits,
    pub(crate) rlimits: Vec<(Resource, Rlimit)>,
    pub(crate) room: Arc<Room>,
    /// None only tries whether the system lets us.
    pub(crate) program: Option<Native<'a>>,
}

/// The program itself.
pub(crate) struct Native<'a> {
    pub(crate) file: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a [String],
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: &'a Path,
    /// Standard input, output and error; closed here once the program has them.
    pub(crate) streams: [OwnedFd; 3],
}

/// A program in namespaces of its own, with everything that it started. Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Contained {
    /// Number 1 of its process namespace, as this process's namespace numbers it.
    pub(crate) first: Pid,
    handle: OwnedFd,
    channel: UnixStream,
    ended: Option<ExitStatus>,
    /// Let go in this order once the processes are gone.
    _layout: Layout,
    _group: Option<Group>,
    _room: Arc<Room>,
}

impl Contained {
    /// Starts a program and returns when it has replaced the copy of this process.
    pub(crate) async fn start(inside: Inside<'_>) -> Result<Self, ExecError> {
        if KEPT.load(Ordering::Relaxed) >= MAX_KEPT {
            return Err(ExecError::InvalidInput(format!(
                "background processes of {MAX_KEPT} commands are still running; end some of them first"
            )));
        }
        let file = inside
            .program
            .as_ref()
            .map(|program| program.file.to_owned());
        let room = inside.room.clone();
        // A part of what is there: files in memory take it away from everybody else.
        let memory = inside.limits.memory_bytes / 2;
        let tree = room.tree(inside.view, memory).await?;
        let (channel, layout) = launch(inside, &tree, memory)?;
        let named = |layout: &Layout, message| {
            failure(message, |stage, step| {
                step_name(&layout.steps, &tree.rights, stage, step)
            })
        };
        let failed = |layout: &Layout, message| match message {
            Message::Failed {
                stage: Stage::Execute,
                errno,
                ..
            } => ExecError::Spawn {
                program: file.unwrap_or_default(),
                source: std::io::Error::from_raw_os_error(errno),
            },
            message => named(layout, message),
        };
        // Two processes write to the other end, so the first one of the namespace may have started,
        // and even ended, before the one that forked it says so.
        let (mut started, mut ended) = (false, None);
        let (first, handle) = loop {
            match receive(&channel).await? {
                Some((Message::Forked(id), mut descriptors)) => {
                    let id = Pid::from_raw(id).ok_or_else(|| broken("a process without an id"))?;
                    let handle = descriptors.pop();
                    break (
                        id,
                        handle.ok_or_else(|| broken("a process without a descriptor"))?,
                    );
                }
                Some((Message::Started, _)) => started = true,
                Some((Message::Exited(status), _)) => ended = Some(ExitStatus::from_raw(status)),
                Some((message, _)) => return Err(failed(&layout, message)),
                None => return Err(broken("entering the namespaces ended without a word")),
            }
        };
        let contained = Self {
            first,
            handle,
            channel: channel.into_socket(),
            ended,
            _layout: layout,
            _group: None,
            _room: room,
        };
        if started {
            return Ok(contained);
        }
        match receive_on(&contained.channel).await? {
            Some((Message::Started, _)) => Ok(contained),
            Some((message, _)) => Err(failed(&contained._layout, message)),
            None => Err(broken(
                "the first process of the namespace ended without a word",
            )),
        }
    }

    /// Waits for the program; its background children may go on. Without harm, this can be
    /// dropped and called again.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        while self.ended.is_none() {
            let message = receive_on(&self.channel).await;
            match message.map_err(std::io::Error::other)? {
                Some((Message::Exited(status), _)) => {
                    self.ended = Some(ExitStatus::from_raw(status));
                }
                Some(_) => {}
                // Number 1 was killed, and everybody with it.
                None => self.ended = Some(ExitStatus::from_raw(Signal::KILL.as_raw())),
            }
        }
        Ok(self.ended.unwrap_or_default())
    }

    /// Keeps the control group of these processes until they are gone.
    pub(crate) fn hold(&mut self, group: Group) {
        self._group = Some(group);
    }

    /// Leaves background children alone until they end, or this process does.
    pub(crate) fn keep(self) {
        KEPT.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // Nothing more is told; this returns when number 1 has let go of its end.
            while matches!(receive_on(&self.channel).await, Ok(Some(_))) {}
            for _ in 0..LOOKS {
                if self.collect() {
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            drop(self);
            KEPT.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Collects number 1 if it has ended.
    fn collect(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        // An error: collected already.
        !matches!(
            waitid(WaitId::PidFd(self.handle.as_fd()), options),
            Ok(None)
        )
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let _gone_is_as_good = pidfd_send_signal(&self.handle, Signal::KILL);
        let patience = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(DROP_PATIENCE.subsec_nanos()),
        };
        let mut poll = [rustix::event::PollFd::new(
            &self.handle,
            rustix::event::PollFlags::IN,
        )];
        // A process that hangs in the kernel is left to it.
        let _over = rustix::event::poll(&mut poll, Some(&patience));
        self.collect();
    }
}

/// Prepares everything and forks. Not async: what is prepared holds pointers.
fn launch(
    inside: Inside<'_>,
    tree: &RoomTree,
    memory: u64,
) -> Result<(Channel, Layout), ExecError> {
    let layout = layout::for_run(&tree.tree, inside.view, memory)?;
    let ruleset = landlock::empty()
        .map_err(|why| ExecError::Isolation(format!("Landlock: {why}")))?
        .and_then(Option::<OwnedFd>::from);
    let filters = filter::programs(Sockets::Own)
        .map_err(|why| ExecError::Isolation(format!("the system call filter: {why}")))?;
    let (near, far) = pair()?;
    let [user, network] = inside.room.namespaces();
    let streams = inside.program.as_ref().map(|program| {
        let [input, output, error] = &program.streams;
        [input.as_raw_fd(), output.as_raw_fd(), error.as_raw_fd()]
    });
    let program = match (&inside.program, streams) {
        (Some(native), Some(streams)) => Some(prepare(native, streams)?),
        _ => None,
    };
    let mut setup = Setup {
        channel: far.as_raw_fd(),
        namespaces: [user, network, &tree.namespace].map(AsRawFd::as_raw_fd),
        layout: &layout,
        rights: &tree.rights,
        mounts: layout.steps.iter().map(|_| None).collect(),
        tasks: CString::new(tasks(inside.limits).to_string()).expect("digits"),
        ruleset: ruleset.as_ref().map(AsRawFd::as_raw_fd),
        filters,
        limits: inside.rlimits,
        secrets: own_arguments(),
        program,
    };
    let mask = sys::block_signals();
    let forked = fork_run(&mut setup);
    sys::restore_signals(&mask);
    let handle = forked.map_err(|errno| {
        ExecError::Isolation(format!("could not start a process: {}", describe(errno)))
    })?;
    drop(setup);
    Ok((Channel::new(near, handle)?, layout))
}

#[expect(unsafe_code, reason = "see the safety comment")]
fn fork_run(setup: &mut Setup<'_>) -> rustix::io::Result<OwnedFd> {
    // SAFETY: `Setup::enter` only makes system calls on prepared memory, and does not return.
    match unsafe { sys::fork(0) }? {
        Fork::Child => setup.enter(),
        Fork::Parent { handle, .. } => Ok(handle),
    }
}

fn prepare(native: &Native<'_>, streams: [i32; 3]) -> Result<Program, ExecError> {
    use std::os::unix::ffi::OsStrExt as _;
    let text = |bytes: &[u8]| {
        CString::new(bytes).map_err(|_| ExecError::InvalidInput("a NUL byte".to_owned()))
    };
    let file = text(native.file.as_os_str().as_bytes())?;
    let rest = || {
        native
            .arguments
            .iter()
            .map(|argument| text(argument.as_bytes()))
    };
    let arguments = std::iter::once(text(native.name.as_bytes())).chain(rest());
    let shell = [Ok(c"/bin/sh".to_owned()), Ok(file.clone())]
        .into_iter()
        .chain(rest());
    let environment = native
        .environment
        .iter()
        .map(|(name, value)| text(format!("{name}={value}").as_bytes()));
    Ok(Program {
        arguments: Strings::new(arguments.collect::<Result<_, _>>()?),
        shell: Strings::new(shell.collect::<Result<_, _>>()?),
        environment: Strings::new(last_of_each(environment.collect::<Result<_, _>>()?)),
        directory: text(native.directory.as_os_str().as_bytes())?,
        file,
        streams,
    })
}

/// Of variables that are set twice the last one counts, as for every other way to start a program.
fn last_of_each(variables: Vec<CString>) -> Vec<CString> {
    let name = |text: &CStr| {
        let bytes = text.to_bytes();
        let end = bytes.iter().position(|byte| *byte == b'=');
        bytes[..end.unwrap_or(bytes.len())].to_vec()
    };
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<CString> = variables
        .into_iter()
        .rev()
        .filter(|text| seen.insert(name(text)))
        .collect();
    kept.reverse();
    kept
}

/// Where the arguments and the environment of this process lie: fields 48 to 51 of its `stat`
/// (proc_pid_stat(5)).
fn own_arguments() -> Vec<Range<usize>> {
    static FOUND: OnceLock<Vec<Range<usize>>> = OnceLock::new();
    /// More than any system lets a program be started with.
    const MOST: usize = 64 << 20;
    let look = || {
        let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let numbers: Vec<usize> = rest
            .split_whitespace()
            .skip(45)
            .take(4)
            .filter_map(|field| field.parse().ok())
            .collect();
        numbers
            .chunks_exact(2)
            .map(|ends| ends[0]..ends[1])
            .filter(|range| range.start > 0 && !range.is_empty() && range.len() <= MOST)
            .collect()
    };
    FOUND.get_or_init(look).clone()
}
