//! What a call shows while it runs.

use ml_intern_agent::{Event, Session};
use ml_intern_runtime::{AuditRecord, LogLine, Observer, Stream, log, types};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Turns a call's progress, its programs' output and its warnings into events.
pub(crate) struct CallObserver {
    pub(crate) session: Arc<Session>,
    pub(crate) call: String,
    pub(crate) cancel: CancellationToken,
    /// Show the plugin's own log as well.
    pub(crate) verbose: bool,
}

impl CallObserver {
    fn show(&self, text: &str, fraction: Option<f32>) {
        self.session.show(&Event::ToolLog {
            call: self.call.clone(),
            text: text.to_owned(),
            fraction,
        });
    }
}

impl Observer for CallObserver {
    fn log(&self, line: LogLine<'_>) {
        if self.verbose || matches!(line.level, log::Level::Warn | log::Level::Error) {
            self.show(line.message, None);
        }
    }

    fn progress(&self, message: &str, fraction: Option<f32>) -> types::Control {
        self.show(message, fraction);
        if self.cancel.is_cancelled() {
            types::Control::Stop
        } else {
            types::Control::Proceed
        }
    }

    fn output(&self, _stream: Stream, line: &str) {
        self.show(line, None);
    }

    fn audit(&self, record: &AuditRecord) {
        if self.verbose {
            let AuditRecord {
                method,
                origin,
                path,
                verdict,
                response_bytes,
                ..
            } = record;
            self.show(
                &format!("{method} {origin}{path} → {verdict:?}, {response_bytes} bytes"),
                None,
            );
        }
    }
}
