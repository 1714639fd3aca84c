//! From a checked command to a running child: everything that must happen between `fork`
//! and `exec`, prepared before the fork.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Resource, Rlimit};
use tokio::process::Child;

use crate::{Command, ExecError, Isolation, Limits, machine, program};

/// Starts the program in its own session. Standard output and error are pipes.
pub(crate) fn spawn(command: &Command, mark: &str) -> Result<Child, ExecError> {
    command.check()?;
    let file = program::resolve(&command.program, &command.path)?;
    let mut native = tokio::process::Command::new(&file);
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
    let setup = match command.isolation {
        Isolation::None => ChildSetup::limited(&command.limits),
    };
    setup.attach(&mut native);
    native.spawn().map_err(|source| ExecError::Spawn {
        program: file,
        source,
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
}

impl ChildSetup {
    fn plain() -> Self {
        Self {
            limits: Vec::new(),
            inherited: open_descriptors(),
            #[cfg(target_os = "linux")]
            no_new_privileges: false,
        }
    }

    fn limited(limits: &Limits) -> Self {
        // The kernel compares RLIMIT_NPROC with everything the user runs already, a desktop
        // with thousands of threads included, so the allowance comes on top of what is there.
        let processes = machine::tasks()
            .unwrap_or(0)
            .saturating_add(limits.processes);
        let wanted = [
            (Resource::Cpu, limits.cpu.as_secs().max(1)),
            (Resource::Data, limits.memory_bytes),
            (Resource::Fsize, limits.file_bytes),
            (Resource::Nproc, processes),
            (Resource::Nofile, limits.open_files),
            // A core file may hold secrets of the environment, and fills the workspace.
            (Resource::Core, 0),
        ];
        Self {
            limits: wanted
                .into_iter()
                .map(|(resource, value)| (resource, below_hard_limit(resource, value)))
                .collect(),
            inherited: open_descriptors(),
            #[cfg(target_os = "linux")]
            no_new_privileges: true,
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
        Ok(())
    }

    #[expect(
        unsafe_code,
        reason = "there is no safe way to run code between fork and exec"
    )]
    fn attach(self, native: &mut tokio::process::Command) {
        // SAFETY: `apply` only makes system calls (setsid, fcntl, setrlimit, prctl) on data
        // prepared before the fork; it neither allocates nor takes a lock, and an error
        // return carries a bare number. That is allowed in the child of a threaded process.
        unsafe {
            native.pre_exec(move || self.apply());
        }
    }
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
