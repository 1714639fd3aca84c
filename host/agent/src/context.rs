//! How full the model's context is, and what of a conversation may be left out.

use crate::message::{CallResult, Message, Part, Role};
use crate::ports::Tool;
use crate::state::State;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Tokens that a conversation may have in a model of whatever size: beyond this, models forget what stands in the
/// middle, and every call costs more than a summary.
const MOST: u64 = 170_000;
/// Tokens of a model's window where neither its service nor the user says.
const WINDOW: u64 = 200_000;
/// Bytes of a token: English has four, code and JSON fewer, so that the estimate errs on the safe side.
const BYTES_A_TOKEN: u64 = 3;
/// Tokens of a picture (1568 at most at Anthropic, 1105 at OpenAI for 1024 by 1024).
const PICTURE: u64 = 1500;
/// Tokens that a message has beside its content.
const AROUND: u64 = 8;
/// What a conversation grows by before it is cut again, as a part of the limit.
const GROWTH: u64 = 4;
/// Bytes of a person's words, of all facts, and of one line of them, in what stands for left-out messages.
const WORDS: usize = 8 << 10;
const FACTS: usize = 24 << 10;
const LINE: usize = 240;
/// Lines of one kind of facts.
const LINES: usize = 60;

/// What is known of the conversation's size.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Tokens up to the last reply of the model, which its service counted.
    counted: u64,
    /// An estimate of what came after.
    since: u64,
    /// What the service counted last.
    reported: u64,
    /// What it counted first after the last cut, which no further cut goes below.
    floor: u64,
    /// Whether that is still to come.
    cut: bool,
    /// The person's first message, as it was before a summary was put behind it.
    task: Option<Arc<Message>>,
    /// What they said later, of the messages that were left out.
    said: Vec<String>,
}

impl Context {
    /// Tokens of the next request, more or less.
    pub fn tokens(&self) -> u64 {
        self.counted.saturating_add(self.since)
    }

    /// The service counted a model call.
    pub(crate) fn report(&mut self, tokens: u64) {
        self.reported = tokens;
    }

    /// A message joined the conversation.
    pub(crate) fn add(&mut self, message: &Message) {
        let counted = message.role == Role::Assistant && self.reported > 0;
        if counted {
            (self.counted, self.since) = (self.reported, 0);
            if std::mem::take(&mut self.cut) {
                self.floor = self.counted;
            }
        } else {
            self.since = self.since.saturating_add(tokens(message));
        }
        self.reported = 0;
    }

    /// The conversation is another one.
    fn reset(&mut self, tokens: u64) {
        (self.counted, self.since) = (tokens, 0);
        self.cut = true;
    }

    /// Whether the conversation is longer than it may be, and has grown since it was last cut: where the system prompt
    /// and the tools alone are too much, a cut in every round would cost a model call each and change nothing.
    pub(crate) fn is_over(&self, limit: u64) -> bool {
        self.tokens() > limit.max(self.floor.saturating_add(limit / GROWTH))
    }
}

/// Tokens that a conversation may have before it is shortened.
pub(crate) fn limit(window: Option<u64>) -> u64 {
    MOST.min(window.unwrap_or(WINDOW).saturating_mul(9) / 10)
}

/// An estimate, from the length of the text.
fn tokens(message: &Message) -> u64 {
    let text = |text: &str| text.len() as u64 / BYTES_A_TOKEN;
    let of = |part: &Part| match part {
        Part::Text { text: words } => text(words),
        Part::Image { .. } => PICTURE,
        Part::Reasoning {
            text: words,
            opaque,
            ..
        } => text(words) + opaque.as_deref().map_or(0, text),
        Part::Call(call) => text(&call.name) + text(&call.arguments) + AROUND,
        Part::Result(result) => {
            text(&result.content) + result.images.len() as u64 * PICTURE + AROUND
        }
    };
    message.parts.iter().map(of).sum::<u64>() + AROUND
}

fn sum(messages: &[Arc<Message>]) -> u64 {
    messages.iter().map(|message| tokens(message)).sum()
}

/// Position of the person's first message.
fn task(messages: &[Arc<Message>]) -> Option<usize> {
    messages
        .iter()
        .position(|message| message.role == Role::User)
}

/// Where a conversation is cut so that about `keep` tokens stay: at a message of the model, so that no call is parted
/// from its result, and never within the last round. `None` where there is nothing to leave out.
pub(crate) fn cut(messages: &[Arc<Message>], keep: u64) -> Option<usize> {
    let first = task(messages)? + 2;
    let mut kept = 0;
    let mut at = None;
    for (index, message) in messages.iter().enumerate().skip(first).rev() {
        kept += tokens(message);
        if at.is_some() && kept > keep {
            break;
        }
        if message.role == Role::Assistant {
            at = Some(index);
        }
    }
    at
}

/// Whether a result is longer than this.
pub(crate) fn has_longer(messages: &[Arc<Message>], bytes: usize) -> bool {
    let mut parts = messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part, Part::Result(result) if result.content.len() > bytes))
}

impl State {
    /// Leaves out the messages before `at`, but for the system prompt and the first words of the person, behind which
    /// `summary` stands for them; shortens results that have more than `longest` bytes.
    pub(crate) fn compact(
        &mut self,
        at: Option<u64>,
        summary: &str,
        longest: Option<u64>,
        after: u64,
    ) {
        let Some(first) = task(&self.messages) else {
            return;
        };
        let cut = at.and_then(|at| usize::try_from(at).ok());
        if let Some(cut) = cut.filter(|cut| (first + 2..self.messages.len()).contains(cut)) {
            let own = self
                .context
                .task
                .get_or_insert_with(|| self.messages[first].clone());
            let mut task = Message::clone(own);
            task.parts.push(Part::Text {
                text: summary.to_owned(),
            });
            let said = words(&self.messages[..cut]);
            self.context.said.extend(said);
            let begin = std::iter::once(Arc::new(task));
            self.messages.splice(first..cut, begin);
        }
        if let Some(longest) = longest.and_then(|bytes| usize::try_from(bytes).ok()) {
            self.messages
                .iter_mut()
                .for_each(|message| shorten_results(message, longest));
        }
        self.generation += 1;
        self.context.reset(after);
    }

    /// Tokens of the conversation once it is cut like this: the estimate, by the measure of the whole.
    pub(crate) fn tokens_after(
        &self,
        cut: Option<usize>,
        summary: &str,
        longest: Option<usize>,
    ) -> u64 {
        let mut shorter = Self {
            messages: self.messages.clone(),
            context: self.context.clone(),
            ..Self::default()
        };
        shorter.compact(
            cut.map(|at| at as u64),
            summary,
            longest.map(|bytes| bytes as u64),
            0,
        );
        let (before, after) = (sum(&self.messages).max(1), sum(&shorter.messages));
        // What the service counts beside the messages, the tools above all, is in every request.
        let share = u128::from(self.context.tokens()) * u128::from(after) / u128::from(before);
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

fn shorten_results(message: &mut Arc<Message>, longest: usize) {
    if !has_longer(std::slice::from_ref(message), longest) {
        return;
    }
    let message = Arc::make_mut(message);
    for part in &mut message.parts {
        if let Part::Result(result) = part {
            shorten(result, longest);
        }
    }
}

/// Keeps the beginning and the end.
fn shorten(result: &mut CallResult, longest: usize) {
    let text = &result.content;
    if text.len() <= longest {
        return;
    }
    let half = longest / 2;
    let (head, tail) = (
        text.floor_char_boundary(half),
        text.ceil_char_boundary(text.len() - half),
    );
    let left_out = tail - head;
    result.content = format!(
        "{}\n[… {left_out} bytes were left out to make room; call the tool again for what you need of them …]\n{}",
        &text[..head],
        &text[tail..]
    );
    result.images.clear();
}

/// What the host knows by itself of the messages before `cut`, whatever a model makes of them: the person's words, the
/// plan, jobs, files that were written, and, where `calls` are wanted, what was called.
pub(crate) fn facts(state: &State, cut: usize, tools: &[Tool], calls: bool) -> String {
    let left_out = state.messages.get(..cut).unwrap_or_default();
    let mut text = String::new();
    let mut section = |title: &str, lines: Vec<String>| {
        let skipped = lines.len().saturating_sub(LINES);
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}:\n"));
        }
        if skipped > 0 {
            text.push_str(&format!("- ({skipped} earlier ones are left out)\n"));
        }
        for line in &lines[skipped..] {
            text.push_str(&format!("- {line}\n"));
        }
    };
    let said = state.context.said.iter().cloned().chain(words(left_out));
    section("What the user said since", said.collect());
    let plan = state
        .plan
        .iter()
        .map(|item| format!("{:?}: {}", item.status, line(&item.content)));
    section("The plan", plan.collect());
    let jobs = state.jobs.values().map(|job| {
        let name = job.name.as_deref().unwrap_or_default();
        line(&format!("{} {name}: {}", job.id, job.state))
    });
    section("Jobs", jobs.collect());
    section("Files that were written", written(left_out, tools));
    if calls {
        section("What was called", called(left_out));
    }
    crate::arguments::shorten(&text, FACTS)
}

fn words(messages: &[Arc<Message>]) -> Vec<String> {
    let own = messages
        .iter()
        .filter(|message| message.role == Role::User && !message.injected);
    // The first of them stays as it is.
    own.skip(1)
        .map(|message| crate::arguments::shorten(&message.plain_text(), WORDS))
        .collect()
}

/// Paths in the arguments of calls that may write files.
fn written(messages: &[Arc<Message>], tools: &[Tool]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let calls = messages.iter().flat_map(|message| message.calls());
    let paths = calls.filter_map(|call| {
        let tool = tools.iter().find(|tool| tool.name == call.name)?;
        let arguments: Value = serde_json::from_str(&call.arguments).ok()?;
        let writes = tool.powers.writes_files && !tool.effects_of(&arguments).read_only;
        let path = arguments.get("path").filter(|_| writes)?.as_str()?;
        Some(line(path))
    });
    paths.filter(|path| seen.insert(path.clone())).collect()
}

fn called(messages: &[Arc<Message>]) -> Vec<String> {
    let calls = messages.iter().flat_map(|message| message.calls());
    calls
        .map(|call| line(&format!("{} {}", call.name, call.arguments)))
        .collect()
}

fn line(text: &str) -> String {
    crate::arguments::shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), LINE)
}
