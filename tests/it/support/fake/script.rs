//! The model of a fake server: a function from a conversation to a reply.
//!
//! The function sees nothing but the request (and how often the same conversation came before),
//! so a client that is killed and resumed gets the answer that it would have got.

use std::sync::Arc;

use serde_json::Value;

use super::error::ApiError;

mod reply;

pub(super) use reply::{Ending, Fault, Kind, Said};
pub(crate) use reply::{Flaw, Reply};

/// What the model knows when it replies.
pub(crate) struct Asked<'a> {
    /// The whole request, as its protocol has it.
    pub(crate) request: &'a Value,
    /// Its messages, oldest first, never empty; whatever the protocol, in the shape that chat
    /// completions have.
    pub(crate) messages: &'a [Value],
    /// How many earlier requests had byte for byte the same messages: 0 at the first try.
    pub(crate) attempt: usize,
}

impl Asked<'_> {
    /// How many messages the assistant has said so far.
    pub(crate) fn assistant_messages(&self) -> usize {
        let roles = self.messages.iter().map(|message| &message["role"]);
        roles.filter(|role| *role == "assistant").count()
    }

    /// The content of the last message, empty where it is not a plain string.
    pub(crate) fn last_text(&self) -> &str {
        let last = self.messages.last();
        last.and_then(|message| message["content"].as_str())
            .unwrap_or_default()
    }

    /// How many images the conversation holds.
    pub(crate) fn images(&self) -> usize {
        let contents = self.messages.iter().map(|message| &message["content"]);
        let parts = contents.filter_map(Value::as_array).flatten();
        parts.filter(|part| part["type"] == "image_url").count()
    }
}

/// The model.
#[derive(Clone)]
pub(crate) struct Script(Arc<dyn Fn(&Asked<'_>) -> Reply + Send + Sync>);

impl Script {
    /// A model that replies with whatever `decide` returns.
    pub(crate) fn new(decide: impl Fn(&Asked<'_>) -> Reply + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    /// A model that gives `replies` one after the other: the first to a conversation in which
    /// the assistant has said nothing, and so on. Past the end it answers with an error.
    pub(crate) fn steps(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        Self::new(move |asked| {
            let said = asked.assistant_messages();
            replies.get(said).cloned().unwrap_or_else(|| {
                let message = format!("the script has {} replies, no number {said}", replies.len());
                Reply::refused(ApiError::invalid("script", message))
            })
        })
    }

    /// The reply to `asked`, the right one of a chain of [`Reply::then`].
    pub(super) fn decide(&self, asked: &Asked<'_>) -> Reply {
        let mut reply = (self.0)(asked);
        for _ in 0..asked.attempt {
            match reply.then.take() {
                Some(next) => reply = *next,
                None => break,
            }
        }
        reply
    }
}

/// A call of a tool by the model.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Call {
    /// A call with proper arguments.
    pub(crate) fn new(name: &str, arguments: Value) -> Self {
        Self::raw(name, &arguments.to_string())
    }

    /// Whether a call in a conversation is this one.
    pub(crate) fn is(&self, name: &str, arguments: &str) -> bool {
        self.name == name && self.arguments == arguments
    }

    /// A call whose arguments are any text, as models produce them when they go wrong.
    pub(crate) fn raw(name: &str, arguments: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }
}
