//! What to run, and within which limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{ExecError, Isolation, Room, View, machine, program};

/// The variable that marks every process of one run, so that those which left its session
/// and lost their parent are still found. Its value is [`Command::mark`].
pub const MARK_VARIABLE: &str = "ML_INTERN_RUN";

/// The most of each stream that is kept in memory, whatever the caller asks for: a model
/// reads a few tens of kilobytes, and the whole is in the spill file.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// One program to run. [`Command::new`] fills everything but the program and its directory.
#[derive(Debug, Clone)]
pub struct Command {
    /// A name, looked up in [`Command::path`] and [`FIXED_PATH`](crate::FIXED_PATH), or an
    /// absolute path. A relative path is refused.
    pub program: String,
    /// Passed as they are; no shell sees them.
    pub arguments: Vec<String>,
    /// Added to `PATH`, `HOME` (the working directory, so that a program neither finds the
    /// user's token files by convention nor leaves files among them), `LANG=C.UTF-8`,
    /// `TMPDIR` and, in a [`Room`] with a way out, the variables that name it. Replaces the last three; `PATH`, loader variables (`LD_*`, `DYLD_*`)
    /// and the mark are refused. Nothing of the host's environment is inherited.
    pub env: Vec<(String, String)>,
    /// Directories searched before the fixed path: a virtual environment, pyenv, conda.
    pub path: Vec<PathBuf>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// What the program reads; without it, standard input is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    pub limits: Limits,
    /// Kept of each stream: the first and the last half of this many bytes, 16 MiB at most.
    pub max_output_bytes: usize,
    /// Where the whole output goes once a stream is longer than that; without it the middle
    /// is lost.
    pub spill_dir: Option<PathBuf>,
    /// What the system keeps away from the program; [`Support`](crate::Support) says what it can.
    pub isolation: Isolation,
    /// What an isolated program sees; without isolation it sees everything.
    pub view: View,
    /// The network of a program with full isolation; without one it has a network of its own
    /// with nobody else in it.
    pub room: Option<Arc<Room>>,
    /// Whether background children outlive a program that ended by itself: a shell command
    /// line that starts a server with `nohup … &` wants that. After a timeout or a
    /// cancellation nothing is left in any case; with full isolation nothing is left when this
    /// process ends, either.
    pub keep_children: bool,
    /// Whether every descendant of *this* process belongs to the program. Only for a process
    /// that runs nothing else and called [`become_subreaper`](crate::become_subreaper).
    pub subreaper: bool,
    /// Tells this run's processes from all others; random unless the caller needs to find
    /// them again from another process. Letters, digits and `-` only.
    pub mark: Option<String>,
}

impl Command {
    /// A command without arguments, with default [`Limits`], 64 KiB kept of each stream, and
    /// background children left alone after a normal end.
    pub fn new(program: impl Into<String>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            env: Vec::new(),
            path: Vec::new(),
            cwd: cwd.into(),
            stdin: None,
            limits: Limits::default(),
            max_output_bytes: 64 << 10,
            spill_dir: None,
            isolation: Isolation::None,
            view: View::default(),
            room: None,
            keep_children: true,
            subreaper: false,
            mark: None,
        }
    }

    pub(crate) fn kept_bytes(&self) -> usize {
        self.max_output_bytes.min(MAX_KEPT_BYTES)
    }

    /// The complete environment of the program.
    pub(crate) fn environment(&self, mark: &str) -> Result<Vec<(String, String)>, ExecError> {
        let home = self.cwd.to_string_lossy().into_owned();
        let mut all = vec![
            ("PATH".to_owned(), program::search_path(&self.path)?),
            ("HOME".to_owned(), home),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("TMPDIR".to_owned(), self.temporary()),
        ];
        if self.isolation == Isolation::Full {
            all.extend(self.room.iter().flat_map(|room| room.environment()));
        }
        for (name, value) in &self.env {
            check_env_name(name).map_err(ExecError::InvalidInput)?;
            if value.contains('\0') {
                return Err(ExecError::InvalidInput(format!(
                    "the value of environment variable `{name}` contains a NUL byte"
                )));
            }
            all.push((name.clone(), value.clone()));
        }
        all.push((MARK_VARIABLE.to_owned(), mark.to_owned()));
        Ok(all)
    }

    /// Where temporary files go: only a mount can put another folder in the place of `/tmp`.
    fn temporary(&self) -> String {
        match (self.isolation, &self.view.tmp) {
            (Isolation::Landlock, Some(folder)) => folder.to_string_lossy().into_owned(),
            (Isolation::Landlock, None) => self.cwd.to_string_lossy().into_owned(),
            _ => "/tmp".to_owned(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ExecError> {
        if !self.cwd.is_absolute() {
            return Err(ExecError::InvalidInput(format!(
                "the working directory must be absolute, not `{}`",
                self.cwd.display()
            )));
        }
        if !self.cwd.is_dir() {
            return Err(ExecError::InvalidInput(format!(
                "the working directory `{}` does not exist",
                self.cwd.display()
            )));
        }
        if let Some(argument) = self.arguments.iter().find(|text| text.contains('\0')) {
            return Err(ExecError::InvalidInput(format!(
                "an argument contains a NUL byte: {argument:?}"
            )));
        }
        if let Some(mark) = &self.mark {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if mark.is_empty() || !mark.bytes().all(plain) {
                return Err(ExecError::InvalidInput(format!(
                    "a run's mark is made of letters, digits and `-`, not `{mark}`"
                )));
            }
        }
        Ok(())
    }
}

/// Says whether a caller may set the environment variable `name`.
///
/// # Errors
/// A sentence that says why not: the name is malformed, changes which code is loaded
/// (`LD_*`, `DYLD_*`), or belongs to this crate (`PATH`, the mark).
pub fn check_env_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("`{name}` is not a name of an environment variable"));
    }
    if name == "PATH" || name == MARK_VARIABLE {
        return Err(format!("environment variable `{name}` cannot be set"));
    }
    if name.starts_with("LD_") || name.starts_with("DYLD_") {
        return Err(format!(
            "environment variable `{name}` changes which libraries a program loads and cannot be set"
        ));
    }
    Ok(())
}

/// Bounds of one run. Where the system's own hard limit is lower, that one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time from start to end; then the whole tree is killed.
    pub wall: Duration,
    /// Processor time of each process, whole seconds (`RLIMIT_CPU`).
    pub cpu: Duration,
    /// Writable memory of each process (`RLIMIT_DATA`). Not the address space: CUDA and
    /// many allocators reserve far more of that than they use. An isolated program's whole tree,
    /// its files in memory included, has no more where control groups can be made.
    pub memory_bytes: u64,
    /// The largest file that a process may write (`RLIMIT_FSIZE`).
    pub file_bytes: u64,
    /// Processes of the whole tree, counted every second. Between two looks the kernel stops
    /// an ordinary user at this many above what the machine runs at the start
    /// (`RLIMIT_NPROC`, threads included; root is exempt). An isolated tree is stopped at twice
    /// as many processes and threads, and 301 at least, by its control group or, since Linux
    /// 6.14, by its process namespace; that holds for root too.
    pub processes: u64,
    /// Open files of each process (`RLIMIT_NOFILE`).
    pub open_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // What the shell tool promises a model that names no timeout.
            wall: Duration::from_secs(120),
            // Far above what a foreground command can use; it ends background children that
            // spin for ever, and leaves a week-long training on one core alone.
            cpu: Duration::from_secs(7 * 24 * 3600),
            // More than the machine has would push everything else, the host too, into swap.
            memory_bytes: machine::memory_bytes(),
            // The checkpoint of a large model is tens of GiB in one file.
            file_bytes: 256 << 30,
            // Data loaders and BLAS start a few threads for each core; a fork bomb wants more.
            processes: 4096,
            // The common soft limit of 1024 is too low for sharded datasets.
            open_files: 8192,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_variables_and_our_own_are_refused() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "PATH",
            MARK_VARIABLE,
            "",
            "A=B",
            "A\0",
        ] {
            assert!(check_env_name(name).is_err(), "{name:?}");
        }
        assert!(check_env_name("HF_HOME").is_ok());
    }

    #[test]
    fn the_caller_can_replace_home_but_the_mark_comes_last() {
        let mut command = Command::new("sh", "/");
        command.env = vec![("HOME".into(), "/elsewhere".into())];
        let all = command.environment("m1").unwrap();
        assert_eq!(all.last().unwrap(), &(MARK_VARIABLE.into(), "m1".into()));
        let homes: Vec<_> = all.iter().filter(|(name, _)| name == "HOME").collect();
        assert_eq!(homes.last().unwrap().1, "/elsewhere");
    }

    #[test]
    fn a_bad_directory_argument_or_mark_is_refused() {
        assert!(Command::new("sh", "relative").check().is_err());
        assert!(Command::new("sh", "/no/such/directory").check().is_err());
        let mut command = Command::new("sh", "/");
        command.arguments = vec!["a\0b".into()];
        assert!(command.check().is_err());
        command.arguments.clear();
        command.mark = Some("a b".into());
        assert!(command.check().is_err());
    }
}
