//! Whether and when to try again. A notice may arrive twice; receivers know it by its id.

use ml_intern_plugin::{Error, Upstream, http};
use std::time::Duration;

/// Attempts in total.
pub(crate) const ATTEMPTS: usize = 3;

/// Waits between them, where the receiver asks for none.
const WAITS: [Duration; ATTEMPTS - 1] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Longest wait that a receiver may ask for: a notice holds up whoever sent it.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Bytes of a receiver's answer that go into an error.
const MAX_ANSWER: usize = 512;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Delivered,
    /// Another attempt will not help.
    Final(Error),
    /// Another attempt may help, after the wait that the receiver asked for.
    Again(Error, Option<Duration>),
}

/// Sends until an attempt is final, at most [`ATTEMPTS`] times.
pub(crate) fn deliver(
    mut attempt: impl FnMut() -> Outcome,
    mut wait: impl FnMut(Duration),
) -> Result<(), Error> {
    for usual in WAITS {
        match attempt() {
            Outcome::Delivered => return Ok(()),
            Outcome::Final(error) => return Err(error),
            Outcome::Again(_, asked) => wait(asked.unwrap_or(usual).min(MAX_WAIT)),
        }
    }
    match attempt() {
        Outcome::Delivered => Ok(()),
        Outcome::Final(error) | Outcome::Again(error, _) => Err(error),
    }
}

/// What an answer means. Redirects are final too: the notice must not go where nobody sent it.
pub(crate) fn of_answer(status: u16, retry_after_ms: Option<u32>, body: &[u8]) -> Outcome {
    if (200..300).contains(&status) {
        return Outcome::Delivered;
    }
    if matches!(status, 401 | 403) {
        return Outcome::Final(Error::AuthRequired("webhook".to_owned()));
    }
    let again = matches!(status, 408 | 429 | 500..=599);
    let error = Error::Upstream(Upstream {
        status: Some(status),
        code: None,
        message: format!("the webhook answered {status}: {}", quoted(body)),
        // Whoever asks again would only add to the attempts made here.
        retryable: false,
        retry_after_ms,
    });
    let wait = retry_after_ms.map(|ms| Duration::from_millis(u64::from(ms)));
    if again {
        Outcome::Again(error, wait)
    } else {
        Outcome::Final(error)
    }
}

/// What a request without an answer means.
pub(crate) fn of_failure(error: http::Error) -> Outcome {
    match error {
        http::Error::Timeout(_)
        | http::Error::Dns(_)
        | http::Error::Refused(_)
        | http::Error::Connection(_) => Outcome::Again(error.into(), None),
        _ => Outcome::Final(error.into()),
    }
}

fn quoted(body: &[u8]) -> String {
    let cut = &body[..body.len().min(MAX_ANSWER)];
    let text = String::from_utf8_lossy(cut);
    let text = text.trim();
    match (text.is_empty(), cut.len() < body.len()) {
        (true, _) => "no text".to_owned(),
        (false, false) => format!("`{text}`"),
        (false, true) => format!("`{text}…`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays answers with these statuses and waits, and gives back what happened.
    fn play(answers: &[(u16, Option<u32>)]) -> (Result<(), Error>, usize, Vec<u128>) {
        let (mut made, mut waits) = (0, Vec::new());
        let attempt = || {
            made += 1;
            let (status, asked) = answers[made - 1];
            of_answer(status, asked, b"busy")
        };
        let result = deliver(attempt, |wait| waits.push(wait.as_millis()));
        (result, made, waits)
    }

    #[test]
    fn success_ends_it() {
        assert!(matches!(play(&[(204, None)]), (Ok(()), 1, waits) if waits.is_empty()));
        let (result, made, waits) = play(&[(503, None), (429, None), (200, None)]);
        assert!(result.is_ok());
        assert_eq!((made, waits), (3, vec![500, 2000]));
    }

    #[test]
    fn a_receiver_may_ask_for_a_wait_but_not_for_a_long_one() {
        let (_, _, waits) = play(&[(429, Some(7000)), (503, Some(u32::MAX)), (200, None)]);
        assert_eq!(waits, [7000, 30_000]);
        let (_, _, waits) = play(&[(429, Some(0)), (200, None)]);
        assert_eq!(waits, [0]);
    }

    #[test]
    fn three_attempts_and_no_more() {
        let (result, made, waits) = play(&[(500, None), (408, None), (599, None), (200, None)]);
        assert_eq!((made, waits.len()), (3, 2));
        let Err(Error::Upstream(upstream)) = result else {
            panic!("delivered")
        };
        assert_eq!(upstream.status, Some(599));
        assert!(
            upstream.message.contains("599")
                && upstream.message.contains("`busy`")
                && !upstream.retryable
        );
    }

    #[test]
    fn refusals_and_redirects_are_final() {
        for status in [301, 302, 307, 400, 404, 409, 410, 413, 422, 199, 600] {
            let (result, made, _) = play(&[(status, Some(1))]);
            assert!(
                matches!(result, Err(Error::Upstream(upstream)) if upstream.status == Some(status))
            );
            assert_eq!(made, 1);
        }
        for status in [401, 403] {
            assert!(
                matches!(play(&[(status, None)]).0, Err(Error::AuthRequired(name)) if name == "webhook")
            );
        }
    }

    #[test]
    fn failures_of_the_connection_are_tried_again() {
        let text = || "x".to_owned();
        for error in [
            http::Error::Refused(text()),
            http::Error::Connection(text()),
            http::Error::Dns(text()),
            http::Error::Timeout(text()),
        ] {
            assert!(matches!(of_failure(error), Outcome::Again(..)));
        }
        for error in [
            http::Error::Denied(text()),
            http::Error::Invalid(text()),
            http::Error::Tls(text()),
            http::Error::TooLarge(text()),
        ] {
            assert!(matches!(of_failure(error), Outcome::Final(_)));
        }
    }

    #[test]
    fn answers_are_quoted_in_part() {
        assert_eq!(quoted(b" \n"), "no text");
        assert!(quoted(&[0xff; 5000]).chars().count() <= MAX_ANSWER + 3);
    }
}
