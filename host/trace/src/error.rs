//! Why a session log could not be used.

use std::path::PathBuf;

/// A failed operation on a session log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file system said no.
    #[error("cannot use the session log {path}: {source}", path = path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process writes this session.
    #[error(
        "the session `{0}` is open in another ml-intern; wait for it to end, or start a new session"
    )]
    Locked(String),
    /// There is no such session.
    #[error("there is no session `{0}`; `ml-intern sessions list` shows all")]
    NotFound(String),
    /// More than one session is meant: by the beginning of its id, or by its title.
    #[error(
        "`{text}` may be {}{}; give more of its id",
        candidates.join(" or "),
        if *more == 0 { String::new() } else { format!(" or one of {more} others") }
    )]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// Ids and titles of the newest five that it may be.
        candidates: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// The session has no such entry.
    #[error(
        "the session `{id}` has no entry {at}; its entries are 1 to {last}, as `ml-intern sessions show {id} --json` numbers them"
    )]
    NoEntry {
        /// The session.
        id: String,
        /// What was asked for.
        at: u64,
        /// The last one that is there.
        last: u64,
    },
    /// A line in the middle of the log does not parse: the file was changed by something else.
    #[error("line {line} of {path} is damaged: {problem}", path = path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What the parser said.
        problem: String,
    },
}

impl TraceError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
