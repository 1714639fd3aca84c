//! Posts notices as JSON to a URL, signed with a key that was made for that, and again when the
//! receiver is busy. See the README for what a receiver gets and how it checks the signature.

mod delivery;
mod payload;
mod signature;

use delivery::Outcome;
use ml_intern_plugin::{Error, Notice, Notifier, Receipt, config, http};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest wait for a connection, for an answer to begin and between two pieces of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer.
const MAX_ANSWER: usize = 16 << 10;

/// The notifier.
pub struct Webhook;

impl Notifier for Webhook {
    fn notify(notice: Notice) -> Result<Receipt, Error> {
        let url = set("url")?.ok_or_else(|| {
            Error::InvalidInput(
                "config `url` is not set: it says where notices are posted to".to_owned(),
            )
        })?;
        let key = set("signing-key")?;
        let body = payload::body(&notice, now().map(|now| now.as_millis() as u64))?;
        delivery::deliver(
            || post(&url, &notice.id, key.as_deref(), &body),
            std::thread::sleep,
        )?;
        Ok(Receipt { external_id: None })
    }

    fn poll_reply(_: String) -> Result<Option<String>, Error> {
        // A webhook has no way back.
        Ok(None)
    }
}

fn set(key: &str) -> Result<Option<String>, Error> {
    let value = config::get(key)?.map(|value| value.trim().to_owned());
    Ok(value.filter(|value| !value.is_empty()))
}

/// Time since 1970; none where the clock is set before it.
fn now() -> Option<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok()
}

/// One attempt. It is signed anew, so that a receiver may refuse signatures that are not fresh.
fn post(url: &str, id: &str, key: Option<&str>, body: &[u8]) -> Outcome {
    let timestamp = now().unwrap_or_default().as_secs();
    let mut request = http::Request::post(url)
        .header("content-type", "application/json")
        .header(
            "user-agent",
            concat!("ml-intern-webhook/", env!("CARGO_PKG_VERSION")),
        )
        .header("x-ml-intern-timestamp", timestamp.to_string())
        .body(body)
        .connect_timeout(PATIENCE)
        .first_byte_timeout(PATIENCE)
        .between_bytes_timeout(PATIENCE);
    // An id with other characters is in the body only.
    if id.bytes().all(|byte| byte.is_ascii_graphic()) {
        request = request.header("x-ml-intern-id", id);
    }
    if let Some(key) = key {
        request = request.header(
            "x-ml-intern-signature",
            signature::sign(key, timestamp, body),
        );
    }
    match request.send() {
        Ok(answer) => {
            let (status, wait) = (answer.status(), answer.retry_after_ms());
            // What a receiver says is only for an error's text; a long answer does not undo a delivery.
            let text = answer.bytes(MAX_ANSWER).unwrap_or_default();
            delivery::of_answer(status, wait, &text)
        }
        Err(error) => delivery::of_failure(error),
    }
}

ml_intern_plugin::export_notifier!(Webhook);
