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
    /// The model does not take the effort that was asked of it.
    #[error("the model does not take this effort: {0}")]
    Effort(String),
    /// The service does not know the reasoning that it was given back.
    #[error("the model's service refuses its own earlier reasoning: {0}")]
    StaleReasoning(String),
    /// The model's final answer has not the shape that was asked for.
    #[error("{0}")]
    Answer(String),
    /// The provider plugin could not be loaded, trapped or broke a limit.
    #[error("{0}")]
    Fault(String),
    /// Anything else that the plugin reported.
    #[error("{0}")]
    Other(String),
}

impl ProviderError {
    /// Whether the service wants to be paid: another attempt will not help before somebody does so.
    pub fn is_billing(&self) -> bool {
        let Self::Upstream {
            status,
            code,
            message,
            ..
        } = self
        else {
            return false;
        };
        let code = code.as_deref().unwrap_or_default();
        *status == Some(402)
            || BILLING_CODES.contains(&code)
            || (matches!(status, None | Some(400 | 403 | 429)) && is_billing_text(message))
    }

    /// What a person can do about it, where that is not in the service's words.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            _ if self.is_billing() => Some(
                "the account behind this key has no credit or quota left: add some with the service, wait for its next \
                 period, or go on with another model (--model, or /model in a conversation)",
            ),
            Self::Upstream {
                status: Some(429), ..
            } => Some(
                "the service limits how much is asked of it: wait a while, or go on with another model",
            ),
            Self::NotFound(_) => Some("check the model's name, which is PROVIDER/MODEL"),
            _ => None,
        }
    }

    /// Stable word for events and scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            _ if self.is_billing() => "billing",
            Self::Auth(_) => "auth",
            Self::NotFound(_) => "not_found",
            Self::ContextOverflow(_) => "context_overflow",
            Self::Upstream { .. } => "upstream",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Denied(_) => "denied",
            Self::Invalid(_) => "invalid",
            Self::Answer(_) => "output_schema",
            Self::Effort(_) => "effort",
            Self::StaleReasoning(_) => "stale_reasoning",
            Self::Fault(_) => "plugin_fault",
            Self::Other(_) => "provider",
        }
    }
}

/// Codes with which services say that an account has nothing left: OpenAI, OpenRouter, Anthropic.
const BILLING_CODES: [&str; 5] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_credits",
    "billing_error",
];

/// Services without codes say it in words. `credit` and `quota` begin a word: "rebilling" and the like say nothing.
fn is_billing_text(message: &str) -> bool {
    let text = message.to_ascii_lowercase();
    let phrases = [
        "requires credit",
        "insufficient credit",
        "insufficient quota",
        "insufficient balance",
        "quota exceeded",
        "exceeded your current quota",
        "exceeded your monthly included credits",
        "credit balance is too low",
        "billing hard limit",
        "valid payment instrument",
    ];
    phrases.iter().any(|phrase| text.contains(phrase))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(status: u16, code: Option<&str>, message: &str) -> ProviderError {
        ProviderError::Upstream {
            status: Some(status),
            code: code.map(str::to_owned),
            message: message.into(),
            retryable: true,
            retry_after_ms: None,
        }
    }

    #[test]
    fn an_account_with_nothing_left_is_said_in_words_and_not_asked_again() {
        for error in [
            upstream(402, None, "Payment Required"),
            upstream(
                429,
                Some("insufficient_quota"),
                "You exceeded your current quota",
            ),
            upstream(403, None, "This model requires credit"),
            upstream(
                403,
                Some("AccessDeniedException"),
                "INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided.",
            ),
            upstream(429, None, "Monthly quota exceeded"),
            upstream(
                400,
                None,
                "Your credit balance is too low to access the API",
            ),
        ] {
            assert_eq!(error.kind(), "billing", "{error}");
            assert!(error.advice().unwrap().contains("another model"));
            assert_eq!(crate::retry::delay(&error, 0), None, "{error}");
        }
        for error in [
            upstream(429, None, "rebilling of accounts"),
            upstream(503, None, "quota exceeded for the region, try later"),
            upstream(429, None, "Too many tokens, please wait"),
        ] {
            assert_eq!(error.kind(), "upstream", "{error}");
            assert!(crate::retry::delay(&error, 0).is_some(), "{error}");
        }
    }
}
