//! Conversions into the one error type of the contract.

use std::io;

use crate::{Denial, Error, Upstream};

impl Error {
    /// `not-found` for a tool name that this plugin did not describe.
    pub fn unknown_tool(name: &str) -> Self {
        Self::NotFound(format!("unknown tool `{name}`"))
    }

    /// `denied`, for what a plugin itself refuses: `capability` is a dotted id such as `"fs.write"`,
    /// `detail` says what was asked for and what would allow it.
    pub fn denied(capability: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Denied(Denial {
            capability: capability.into(),
            detail: detail.into(),
        })
    }

    /// `upstream` without a status: the service was not reached or broke off, and a second
    /// attempt may succeed.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::Upstream(Upstream {
            status: None,
            code: None,
            message: message.into(),
            retryable: true,
            retry_after_ms: None,
        })
    }

    /// The same case, with what it is about before its text: an error of a file does not say which.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        match &mut self {
            Self::InvalidInput(text)
            | Self::NotFound(text)
            | Self::Conflict(text)
            | Self::Limit(text)
            | Self::ContextOverflow(text)
            | Self::Unsupported(text)
            | Self::Internal(text) => *text = format!("`{what}`: {text}"),
            Self::Denied(denial) => denial.detail = format!("`{what}`: {}", denial.detail),
            Self::Upstream(upstream) => {
                upstream.message = format!("`{what}`: {}", upstream.message)
            }
            // A credential's name, and two without words.
            Self::AuthRequired(_) | Self::Timeout | Self::Cancelled => (),
        }
        self
    }

    /// The text of an error without its case, for a plugin that turns it into a tool's answer.
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidInput(text)
            | Self::AuthRequired(text)
            | Self::NotFound(text)
            | Self::Conflict(text)
            | Self::Limit(text)
            | Self::ContextOverflow(text)
            | Self::Unsupported(text)
            | Self::Internal(text) => text,
            Self::Denied(denial) => &denial.detail,
            Self::Upstream(upstream) => &upstream.message,
            Self::Timeout => "timed out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// `internal`: a plugin's own failure, in words.
impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Internal(message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::Internal(message.to_owned())
    }
}

/// `internal`: JSON that the plugin itself wrote or a service sent.
/// The arguments of a call go through [`crate::arguments`], which says `invalid-input`.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(format!("JSON: {error}"))
    }
}

/// By kind: a missing file is `not-found`, a refused one `denied`, an existing one `conflict`.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound(error.to_string()),
            io::ErrorKind::AlreadyExists => Self::Conflict(error.to_string()),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::denied("fs", error.to_string())
            }
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Limit(error.to_string()),
            _ => Self::Internal(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_keep_what_the_caller_would_do_next() {
        let missing = Error::from(io::Error::from(io::ErrorKind::NotFound));
        assert!(matches!(missing, Error::NotFound(_)));
        let refused = Error::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(&refused, Error::Denied(denial) if denial.capability == "fs"));
        let full = Error::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, Error::Limit(_)));
    }

    #[test]
    fn about_says_what_an_error_is_about() {
        let missing = Error::from(io::Error::from(io::ErrorKind::NotFound)).about("a.txt");
        assert!(missing.message().starts_with("`a.txt`: "), "{missing:?}");
        let denied = Error::denied("fs.write", "not here").about("b");
        assert_eq!(denied.message(), "`b`: not here");
        assert!(matches!(Error::Timeout.about("c"), Error::Timeout));
    }

    #[test]
    fn message_drops_the_case() {
        assert_eq!(Error::from("no").message(), "no");
        assert_eq!(Error::denied("fs.write", "not here").message(), "not here");
        assert_eq!(Error::unreachable("gone").message(), "gone");
    }
}
