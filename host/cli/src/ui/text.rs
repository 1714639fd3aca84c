//! Events for a person at a terminal, or reading a log file later.

use super::audit::audit_line;
use super::clean::{clean, cut, log_line, one_line};
use super::feed::{Renderer, Urgency};
use super::format::{cost, duration, edited_diff, summary};
use super::question::{CHOICES, question, resolution};
use super::secret::known;
use super::style::Style;
use ml_intern_agent::approval::Decision;
use ml_intern_agent::event::{
    Audit, CallStatus, JobNote, KeptFile, PermissionRequest, TurnEnd, Usage,
};
use ml_intern_agent::message::{Message, Role};
use ml_intern_agent::plan::{PlanItem, PlanStatus};
use ml_intern_agent::{Event, Stamp};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Characters of a one-line summary.
const SUMMARY: usize = 88;
/// Lines of a failed call's result that are shown.
const ERROR_LINES: usize = 6;
/// Lines of any result that are shown with `--verbose`.
const VERBOSE_LINES: usize = 30;
/// Lines of a running call's output that are shown without `--verbose`.
const LOG_LINES: usize = 20;
/// Characters of a line of output.
const LOG_WIDTH: usize = 160;
/// Width of a terminal that does not tell.
const COLUMNS: usize = 80;
/// Where the person's words are typed.
const WORDS: &str = "> ";
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
    /// Standard error is a terminal: text is shown as it comes.
    live: bool,
    /// The terminal can take a line back, so waiting is shown.
    waits: bool,
    /// Nobody prints the answer elsewhere.
    answers: bool,
    /// The person at this terminal answers questions.
    asks: bool,
    /// What is asked, oldest first; only that one is drawn.
    open: VecDeque<PermissionRequest>,
    /// The person's words are waited for.
    idle: bool,
    /// The cursor stands behind streamed text.
    midline: bool,
    streamed: bool,
    waiting_shown: bool,
    quiet_since: Instant,
    running: BTreeMap<String, Running>,
    usage: Usage,
    unpriced: bool,
    began_ms: u64,
    calls: u32,
    /// The call that the model is writing: its tool, and bytes so far.
    writing: Option<(String, usize)>,
}

/// A call under way.
struct Running {
    tool: String,
    summary: String,
    since: Instant,
    log_lines: usize,
}

impl Text {
    /// `asks`: the person at this terminal is asked for permissions.
    pub(crate) fn new(loudness: Loudness, asks: bool) -> Self {
        let live = std::io::stderr().is_terminal();
        Self {
            style: Style::stderr(),
            loudness,
            live,
            waits: live && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            answers: live && std::io::stdout().is_terminal(),
            asks,
            open: VecDeque::new(),
            idle: false,
            midline: false,
            streamed: false,
            waiting_shown: false,
            quiet_since: Instant::now(),
            running: BTreeMap::new(),
            usage: Usage::default(),
            unpriced: false,
            began_ms: 0,
            calls: 0,
            writing: None,
        }
    }

    /// For a session that is over: nothing is waited for.
    pub(crate) fn page(loudness: Loudness) -> Self {
        Self {
            live: false,
            waits: false,
            answers: true,
            ..Self::new(loudness, false)
        }
    }

    fn line(&mut self, text: &str) {
        if self.loudness != Loudness::Quiet {
            self.put(text);
        }
    }

    /// A line that is shown however quiet we are to be.
    fn put(&mut self, text: &str) {
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
        let answer = message.calls().next().is_none();
        if message.role != Role::Assistant || (answer && !self.answers) {
            return;
        }
        let text = message.plain_text();
        if !text.is_empty() && !streamed {
            self.line(&clean(&text));
        }
    }

    fn started(&mut self, call: &str, tool: &str, arguments: &serde_json::Value) {
        let running = Running {
            tool: one_line(tool, 64),
            summary: summary(arguments, SUMMARY),
            since: Instant::now(),
            log_lines: 0,
        };
        self.running.insert(call.to_owned(), running);
    }

    fn audit(&mut self, audit: &Audit) {
        let line = log_line(&audit_line(audit), LOG_WIDTH);
        let line = self.style.dim(&line);
        self.line(&format!("  · {line}"));
    }

    fn log(&mut self, call: &str, text: &str) {
        let shown = self.running.get_mut(call).map_or(0, |running| {
            running.log_lines += 1;
            running.log_lines
        });
        let text = match shown {
            _ if self.loudness == Loudness::Verbose => log_line(text, LOG_WIDTH),
            ..=LOG_LINES => log_line(text, LOG_WIDTH),
            _ if shown == LOG_LINES + 1 => "… more; -v shows all".to_owned(),
            _ => return,
        };
        let text = self.style.dim(&text);
        self.line(&format!("{}  │ {text}", indent(call)));
    }

    fn finished(&mut self, call: &str, status: CallStatus, content: &str, ms: u64) {
        self.calls += 1;
        let what = match self.running.remove(call) {
            Some(running) => format!("{} {}", self.style.bold(&running.tool), running.summary),
            None => one_line(call, 64),
        };
        let mark = match status {
            CallStatus::Ok => self.style.green("✓"),
            CallStatus::Cancelled | CallStatus::Interrupted => self.style.yellow("■"),
            _ => self.style.red("✗"),
        };
        let time = self.style.dim(&duration(ms));
        let indent = indent(call);
        self.line(&format!("{indent}{mark} {what}  {time}"));
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
            let line = self.style.dim(&log_line(line, LOG_WIDTH));
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

    /// Draws the question, however quiet we are to be where the answer comes from here: then one at a time.
    fn question(&mut self, request: &PermissionRequest) {
        if !self.asks {
            return self.draw_question(request);
        }
        self.open.push_back(request.clone());
        if self.open.len() == 1 {
            self.draw_question(request);
        }
    }

    fn draw_question(&mut self, request: &PermissionRequest) {
        let outer = request.call.rsplit_once('/').map(|(outer, _)| outer);
        let caller = outer.and_then(|outer| self.caller(outer));
        for line in question(request, caller.as_deref(), self.style) {
            if self.asks {
                self.put(&line);
            } else {
                self.line(&line);
            }
        }
    }

    /// The tool whose call `call` is, or whose agent made it.
    fn caller(&self, call: &str) -> Option<String> {
        let ends = call.rmatch_indices('/').map(|(end, _)| end);
        let mut around = std::iter::once(call.len()).chain(ends);
        let found = around.find_map(|end| self.running.get(&call[..end]));
        found.map(|running| running.tool.clone())
    }

    /// The cursor waits behind the choices, or where words are typed, also after something else was drawn meanwhile.
    fn prompt(&mut self) {
        let waits_for = match self.open.front() {
            Some(_) => CHOICES,
            None if self.idle => WORDS,
            None => return,
        };
        if !self.midline {
            write_err(&self.style.bold(waits_for));
            self.midline = true;
        }
    }

    fn resolved(&mut self, id: &str, decision: Decision, by: &str, feedback: Option<&str>) {
        self.quiet_since = Instant::now();
        let asked = self.open.front().is_some_and(|open| open.id == id);
        self.open.retain(|open| open.id != id);
        if asked && by == "user" {
            // The answer stands behind the choices, and Enter has ended the line.
            self.midline = false;
        } else {
            let line = resolution(decision, by, feedback);
            self.line(&self.style.yellow(&line));
        }
        if let Some(next) = self.open.front().filter(|_| asked).cloned() {
            self.draw_question(&next);
        }
    }

    fn undone(&mut self, turn: u32, restored: &[String], kept: &[KeptFile]) {
        self.line(&self.style.bold(&format!("turn {turn} is taken back")));
        for path in restored {
            self.line(&format!("  ✓ {} is as it was", one_line(path, SUMMARY)));
        }
        for file in kept {
            let line = format!(
                "  ! {} stays: {}",
                one_line(&file.path, SUMMARY),
                one_line(&file.why, SUMMARY)
            );
            self.line(&self.style.yellow(&line));
        }
    }

    fn begin(&mut self, stamp: Stamp) {
        self.began_ms = stamp.ms;
        self.usage = Usage::default();
        self.unpriced = false;
        self.calls = 0;
    }

    fn end(&mut self, stamp: Stamp, reason: TurnEnd, iterations: u32) {
        self.open.clear();
        let word = match reason {
            TurnEnd::Done => self.style.green("done"),
            TurnEnd::Iterations => self.style.yellow("stopped at the iteration cap"),
            TurnEnd::Time => self.style.yellow("stopped at the time limit"),
            TurnEnd::Budget => self.style.yellow("stopped at the budget"),
            TurnEnd::Repetition => self.style.yellow("stopped because it repeated itself"),
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
            duration(stamp.ms.saturating_sub(self.began_ms)),
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
            Some(cost) => {
                let sum = self.usage.cost_usd.get_or_insert_default();
                *sum = sum.plus(cost);
            }
            None => self.unpriced = true,
        }
    }
}

/// What a log file gets a line for; the rest is only counted, or waits for its result.
fn is_drawn(event: &Event) -> bool {
    !matches!(
        event,
        Event::Message { .. }
            | Event::Usage { .. }
            | Event::Audit { .. }
            | Event::ToolStarted { .. }
            | Event::TextDelta { .. }
            | Event::CallDelta { .. }
            | Event::ReasoningDelta { .. }
    )
}

impl Renderer for Text {
    fn event(&mut self, stamp: Stamp, event: &Event) {
        match event {
            Event::SessionResumed { .. } => self.begin(stamp),
            Event::TurnStarted { input, .. } => {
                self.begin(stamp);
                if !self.live && self.answers {
                    let input = clean(input);
                    self.line(&self.style.bold(&format!("> {}", input.trim_end())));
                }
            }
            Event::TextDelta { text } => self.delta(text),
            Event::ReasoningDelta { text } if self.loudness == Loudness::Verbose => {
                self.delta(text)
            }
            Event::CallDelta {
                tool, arguments, ..
            } => match (tool, &mut self.writing) {
                (Some(tool), writing) => *writing = Some((tool.clone(), arguments.len())),
                (None, Some((_, bytes))) => *bytes += arguments.len(),
                (None, None) => {}
            },
            Event::Message { message } => {
                self.writing = None;
                self.message(message);
            }
            Event::ToolStarted {
                call,
                tool,
                arguments,
                ..
            } => self.started(call, tool, arguments),
            Event::ToolLog { call, text, .. } => self.log(call, text),
            // At a terminal the waiting line says it.
            Event::ToolWaiting { call, tool, ms } if !self.waits => {
                let text = format!(
                    "{}… {} goes on  {}",
                    indent(call),
                    one_line(tool, 64),
                    duration(*ms)
                );
                self.line(&self.style.dim(&text));
            }
            Event::ToolFinished {
                call,
                status,
                content,
                ms,
                ..
            } => self.finished(call, *status, content, *ms),
            Event::Audit { audit } if self.loudness == Loudness::Verbose => self.audit(audit),
            Event::Compacted { before, after, .. } => {
                let text = format!("context: {before} → {after} tokens, older messages summed up");
                self.line(&self.style.dim(&text));
            }
            Event::BudgetWarned {
                spent_usd, cap_usd, ..
            } => {
                let of = cap_usd.map_or(String::new(), |cap| format!(" of {cap}"));
                self.line(&self.style.yellow(&format!("! {spent_usd}{of} spent")));
            }
            Event::EffortWanted { effort } => {
                let effort = effort.as_deref().unwrap_or("as the service has it");
                self.line(&self.style.dim(&format!("effort: {}", one_line(effort, 64))));
            }
            Event::EffortRefused {
                effort, instead, ..
            } => {
                let instead = instead.as_deref().unwrap_or("none");
                let text = format!(
                    "! the model does not take the effort {}; it is asked for {} from here on",
                    one_line(effort, 64),
                    one_line(instead, 64)
                );
                self.line(&self.style.yellow(&text));
            }
            Event::ReasoningDropped { pieces, .. } => {
                let text = format!(
                    "! the service does not know its earlier reasoning any more; {pieces} pieces of it are left out"
                );
                self.line(&self.style.yellow(&text));
            }
            Event::BudgetRaised { cap_usd } => {
                self.line(&self.style.yellow(&format!("  the budget is {cap_usd} now")));
            }
            Event::Plan { items } => self.plan(items),
            Event::JobStarted { job } => self.job("submitted", job),
            Event::JobUpdated { job } | Event::JobFinished { job } => self.job(&job.state, job),
            Event::PermissionRequested { request } => self.question(request),
            Event::PermissionResolved {
                id,
                decision,
                by,
                feedback,
                ..
            } => self.resolved(id, *decision, by, feedback.as_deref()),
            Event::InputQueued { .. } if self.asks => {
                // Enter has ended the line.
                self.midline = false;
                self.line(&self.style.dim("  › after the running calls"));
            }
            Event::InputQueued { text } => {
                self.line(&self.style.bold(&format!("> {}", one_line(text, SUMMARY))));
            }
            Event::InputAttached { images } => {
                let text = format!("  + {} pictures", images.len());
                self.line(&self.style.dim(&text));
            }
            Event::TurnUndone {
                turn,
                restored,
                kept,
            } => self.undone(*turn, restored, kept),
            Event::Usage { usage } => self.count(usage),
            Event::Notice { text, .. } => {
                self.line(&self.style.yellow(&format!("! {}", one_line(text, 600))))
            }
            Event::Error { message, .. } => {
                self.line(&format!("{} {}", self.style.red("error:"), clean(message)))
            }
            Event::TurnFinished {
                reason, iterations, ..
            } => self.end(stamp, *reason, *iterations),
            _ => {}
        }
        self.prompt();
    }

    fn urgency(&self) -> Urgency {
        if self.live { |_| true } else { is_drawn }
    }

    fn tick(&mut self) {
        let silent = self.quiet_since.elapsed().as_secs();
        if !self.waits
            || self.idle
            || self.midline
            || silent < SILENCE
            || self.loudness == Loudness::Quiet
        {
            return;
        }
        let longest = self.running.values().min_by_key(|running| running.since);
        let what = match longest {
            Some(running) => {
                let seconds = running.since.elapsed().as_secs();
                format!("… {} {}  {seconds} s", running.tool, running.summary)
            }
            None => match &self.writing {
                Some((tool, bytes)) => {
                    let tool = one_line(tool, 64);
                    format!("… the model writes a call of {tool}, {bytes} bytes  {silent} s")
                }
                None => format!("… waiting for the model  {silent} s"),
            },
        };
        self.waiting_shown = true;
        // A line that wraps could not be taken back.
        let what = cut(&what, columns().saturating_sub(1));
        write_err(&format!("\r\u{1b}[2K{}", self.style.dim(&what)));
    }

    fn idle(&mut self, idle: bool) {
        if !idle && std::mem::take(&mut self.idle) {
            // Enter has ended the line.
            self.midline = false;
        }
        self.idle = idle;
        self.prompt();
    }

    fn finish(&mut self) {
        self.clear_waiting();
        if std::mem::take(&mut self.midline) {
            write_err("\n");
        }
    }
}

/// What stands before a call that a tool made.
fn indent(call: &str) -> &'static str {
    if call.contains('/') { "  " } else { "" }
}

fn columns() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => COLUMNS,
    }
}

fn write_err(text: &str) {
    let text = known(text);
    // There is nobody left to tell about a closed standard error.
    let _closed = std::io::stderr().lock().write_all(text.as_bytes());
}
