//! The state of a session, as a fold over its events.

use crate::advice::CONTINUATION;
use crate::answer::{Expected, REPAIR};
use crate::approval::Rule;
use crate::context::Context;
use crate::effort::Efforts;
use crate::event::{CallStatus, Event, JobNote, Limits, Stamp, TurnEnd, Usage};
use crate::ledger::{Ledger, Rate};
use crate::message::{Call, CallResult, Image, Message, Part, Role};
use crate::plan::PlanItem;
use crate::repetition::{Recent, Signature};
use crate::reply::EMPTY;
use crate::undo::Turns;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Characters of a tool's name, see [`tool_name`].
const NAME_LENGTH: usize = 64;
/// Characters of a session's title.
const TITLE_LENGTH: usize = 80;

/// A call of the last assistant message.
#[derive(Clone, Debug)]
pub struct OpenCall {
    /// The host's id: `c<seq of the message>.<index>`. Calls that a tool makes have `/` and a number behind its own.
    pub id: String,
    /// Place of its message in the log.
    pub message: u64,
    /// As the model made it.
    pub call: Call,
    /// `Some(repeatable)` once it has started.
    pub started: Option<bool>,
    /// Its result, once it has one.
    pub result: Option<CallResult>,
    /// Whether it was ended from outside: then the result says nothing about the call.
    pub broken_off: bool,
    /// Whether it may have changed something.
    pub touched: bool,
    /// The question whose answer it waits for, before it has changed anything.
    pub waiting: Option<String>,
}

/// Everything that later steps depend on.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// `provider/model`.
    pub model: String,
    /// Absolute path of the workspace.
    pub workspace: String,
    /// The conversation, without the results of a reply that still has open calls.
    pub messages: Vec<Arc<Message>>,
    /// How large it is.
    pub context: Context,
    /// Changes when earlier messages were rewritten.
    pub generation: u64,
    /// Calls of the last reply until all have a result.
    pub open: Vec<OpenCall>,
    /// The plan.
    pub plan: Vec<PlanItem>,
    /// Sum over all model calls; `cost_usd` over those whose price is known.
    pub usage: Usage,
    /// Model calls whose price is unknown.
    pub unpriced: u32,
    /// What the newest process holds the session to, where it said so.
    pub limits: Option<Limits>,
    /// What the session costs.
    pub ledger: Ledger,
    /// What its next model call will cost.
    pub rate: Rate,
    /// Number of the current or last turn, from 1.
    pub turn: u32,
    /// The current turn's number of model calls.
    pub iterations: u32,
    /// When the current turn began, in milliseconds since the Unix epoch.
    pub turn_started_ms: u64,
    /// Whether a turn is under way.
    pub turn_open: bool,
    /// How the last turn ended.
    pub ended: Option<TurnEnd>,
    /// The last turn's final answer.
    pub answer: Option<String>,
    /// The last turn's error: its kind and its words.
    pub error: Option<(String, String)>,
    /// Whether a permission of this turn was denied because nobody was there to ask.
    pub blocked: bool,
    /// Rules that a person asked to keep for the session.
    pub remembered: Vec<Rule>,
    /// Jobs of the session by id.
    pub jobs: BTreeMap<String, JobNote>,
    /// The newest malformed calls: tool and how many in a row.
    pub malformed: Option<(String, u32)>,
    /// How often the model was sent back to its plan since it last called a tool.
    pub held: u32,
    /// What the model did since a person last spoke.
    pub recent: Recent,
    /// First words of the first turn.
    pub title: String,
    /// What a person said while the current turn was under way, and the conversation does not have yet.
    pub queued: Vec<String>,
    /// Pictures that belong to their next words.
    pub attached: Vec<Image>,
    /// The last turns, and what was before them.
    pub turns: Turns,
    /// How hard the models are asked to think.
    pub efforts: Efforts,
    /// What the final answers have to satisfy.
    pub answers: Option<Arc<Expected>>,
    /// How often the model was sent back because its answer did not, since a person last spoke.
    pub repaired: u32,
    /// What the ids of calls begin with: nothing, or `c5.0/1/` for an agent that call `c5.0` started.
    pub within: String,
}

impl State {
    /// Applies one event. Never fails: what does not fit changes nothing.
    pub fn apply(&mut self, event: &Event, stamp: Stamp) {
        self.follow_open_calls(event);
        match event {
            Event::SessionStarted {
                model,
                workspace,
                limits,
                ..
            } => {
                self.limits = *limits;
                self.model.clone_from(model);
                self.workspace.clone_from(workspace);
            }
            Event::SessionResumed { model, limits, .. } => {
                self.limits = *limits;
                self.resume(model, stamp);
            }
            Event::SessionRenamed { title } => self.title = first_words(title),
            Event::TurnStarted { turn, input } => self.start_turn(*turn, input, stamp),
            Event::InputQueued { text } => self.queued.push(text.clone()),
            Event::InputTaken {} => self.take_input(),
            Event::InputAttached { images } => self.attached.extend(images.iter().cloned()),
            Event::TurnUndone { turn, .. } => self.undo(*turn),
            Event::FileChanged { change } => self.turns.changed(change),
            Event::Message { message } => self.add(message, stamp),
            Event::ToolStarted {
                call,
                index,
                repeatable,
                ..
            } => {
                if let Some(open) = self.open_call(call, *index) {
                    open.started = Some(*repeatable);
                }
            }
            Event::ToolFinished {
                call,
                index,
                status,
                tool,
                content,
                images,
                ..
            } => {
                if self.open_call(call, *index).is_some() {
                    self.finish_call(*index, *status, tool, content, images);
                }
            }
            Event::PermissionResolved { by, remembered, .. } => {
                self.blocked |= by == "nobody";
                self.remembered.extend(remembered.clone());
            }
            Event::Repetition { repetition } => self.recent.tell(repetition.step),
            Event::Plan { items } => self.plan.clone_from(items),
            Event::JobStarted { job } | Event::JobUpdated { job } | Event::JobFinished { job } => {
                self.jobs.insert(job.id.clone(), job.clone());
                self.ledger.job(job);
            }
            Event::BudgetReserved { id, usd, .. } => self.ledger.reserve(id, *usd),
            Event::BudgetSettled { id, usd } => self.ledger.settle(id, *usd),
            Event::BudgetRaised { cap_usd } => self.ledger.raise(*cap_usd),
            Event::BudgetWarned { threshold_usd, .. } => match threshold_usd {
                Some(threshold) => self.ledger.warned(*threshold),
                None => self.ledger.warned_of_cap(),
            },
            Event::Usage { usage } => self.add_usage(usage),
            Event::EffortWanted { effort } => self.efforts.want(effort.clone()),
            Event::EffortRefused { model, instead, .. } => {
                self.efforts.refused(model, instead.clone());
            }
            Event::ReasoningDropped { .. } => self.drop_reasoning(),
            Event::AnswerExpected { schema } => {
                self.answers = schema
                    .as_ref()
                    .map(|schema| Arc::new(Expected::new(schema)));
            }
            Event::Compacted {
                at,
                longest,
                summary,
                after,
                ..
            } => self.compact(*at, summary, *longest, *after),
            Event::TurnFinished {
                reason, message, ..
            } => {
                self.turn_open = false;
                self.ended = Some(*reason);
                self.answer.clone_from(message);
                // A process that stopped between a failure and the end of its turn left the turn to another one.
                self.error.take_if(|_| *reason != TurnEnd::Error);
            }
            Event::Notice { code, .. } => {
                self.held += u32::from(code == CONTINUATION);
                self.repaired += u32::from(code == REPAIR);
                // A model call like any other, though there is no message of it.
                self.iterations += u32::from(code == EMPTY);
            }
            Event::Error { kind, message } => self.error = Some((kind.clone(), message.clone())),
            Event::ToolLog { .. }
            | Event::ToolWaiting { .. }
            | Event::Audit { .. }
            | Event::SessionForked { .. }
            | Event::PermissionRequested { .. }
            | Event::TextDelta { .. }
            | Event::CallDelta { .. }
            | Event::ReasoningDelta { .. } => {}
        }
    }

    /// Notes which open calls have changed something, and which wait for a person before they do.
    fn follow_open_calls(&mut self, event: &Event) {
        if self.open.is_empty() {
            return;
        }
        let within = |open: &OpenCall, call: &str| {
            let rest = call.strip_prefix(open.id.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        for open in &mut self.open {
            match event {
                Event::FileChanged { change } if within(open, &change.call) => open.touched = true,
                Event::Audit { audit } if within(open, &audit.call) => {
                    open.touched |= audit.may_have_changed_something();
                }
                // A call within it.
                Event::ToolStarted { call, .. } if within(open, call) => {
                    open.touched |= *call != open.id;
                }
                Event::PermissionRequested { request } if request.call == open.id => {
                    open.waiting = (!open.touched).then(|| request.id.clone());
                }
                Event::PermissionResolved { id, .. } if open.waiting.as_ref() == Some(id) => {
                    open.waiting = None;
                }
                _ => {}
            }
        }
    }

    /// Whether a call of the model is one that it makes again and again, and that is not run any more.
    pub(crate) fn bars(&self, open: &OpenCall) -> bool {
        let own = self.open.iter().any(|one| one.id == open.id);
        own && self.recent.is_barred(&open.call.name, &open.call.arguments)
    }

    /// The time limit counts from here: nobody worked while no process ran.
    fn resume(&mut self, model: &str, stamp: Stamp) {
        model.clone_into(&mut self.model);
        self.turn_started_ms = stamp.ms;
        self.ledger.resume();
        if !self.turn_open {
            self.iterations = 0;
        }
    }

    fn start_turn(&mut self, turn: u32, input: &str, stamp: Stamp) {
        self.mark(turn);
        self.turn = turn;
        self.iterations = 0;
        self.turn_started_ms = stamp.ms;
        self.turn_open = true;
        self.ended = None;
        self.answer = None;
        self.error = None;
        self.blocked = false;
        // What waited is in the words that the turn starts with.
        self.queued.clear();
        if self.title.is_empty() {
            self.title = first_words(input);
        }
        self.hear(input);
    }

    fn take_input(&mut self) {
        if !self.queued.is_empty() {
            let words = std::mem::take(&mut self.queued).join("\n\n");
            self.hear(&words);
        }
    }

    /// A person speaks: what the model did before says nothing about what it will do now.
    fn hear(&mut self, words: &str) {
        self.forget_habits();
        let mut message = Message::text(Role::User, words);
        let images = std::mem::take(&mut self.attached).into_iter();
        message.parts.extend(images.map(|image| Part::Image {
            media_type: image.media_type,
            base64: image.base64,
        }));
        self.push(message);
    }

    pub(crate) fn forget_habits(&mut self) {
        self.malformed = None;
        self.held = 0;
        self.repaired = 0;
        self.recent = Recent::default();
    }

    fn add(&mut self, message: &Message, stamp: Stamp) {
        if message.role == Role::Assistant {
            self.iterations += 1;
            self.rate.answered();
            if message.calls().next().is_some() {
                self.held = 0;
            }
            let calls = message.calls().enumerate();
            self.open = calls
                .map(|(index, call)| OpenCall {
                    id: format!("{}c{}.{index}", self.within, stamp.seq),
                    message: stamp.seq,
                    call: call.clone(),
                    started: None,
                    result: None,
                    broken_off: false,
                    touched: false,
                    waiting: None,
                })
                .collect();
        }
        self.push(sendable(message));
    }

    /// Two messages of one person in a row become one: providers refuse conversations that do not alternate.
    fn push(&mut self, message: Message) {
        self.context.add(&message);
        match self.messages.last_mut() {
            Some(last) if last.role == Role::User && message.role == Role::User => {
                let mut merged = Message::clone(last);
                merged.parts.extend(message.parts);
                merged.injected &= message.injected;
                *last = Arc::new(merged);
                self.generation += 1;
            }
            _ => self.messages.push(Arc::new(message)),
        }
    }

    /// The open call of this id. A call that a tool made is none: its result goes to that tool.
    fn open_call(&mut self, call: &str, index: u32) -> Option<&mut OpenCall> {
        let open = self.open.get_mut(index as usize);
        open.filter(|open| open.id == call)
    }

    fn finish_call(
        &mut self,
        index: u32,
        status: CallStatus,
        tool: &str,
        content: &str,
        images: &[Image],
    ) {
        self.malformed = match (status, self.malformed.take()) {
            (CallStatus::Malformed, Some((name, count))) if name == tool => Some((name, count + 1)),
            (CallStatus::Malformed, _) => Some((tool.to_owned(), 1)),
            _ => None,
        };
        let Some(open) = self.open.get_mut(index as usize) else {
            return;
        };
        open.result = Some(CallResult {
            call_id: open.call.id.clone(),
            content: content.to_owned(),
            images: images.to_vec(),
            is_error: status != CallStatus::Ok,
        });
        open.broken_off = matches!(status, CallStatus::Interrupted | CallStatus::Cancelled);
        if self.open.iter().all(|open| open.result.is_some()) {
            self.recent.add(self.open.iter().map(|open| {
                let result = match &open.result {
                    Some(result) if !open.broken_off => &result.content,
                    // Each is another one: that it is tried again is what anybody would do.
                    _ => &open.id,
                };
                Signature::new(&open.call.name, &open.call.arguments, result)
            }));
            let results = self.open.drain(..).filter_map(|open| open.result);
            let parts = results.map(Part::Result).collect();
            self.push(Message {
                role: Role::Tool,
                parts,
                injected: false,
            });
        }
    }

    fn drop_reasoning(&mut self) {
        self.messages = without_reasoning(&self.messages).0;
        self.generation += 1;
    }

    fn add_usage(&mut self, usage: &Usage) {
        self.context
            .report(usage.input.saturating_add(usage.output));
        // A provider's word: two of the largest number must not become a small one.
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.usage.input, usage.input);
        add(&mut self.usage.output, usage.output);
        add(&mut self.usage.cache_read, usage.cache_read);
        add(&mut self.usage.cache_write, usage.cache_write);
        add(&mut self.usage.reasoning, usage.reasoning);
        match usage.cost_usd {
            Some(cost) => {
                let sum = self.usage.cost_usd.get_or_insert_default();
                *sum = sum.plus(cost);
            }
            None => self.unpriced += 1,
        }
        self.ledger.model_call(usage);
        self.rate.model_call(usage);
    }
}

/// The conversation without the models' reasoning, and how many pieces of it there were.
pub(crate) fn without_reasoning(messages: &[Arc<Message>]) -> (Vec<Arc<Message>>, u64) {
    let is_reasoning = |part: &Part| matches!(part, Part::Reasoning { .. });
    let mut pieces = 0;
    let stripped = messages.iter().map(|message| {
        let found = message
            .parts
            .iter()
            .filter(|part| is_reasoning(part))
            .count();
        if found == 0 {
            return message.clone();
        }
        pieces += found as u64;
        let mut message = Message::clone(message);
        message.parts.retain(|part| !is_reasoning(part));
        Arc::new(message)
    });
    (stripped.collect(), pieces)
}

/// As much as a list shows of it.
fn first_words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(TITLE_LENGTH).collect()
}

/// The message as it may be sent back: servers refuse a whole conversation for one call whose arguments are not a
/// JSON object, or whose name is none. The log keeps the model's own text.
fn sendable(message: &Message) -> Message {
    let parts = message.parts.iter().cloned().map(|part| match part {
        Part::Call(mut call) => {
            if !is_object(&call.arguments) {
                call.arguments = "{}".into();
            }
            call.name = tool_name(&call.name);
            Part::Call(call)
        }
        part => part,
    });
    Message {
        role: message.role,
        parts: parts.collect(),
        injected: message.injected,
    }
}

/// The name as it is where it can be one: 1 to 64 ASCII letters, digits, `_` and `-` (OpenAI's and Anthropic's rule).
fn tool_name(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = name.chars().take(NAME_LENGTH);
    let name = name
        .map(|c| if kept(c) { c } else { '_' })
        .collect::<String>();
    if name.is_empty() { "_".into() } else { name }
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<BTreeMap<String, serde::de::IgnoredAny>>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_of_tokens_twice_is_still_the_largest() {
        let usage = Usage {
            input: u64::MAX,
            ..Usage::default()
        };
        let mut state = State::default();
        for seq in 1..=2 {
            state.apply(&Event::Usage { usage }, Stamp { seq, ms: 0 });
        }
        assert_eq!(state.usage.input, u64::MAX);
    }

    #[test]
    fn what_a_tool_calls_is_no_open_call_of_the_conversation() {
        let mut state = State::default();
        let call = Call {
            id: "x".into(),
            name: "outer".into(),
            arguments: "{}".into(),
        };
        let mut message = Message::text(Role::Assistant, "");
        message.parts = vec![Part::Call(call)];
        state.apply(&Event::Message { message }, Stamp { seq: 5, ms: 1 });
        let finished = |call: &str| Event::ToolFinished {
            call: call.into(),
            index: 0,
            tool: "inner".into(),
            status: CallStatus::Malformed,
            content: String::new(),
            images: Vec::new(),
            ms: 0,
        };
        state.apply(&finished("c5.0/1"), Stamp { seq: 6, ms: 1 });
        assert!(state.open[0].result.is_none() && state.malformed.is_none());
        state.apply(&finished("c5.0"), Stamp { seq: 7, ms: 1 });
        assert!(state.open.is_empty() && state.malformed.is_some());
    }
}
