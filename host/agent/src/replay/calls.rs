//! What the recording says of each call of a run.

use super::compare::EDITED_AND_REFUSED;
use super::section::{Origin, Section, is_nested};
use crate::approval::Effect;
use crate::event::{CallStatus, Event, PermissionRequest, Stamp};
use crate::message::Image;
use crate::ports::{Effects, Outcome, Powers, Tool};
use crate::prompt;
use serde_json::Value;
use std::collections::HashMap;

/// Around the arguments, at the beginning of a result, that a person made of those of the call.
const EDITED: (&str, &str) = ("[the user edited the arguments of this call to ", "]\n");
/// How a result begins of a call that may have run when the host died.
const INTERRUPTED: &str = "was interrupted when ml-intern stopped";

/// One call, as it was.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    /// What the loop has to know of the tool to do what it did.
    pub(super) tool: Tool,
    /// The result of a call that did not run because of its name or its arguments: the log does not have the tools'
    /// schemas.
    pub(super) refused: Option<(CallStatus, String)>,
    /// Position of the result, and how the call came out; none where it did not end by itself.
    pub(super) finished: Option<(usize, Outcome)>,
    /// What a person made of the arguments.
    pub(super) edited: Option<Value>,
}

/// Every call of the run by its id.
pub(super) fn recorded(events: &[(Stamp, Event)], section: &Section) -> HashMap<String, Recorded> {
    let mut calls = HashMap::new();
    let mut asked: HashMap<&str, &PermissionRequest> = HashMap::new();
    for at in section.own(section.range.start) {
        if let Some((_, Event::PermissionRequested { request })) = events.get(at) {
            asked.insert(&request.call, request);
        }
    }
    let alone = alone(events, section);
    for at in section.own(section.range.start) {
        let Some((_, Event::ToolStarted { call, plugin, .. })) = events.get(at) else {
            continue;
        };
        let asked = asked.get(call.as_str()).copied();
        let Some(tool) = tool(&events[at].1, asked, alone.get(call.as_str()).copied()) else {
            continue;
        };
        let end = finished(events, section, call);
        let refused = end.and_then(|(_, event)| refused(plugin, event));
        let edited = end.and_then(|(_, event)| edited(event, asked.is_some()));
        let finished = end.map(|(at, event)| (at, outcome(event, edited.as_ref())));
        let recorded = Recorded {
            tool,
            // The log ends between the two.
            refused: refused.or_else(|| (plugin.is_empty() && end.is_none()).then(nothing)),
            finished,
            edited: edited.map(|(value, _)| value),
        };
        calls.insert(call.clone(), recorded);
    }
    calls
}

fn nothing() -> (CallStatus, String) {
    (CallStatus::Error, String::new())
}

/// Whether each call ran while no other did.
fn alone<'a>(events: &'a [(Stamp, Event)], section: &Section) -> HashMap<&'a str, bool> {
    let mut alone = HashMap::new();
    let mut open: Vec<&str> = Vec::new();
    for at in section.own(section.range.start) {
        match &events[at].1 {
            Event::ToolStarted { call, .. } => {
                open.push(call);
                let one = open.len() == 1;
                open.iter().for_each(|call| {
                    let known = alone.entry(*call).or_insert(one);
                    *known &= one;
                });
            }
            Event::ToolFinished { call, .. } => open.retain(|one| one != call),
            _ => {}
        }
    }
    alone
}

/// A tool that takes all arguments and has just the effects and powers that lead to what happened.
fn tool(started: &Event, asked: Option<&PermissionRequest>, alone: Option<bool>) -> Option<Tool> {
    let Event::ToolStarted {
        tool,
        plugin,
        repeatable,
        ..
    } = started
    else {
        return None;
    };
    let effect = asked.map(|request| request.effect);
    Some(Tool {
        name: tool.clone(),
        description: String::new(),
        input_schema: "{}".into(),
        plugin: plugin.clone(),
        effects: Effects {
            // The log does not say which calls only read. Those run side by side, and for one alone it is the same.
            read_only: alone == Some(false) && asked.is_none(),
            destructive: false,
            idempotent: *repeatable,
        },
        operations: None,
        powers: Powers {
            writes_files: effect == Some(Effect::Edit),
            sends_requests: effect == Some(Effect::Network),
        },
        grants: asked.map_or_else(Vec::new, |request| request.grants.clone()),
    })
}

/// The result that a call came to by itself, before the run was ended from outside.
fn finished<'a>(
    events: &'a [(Stamp, Event)],
    section: &Section,
    id: &str,
) -> Option<(usize, &'a Event)> {
    let end = section.cut.map_or(section.range.end, |(at, _)| at);
    let found = section
        .own(section.range.start)
        .find(|at| matches!(&events[*at].1, Event::ToolFinished { call, .. } if call == id));
    found
        .filter(|at| *at < end && section.origin(*at) == Origin::Loop && !is_nested(id))
        .map(|at| (at, &events[at].1))
}

/// The loop itself knows which calls it interrupted, and which it bars.
fn refused(plugin: &str, finished: &Event) -> Option<(CallStatus, String)> {
    let Event::ToolFinished {
        tool,
        status,
        content,
        ..
    } = finished
    else {
        return None;
    };
    let own = *content == prompt::barred(tool) || content.contains(INTERRUPTED);
    (plugin.is_empty() && !own).then(|| (*status, content.clone()))
}

/// The arguments that a person put in place of the call's, and bytes of the result that say so.
fn edited(finished: &Event, asked: bool) -> Option<(Value, usize)> {
    let Event::ToolFinished { content, .. } = finished else {
        return None;
    };
    if !asked {
        return None;
    }
    if content.starts_with(EDITED_AND_REFUSED) {
        // What they were is not known; no tool takes this.
        return Some((Value::Null, 0));
    }
    let (before, behind) = EDITED;
    let text = content.strip_prefix(before)?;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    let end = values.byte_offset();
    text.get(end..)?.strip_prefix(behind)?;
    Some((value, before.len() + end + behind.len()))
}

fn outcome(finished: &Event, edited: Option<&(Value, usize)>) -> Outcome {
    let Event::ToolFinished {
        status,
        content,
        images,
        ..
    } = finished
    else {
        return Outcome::Error(String::new());
    };
    // The loop puts the note before it again.
    let content = content.get(edited.map_or(0, |(_, bytes)| *bytes)..);
    let content = content.unwrap_or_default().to_owned();
    let output = |content, images: &[Image], is_error| Outcome::Output {
        content,
        images: images.to_vec(),
        is_error,
    };
    match status {
        CallStatus::Ok => output(content, images, false),
        CallStatus::Error => output(content, images, true),
        CallStatus::Denied => Outcome::Denied(content),
        CallStatus::Fault => Outcome::Fault(content),
        // No tool ends like this: that the loop comes to another status is the difference.
        CallStatus::Malformed | CallStatus::Cancelled | CallStatus::Interrupted => {
            Outcome::Error(content)
        }
    }
}
