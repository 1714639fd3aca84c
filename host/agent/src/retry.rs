//! When a failed model call is worth another attempt, and after how long.

use crate::error::ProviderError;
use std::time::Duration;

/// Attempts in total.
pub(crate) const ATTEMPTS: u32 = 3;
/// Longer than a token bucket's window of a minute when both are waited.
const RATE_LIMIT: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(60)];
const TRANSIENT: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];
/// A service that asks for more is not worth waiting for without being asked.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long to wait after failed attempt number `attempt` (from 0); `None` when another would not help.
pub(crate) fn delay(error: &ProviderError, attempt: u32) -> Option<Duration> {
    let step = usize::try_from(attempt)
        .ok()
        .filter(|step| *step + 1 < ATTEMPTS as usize)?;
    match error {
        _ if error.is_billing() => None,
        ProviderError::Upstream {
            retryable: true,
            status,
            retry_after_ms,
            ..
        } => match retry_after_ms {
            Some(ms) => Some(Duration::from_millis(*ms)).filter(|wait| *wait <= LONGEST),
            None if *status == Some(429) => RATE_LIMIT.get(step).copied(),
            None => TRANSIENT.get(step).copied(),
        },
        ProviderError::Timeout => TRANSIENT.get(step).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(status: u16, retryable: bool, retry_after_ms: Option<u64>) -> ProviderError {
        ProviderError::Upstream {
            status: Some(status),
            code: None,
            message: "m".into(),
            retryable,
            retry_after_ms,
        }
    }

    #[test]
    fn the_service_says_how_long_and_status_decides_otherwise() {
        assert_eq!(
            delay(&upstream(429, true, Some(1500)), 0),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            delay(&upstream(429, true, None), 0),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            delay(&upstream(503, true, None), 1),
            Some(Duration::from_secs(15))
        );
    }

    #[test]
    fn nothing_is_tried_a_fourth_time_or_for_hours() {
        assert_eq!(delay(&upstream(503, true, None), 2), None);
        assert_eq!(delay(&upstream(503, true, None), u32::MAX), None);
        assert_eq!(delay(&upstream(429, true, Some(3_600_000)), 0), None);
        assert_eq!(delay(&upstream(400, false, None), 0), None);
        assert_eq!(delay(&ProviderError::Auth("no".into()), 0), None);
    }
}
