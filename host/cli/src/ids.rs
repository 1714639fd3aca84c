//! Ids of sessions: they sort by time and are short enough to type.

use std::time::SystemTime;

/// For example `20261123-041530-7f3a9c`, in UTC.
pub(crate) fn session() -> std::io::Result<String> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let digits = now.replace(['-', ':', 'Z'], "").replace('T', "-");
    let mut random = [0u8; 3];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let [a, b, c] = random;
    Ok(format!("{digits}-{a:02x}{b:02x}{c:02x}"))
}
