//! Events as JSON lines, for programs.

use super::feed::{Renderer, Urgency};
use super::secret::known;
use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::{Event, Stamp};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;

/// One line an event on standard output, as it happens.
pub(crate) struct StreamJson {
    session: String,
    /// More than one turn may follow.
    talk: bool,
}

impl StreamJson {
    pub(crate) fn new(session: String, talk: bool) -> Self {
        Self { session, talk }
    }
}

impl Renderer for StreamJson {
    fn event(&mut self, stamp: Stamp, event: &Event) {
        // The end of the only turn is the `result` line, which is printed when nothing can follow it.
        if matches!(event, Event::TurnFinished { .. }) && !self.talk {
            return;
        }
        let line = ml_intern_trace::render(stamp, Some(&self.session), event);
        let line = match event {
            Event::SessionResumed { .. } => line.replacen("session.resumed", "session.started", 1),
            _ => line,
        };
        let line = known(&line);
        let mut stdout = std::io::stdout().lock();
        // A reader that went away ends the output, not the work.
        let _closed = stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush());
    }
}

/// Shows nothing.
pub(crate) struct Silent;

impl Renderer for Silent {
    fn event(&mut self, _stamp: Stamp, _event: &Event) {}

    fn urgency(&self) -> Urgency {
        |_| false
    }
}

/// The last line of `stream-json`, and the only one of `json`.
#[derive(Serialize)]
struct ResultLine<'a> {
    v: u32,
    r#type: &'static str,
    session: Option<&'a str>,
    seq: u64,
    ts: String,
    reason: TurnEnd,
    exit_code: u8,
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    usage: Usage,
    cost_usd: Option<MicroUsd>,
    iterations: u32,
    artifacts: &'a [String],
}

/// What a run came to.
pub(crate) struct RunResult {
    /// `None` when it failed before there was one.
    pub(crate) session: Option<String>,
    pub(crate) seq: u64,
    pub(crate) reason: TurnEnd,
    pub(crate) exit_code: u8,
    pub(crate) message: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) iterations: u32,
    pub(crate) artifacts: Vec<String>,
}

impl RunResult {
    /// Nothing was begun.
    pub(crate) fn failed(exit_code: u8, error: String) -> Self {
        Self {
            session: None,
            seq: 0,
            reason: TurnEnd::Error,
            exit_code,
            message: None,
            error: Some(error),
            usage: Usage::default(),
            iterations: 0,
            artifacts: Vec::new(),
        }
    }
}

/// The line for a result.
pub(crate) fn result_line(result: &RunResult) -> String {
    let line = ResultLine {
        v: ml_intern_trace::VERSION,
        r#type: "result",
        session: result.session.as_deref(),
        seq: result.seq,
        ts: humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
        reason: result.reason,
        exit_code: result.exit_code,
        message: result.message.as_deref(),
        error: result.error.as_deref(),
        usage: result.usage,
        cost_usd: result.usage.cost_usd,
        iterations: result.iterations,
        artifacts: &result.artifacts,
    };
    // Strings and numbers only: serialising cannot fail.
    serde_json::to_value(line)
        .map_or_else(|error| error.to_string(), |value: Value| value.to_string())
}
