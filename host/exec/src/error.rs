//! Why a program could not be run. A program that ran and failed is an
//! [`Outcome`](crate::Outcome), not an error.

use std::path::PathBuf;

/// Variants are named by what the caller changes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The program name, an argument, the environment or the working directory is not usable.
    #[error("{0}")]
    InvalidInput(String),
    /// No executable file of that name in the directories searched.
    #[error("program `{program}` is not installed: looked in {searched}")]
    NotFound { program: String, searched: String },
    /// The operating system refused to start the program.
    #[error("could not start `{}`", program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The program could not be kept from the rest of the machine as it has to be.
    #[error("the program cannot be isolated: {0}")]
    Isolation(String),
    /// Reading the program's output or waiting for its end failed; its tree was killed.
    #[error("could not {action}")]
    Io {
        action: &'static str,
        #[source]
        source: std::io::Error,
    },
}
