//! How far something long is, for a person at a terminal.

use super::{one_line, progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::Once;
use std::time::{Duration, Instant};

/// Nothing is drawn before: most things take less.
const QUIET: Duration = Duration::from_millis(300);
const BYTES: &str =
    "  {msg} [{bar:24}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const WAITING: &str = "{spinner} {msg} {elapsed}";

/// A line that is redrawn until it is dropped. Nothing where standard error is no terminal; a line that stays where the
/// terminal cannot redraw, or is not to (`TERM=dumb`, `NO_COLOR`).
pub(crate) struct Bar {
    bar: ProgressBar,
    began: Instant,
    told: Once,
}

impl Bar {
    /// Of bytes that come.
    pub(crate) fn bytes(what: &str) -> Self {
        Self::new(what, BYTES)
    }

    /// Of something whose end nobody knows.
    pub(crate) fn waiting(what: &str) -> Self {
        let bar = Self::new(what, WAITING);
        bar.bar.enable_steady_tick(Duration::from_millis(120));
        if bar.bar.is_hidden() {
            bar.tell();
        }
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
        Self {
            bar,
            began: Instant::now(),
            told: Once::new(),
        }
    }

    pub(crate) fn set(&self, done: u64, total: Option<u64>) {
        if self.began.elapsed() < QUIET {
            return;
        }
        if self.bar.is_hidden() {
            self.tell();
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn tell(&self) {
        self.told.call_once(|| progress(&self.bar.message()));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
