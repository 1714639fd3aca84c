//! The loop: one user message to its final answer.

use crate::approval::Gate;
use crate::arguments::shorten;
use crate::budget::{self, Budget};
use crate::compaction::Room;
use crate::error::ProviderError;
use crate::event::{CallStatus, Event, Step, TurnEnd, Usage};
use crate::message::{Call, Message, Part, Role};
use crate::ports::{Clock, Deltas, JournalError, Provider, Reply, Request, Stop, Toolbox};
use crate::session::Session;
use crate::tools::Runner;
use crate::{prompt, retry};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Cut replies in a row before the turn gives up.
const TRUNCATIONS: u32 = 3;
/// Replies in a row with nothing in them that are asked for again.
const EMPTIES: u32 = 2;
/// Malformed calls of one tool in a row before the host steps in.
const MALFORMED: u32 = 2;
/// Answers in a row that are not taken while the plan has open items; after that, what the model says goes.
const HELD: u32 = 2;
/// Calls of one reply; what a model sends beyond that is a loop.
const CALLS: usize = 128;
/// Bytes of an error's text.
const ERROR_BYTES: usize = 4096;

/// Code of the notice that the model was sent back to its plan.
pub(crate) const CONTINUATION: &str = "continuation";
/// Code of the notice that the model said nothing and is asked again.
pub(crate) const EMPTY: &str = "empty_reply";
/// Notices that say something about the conversation they are in, and nothing about another.
pub const OWN_NOTICES: [&str; 2] = [CONTINUATION, EMPTY];

/// Everything that a turn needs.
pub struct Agent {
    /// The conversation.
    pub session: Arc<Session>,
    /// The model.
    pub provider: Arc<dyn Provider>,
    /// The model's name, without the provider's.
    pub model: String,
    /// The tools.
    pub toolbox: Arc<dyn Toolbox>,
    /// Who may do what.
    pub gate: Arc<Gate>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Limits.
    pub budget: Budget,
    /// Whether deltas are wanted from the model.
    pub stream: bool,
    /// Tokens of the model's context, where the user says; else its service is asked.
    pub window: Option<u64>,
}

/// How the inner loop came out when no limit and nobody stopped it.
enum Finish {
    Answer(Option<String>),
    Limit(TurnEnd),
    Failed(ProviderError),
}

/// Runs a turn: a new one with `input` behind the words that wait, or the rest of the one that the log breaks off in.
/// Cancellable at every moment: what runs is dropped, and every open call gets a result that says so. Fails only when the log does.
pub async fn run(
    agent: &Agent,
    input: Option<&str>,
    cancel: &CancellationToken,
) -> Result<TurnEnd, JournalError> {
    if let Some(input) = input {
        settle(agent, "the user went on without waiting for this call").await?;
        let (turn, mut words) = agent
            .session
            .read(|state| (state.turn + 1, state.queued.clone()));
        words.extend(Some(input.to_owned()).filter(|input| !input.is_empty()));
        agent
            .session
            .record_durably(Event::TurnStarted {
                turn,
                input: words.join("\n\n"),
            })
            .await?;
    }
    let partial = Arc::new(Partial {
        session: agent.session.clone(),
        text: Mutex::default(),
    });
    let now = agent.clock.now_ms();
    let time = agent
        .session
        .read(|state| agent.budget.remaining_time(state, now));
    let finish = tokio::select! {
        biased;
        () = cancel.cancelled() => Finish::Limit(TurnEnd::Interrupted),
        () = agent.clock.sleep(time) => Finish::Limit(TurnEnd::Time),
        finish = iterate(agent, &partial) => finish?,
    };
    end(agent, finish, &partial).await
}

async fn iterate(agent: &Agent, partial: &Arc<Partial>) -> Result<Finish, JournalError> {
    let runner = Runner::new(&agent.session, &*agent.toolbox, &agent.gate, &*agent.clock);
    let (mut truncations, mut empties, mut room) = (0, 0, Room::default());
    loop {
        runner.run_open().await?;
        if agent.session.read(|state| !state.queued.is_empty()) {
            agent.session.record(Event::InputTaken {})?;
        }
        advise_on_malformed(agent)?;
        if let Some(answer) = agent.session.read(|state| final_answer(&state.messages))
            && !hold_to_plan(agent)?
        {
            return Ok(Finish::Answer(answer));
        }
        budget::warn(agent)?;
        match reached(agent) {
            Some(TurnEnd::Budget) if budget::ask_for_more(agent).await? => continue,
            Some(limit) => return Ok(Finish::Limit(limit)),
            None => {}
        }
        if let Some(limit) = advise_on_repetition(agent)? {
            return Ok(Finish::Limit(limit));
        }
        if let Some(error) = room.make(agent).await? {
            return Ok(Finish::Failed(error));
        }
        let reply = match complete(agent, partial).await? {
            Ok(reply) => reply,
            Err(ProviderError::ContextOverflow(message)) => {
                room.overflowed(message);
                continue;
            }
            Err(error) => return Ok(Finish::Failed(error)),
        };
        room.enough();
        count(&agent.session, &agent.budget, &agent.model, reply.usage)?;
        if reply.stop == Stop::MaxTokens
            && reply.parts.iter().any(|part| matches!(part, Part::Call(_)))
        {
            truncations += 1;
            if truncations > TRUNCATIONS {
                let message = format!(
                    "the model's reply was cut by its output limit {truncations} times in a row"
                );
                return Ok(Finish::Failed(ProviderError::Other(message)));
            }
            record_truncated(agent, reply)?;
            continue;
        }
        truncations = 0;
        let parts = usable(reply.parts);
        if parts.is_empty() {
            if empties == EMPTIES || reply.stop == Stop::Refusal {
                return Ok(Finish::Answer(None));
            }
            empties += 1;
            tell_empty(agent, empties)?;
            continue;
        }
        empties = 0;
        agent.session.record(Event::Message {
            message: Message {
                role: Role::Assistant,
                parts,
                injected: false,
            },
        })?;
    }
}

/// Writes down what a reply of the model took.
pub fn count(
    session: &Session,
    budget: &Budget,
    model: &str,
    usage: Usage,
) -> Result<(), JournalError> {
    let usage = budget.assume(usage);
    session.record(Event::Usage { usage })?;
    let first_unpriced = usage.cost_usd.is_none() && session.read(|state| state.unpriced) == 1;
    if first_unpriced && budget.usd.is_some() {
        let counted = match budget.assumed {
            Some(price) => format!("count at {price} for a million tokens"),
            None => "do not count".to_owned(),
        };
        let text = format!(
            "the price of `{model}` is unknown, so its calls {counted} against the budget in dollars; set `input-price` and \
             `output-price` in the provider's configuration, or `assumed-usd-per-million-tokens` in [budget]"
        );
        session.record(Event::Notice {
            code: "price_unknown".into(),
            text,
        })?;
    }
    Ok(())
}

/// `Some` when the last message is the model's and calls nothing: the turn is done.
fn final_answer(messages: &[Arc<Message>]) -> Option<Option<String>> {
    let last = messages.last()?;
    let done = last.role == Role::Assistant && last.calls().next().is_none();
    done.then(|| Some(last.plain_text()).filter(|text| !text.is_empty()))
}

/// The model call of an iteration.
async fn complete(
    agent: &Agent,
    partial: &Arc<Partial>,
) -> Result<Result<Reply, ProviderError>, JournalError> {
    let (messages, generation) = agent
        .session
        .read(|state| (state.messages.clone(), state.generation));
    let request = Request {
        model: &agent.model,
        session: agent.session.id(),
        generation,
        messages: &messages,
        tools: agent.toolbox.tools(),
        max_tokens: None,
        stream: agent.stream,
    };
    partial.clear();
    let asked = ask(agent, request, partial.clone()).await;
    if let Ok(Ok(_)) = &asked {
        partial.clear();
    }
    asked
}

/// One model call, with further attempts where they can help.
pub(crate) async fn ask(
    agent: &Agent,
    request: Request<'_>,
    deltas: Arc<dyn Deltas>,
) -> Result<Result<Reply, ProviderError>, JournalError> {
    let mut attempt = 0;
    loop {
        let error = match agent.provider.complete(request, deltas.clone()).await {
            Ok(reply) => return Ok(Ok(reply)),
            Err(error) => error,
        };
        let Some(wait) = retry::delay(&error, attempt) else {
            return Ok(Err(error));
        };
        let lost = match deltas.discard() {
            true => "; the part of the answer that came is left out",
            false => "",
        };
        attempt += 1;
        let text = format!(
            "{}{lost}; trying again in {} s (attempt {} of {})",
            shorten(&error.to_string(), ERROR_BYTES),
            wait.as_secs_f32(),
            attempt + 1,
            retry::ATTEMPTS
        );
        agent.session.record(Event::Notice {
            code: "retry".into(),
            text,
        })?;
        agent.clock.sleep(wait).await;
    }
}

/// The reply's parts with call ids that are there and differ, and without empty text.
fn usable(parts: Vec<Part>) -> Vec<Part> {
    let mut ids = HashSet::new();
    let mut calls = 0;
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Text { text } if text.is_empty() => {}
            Part::Call(call) => {
                calls += 1;
                if calls <= CALLS {
                    kept.push(Part::Call(with_own_id(call, calls, &mut ids)));
                }
            }
            part => kept.push(part),
        }
    }
    kept
}

fn with_own_id(call: Call, number: usize, ids: &mut HashSet<String>) -> Call {
    let mut id = if call.id.is_empty() {
        format!("call_{number}")
    } else {
        call.id
    };
    while !ids.insert(id.clone()) {
        id = format!("{id}_{number}");
    }
    Call { id, ..call }
}

/// A model that said nothing is asked the same once more: nothing was executed, and nothing stands in the way.
fn tell_empty(agent: &Agent, times: u32) -> Result<(), JournalError> {
    let text = format!("the model answered with nothing; asking again ({times} of {EMPTIES})");
    let code = EMPTY.into();
    agent.session.record(Event::Notice { code, text }).map(drop)
}

fn record_truncated(agent: &Agent, reply: Reply) -> Result<(), JournalError> {
    let lost = reply.parts.iter().filter_map(|part| match part {
        Part::Call(call) => Some(format!("`{}`", call.name)),
        _ => None,
    });
    let advice = prompt::truncated(&lost.collect::<Vec<_>>());
    let text = reply
        .parts
        .into_iter()
        .filter(|part| matches!(part, Part::Text { text } if !text.is_empty()));
    let mut parts = text.collect::<Vec<_>>();
    if parts.is_empty() {
        // Two user messages in a row would break the conversation's alternation.
        parts.push(Part::Text {
            text: "(cut)".into(),
        });
    }
    agent.session.record(Event::Message {
        message: Message {
            role: Role::Assistant,
            parts,
            injected: false,
        },
    })?;
    let notice = "the reply was cut by its output limit; the model is told to write less at a time";
    inject(agent, "truncated", notice, advice)
}

fn advise_on_malformed(agent: &Agent) -> Result<(), JournalError> {
    // Told once a streak: the count passes the threshold once, and advice already given ends the conversation.
    let (streak, told) = agent.session.read(|state| {
        let told = state
            .messages
            .last()
            .is_some_and(|message| message.role != Role::Tool);
        (state.malformed.clone(), told)
    });
    match streak {
        Some((tool, MALFORMED)) if !told => {
            let notice = format!(
                "calls of `{tool}` are malformed again; the model is told to make smaller ones"
            );
            inject(
                agent,
                "malformed_again",
                &notice,
                prompt::malformed_again(&tool),
            )
        }
        _ => Ok(()),
    }
}

fn reached(agent: &Agent) -> Option<TurnEnd> {
    let now = agent.clock.now_ms();
    agent.session.read(|state| agent.budget.reached(state, now))
}

/// Whether the model is sent back to its plan, because it answered before that was done.
fn hold_to_plan(agent: &Agent) -> Result<bool, JournalError> {
    let unfinished = agent.session.read(|state| match state.held < HELD {
        true => prompt::unfinished(&state.plan),
        false => None,
    });
    // An answer is worth more than a limit.
    match unfinished.filter(|_| reached(agent).is_none()) {
        Some(advice) => {
            let notice = "the plan is not done; the model is sent back to it";
            inject(agent, CONTINUATION, notice, advice).map(|()| true)
        }
        None => Ok(false),
    }
}

/// Told, barred, stopped: each once, and each only when the model goes round once more.
fn advise_on_repetition(agent: &Agent) -> Result<Option<TurnEnd>, JournalError> {
    let Some(repetition) = agent.session.read(|state| state.recent.noticed()) else {
        return Ok(None);
    };
    let advice = prompt::repetition(&repetition);
    let tools = repetition.tools.join("` → `");
    let notice = match repetition.step {
        Step::Warned => format!("the model repeats `{tools}`; it is told to go another way"),
        Step::Barred | Step::Stopped => {
            format!("the model repeats `{tools}` again; these calls are not run any more")
        }
    };
    let stopped = repetition.step == Step::Stopped;
    agent.session.record(Event::Repetition { repetition })?;
    if stopped {
        return Ok(Some(TurnEnd::Repetition));
    }
    inject(agent, "repetition", &notice, advice)?;
    Ok(None)
}

/// The host speaks in the user's place; `notice` is what the user sees of it.
fn inject(agent: &Agent, code: &str, notice: &str, advice: String) -> Result<(), JournalError> {
    agent.session.record(Event::Notice {
        code: code.into(),
        text: notice.into(),
    })?;
    let mut message = Message::text(Role::User, advice);
    message.injected = true;
    agent.session.record(Event::Message { message })?;
    Ok(())
}

async fn end(agent: &Agent, finish: Finish, partial: &Partial) -> Result<TurnEnd, JournalError> {
    let (reason, answer) = match finish {
        Finish::Answer(answer) => (TurnEnd::Done, answer),
        Finish::Limit(reason) => (reason, None),
        Finish::Failed(error) => {
            let mut message = shorten(&error.to_string(), ERROR_BYTES);
            if let Some(advice) = error.advice() {
                message = format!("{message}\n{advice}");
            }
            agent.session.record(Event::Error {
                kind: error.kind().into(),
                message,
            })?;
            (TurnEnd::Error, None)
        }
    };
    if matches!(reason, TurnEnd::Interrupted | TurnEnd::Time) {
        keep_partial(agent, partial)?;
    }
    settle(agent, "the turn ended before this call did").await?;
    let (iterations, blocked) = agent
        .session
        .read(|state| (state.iterations, state.blocked));
    agent
        .session
        .record_durably(Event::TurnFinished {
            reason,
            message: answer,
            iterations,
            blocked,
        })
        .await?;
    Ok(reason)
}

/// Text of a reply that was cut short stays, so that the user can refer to what they read.
fn keep_partial(agent: &Agent, partial: &Partial) -> Result<(), JournalError> {
    let text = partial.take();
    let fits = agent.session.read(|state| {
        state
            .messages
            .last()
            .is_some_and(|last| last.role != Role::Assistant)
    });
    if !text.is_empty() && fits {
        agent.session.record(Event::Message {
            message: Message::text(Role::Assistant, text),
        })?;
    }
    Ok(())
}

/// Gives every open call a result: a conversation with an unanswered call is refused by every provider.
async fn settle(agent: &Agent, why: &str) -> Result<(), JournalError> {
    let open = agent.session.read(|state| state.open.clone());
    for (index, call) in open
        .into_iter()
        .enumerate()
        .filter(|(_, call)| call.result.is_none())
    {
        let outcome = match call.started {
            Some(_) => "it was cancelled, and what it had done by then is unknown",
            None => "it was not started",
        };
        let finished = Event::ToolFinished {
            call: call.id,
            index: index as u32,
            tool: call.call.name,
            status: CallStatus::Cancelled,
            content: format!("{why}; {outcome}"),
            images: Vec::new(),
            ms: 0,
        };
        agent.session.record_durably(finished).await?;
    }
    Ok(())
}

/// Passes deltas on and keeps the text of the reply under way.
struct Partial {
    session: Arc<Session>,
    text: Mutex<String>,
}

impl Partial {
    fn clear(&self) {
        self.take();
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.text.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Deltas for Partial {
    fn text(&self, fragment: &str) {
        self.text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(fragment);
        self.session.show(&Event::TextDelta {
            text: fragment.to_owned(),
        });
    }

    fn reasoning(&self, fragment: &str) {
        self.session.show(&Event::ReasoningDelta {
            text: fragment.to_owned(),
        });
    }

    fn discard(&self) -> bool {
        !self.take().is_empty()
    }
}
