//! From what the log says of a failed model call back to the error.

use crate::error::ProviderError;
use std::time::Duration;

const TIMEOUT: &str = "the model's service did not answer in time";
const UNUSABLE: &str = "the model's service could not be used: ";
const ANSWERED: &str = "the model's service answered ";
const AUTH: &str = "the model's service refused the credential: ";
const EFFORT: &str = "the model does not take this effort: ";
const STALE: &str = "the model's service refuses its own earlier reasoning: ";
const OVERFLOW: &str = "the conversation is larger than the model's context window: ";
const AGAIN: &str = "; trying again in ";
const NO_SUMMARY: (&str, &str) = (
    "the model could not sum up what is left out (",
    "); a list of what was done takes its place",
);

/// The error after which a `retry` notice was written. Where its words do not tell, one that leads to others.
pub(super) fn retried(notice: &str) -> ProviderError {
    let (error, wait) = notice.rsplit_once(AGAIN).unwrap_or((notice, ""));
    let seconds = wait.split_once(" s (").map_or(wait, |(seconds, _)| seconds);
    let seconds = seconds.parse::<f64>().ok();
    let wait = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // The log has the wait in seconds, rounded to what a float holds; services say milliseconds.
    let wait = wait.map(|wait| (wait.as_secs_f64() * 1000.0).round() as u64);
    upstream(error, true, wait)
}

/// The error that an `error` entry tells of.
pub(super) fn last(kind: &str, message: &str) -> ProviderError {
    let text = || message.to_owned();
    match kind {
        "auth" => ProviderError::Auth(after(AUTH, message)),
        "not_found" => ProviderError::NotFound(text()),
        "context_overflow" => ProviderError::ContextOverflow(after(OVERFLOW, message)),
        "effort" => ProviderError::Effort(after(EFFORT, message)),
        "stale_reasoning" => ProviderError::StaleReasoning(after(STALE, message)),
        "upstream" => upstream(message, false, None),
        "timeout" => ProviderError::Timeout,
        "cancelled" => ProviderError::Cancelled,
        "denied" => ProviderError::Denied(text()),
        "invalid" => ProviderError::Invalid(text()),
        "plugin_fault" => ProviderError::Fault(text()),
        _ => ProviderError::Other(text()),
    }
}

/// The error that a `summary_failed` notice tells of. Only its words are known, and nothing else matters.
pub(super) fn of_summary(notice: &str) -> ProviderError {
    let (before, behind) = NO_SUMMARY;
    let text = notice.strip_prefix(before).unwrap_or(notice);
    ProviderError::Other(text.strip_suffix(behind).unwrap_or(text).to_owned())
}

fn after(prefix: &str, message: &str) -> String {
    message.strip_prefix(prefix).unwrap_or(message).to_owned()
}

fn upstream(text: &str, retryable: bool, retry_after_ms: Option<u64>) -> ProviderError {
    if text == TIMEOUT {
        return ProviderError::Timeout;
    }
    let (status, code, message) =
        answered(text).unwrap_or_else(|| (None, None, text.strip_prefix(UNUSABLE).unwrap_or(text)));
    ProviderError::Upstream {
        status,
        code: code.map(str::to_owned),
        message: message.to_owned(),
        retryable,
        retry_after_ms,
    }
}

/// Status, code and message of `… answered 503 (overloaded): try later`.
fn answered(text: &str) -> Option<(Option<u16>, Option<&str>, &str)> {
    let text = text.strip_prefix(ANSWERED)?;
    let (status, text) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let status = status.parse().ok()?;
    if let Some(message) = text.strip_prefix(": ") {
        return Some((Some(status), None, message));
    }
    let (code, message) = text.strip_prefix(" (")?.split_once("): ")?;
    Some((Some(status), Some(code), message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry;

    #[test]
    fn an_error_that_was_written_down_says_the_same_again() {
        let upstream = |status, code: Option<&str>| ProviderError::Upstream {
            status,
            code: code.map(str::to_owned),
            message: "a: (b): c".into(),
            retryable: false,
            retry_after_ms: None,
        };
        for error in [
            ProviderError::Auth("no".into()),
            ProviderError::NotFound("no".into()),
            ProviderError::ContextOverflow("8192".into()),
            ProviderError::Effort("no".into()),
            ProviderError::StaleReasoning("no".into()),
            upstream(Some(503), Some("overloaded")),
            upstream(Some(503), None),
            upstream(None, None),
            ProviderError::Timeout,
            ProviderError::Cancelled,
            ProviderError::Denied("no".into()),
            ProviderError::Invalid("no".into()),
            ProviderError::Fault("no".into()),
            ProviderError::Other("no".into()),
        ] {
            let again = last(error.kind(), &error.to_string());
            assert_eq!(
                (again.kind(), again.to_string()),
                (error.kind(), error.to_string())
            );
        }
    }

    #[test]
    fn a_wait_is_as_long_again() {
        for ms in [1, 1234, 899_123, 30_000] {
            let wait = Duration::from_millis(ms).as_secs_f32();
            let notice = format!("{UNUSABLE}x; trying again in {wait} s (attempt 2 of 3)");
            let error = retried(&notice);
            assert_eq!(
                retry::delay(&error, 0),
                Some(Duration::from_millis(ms)),
                "{notice}"
            );
        }
    }
}
