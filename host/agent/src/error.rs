//! Why a model call failed, named by what can be done about it.

/// A failed model call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// A credential is missing or was refused.
    #[error("the model's service refused the credential: {0}")]
    Auth(String),
    /// The model or the endpoint does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request is larger than the model's context window.
    #[error("the conversation is larger than the model's context window: {0}")]
    ContextOverflow(String),
    /// The service failed.
    #[error("{}", upstream_text(status, code, message))]
    Upstream {
        /// HTTP status, where there was one.
        status: Option<u16>,
        /// The service's own code.
        code: Option<String>,
        /// The service's own words.
        message: String,
        /// Whether the same request may succeed later.
        retryable: bool,
        /// From `Retry-After`.
        retry_after_ms: Option<u64>,
    },
    /// No answer in time.
    #[error("the model's service did not answer in time")]
    Timeout,
    /// The user or a limit ended the call.
    #[error("cancelled")]
    Cancelled,
    /// The request left the provider plugin's grants.
    #[error("{0}")]
    Denied(String),
    /// The provider plugin refused the request or its configuration.
    #[error("{0}")]
    Invalid(String),
    /// The provider plugin could not be loaded, trapped or broke a limit.
    #[error("{0}")]
    Fault(String),
    /// Anything else that the plugin reported.
    #[error("{0}")]
    Other(String),
}

impl ProviderError {
    /// Stable word for events and scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Auth(_) => "auth",
            Self::NotFound(_) => "not_found",
            Self::ContextOverflow(_) => "context_overflow",
            Self::Upstream { .. } => "upstream",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Denied(_) => "denied",
            Self::Invalid(_) => "invalid",
            Self::Fault(_) => "plugin_fault",
            Self::Other(_) => "provider",
        }
    }
}

fn upstream_text(status: &Option<u16>, code: &Option<String>, message: &str) -> String {
    match (status, code) {
        (Some(status), Some(code)) => {
            format!("the model's service answered {status} ({code}): {message}")
        }
        (Some(status), None) => format!("the model's service answered {status}: {message}"),
        (None, _) => format!("the model's service could not be used: {message}"),
    }
}
