//! Why a job call failed. A job that ran and failed is a [`Job`](crate::Job), not an error.

/// Variants are named by what the caller does next; they map one to one to the plugin
/// contract's errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The specification has to change.
    #[error("{0}")]
    InvalidInput(String),
    /// No job, program or interpreter of that name.
    #[error("{0}")]
    NotFound(String),
    /// This back end cannot do that; the text names what can.
    #[error("{0}")]
    Unsupported(String),
    /// The user has to allow it first; the text names the command.
    #[error("{0}")]
    NotGranted(String),
    /// A count or size is exhausted; the text names which.
    #[error("{0}")]
    Limit(String),
    /// The job's state does not allow it now.
    #[error("{0}")]
    Conflict(String),
    /// The file system or the operating system refused.
    #[error("could not {action}")]
    Io {
        action: String,
        #[source]
        source: std::io::Error,
    },
}

impl JobError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
