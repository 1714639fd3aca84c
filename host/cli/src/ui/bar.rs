//! How far something long is, for a person at a terminal.

use super::one_line;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// Nothing is drawn before: most things take less.
const QUIET: Duration = Duration::from_millis(300);
const BYTES: &str =
    "  {msg} [{bar:24}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const WAITING: &str = "{spinner} {msg} {elapsed}";

/// A line that is redrawn until it is dropped. Nothing where standard error is no terminal.
pub(crate) struct Bar(ProgressBar, std::time::Instant);

impl Bar {
    /// Of bytes that come.
    pub(crate) fn bytes(what: &str) -> Self {
        Self::new(what, BYTES)
    }

    /// Of something whose end nobody knows.
    pub(crate) fn waiting(what: &str) -> Self {
        let bar = Self::new(what, WAITING);
        bar.0.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn new(what: &str, template: &str) -> Self {
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        bar.set_message(one_line(what, 60));
        Self(bar, std::time::Instant::now())
    }

    pub(crate) fn set(&self, done: u64, total: Option<u64>) {
        if self.1.elapsed() < QUIET {
            return;
        }
        if let Some(total) = total {
            self.0.set_length(total);
        }
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
