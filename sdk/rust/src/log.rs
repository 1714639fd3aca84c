//! Diagnostics for the log, and progress for the person who watches.

use serde_json::Value;

use crate::Control;
use crate::bindings::tool::ml_intern::plugin::log;

pub use log::Level;

/// Writes one line to the session's diagnostics; the host limits a call to 256 KiB of them.
pub fn write(level: Level, message: &str, fields: Option<&Value>) {
    let fields = fields.map(Value::to_string);
    log::write(level, message, fields.as_deref());
}

/// [`write`] at debug level.
pub fn debug(message: &str) {
    write(Level::Debug, message, None);
}

/// [`write`] at info level.
pub fn info(message: &str) {
    write(Level::Info, message, None);
}

/// [`write`] at warn level.
pub fn warn(message: &str) {
    write(Level::Warn, message, None);
}

/// [`write`] at error level.
pub fn error(message: &str) {
    write(Level::Error, message, None);
}

/// Shows `message` beside the running call; `fraction` is within 0..=1 when known.
/// [`Control::Stop`] asks the plugin to end the call soon, with what it has.
pub fn progress(message: &str, fraction: Option<f32>) -> Control {
    log::progress(message, fraction)
}
