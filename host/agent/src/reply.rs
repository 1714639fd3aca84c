//! What becomes of a model's reply: a message of the conversation, or another attempt.

use crate::advice::inject;
use crate::budget::Budget;
use crate::error::ProviderError;
use crate::event::{Event, Usage};
use crate::message::{Call, Message, Part, Role};
use crate::ports::{JournalError, Reply, Stop};
use crate::prompt;
use crate::session::Session;
use crate::turn::{Agent, Finish};
use std::collections::HashSet;

/// Cut replies in a row before the turn gives up.
const TRUNCATIONS: u32 = 3;
/// Replies in a row with nothing in them that are asked for again.
const EMPTIES: u32 = 2;
/// Calls of one reply; what a model sends beyond that is a loop.
const CALLS: usize = 128;

/// Code of the notice that the model said nothing and is asked again.
pub(crate) const EMPTY: &str = "empty_reply";

/// Replies in a row of which nothing came.
#[derive(Default)]
pub(crate) struct Streaks {
    truncations: u32,
    empties: u32,
}

impl Streaks {
    /// Takes a reply into the conversation, or says what stands in the way. Ends the turn where that helps no more.
    pub(crate) fn take(
        &mut self,
        agent: &Agent,
        reply: Reply,
    ) -> Result<Option<Finish>, JournalError> {
        let calls = reply.parts.iter().any(|part| matches!(part, Part::Call(_)));
        if reply.stop == Stop::MaxTokens && calls {
            return self.truncated(agent, reply);
        }
        self.truncations = 0;
        let taken = agent.session.read(|state| {
            let calls = state.messages.iter().flat_map(|message| message.calls());
            calls.map(|call| call.id.clone()).collect()
        });
        let parts = usable(reply.parts, taken);
        if parts.is_empty() {
            return self.empty(agent, reply.stop);
        }
        self.empties = 0;
        let message = Message {
            role: Role::Assistant,
            parts,
            injected: false,
        };
        agent.session.record(Event::Message { message })?;
        Ok(None)
    }

    fn truncated(&mut self, agent: &Agent, reply: Reply) -> Result<Option<Finish>, JournalError> {
        self.truncations += 1;
        if self.truncations > TRUNCATIONS {
            let message = format!(
                "the model's reply was cut by its output limit {} times in a row",
                self.truncations
            );
            return Ok(Some(Finish::Failed(ProviderError::Other(message))));
        }
        record_truncated(agent, reply)?;
        Ok(None)
    }

    /// A model that said nothing is asked the same once more: nothing was executed, and nothing stands in the way.
    fn empty(&mut self, agent: &Agent, stop: Stop) -> Result<Option<Finish>, JournalError> {
        if self.empties == EMPTIES || stop == Stop::Refusal {
            return Ok(Some(Finish::Answer(None)));
        }
        self.empties += 1;
        let text = format!(
            "the model answered with nothing; asking again ({} of {EMPTIES})",
            self.empties
        );
        let code = EMPTY.into();
        agent.session.record(Event::Notice { code, text })?;
        Ok(None)
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

/// The reply's parts with call ids that are there and differ, and without empty text. They differ from those of the
/// conversation, `ids`, as well: some servers count from 0 in every reply, and others, to which the session may turn,
/// refuse an id that comes twice.
fn usable(parts: Vec<Part>, mut ids: HashSet<String>) -> Vec<Part> {
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
    let own = if call.id.is_empty() {
        format!("call_{number}")
    } else {
        call.id
    };
    let (mut id, mut count) = (own.clone(), ids.len());
    while !ids.insert(id.clone()) {
        count += 1;
        id = format!("{own}_{count}");
    }
    Call { id, ..call }
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
