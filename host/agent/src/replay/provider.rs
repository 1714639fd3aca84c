//! A model that says again what it said.

use super::script::Script;
use super::{failure, summary};
use crate::compaction::ASIDE;
use crate::error::ProviderError;
use crate::event::{Event, Usage};
use crate::message::{Call, Message, Part, Role};
use crate::ports::{Deltas, Provider, Reply, Request, Stop};
use crate::session::Session;
use async_trait::async_trait;
use std::sync::Arc;

/// Around the names of lost calls in what the model is told of them.
const LOST: (&str, &str) = ("not executed: ", ". Do not send");
/// How the error begins of a turn whose replies were cut again and again.
const CUT: &str = "the model's reply was cut by its output limit ";

/// The replies of one run.
pub(super) struct Replies {
    pub(super) script: Arc<Script>,
    pub(super) session: Arc<Session>,
}

/// What a request leads to.
enum Asked {
    Answered(Result<Reply, ProviderError>),
    /// Nothing: the run ends meanwhile. The text had come by then.
    Waits(String),
    /// The loop does not ask here in the recording.
    Unexpected,
}

#[async_trait]
impl Provider for Replies {
    async fn complete(
        &self,
        request: Request<'_>,
        deltas: Arc<dyn Deltas>,
    ) -> Result<Reply, ProviderError> {
        self.session.catch_up();
        let aside = request.generation == ASIDE;
        match self.asked(aside, request) {
            Asked::Answered(answer) => return answer,
            Asked::Waits(text) => {
                if !text.is_empty() {
                    deltas.text(&text);
                }
            }
            Asked::Unexpected => {
                let what = if aside { "for a summary" } else { "to go on" };
                let what = format!(
                    "the loop asks the model {what}, and {}",
                    self.script.instead()
                );
                self.script.diverge(None, what);
            }
        }
        std::future::pending().await
    }
}

impl Replies {
    fn asked(&self, aside: bool, request: Request<'_>) -> Asked {
        let script = &self.script;
        let at = script.at();
        if script.is_halted() || script.is_over() {
            return Asked::Waits(String::new());
        }
        if script.due().is_some() {
            return Asked::Waits(self.partial(at));
        }
        // The next entries of the loop; of those behind the end of the run, none.
        let own: Vec<usize> = script.section().own(at).take(6).collect();
        let event = |index: usize| own.get(index).and_then(|at| script.event(*at));
        let compacted = self.compaction(at);
        match (aside, compacted) {
            (true, None) | (false, Some(_)) if !self.breaks_off(at) => {
                return match aside {
                    true => Asked::Unexpected,
                    // Its own count does not make the loop do so: the service said that it was too much.
                    false => Asked::Answered(Err(ProviderError::ContextOverflow(String::new()))),
                };
            }
            _ => {}
        }
        match event(0) {
            Some(Event::Notice { code, text }) if code == "retry" => {
                Asked::Answered(Err(failure::retried(text)))
            }
            Some(Event::Notice { code, text }) if code == "summary_failed" && aside => {
                Asked::Answered(Err(failure::of_summary(text)))
            }
            Some(Event::EffortRefused { why, .. }) => {
                Asked::Answered(Err(ProviderError::Effort(why.clone())))
            }
            Some(Event::ReasoningDropped { why, .. }) => {
                Asked::Answered(Err(ProviderError::StaleReasoning(why.clone())))
            }
            Some(Event::Error { kind, message }) if !aside => {
                Asked::Answered(Err(failure::last(kind, message)))
            }
            Some(Event::Usage { usage }) if aside => {
                let text = compacted.map(|at| self.words(at, request));
                Asked::Answered(Ok(said(text.unwrap_or_default(), *usage)))
            }
            Some(Event::Usage { usage }) => {
                let rest = (1..own.len()).filter_map(event);
                Asked::Answered(Ok(reply(*usage, rest)))
            }
            _ => Asked::Unexpected,
        }
    }

    /// The text of a reply that was cut short.
    fn partial(&self, at: usize) -> String {
        match self.script.event(at) {
            Some(Event::Message { message }) => message.plain_text(),
            _ => String::new(),
        }
    }

    /// Position of the summary that the model is asked for next, if it is.
    fn compaction(&self, at: usize) -> Option<usize> {
        let mut counted = false;
        for at in self.script.section().own(at) {
            match self.script.event(at)? {
                Event::Compacted { .. } => return Some(at),
                Event::Usage { .. } if !counted => counted = true,
                Event::Notice { code, .. } if code == "retry" && !counted => {}
                Event::EffortRefused { .. } | Event::ReasoningDropped { .. } if !counted => {}
                Event::Notice { code, .. } if code == "price_unknown" && counted => {}
                Event::Notice { code, .. } if code == "summary_failed" && !counted => {
                    return Some(at);
                }
                _ => return None,
            }
        }
        None
    }

    /// Whether the recording ends before it says what the model was asked.
    fn breaks_off(&self, at: usize) -> bool {
        let section = self.script.section();
        let known = section.own(at).any(|at| match self.script.event(at) {
            Some(Event::Usage { .. }) => false,
            Some(Event::EffortRefused { .. } | Event::ReasoningDropped { .. }) => false,
            Some(Event::Notice { code, .. }) => code != "retry" && code != "price_unknown",
            _ => true,
        });
        !known
    }

    fn words(&self, at: usize, request: Request<'_>) -> String {
        let Some(Event::Compacted {
            at: Some(cut),
            summary,
            ..
        }) = self.script.event(at)
        else {
            return String::new();
        };
        let cut = usize::try_from(*cut).unwrap_or(usize::MAX);
        self.session
            .read(|state| summary::words(summary, cut, state, request.tools))
    }
}

fn said(text: String, usage: Usage) -> Reply {
    Reply {
        parts: vec![Part::Text { text }],
        stop: Stop::EndTurn,
        usage,
    }
}

/// The reply that led to what the loop wrote behind its usage.
fn reply<'a>(usage: Usage, rest: impl Iterator<Item = &'a Event>) -> Reply {
    let mut parts = Vec::new();
    let mut stop = Stop::EndTurn;
    for event in rest {
        match event {
            Event::Message { message } if message.role == Role::Assistant && parts.is_empty() => {
                parts.clone_from(&message.parts);
            }
            Event::Notice { code, .. } if code == "price_unknown" => {}
            // In older logs it comes before the words that it tells of.
            Event::Notice { code, .. } if code == "truncated" => stop = Stop::MaxTokens,
            Event::Message { message } if message.injected && is_about_a_cut(message) => {
                stop = Stop::MaxTokens;
                parts.extend(names(message).iter().map(|name| lost(name)));
                break;
            }
            Event::Error { message, .. } if message.starts_with(CUT) => {
                stop = Stop::MaxTokens;
                break;
            }
            _ => break,
        }
    }
    if stop == Stop::MaxTokens && !parts.iter().any(|part| matches!(part, Part::Call(_))) {
        parts.push(lost("cut"));
    }
    Reply { parts, stop, usage }
}

fn is_about_a_cut(advice: &Message) -> bool {
    let text = advice.plain_text();
    text.starts_with("[SYSTEM: your reply was cut by its output limit")
}

fn lost(name: &str) -> Part {
    Part::Call(Call {
        id: String::new(),
        name: name.to_owned(),
        arguments: String::new(),
    })
}

/// The calls that the model is told were lost.
fn names(message: &Message) -> Vec<String> {
    let text = message.plain_text();
    let (before, behind) = LOST;
    let list = text.split_once(before).map_or("", |(_, rest)| rest);
    let list = list.rsplit_once(behind).map_or(list, |(list, _)| list);
    let list = list.trim_start_matches('`').trim_end_matches('`');
    list.split("`, `").map(str::to_owned).collect()
}
