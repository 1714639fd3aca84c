//! What went wrong at the edge: the kind decides the exit code, the hints say what to do.

use std::fmt;

/// Exit codes, as documented for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The agent or the model's service failed.
    Failed = 1,
    /// The command line or a configuration file is wrong.
    Usage = 2,
    /// A credential is missing or was refused.
    Credentials = 3,
    /// A permission was denied because nobody was there to ask.
    Blocked = 4,
    /// The budget in dollars is spent.
    Budget = 5,
    /// The iteration cap or the time limit was reached.
    Limit = 6,
    /// A plugin could not be loaded, verified or run, or has another ABI.
    Plugin = 7,
    /// Ctrl-C.
    Interrupted = 130,
    /// SIGTERM, as shells report it.
    Terminated = 143,
}

/// An error with its kind and hints.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) error: anyhow::Error,
    pub(crate) hints: Vec<String>,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, anyhow::anyhow!("{text}"))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// Gives an error its kind.
pub(crate) trait OrFail<T> {
    fn or_fail(self, kind: Kind) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, kind: Kind) -> Result<T> {
        self.map_err(|error| Failure::new(kind, error))
    }
}
