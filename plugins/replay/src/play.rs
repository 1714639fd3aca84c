//! Finds the place of a conversation in a recording, and the reply that follows.

use crate::recording::{ExpectedResult, Recording, Step};
use crate::template::{self, Results, shown};
use ml_intern_plugin::chat::{Message, Part, Role, ToolCall, ToolResult};
use std::collections::HashMap;

/// A reply with its references resolved.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Number of the step, from 1.
    pub(crate) step: usize,
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<ToolCall>,
}

/// The recorded reply to a conversation.
///
/// # Errors
/// A sentence that names the step, what the recording expects there and what came, when the
/// conversation is not the one that was recorded or goes on after its end.
pub(crate) fn reply(recording: &Recording, messages: &[Message]) -> Result<Reply, String> {
    let mut place = Place {
        step: 0,
        results: HashMap::new(),
        fresh: Vec::new(),
    };
    let at = |step: usize| move |reason: String| format!("step {}: {reason}", step + 1);
    for message in messages {
        if matches!(message.role, Role::Assistant) {
            let count = recording.steps.len();
            let Some(step) = recording.steps.get(place.step) else {
                return Err(format!(
                    "the conversation has more replies than the recording's {count}"
                ));
            };
            place.replay(step, message).map_err(at(place.step))?;
        }
        for part in &message.parts {
            if let Part::Result(result) = part {
                place.results.insert(&result.call_id, &result.content);
                place.fresh.push(result);
            }
        }
    }
    let Some(step) = recording.steps.get(place.step) else {
        return Err(format!(
            "the recording ends after step {}, and the conversation goes on with {}",
            place.step,
            last(messages)
        ));
    };
    let before = place
        .step
        .checked_sub(1)
        .and_then(|before| recording.steps.get(before));
    place
        .expect(step, before, messages)
        .map_err(at(place.step))?;
    place.play(step).map_err(at(place.step))
}

/// How far the conversation has been followed.
struct Place<'a> {
    /// Replies so far.
    step: usize,
    results: Results<'a>,
    /// Results since the last reply.
    fresh: Vec<&'a ToolResult>,
}

impl Place<'_> {
    /// Checks that a reply of the conversation is the recorded one, and goes past it.
    fn replay(&mut self, step: &Step, message: &Message) -> Result<(), String> {
        let texts = message.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let (text, expected) = (texts.collect::<String>(), step.text.text(&self.results)?);
        if text.trim() != expected.trim() {
            return Err(format!(
                "the recorded reply is {}, the conversation has {}",
                shown(&expected),
                shown(&text)
            ));
        }
        let calls = message.parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some((call.id.as_str(), call.name.as_str())),
            _ => None,
        });
        let calls: Vec<_> = calls.collect();
        let expected: Vec<_> = step
            .calls
            .iter()
            .map(|call| (call.id.as_str(), call.name.as_str()))
            .collect();
        if calls != expected {
            return Err(format!(
                "the recorded calls are {}, the conversation has {}",
                listed(&expected),
                listed(&calls)
            ));
        }
        self.step += 1;
        self.fresh.clear();
        Ok(())
    }

    /// Checks what came since the last reply.
    fn expect(
        &self,
        step: &Step,
        before: Option<&Step>,
        messages: &[Message],
    ) -> Result<(), String> {
        for call in before.into_iter().flat_map(|step| &step.calls) {
            if !self.fresh.iter().any(|result| result.call_id == call.id) {
                return Err(format!(
                    "the result of call `{}` ({}) is missing",
                    call.id, call.name
                ));
            }
        }
        if let Some(words) = &step.user {
            let from_user = messages.last().is_some_and(|message| {
                let says = |part: &Part| matches!(part, Part::Text(text) if text.contains(words));
                matches!(message.role, Role::User) && message.parts.iter().any(says)
            });
            if !from_user {
                return Err(format!(
                    "a user message with {} is expected, {} came",
                    shown(words),
                    last(messages)
                ));
            }
        }
        step.results
            .iter()
            .try_for_each(|expected| self.expect_result(expected))
    }

    fn expect_result(&self, expected: &ExpectedResult) -> Result<(), String> {
        let call = &expected.call;
        let result = self
            .fresh
            .iter()
            .rev()
            .find(|result| result.call_id == *call);
        let result = result.ok_or_else(|| format!("the result of call `{call}` is missing"))?;
        let content = shown(&result.content);
        match (expected.is_error, result.is_error) {
            (Some(false), true) if result.content.to_ascii_lowercase().contains("interrupted") => {
                return Err(format!(
                    "call `{call}` was interrupted, and the recording needs its result: {content}"
                ));
            }
            (Some(false), true) => {
                return Err(format!(
                    "call `{call}` is expected to succeed, it failed: {content}"
                ));
            }
            (Some(true), false) => {
                return Err(format!(
                    "call `{call}` is expected to fail, it succeeded: {content}"
                ));
            }
            _ => {}
        }
        match expected
            .contains
            .iter()
            .find(|words| !result.content.contains(*words))
        {
            Some(words) => Err(format!(
                "{} is expected in the result of call `{call}`, it is {content}",
                shown(words)
            )),
            None => Ok(()),
        }
    }

    fn play(&self, step: &Step) -> Result<Reply, String> {
        let mut calls = Vec::with_capacity(step.calls.len());
        for call in &step.calls {
            let mut arguments = serde_json::Map::new();
            for (name, value) in &call.arguments {
                let value = template::resolve(value, &self.results);
                arguments.insert(
                    name.clone(),
                    value.map_err(|reason| format!("call `{}`: {reason}", call.id))?,
                );
            }
            let arguments = serde_json::Value::Object(arguments).to_string();
            calls.push(ToolCall {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments,
            });
        }
        Ok(Reply {
            step: self.step + 1,
            text: step.text.text(&self.results)?,
            reasoning: step.reasoning.text(&self.results)?,
            calls,
        })
    }
}

/// Calls in words.
fn listed(calls: &[(&str, &str)]) -> String {
    if calls.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<_> = calls
        .iter()
        .map(|(id, name)| format!("{id} ({name})"))
        .collect();
    shown(&words.join(", "))
}

/// The last message in words.
fn last(messages: &[Message]) -> String {
    let Some(message) = messages.last() else {
        return "no message at all".to_owned();
    };
    let text = message.parts.iter().find_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Result(result) => Some(result.content.as_str()),
        _ => None,
    });
    let role = match message.role {
        Role::System => "a system",
        Role::User => "a user",
        Role::Assistant => "an assistant",
        Role::Tool => "a tool",
    };
    format!("{role} message {}", shown(text.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
