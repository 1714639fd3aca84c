//! The loop: one user message to its final answer.

use crate::answer::Judged;
use crate::approval::Gate;
use crate::arguments::shorten;
use crate::budget::{self, Budget};
use crate::compaction::{ASIDE, Room};
use crate::error::ProviderError;
use crate::event::{CallStatus, Event, TurnEnd};
use crate::message::{Message, Role};
use crate::ports::{Clock, Deltas, JournalError, Provider, Reply, Request, Toolbox};
use crate::reply::{Streaks, count};
use crate::session::Session;
use crate::state::without_reasoning;
use crate::tools::Runner;
use crate::{advice, answer, effort, retry};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bytes of an error's text.
const ERROR_BYTES: usize = 4096;

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
pub(crate) enum Finish {
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
    let (mut streaks, mut room) = (Streaks::default(), Room::default());
    loop {
        runner.run_open().await?;
        match before_call(agent, &mut room).await? {
            Next::Call => {}
            Next::Again => continue,
            Next::End(finish) => return Ok(finish),
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
        if let Some(finish) = streaks.take(agent, reply)? {
            return Ok(finish);
        }
    }
}

/// What follows when every call has its result.
enum Next {
    Call,
    Again,
    End(Finish),
}

/// Whatever has to be before the model is called again: the person's words, advice, limits, room.
async fn before_call(agent: &Agent, room: &mut Room) -> Result<Next, JournalError> {
    if agent.session.read(|state| !state.queued.is_empty()) {
        agent.session.record(Event::InputTaken {})?;
    }
    advice::on_malformed(agent)?;
    if let Some(answer) = agent.session.read(|state| final_answer(&state.messages))
        && !advice::hold_to_plan(agent)?
    {
        match answer::judge(agent, answer)? {
            Judged::Taken(answer) => return Ok(Next::End(Finish::Answer(answer))),
            Judged::Failed(why) => {
                return Ok(Next::End(Finish::Failed(ProviderError::Answer(why))));
            }
            Judged::SentBack => {}
        }
    }
    budget::warn(agent)?;
    match reached(agent) {
        Some(TurnEnd::Budget) if budget::ask_for_more(agent).await? => return Ok(Next::Again),
        Some(limit) => return Ok(Next::End(Finish::Limit(limit))),
        None => {}
    }
    if let Some(limit) = advice::on_repetition(agent)? {
        return Ok(Next::End(Finish::Limit(limit)));
    }
    Ok(match room.make(agent).await? {
        Some(error) => Next::End(Finish::Failed(error)),
        None => Next::Call,
    })
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
    let (messages, generation, expected) = agent.session.read(|state| {
        (
            state.messages.clone(),
            state.generation,
            state.answers.clone(),
        )
    });
    let request = Request {
        model: &agent.model,
        session: agent.session.id(),
        generation,
        messages: &messages,
        tools: agent.toolbox.tools(),
        max_tokens: None,
        stream: agent.stream,
        effort: None,
        answer_schema: expected.as_ref().map(|expected| expected.schema.as_str()),
    };
    partial.clear();
    let asked = ask(agent, request, partial.clone()).await;
    if let Ok(Ok(_)) = &asked {
        partial.clear();
    }
    asked
}

/// One model call, with further attempts where they can help. What the service does not take (an effort, its own
/// earlier reasoning) is left out, and that is no attempt.
pub(crate) async fn ask(
    agent: &Agent,
    request: Request<'_>,
    deltas: Arc<dyn Deltas>,
) -> Result<Result<Reply, ProviderError>, JournalError> {
    let mut attempt = 0;
    let mut stripped: Option<Vec<Arc<Message>>> = None;
    loop {
        let (effort, generation) = agent.session.read(|state| {
            let effort = state.efforts.of(&state.model);
            (effort.map(str::to_owned), state.generation)
        });
        let rewritten = stripped.is_some() && request.generation != ASIDE;
        let request = Request {
            messages: stripped.as_deref().unwrap_or(request.messages),
            generation: match rewritten {
                true => generation,
                false => request.generation,
            },
            effort: effort.as_deref(),
            ..request
        };
        let error = match agent.provider.complete(request, deltas.clone()).await {
            Ok(reply) => return Ok(Ok(reply)),
            Err(error) => error,
        };
        match (&error, &effort) {
            (ProviderError::Effort(why), Some(effort)) => {
                lower_effort(agent, effort, why)?;
                continue;
            }
            (ProviderError::StaleReasoning(why), _) if stripped.is_none() => {
                let (without, pieces) = without_reasoning(request.messages);
                if pieces > 0 {
                    let why = shorten(why, ERROR_BYTES);
                    agent
                        .session
                        .record(Event::ReasoningDropped { pieces, why })?;
                    stripped = Some(without);
                    continue;
                }
            }
            _ => {}
        }
        let Some(wait) = retry::delay(&error, attempt) else {
            return Ok(Err(error));
        };
        attempt += 1;
        tell_of_retry(agent, &error, deltas.discard(), wait, attempt)?;
        agent.clock.sleep(wait).await;
    }
}

/// What the model does not take is not asked of it again in this session.
fn lower_effort(agent: &Agent, effort: &str, why: &str) -> Result<(), JournalError> {
    let event = Event::EffortRefused {
        model: agent.session.read(|state| state.model.clone()),
        effort: effort.to_owned(),
        instead: effort::instead_of(effort).map(str::to_owned),
        why: shorten(why, ERROR_BYTES),
    };
    agent.session.record(event).map(drop)
}

fn tell_of_retry(
    agent: &Agent,
    error: &ProviderError,
    lost: bool,
    wait: Duration,
    attempt: u32,
) -> Result<(), JournalError> {
    let lost = match lost {
        true => "; the part of the answer that came is left out",
        false => "",
    };
    let text = format!(
        "{}{lost}; trying again in {} s (attempt {} of {})",
        shorten(&error.to_string(), ERROR_BYTES),
        wait.as_secs_f32(),
        attempt + 1,
        retry::ATTEMPTS
    );
    let code = "retry".into();
    agent.session.record(Event::Notice { code, text }).map(drop)
}

pub(crate) fn reached(agent: &Agent) -> Option<TurnEnd> {
    let now = agent.clock.now_ms();
    agent.session.read(|state| agent.budget.reached(state, now))
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

    fn call(&self, index: u32, tool: Option<&str>, fragment: &str) {
        self.session.show(&Event::CallDelta {
            index,
            tool: tool.map(str::to_owned),
            arguments: fragment.to_owned(),
        });
    }

    fn discard(&self) -> bool {
        !self.take().is_empty()
    }
}
