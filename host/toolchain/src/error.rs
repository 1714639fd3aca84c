//! Why a plugin is not built, by what to do about it.

use std::path::PathBuf;

use crate::Language;

/// Every variant says what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name cannot be that of a plugin.
    #[error("{0}")]
    Name(String),
    /// The folder of a new plugin has something in it already.
    #[error("{} is not empty; name another folder", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is not one that this crate can build, or its source not one of a plugin.
    #[error("{} {message}", folder.display())]
    Source {
        /// The folder.
        folder: PathBuf,
        /// What is missing or wrong, and what to do.
        message: String,
    },
    /// A compiler is not installed, or is too old. One of `ways` has to be taken.
    #[error("{what} is missing, which plugins in {language} are built with")]
    ToolChain {
        /// Of the plugin.
        language: Language,
        /// What was looked for and where.
        what: String,
        /// Each with the exact command; any one of them is enough.
        ways: Vec<String>,
    },
    /// A compiler ended with an error; its own words went to the progress callback.
    #[error("`{program}` failed{how}")]
    Failed {
        /// Name of the program.
        program: String,
        /// Exit code or signal, and the last lines that it wrote.
        how: String,
    },
    /// A compiler took longer than the time limit.
    #[error("`{program}` was ended after {seconds} s")]
    TimedOut {
        /// Name of the program.
        program: String,
        /// The limit.
        seconds: u64,
    },
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
    /// What the compiler made does not become a plugin.
    #[error("{name} {message}")]
    Component {
        /// The file.
        name: String,
        /// The encoder's words.
        message: String,
    },
    /// What was built is not a plugin that the host takes.
    #[error(transparent)]
    Plugin(#[from] ml_intern_registry::Error),
    /// `plugin.toml` does not parse; its message has the position.
    #[error(transparent)]
    Manifest(#[from] ml_intern_manifest::Error),
    /// A program could not be started.
    #[error(transparent)]
    Start(#[from] ml_intern_exec::ExecError),
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// "read", "write" or "remove".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err` on what is done with a file.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
