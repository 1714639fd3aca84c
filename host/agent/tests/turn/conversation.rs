//! What every provider wants of a conversation, and refuses a whole one for.

use ml_intern_agent::{Message, Part, Role};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Checks one request.
pub(crate) fn check(messages: &[Message]) {
    for (index, message) in messages.iter().enumerate() {
        let begins = index == 0 || message.role != Role::System;
        assert!(begins, "a system prompt that is not the first message");
        assert!(!message.parts.is_empty(), "an empty message");
        let empty = |part: &Part| matches!(part, Part::Text { text } if text.is_empty());
        assert!(!message.parts.iter().any(empty), "an empty text");
        message.calls().for_each(|call| {
            let object = serde_json::from_str::<Map<String, Value>>(&call.arguments);
            assert!(object.is_ok(), "no object: {}", call.arguments);
            assert!(is_name(&call.name), "no name: {}", call.name);
        });
        let next = messages.get(index + 1);
        let asked: Vec<_> = message.calls().map(|call| call.id.as_str()).collect();
        let different: BTreeSet<_> = asked.iter().collect();
        assert_eq!(different.len(), asked.len(), "an id twice: {asked:?}");
        assert_eq!(asked, next.map(answered).unwrap_or_default());
        let Some(next) = next else {
            let asks = matches!(message.role, Role::User | Role::Tool);
            assert!(asks, "nothing to answer: {message:?}");
            continue;
        };
        match (message.role, next.role) {
            (Role::User, Role::User)
            | (Role::Assistant, Role::Assistant)
            | (Role::Tool, Role::Tool) => panic!("two of {:?} in a row", next.role),
            (before, Role::Tool) => assert_eq!(before, Role::Assistant),
            _ => {}
        }
        if !asked.is_empty() {
            assert_eq!(next.role, Role::Tool);
        }
    }
}

/// Ids of the calls that a message has results of.
fn answered(message: &Message) -> Vec<&str> {
    let results = message.parts.iter().filter_map(|part| match part {
        Part::Result(result) => Some(result.call_id.as_str()),
        _ => None,
    });
    results.collect()
}

fn is_name(name: &str) -> bool {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(kept)
}
