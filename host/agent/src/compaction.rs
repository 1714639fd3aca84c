//! Makes room in the model's context: a summary takes the place of what is older.

use crate::context;
use crate::error::ProviderError;
use crate::event::{Event, Purpose, Usage};
use crate::message::{Message, Part, Role};
use crate::ports::{Deltas, JournalError, Request};
use crate::prompt;
use crate::reply::count;
use crate::turn::{Agent, ask};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Attempts in a row before the turn gives up: what does not fit then will not fit.
const ATTEMPTS: u32 = 3;
/// What stays of the newest messages, as a part of the limit.
const KEPT: u64 = 4;
/// Bytes of a result, in the later attempts.
const RESULT: [Option<usize>; ATTEMPTS as usize] = [None, Some(32 << 10), Some(4 << 10)];
/// Tokens of a summary.
const SUMMARY: std::ops::RangeInclusive<u64> = 512..=8_000;
/// From so many tokens on, the service is asked how many its model takes: before, no model is too small, and what a
/// smaller one refuses makes room as well.
const WORTH_ASKING: u64 = 24_000;
/// A generation that no conversation has: the provider must not take this request for its beginning.
pub(crate) const ASIDE: u64 = u64::MAX;

/// Keeps the conversation within the model's context.
#[derive(Default)]
pub(crate) struct Room {
    attempts: u32,
    /// What the service said of a request that was too large.
    overflow: Option<String>,
}

impl Room {
    /// The service refused a request because it was too large.
    pub(crate) fn overflowed(&mut self, message: String) {
        self.overflow = Some(message);
    }

    /// A request went through.
    pub(crate) fn enough(&mut self) {
        self.attempts = 0;
    }

    /// Shortens the conversation where it is too long. An error where the service refuses it nevertheless.
    pub(crate) async fn make(
        &mut self,
        agent: &Agent,
    ) -> Result<Option<ProviderError>, JournalError> {
        loop {
            let tokens = agent.session.read(|state| state.context.tokens());
            let limit = context::limit(self.window(agent, tokens).await);
            let over = agent.session.read(|state| state.context.is_over(limit));
            let overflow = self.overflow.take();
            if overflow.is_none() && !over {
                return Ok(None);
            }
            // Nothing more can be done. Where only our own count says that it is too long, the service decides.
            let Some(longest) = RESULT.get(self.attempts as usize) else {
                return Ok(overflow.map(ProviderError::ContextOverflow));
            };
            let done = compact(agent, self.attempts, limit, *longest).await?;
            self.attempts += 1;
            if done && overflow.is_some() {
                return Ok(None);
            }
            self.overflow = overflow;
        }
    }

    async fn window(&self, agent: &Agent, tokens: u64) -> Option<u64> {
        match agent.window {
            None if tokens >= WORTH_ASKING || self.overflow.is_some() => {
                agent.provider.window(&agent.model).await
            }
            window => window,
        }
    }
}

/// Shortens the conversation because a person wants it, however long it is. Nothing is changed when it is cancelled;
/// `false`: there is nothing to leave out.
///
/// # Errors
/// The log cannot be written.
pub async fn compact_now(agent: &Agent, cancel: &CancellationToken) -> Result<bool, JournalError> {
    let tokens = agent.session.read(|state| state.context.tokens());
    let work = async {
        let window = Room::default().window(agent, tokens).await;
        let limit = context::limit(window).min(tokens);
        compact(agent, 0, limit, None).await
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(true),
        done = work => done,
    }
}

/// Whether something was left out.
async fn compact(
    agent: &Agent,
    attempt: u32,
    limit: u64,
    longest: Option<usize>,
) -> Result<bool, JournalError> {
    let keep = (limit / KEPT) >> attempt;
    let (cut, before, shorter) = agent.session.read(|state| {
        let shorter = longest.filter(|bytes| context::has_longer(&state.messages, *bytes));
        (
            context::cut(&state.messages, keep),
            state.context.tokens(),
            shorter,
        )
    });
    if cut.is_none() && shorter.is_none() {
        return Ok(false);
    }
    let summary = match cut {
        Some(cut) => summarise(agent, cut, limit).await?,
        None => String::new(),
    };
    let after = agent
        .session
        .read(|state| state.tokens_after(cut, &summary, shorter));
    agent
        .session
        .record_durably(Event::Compacted {
            at: cut.map(|at| at as u64),
            longest: shorter.map(|bytes| bytes as u64),
            summary,
            before,
            after,
        })
        .await?;
    Ok(true)
}

/// The model's own words, and behind them what the host knows. Where the model has none, that has to do.
async fn summarise(agent: &Agent, cut: usize, limit: u64) -> Result<String, JournalError> {
    let mut messages = agent
        .session
        .read(|state| state.messages.get(..cut).unwrap_or_default().to_vec());
    let text = prompt::summarise().to_owned();
    match messages.last_mut() {
        Some(last) if last.role == Role::User => {
            Arc::make_mut(last).parts.push(Part::Text { text })
        }
        _ => messages.push(Arc::new(Message::text(Role::User, text))),
    }
    let most = (limit / 10).clamp(*SUMMARY.start(), *SUMMARY.end());
    let request = Request {
        model: &agent.model,
        session: agent.session.id(),
        generation: ASIDE,
        messages: &messages,
        tools: agent.toolbox.tools(),
        max_tokens: u32::try_from(most).ok(),
        stream: false,
        effort: None,
        answer_schema: None,
    };
    let words = match ask(agent, request, Arc::new(Unseen)).await? {
        Ok(reply) => {
            let usage = Usage {
                purpose: Purpose::Summary,
                ..reply.usage
            };
            count(&agent.session, &agent.budget, &agent.model, usage)?;
            let message = Message {
                role: Role::Assistant,
                parts: reply.parts,
                injected: false,
            };
            message.plain_text()
        }
        Err(error) => {
            agent.session.record(Event::Notice {
                code: "summary_failed".into(),
                text: format!("the model could not sum up what is left out ({error}); a list of what was done takes its place"),
            })?;
            String::new()
        }
    };
    let tools = agent.toolbox.tools();
    let facts = agent
        .session
        .read(|state| context::facts(state, cut, tools, words.trim().is_empty()));
    Ok(prompt::summary(&words, &facts))
}

/// Nobody watches a summary being written.
struct Unseen;

impl Deltas for Unseen {
    fn text(&self, _fragment: &str) {}
    fn reasoning(&self, _fragment: &str) {}
}
