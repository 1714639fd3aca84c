//! What the log goes on with while no turn runs.

use super::section::{is_beside, is_boundary, is_left_behind};
use crate::event::{Event, Stamp};
use crate::message::Role;
use crate::state::State;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A turn with these words, behind those that wait.
    Turn(String),
    /// The rest of a turn that broke off.
    Rest,
    /// Somebody wants the conversation shortened; the entries end here.
    Compaction(usize),
    /// An entry from outside.
    Given,
    /// An entry that the loop does not write outside of a turn.
    Astray,
}

/// What the log has at `at`.
pub(super) fn next(events: &[(Stamp, Event)], at: usize, state: &State) -> Option<Next> {
    let event = &events.get(at)?.1;
    if is_left_behind(event) || matches!(event, Event::TurnStarted { .. }) {
        return Some(Next::Turn(words(events, at, &state.queued)));
    }
    if state.turn_open && goes_on(events, at) {
        return Some(Next::Rest);
    }
    if let Some(end) = compaction(events, at) {
        return Some(Next::Compaction(end));
    }
    let astray = match event {
        Event::Message { message } => message.role != Role::System,
        Event::ToolStarted { .. } | Event::ToolFinished { .. } => !is_beside(event),
        Event::Usage { .. }
        | Event::InputTaken {}
        | Event::Repetition { .. }
        | Event::Compacted { .. }
        | Event::EffortRefused { .. }
        | Event::ReasoningDropped { .. }
        | Event::TurnFinished { .. } => true,
        _ => false,
    };
    Some(if astray { Next::Astray } else { Next::Given })
}

/// What was said to start the turn, without the words that waited.
fn words(events: &[(Stamp, Event)], at: usize, queued: &[String]) -> String {
    let rest = events.iter().skip(at);
    let input = rest
        .map(|(_, event)| event)
        .find_map(|event| match event {
            Event::TurnStarted { input, .. } => Some(input.as_str()),
            _ => None,
        })
        .unwrap_or_default();
    if queued.is_empty() {
        return input.to_owned();
    }
    let waited = queued.join("\n\n");
    if input == waited {
        return String::new();
    }
    let said = input.strip_prefix(&waited);
    let said = said.and_then(|rest| rest.strip_prefix("\n\n"));
    said.unwrap_or(input).to_owned()
}

/// Whether the loop wrote the next entry that is not from outside, in the turn that broke off.
fn goes_on(events: &[(Stamp, Event)], at: usize) -> bool {
    let mut rest = events.iter().skip(at).map(|(_, event)| event);
    let found = rest.find_map(|event| match event {
        event if is_boundary(event) => Some(false),
        event if is_beside(event) => None,
        // What the host says when it opens a log.
        Event::Notice { code, .. } if code == "left_over" || code == "log_cut" => Some(false),
        Event::Notice { code, .. } if code == "skill_ignored" => Some(false),
        Event::Message { message } if message.role == Role::System => Some(false),
        Event::InputQueued { .. } => None,
        Event::Notice { .. } => None,
        _ => Some(true),
    });
    found.unwrap_or(false)
}

/// The end of what a compaction outside of a turn wrote, if that is what begins here.
fn compaction(events: &[(Stamp, Event)], at: usize) -> Option<usize> {
    let begins = |event: &Event| match event {
        Event::Usage { .. }
        | Event::Compacted { .. }
        | Event::EffortRefused { .. }
        | Event::ReasoningDropped { .. } => true,
        Event::Notice { code, .. } => code == "retry" || code == "summary_failed",
        _ => false,
    };
    if !begins(&events.get(at)?.1) {
        return None;
    }
    let mut counted = false;
    for (index, (_, event)) in events.iter().enumerate().skip(at) {
        match event {
            Event::Compacted { .. } => return Some(index + 1),
            Event::Usage { .. } if !counted => counted = true,
            Event::Notice { .. }
            | Event::InputQueued { .. }
            | Event::EffortRefused { .. }
            | Event::ReasoningDropped { .. } => {}
            event if is_beside(event) => {}
            event if is_boundary(event) => return counted.then_some(index),
            _ => return None,
        }
    }
    counted.then_some(events.len())
}
