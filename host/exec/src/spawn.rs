//! From a checked command to a running child: everything that must happen between `fork`
//! and `exec`, prepared before the fork.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit};
use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(target_os = "linux")]
use crate::cgroup::{self, Group};
#[cfg(target_os = "linux")]
use crate::isolation::{self, Held};
use crate::{Command, ExecError, Isolation, Limits, machine, program};

/// A program that runs, and what it is talked to through.
pub(crate) struct Spawned {
    pub(crate) stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    pub(crate) stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) stderr: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) process: Process,
    /// The first process of the tree.
    pub(crate) leader: Pid,
}

/// The handle of a program.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives as long as its program; there is nothing to save"
)]
pub(crate) enum Process {
    Plain {
        child: tokio::process::Child,
        #[cfg(target_os = "linux")]
        group: Option<Group>,
    },
    #[cfg(target_os = "linux")]
    Contained(Box<isolation::Contained>),
}

impl Process {
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Plain { child, .. } => child.wait().await,
            #[cfg(target_os = "linux")]
            Self::Contained(contained) => contained.wait().await,
        }
    }

    /// Processes of the tree that are ours and not the program's.
    pub(crate) fn own(&self) -> usize {
        match self {
            Self::Plain { .. } => 0,
            #[cfg(target_os = "linux")]
            Self::Contained(_) => 1,
        }
    }

    /// Keeps a control group for as long as the processes in it are looked after.
    #[cfg(target_os = "linux")]
    pub(crate) fn hold(&mut self, new: Group) {
        match self {
            Self::Plain { group, .. } => *group = Some(new),
            Self::Contained(contained) => contained.hold(new),
        }
    }

    /// Lets what the program left behind live on.
    pub(crate) fn keep(self) {
        match self {
            Self::Plain { .. } => {}
            #[cfg(target_os = "linux")]
            Self::Contained(contained) => contained.keep(),
        }
    }
}

/// Starts the program in its own session. Standard output and error are pipes.
pub(crate) async fn spawn(command: &Command, mark: &str) -> Result<Spawned, ExecError> {
    command.check()?;
    let file = program::resolve(&command.program, &command.path)?;
    match command.isolation {
        Isolation::None => {
            let setup = ChildSetup::limited(&command.limits);
            spawn_plain(command, mark, &file, setup)
        }
        #[cfg(target_os = "linux")]
        Isolation::Landlock => {
            let mut setup = ChildSetup::limited(&command.limits);
            setup.held = Some(Held::prepare(&command.view)?);
            spawn_plain(command, mark, &file, setup)
        }
        #[cfg(target_os = "linux")]
        Isolation::Full => spawn_contained(command, mark, &file).await,
        #[cfg(not(target_os = "linux"))]
        _ => Err(ExecError::Isolation(
            "only Linux can isolate programs".to_owned(),
        )),
    }
}

fn spawn_plain(
    command: &Command,
    mark: &str,
    file: &Path,
    setup: ChildSetup,
) -> Result<Spawned, ExecError> {
    let mut native = tokio::process::Command::new(file);
    native
        .arg0(&command.program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment(mark)?)
        .current_dir(&command.cwd)
        .stdin(if command.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    setup.attach(&mut native);
    let failed = |source| ExecError::Spawn {
        program: file.to_owned(),
        source,
    };
    let mut child = native.spawn().map_err(failed)?;
    let leader = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .expect("a child that was not waited for has an id");
    let piped = "both streams are pipes";
    Ok(Spawned {
        stdin: child.stdin.take().map(|pipe| Box::new(pipe) as _),
        stdout: Box::new(child.stdout.take().expect(piped)),
        stderr: Box::new(child.stderr.take().expect(piped)),
        process: Process::Plain {
            child,
            #[cfg(target_os = "linux")]
            group: None,
        },
        leader,
    })
}

#[cfg(target_os = "linux")]
async fn spawn_contained(command: &Command, mark: &str, file: &Path) -> Result<Spawned, ExecError> {
    use std::sync::Arc;
    use tokio::net::unix::pipe::{Receiver, Sender};
    let io = |source| ExecError::Io {
        action: "connect the program's streams",
        source,
    };
    let room = match &command.room {
        Some(room) => room.clone(),
        None => Arc::new(crate::Room::open(None).await?),
    };
    let (stdin, input) = if command.stdin.is_some() {
        let (reader, writer) = io::pipe().map_err(io)?;
        let sender = Sender::from_owned_fd(writer.into()).map_err(io)?;
        (Some(Box::new(sender) as _), reader.into())
    } else {
        (None, File::open("/dev/null").map_err(io)?.into())
    };
    let (stdout, output) = io::pipe().map_err(io)?;
    let (stderr, error) = io::pipe().map_err(io)?;
    let inside = isolation::Inside {
        view: &command.view,
        limits: &command.limits,
        rlimits: rlimits(&command.limits, cgroup::tasks(&command.limits)),
        room,
        program: Some(isolation::Native {
            file,
            name: &command.program,
            arguments: &command.arguments,
            environment: command.environment(mark)?,
            directory: &command.cwd,
            streams: [input, output.into(), error.into()],
        }),
    };
    let contained = isolation::Contained::start(inside).await?;
    Ok(Spawned {
        stdin,
        stdout: Box::new(Receiver::from_owned_fd(stdout.into()).map_err(io)?),
        stderr: Box::new(Receiver::from_owned_fd(stderr.into()).map_err(io)?),
        leader: contained.first,
        process: Process::Contained(Box::new(contained)),
    })
}

/// A program that shall outlive this process.
pub struct Detached<'a> {
    /// The program and its arguments, the program as an absolute path.
    pub argv: &'a [OsString],
    /// Its whole environment.
    pub env: &'a [(&'a str, &'a str)],
    pub cwd: &'a Path,
    /// Becomes standard input, with whatever lock the open file carries.
    pub stdin: File,
    /// Becomes standard output and standard error.
    pub output: File,
}

/// Starts a program in its own session, without limits, and leaves it alone. Must be called
/// within a tokio runtime, which collects its exit status.
///
/// # Errors
/// [`ExecError::InvalidInput`] without a program; [`ExecError::Spawn`] when it does not start.
pub fn spawn_detached(program: Detached<'_>) -> Result<(), ExecError> {
    let Some((file, arguments)) = program.argv.split_first() else {
        return Err(ExecError::InvalidInput(
            "no program to start was given".to_owned(),
        ));
    };
    let failed = |source| ExecError::Spawn {
        program: file.into(),
        source,
    };
    let mut native = tokio::process::Command::new(file);
    native
        .args(arguments)
        .env_clear()
        .envs(program.env.iter().copied())
        .current_dir(program.cwd)
        .stdin(program.stdin)
        .stdout(program.output.try_clone().map_err(failed)?)
        .stderr(program.output);
    ChildSetup::plain().attach(&mut native);
    // The handle kills nothing when it is dropped; the runtime reaps the child later.
    native.spawn().map(drop).map_err(failed)
}

/// Makes this process the parent of every orphan among its descendants, so that none of
/// them is out of reach. Does nothing where the system does not know this.
///
/// # Errors
/// The system refused.
pub fn become_subreaper() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// What the child does before `exec`; only system calls, no allocation.
struct ChildSetup {
    limits: Vec<(Resource, Rlimit)>,
    inherited: Vec<RawFd>,
    #[cfg(target_os = "linux")]
    no_new_privileges: bool,
    #[cfg(target_os = "linux")]
    held: Option<Held>,
}

impl ChildSetup {
    fn plain() -> Self {
        Self {
            limits: Vec::new(),
            inherited: open_descriptors(),
            #[cfg(target_os = "linux")]
            no_new_privileges: false,
            #[cfg(target_os = "linux")]
            held: None,
        }
    }

    fn limited(limits: &Limits) -> Self {
        // The kernel compares RLIMIT_NPROC with everything the user runs already, a desktop
        // with thousands of threads included, so the allowance comes on top of what is there.
        let processes = machine::tasks()
            .unwrap_or(0)
            .saturating_add(limits.processes);
        Self {
            limits: rlimits(limits, processes),
            #[cfg(target_os = "linux")]
            no_new_privileges: true,
            ..Self::plain()
        }
    }

    /// Runs in the child, between `fork` and `exec`.
    fn apply(&self) -> io::Result<()> {
        rustix::process::setsid()?;
        for &descriptor in &self.inherited {
            close_on_exec(descriptor);
        }
        for (resource, limit) in &self.limits {
            rustix::process::setrlimit(*resource, *limit)?;
        }
        #[cfg(target_os = "linux")]
        if self.no_new_privileges {
            rustix::thread::set_no_new_privs(true)?;
        }
        #[cfg(target_os = "linux")]
        if let Some(held) = &self.held {
            held.apply()?;
        }
        Ok(())
    }

    #[expect(
        unsafe_code,
        reason = "there is no safe way to run code between fork and exec"
    )]
    fn attach(self, native: &mut tokio::process::Command) {
        // SAFETY: `apply` only makes system calls (setsid, fcntl, setrlimit, prctl and
        // those of Landlock and seccomp) on data
        // prepared before the fork; it neither allocates nor takes a lock, and an error
        // return carries a bare number. That is allowed in the child of a threaded process.
        unsafe {
            native.pre_exec(move || self.apply());
        }
    }
}

/// The bounds of each process; `tasks` is what `RLIMIT_NPROC` is compared with.
fn rlimits(limits: &Limits, tasks: u64) -> Vec<(Resource, Rlimit)> {
    let wanted = [
        (Resource::Cpu, limits.cpu.as_secs().max(1)),
        (Resource::Data, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nproc, tasks),
        (Resource::Nofile, limits.open_files),
        // A core file may hold secrets of the environment, and fills the workspace. Of one byte
        // none is written, and unlike with zero none is piped to a collector either (core(5)).
        (Resource::Core, 1),
    ];
    wanted
        .into_iter()
        .map(|(resource, value)| (resource, below_hard_limit(resource, value)))
        .collect()
}

/// Descriptors other than the standard three. Ours are all closed by `exec`; one that this
/// process inherited from a careless parent may not be.
fn open_descriptors() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect()
}

#[expect(
    unsafe_code,
    reason = "a descriptor inherited from a parent has no owner to borrow from"
)]
fn close_on_exec(descriptor: RawFd) {
    // SAFETY: the number is not -1 and is used for this one call in the single thread of a
    // forked child; if it was closed since it was listed, the call fails and changes nothing.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let _ = rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC); // closed already
}

/// An ordinary user cannot raise a hard limit, so the lower of both counts.
fn below_hard_limit(resource: Resource, value: u64) -> Rlimit {
    let hard = rustix::process::getrlimit(resource).maximum;
    let value = hard.map_or(value, |hard| hard.min(value));
    Rlimit {
        current: Some(value),
        maximum: Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_the_hard_one_is_lowered() {
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let limit = below_hard_limit(Resource::Nofile, u64::MAX - 1);
        assert_eq!(limit.current, Some(hard.unwrap_or(u64::MAX - 1)));
        assert_eq!(below_hard_limit(Resource::Nofile, 16).maximum, Some(16));
    }

    #[tokio::test]
    async fn a_detached_program_needs_a_name() {
        let file = || File::open("/dev/null").unwrap();
        let nothing = Detached {
            argv: &[],
            env: &[],
            cwd: Path::new("/"),
            stdin: file(),
            output: file(),
        };
        assert!(matches!(
            spawn_detached(nothing),
            Err(ExecError::InvalidInput(_))
        ));
    }
}
