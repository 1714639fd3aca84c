//! One event as one line of JSON.

use ml_intern_agent::{Event, Stamp};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Version of the line format.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct LineOut<'a> {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    seq: u64,
    ts: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// A line with its newline. `session` is given for `stream-json`; the log's own folder names the session.
pub fn render(stamp: Stamp, session: Option<&str>, event: &Event) -> String {
    let line = LineOut {
        v: VERSION,
        session,
        seq: stamp.seq,
        ts: timestamp(stamp.ms),
        event,
    };
    // An event holds strings, numbers and JSON values only: serialising it cannot fail.
    let mut text = serde_json::to_string(&line).unwrap_or_else(|error| {
        format!("{{\"v\":{VERSION},\"type\":\"error\",\"message\":\"{error}\"}}")
    });
    text.push('\n');
    text
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

pub(crate) fn milliseconds(timestamp: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(timestamp).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
