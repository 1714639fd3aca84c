//! Events for a person at a terminal, or reading a log file later.

use super::clean::{clean, one_line};
use super::feed::Renderer;
use super::format::{cost, duration, edited_diff, summary};
use super::style::Style;
use ml_intern_agent::event::{CallStatus, JobNote, PermissionRequest, TurnEnd, Usage};
use ml_intern_agent::message::{Message, Role};
use ml_intern_agent::plan::{PlanItem, PlanStatus};
use ml_intern_agent::{Event, Stamp};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Characters of a one-line summary.
const SUMMARY: usize = 88;
/// Lines of a failed call's result that are shown.
const ERROR_LINES: usize = 6;
/// Lines of any result that are shown with `--verbose`.
const VERBOSE_LINES: usize = 30;
/// Silence after which a waiting line is shown, in seconds.
const SILENCE: u64 = 1;

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loudness {
    Quiet,
    Normal,
    Verbose,
}

/// Draws to standard error; the final answer goes to standard output, where it can be piped.
pub(crate) struct Text {
    style: Style,
    loudness: Loudness,
    /// Standard error is a terminal: text is shown as it comes, and waiting is shown.
    live: bool,
    /// The cursor stands behind streamed text.
    midline: bool,
    streamed: bool,
    waiting_shown: bool,
    quiet_since: Instant,
    running: BTreeMap<String, (String, Instant)>,
    usage: Usage,
    unpriced: bool,
    began: Instant,
    calls: u32,
}

impl Text {
    pub(crate) fn new(loudness: Loudness) -> Self {
        Self {
            style: Style::stderr(),
            loudness,
            live: std::io::stderr().is_terminal(),
            midline: false,
            streamed: false,
            waiting_shown: false,
            quiet_since: Instant::now(),
            running: BTreeMap::new(),
            usage: Usage::default(),
            unpriced: false,
            began: Instant::now(),
            calls: 0,
        }
    }

    /// For a session that is over: nothing is waited for.
    pub(crate) fn page(loudness: Loudness) -> Self {
        Self {
            live: false,
            ..Self::new(loudness)
        }
    }

    fn line(&mut self, text: &str) {
        if self.loudness == Loudness::Quiet {
            return;
        }
        self.clear_waiting();
        if std::mem::take(&mut self.midline) {
            write_err("\n");
        }
        write_err(&format!("{text}\n"));
    }

    fn clear_waiting(&mut self) {
        self.quiet_since = Instant::now();
        if std::mem::take(&mut self.waiting_shown) {
            write_err("\r\u{1b}[2K");
        }
    }

    fn delta(&mut self, text: &str) {
        if !self.live || self.loudness == Loudness::Quiet {
            return;
        }
        self.clear_waiting();
        let text = clean(text);
        self.midline = !text.ends_with('\n');
        self.streamed = true;
        write_err(&text);
    }

    fn message(&mut self, message: &Message) {
        let streamed = std::mem::take(&mut self.streamed);
        if message.role != Role::Assistant || message.calls().next().is_none() {
            return;
        }
        let text = message.plain_text();
        if !text.is_empty() && !streamed {
            self.line(&clean(&text));
        }
    }

    fn started(&mut self, call: &str, tool: &str, arguments: &serde_json::Value) {
        let what = format!(
            "{} {}",
            self.style.bold(&one_line(tool, 64)),
            summary(arguments, SUMMARY)
        );
        self.running.insert(call.to_owned(), (what, Instant::now()));
    }

    fn finished(&mut self, call: &str, status: CallStatus, content: &str, ms: u64) {
        self.calls += 1;
        let (what, _) = self
            .running
            .remove(call)
            .unwrap_or_else(|| (one_line(call, 64), Instant::now()));
        let mark = match status {
            CallStatus::Ok => self.style.green("✓"),
            CallStatus::Cancelled | CallStatus::Interrupted => self.style.yellow("■"),
            _ => self.style.red("✗"),
        };
        let time = self.style.dim(&duration(ms));
        self.line(&format!("{mark} {what}  {time}"));
        let diff = edited_diff(content, self.style);
        let shown = match (status, self.loudness) {
            (_, Loudness::Verbose) => VERBOSE_LINES,
            (CallStatus::Ok, _) => 0,
            _ => ERROR_LINES,
        };
        for line in &diff {
            self.line(&format!("    {line}"));
        }
        if diff.is_empty() {
            self.excerpt(content, shown);
        }
    }

    fn excerpt(&mut self, content: &str, lines: usize) {
        let content = clean(content);
        for line in content.lines().take(lines) {
            let line = self.style.dim(&one_line(line, 160));
            self.line(&format!("    {line}"));
        }
    }

    fn plan(&mut self, items: &[PlanItem]) {
        self.line(&self.style.bold("plan"));
        for item in items {
            let text = one_line(&item.content, SUMMARY);
            let line = match item.status {
                PlanStatus::Completed => self.style.dim(&format!("  ✓ {text}")),
                PlanStatus::InProgress => self.style.cyan(&format!("  ▸ {text}")),
                PlanStatus::Pending => format!("  ○ {text}"),
            };
            self.line(&line);
        }
    }

    fn job(&mut self, word: &str, job: &JobNote) {
        let name = job.name.as_deref().unwrap_or_default();
        let mut text = format!("job {} {name} {word}", job.id);
        if let Some(message) = &job.message {
            text = format!("{text}: {message}");
        }
        self.line(&self.style.cyan(&one_line(&text, 160)));
    }

    fn permission(&mut self, request: &PermissionRequest) {
        let detail = summary(&request.detail, 400);
        let line = format!("? {} wants {}: {detail}", request.plugin, request.summary);
        self.line(&self.style.yellow(&one_line(&line, 600)));
    }

    fn end(&mut self, reason: TurnEnd, iterations: u32) {
        let word = match reason {
            TurnEnd::Done => self.style.green("done"),
            TurnEnd::Iterations => self.style.yellow("stopped at the iteration cap"),
            TurnEnd::Time => self.style.yellow("stopped at the time limit"),
            TurnEnd::Budget => self.style.yellow("stopped at the budget"),
            TurnEnd::Interrupted => self.style.yellow("interrupted"),
            TurnEnd::Error => self.style.red("failed"),
        };
        let usage = self.usage;
        let price = match (usage.cost_usd, self.unpriced) {
            (Some(known), true) => format!("{} and calls of unknown price", cost(Some(known))),
            (known, _) => cost(known),
        };
        let line = format!(
            "{word} in {} · {iterations} model calls, {} tool calls · {} tokens in, {} out · {price}",
            duration(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)),
            self.calls,
            usage.input,
            usage.output,
        );
        self.line(&line);
    }

    fn count(&mut self, usage: &Usage) {
        self.usage.input += usage.input;
        self.usage.output += usage.output;
        match usage.cost_usd {
            Some(cost) => *self.usage.cost_usd.get_or_insert(0.0) += cost,
            None => self.unpriced = true,
        }
    }
}

impl Renderer for Text {
    fn event(&mut self, _stamp: Stamp, event: &Event) {
        match event {
            Event::TextDelta { text } => self.delta(text),
            Event::ReasoningDelta { text } if self.loudness == Loudness::Verbose => {
                self.delta(text)
            }
            Event::Message { message } => self.message(message),
            Event::ToolStarted {
                call,
                tool,
                arguments,
                ..
            } => self.started(call, tool, arguments),
            Event::ToolLog { text, .. } => {
                let text = self.style.dim(&one_line(text, 160));
                self.line(&format!("  │ {text}"));
            }
            Event::ToolFinished {
                call,
                status,
                content,
                ms,
                ..
            } => self.finished(call, *status, content, *ms),
            Event::Plan { items } => self.plan(items),
            Event::JobStarted { job } => self.job("submitted", job),
            Event::JobUpdated { job } | Event::JobFinished { job } => self.job(&job.state, job),
            Event::PermissionRequested { request } => self.permission(request),
            Event::Usage { usage } => self.count(usage),
            Event::Notice { text, .. } => {
                self.line(&self.style.yellow(&format!("! {}", one_line(text, 600))))
            }
            Event::Error { message, .. } => {
                self.line(&format!("{} {}", self.style.red("error:"), clean(message)))
            }
            Event::TurnFinished {
                reason, iterations, ..
            } => self.end(*reason, *iterations),
            _ => {}
        }
    }

    fn tick(&mut self) {
        let silent = self.quiet_since.elapsed().as_secs();
        if !self.live || self.midline || silent < SILENCE || self.loudness == Loudness::Quiet {
            return;
        }
        let longest = self.running.values().min_by_key(|(_, since)| *since);
        let what = match longest {
            Some((what, since)) => format!("{what}  {} s", since.elapsed().as_secs()),
            None => format!("waiting for the model  {silent} s"),
        };
        self.waiting_shown = true;
        write_err(&format!(
            "\r\u{1b}[2K{}",
            self.style.dim(&format!("… {what}"))
        ));
    }

    fn finish(&mut self) {
        self.clear_waiting();
        if std::mem::take(&mut self.midline) {
            write_err("\n");
        }
    }
}

fn write_err(text: &str) {
    // There is nobody left to tell about a closed standard error.
    let _closed = std::io::stderr().lock().write_all(text.as_bytes());
}
