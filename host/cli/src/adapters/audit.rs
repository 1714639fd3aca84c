//! What a call shows while it runs, and what is written down of it.

use ml_intern_agent::event::{Audit, AuditVerdict};
use ml_intern_agent::{Event, Session};
use ml_intern_runtime::{AuditRecord, LogLine, Observer, Stream, Verdict, log, types};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Turns a call's progress, its programs' output, its warnings and the host's decisions into events.
pub(crate) struct CallObserver {
    pub(crate) session: Arc<Session>,
    pub(crate) call: String,
    /// `id@version`.
    pub(crate) plugin: String,
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
        let audit = audit(&self.call, &self.plugin, record);
        // A log that cannot be written stops the turn itself, at its next step.
        let _the_turn_stops = self.session.record(Event::Audit { audit });
    }
}

/// A decision of the runtime as an entry of the log.
pub(crate) fn audit(call: &str, plugin: &str, record: &AuditRecord) -> Audit {
    let (verdict, detail, status) = match &record.verdict {
        Verdict::Allowed => (AuditVerdict::Allowed, None, None),
        Verdict::Answered(status) => (AuditVerdict::Allowed, None, Some(*status)),
        Verdict::Denied(text) => (AuditVerdict::Denied, Some(text.clone()), None),
        Verdict::Limited(text) => (AuditVerdict::Limited, Some(text.clone()), None),
        Verdict::Failed(text) => (AuditVerdict::Failed, Some(text.clone()), None),
    };
    Audit {
        call: call.to_owned(),
        plugin: plugin.to_owned(),
        capability: record.capability.to_owned(),
        target: record.target.clone(),
        rule: record.rule.clone(),
        verdict,
        detail,
        status,
        sent_bytes: record.sent_bytes,
        received_bytes: record.received_bytes,
    }
}
