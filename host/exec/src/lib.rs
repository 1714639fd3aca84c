//! Runs native programs: one argv at a time, with a cleared environment, finite limits,
//! bounded output, and an end that takes the whole process tree with it.
//!
//! It knows nothing of plugins, tools or jobs, and it never makes a shell string: a caller
//! that wants a shell names `sh` as the program. Linux is where everything holds, [`Isolation`]
//! first of all; on other Unix systems a tree is its process group, because there is no `/proc`
//! to look further.
//!
//! Start from [`Command`], [`run`] and [`Outcome`]:
//!
//! ```no_run
//! # async fn example() -> Result<(), ml_intern_exec::ExecError> {
//! use ml_intern_exec::{Command, run};
//! use tokio_util::sync::CancellationToken;
//!
//! let mut command = Command::new("git", "/home/user/project");
//! command.arguments = vec!["status".into(), "--short".into()];
//! let outcome = run(command, &CancellationToken::new(), |_, _| {}).await?;
//! assert_eq!(outcome.exit_code, Some(0));
//! # Ok(())
//! # }
//! ```

#![cfg(unix)]

#[cfg(target_os = "linux")]
mod cgroup;
mod command;
mod error;
mod folder;
mod isolation;
mod kill;
mod machine;
mod output;
mod processes;
mod program;
mod run;
mod spawn;

pub use command::{Command, Limits, MARK_VARIABLE, check_env_name};
pub use error::ExecError;
pub use folder::create_new;
pub use isolation::{Isolation, Network, Room, Support, View, free_places, toolchains};
pub use kill::{GRACE, Signal, Tree};
pub use machine::{cpus, memory_bytes, random_hex};
pub use output::{LINE_BYTES, StreamKind};
pub use program::{FIXED_PATH, resolve};
pub use run::{Ended, Outcome, run};
pub use spawn::{Detached, become_subreaper, spawn_detached};
