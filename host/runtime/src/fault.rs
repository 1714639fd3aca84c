//! How a call can end other than well. A guest's own error, a fault and a cancellation are three
//! types, and a limit is told apart from a trap.

use std::fmt;
use std::time::Duration;

use ml_intern_manifest::Denial;

use crate::types;

/// What the runtime cannot be made with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value of [`RuntimeConfig`](crate::RuntimeConfig) is out of its bounds.
    #[error("{0}")]
    Config(String),
    /// A recording of effects that contradicts itself.
    #[error("the recording is not sound: {0}")]
    Recording(String),
}

/// How a call ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The guest returned an error: the caller's input, a service, a missing grant.
    #[error(transparent)]
    Guest(GuestError),
    /// The guest trapped, ran out of a limit or is no plugin. Its instance is gone.
    #[error(transparent)]
    Fault(Fault),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// An error that the guest returned, with what the host refused it during the call. Guests often
/// report a refused request as a broken connection; the denials say what really happened.
#[derive(Debug)]
pub struct GuestError {
    /// As the guest returned it: untrusted text.
    pub error: types::Error,
    /// What the host refused, oldest first, at most [`MAX_DENIALS`].
    pub denials: Vec<Denial>,
}

/// Denials kept of one call; more repeat the same reason.
pub const MAX_DENIALS: usize = 8;

impl std::error::Error for GuestError {}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.error, f)?;
        let told = |denial: &Denial| matches!(&self.error, types::Error::Denied(told) if told.detail == denial.detail);
        for denial in self.denials.iter().filter(|denial| !told(denial)) {
            write!(f, "; the host refused: {}", denial.detail)?;
        }
        Ok(())
    }
}

fn describe(error: &types::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        types::Error::InvalidInput(text) => write!(f, "invalid input: {text}"),
        types::Error::Denied(denial) => {
            write!(f, "denied ({}): {}", denial.capability, denial.detail)
        }
        types::Error::AuthRequired(name) => {
            write!(f, "the credential `{name}` is missing or was refused")
        }
        types::Error::NotFound(text) => write!(f, "not found: {text}"),
        types::Error::Conflict(text) => write!(f, "conflict: {text}"),
        types::Error::Limit(text) => write!(f, "limit reached: {text}"),
        types::Error::Timeout => f.write_str("timed out"),
        types::Error::Cancelled => f.write_str("cancelled by the plugin"),
        types::Error::ContextOverflow(text) => write!(f, "context window exceeded: {text}"),
        types::Error::Upstream(upstream) => {
            f.write_str("the service failed")?;
            if let Some(status) = upstream.status {
                write!(f, " with status {status}")?;
            }
            if let Some(code) = &upstream.code {
                write!(f, " ({code})")?;
            }
            write!(f, ": {}", upstream.message)
        }
        types::Error::Unsupported(text) => write!(f, "unsupported: {text}"),
        types::Error::Internal(text) => write!(f, "internal error of the plugin: {text}"),
    }
}

/// A call that the host ended, or that never started.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{plugin}` {version}, call `{call}`: {cause}")]
pub struct Fault {
    /// Plugin id.
    pub plugin: String,
    /// Plugin version.
    pub version: String,
    /// Call id, or the name of the function where there is none.
    pub call: String,
    /// Why.
    pub cause: FaultCause,
}

/// Why a call was ended.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultCause {
    /// The guest aborted; the text holds the trap and the last lines of its standard error.
    #[error("trapped: {0}")]
    Trap(String),
    /// The guest left by `wasi:cli/exit` instead of returning.
    #[error("left by `exit` instead of returning")]
    Exit,
    /// More time in guest code than allowed.
    #[error("used more than {} of processor time; raise `limits.cpu` in its plugin.toml", seconds(.limit))]
    CpuTime {
        /// The limit in force.
        limit: Duration,
    },
    /// The call took longer than allowed; waiting for a person does not count.
    #[error("took longer than {}; raise `limits.timeout` in its plugin.toml", seconds(.limit))]
    WallTime {
        /// The limit in force.
        limit: Duration,
    },
    /// Memories and tables together outgrew the limit, and the guest gave up.
    #[error(
        "wanted {wanted} bytes of memory where {limit} are allowed; raise `limits.memory` in its plugin.toml"
    )]
    Memory {
        /// The limit in force, in bytes.
        limit: u64,
        /// What the first refused growth would have led to, in bytes.
        wanted: u64,
    },
    /// The result is larger than allowed.
    #[error(
        "returned {size} bytes where {limit} are allowed; raise `limits.output` in its plugin.toml"
    )]
    Output {
        /// The limit in force, in bytes.
        limit: u64,
        /// Size of the result, in bytes.
        size: u64,
    },
    /// One call of the host carried more text or list items than allowed.
    #[error("passed more than {limit} bytes to the host in one call")]
    Argument {
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// More random bytes in one call of the host than allowed.
    #[error("asked for more than {limit} random bytes at once")]
    Random {
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// The headers of one message are larger than allowed.
    #[error("made headers of more than {limit} bytes for one message")]
    Headers {
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// Too many handles open at one time.
    #[error("opened more than {limit} handles")]
    Handles {
        /// The limit in force.
        limit: u32,
    },
    /// Called the host more often than allowed.
    #[error("called the host more than {limit} times")]
    HostCalls {
        /// The limit in force.
        limit: u64,
    },
    /// Compiling it takes longer than a component of its size may take.
    #[error(
        "takes more than {} of processor time to compile; build it with smaller functions",
        seconds(.limit)
    )]
    CompileTime {
        /// The limit in force.
        limit: Duration,
    },
    /// Compiling it takes more memory than that may take.
    #[error("takes more than {limit} bytes of memory to compile; build it with smaller functions")]
    CompileMemory {
        /// The limit in force, in bytes.
        limit: u64,
    },
    /// The bytes are no component that this host runs.
    #[error("cannot be loaded: {0}")]
    NotLoadable(String),
    /// `describe` returned something outside the contract.
    #[error("describes itself wrongly: {0}")]
    Description(String),
    /// A call returned something outside the contract.
    #[error("answers wrongly: {0}")]
    Answer(String),
    /// A replayed call did something else than when it was recorded, or the recording is too short.
    #[error("does not do what its recording holds: expected {expected}, found {found}")]
    Diverged {
        /// What the recording holds next, in words; `truncated` among them where more was recorded
        /// than is kept.
        expected: String,
        /// What the guest asked for, in words.
        found: String,
    },
    /// The host could not do its part (a missing workspace, a full machine).
    #[error("the host could not run it: {0}")]
    Host(String),
}

impl FaultCause {
    /// The limit that was reached, as `plugin.toml` names it where it can be set there; none where
    /// the guest failed by itself.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::CpuTime { .. } => Some("limits.cpu"),
            Self::WallTime { .. } => Some("limits.timeout"),
            Self::Memory { .. } => Some("limits.memory"),
            Self::Output { .. } => Some("limits.output"),
            Self::Argument { .. } => Some("limits.argument"),
            Self::Random { .. } => Some("limits.random"),
            Self::Headers { .. } => Some("limits.headers"),
            Self::CompileTime { .. } | Self::CompileMemory { .. } => Some("limits.compile"),
            Self::Handles { .. } => Some("limits.handles"),
            Self::HostCalls { .. } => Some("limits.host-calls"),
            Self::Trap(_)
            | Self::Exit
            | Self::NotLoadable(_)
            | Self::Description(_)
            | Self::Answer(_)
            | Self::Diverged { .. }
            | Self::Host(_) => None,
        }
    }
}

fn seconds(limit: &Duration) -> String {
    ml_intern_manifest::format_duration(*limit)
}
