//! What the renderers of all protocols have in common: ids, words, tokens, and the things that a
//! model gives out to have them back later.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    script::{Call, Flaw, Reply, Said},
    service::{Ask, Service},
};

/// Letters of tool-call arguments in one event; short enough to cut every real argument.
const ARGUMENT_LETTERS: usize = 5;
/// A fixed time stamp (seconds since 1970) keeps answers the same from run to run.
pub(super) const CREATED: u64 = 1_790_000_000;

/// One message of the model on its way to the client.
pub(super) struct Answer<'a> {
    pub(super) service: Service,
    pub(super) ask: &'a Ask,
    pub(super) reply: &'a Reply,
    pub(super) said: &'a Said,
    pub(super) tokens: Tokens,
}

/// The tokens of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    /// Of the whole prompt, wherever it came from.
    pub(super) prompt: u64,
    /// Of the prompt, read from the cache.
    pub(super) read: u64,
    /// Of the prompt, written to the cache.
    pub(super) written: u64,
    /// Of the answer, reasoning included.
    pub(super) answer: u64,
    /// Of the answer, for reasoning.
    pub(super) reasoning: u64,
}

impl Tokens {
    /// What the script says, or an estimate; `cached` is what marks in the request lead to.
    pub(super) fn new(
        reply: &Reply,
        said: &Said,
        request_bytes: usize,
        cached: (u64, u64),
    ) -> Self {
        let letters: usize = said.calls.iter().map(|call| call.arguments.len()).sum();
        let letters = letters + said.text.len() + said.reasoning.as_ref().map_or(0, String::len);
        let (read, written) = reply.usage.cached.unwrap_or(cached);
        let estimate = (
            estimate(request_bytes).max(read + written),
            estimate(letters) + 1,
        );
        let (prompt, answer) = reply.usage.both.unwrap_or(estimate);
        Self {
            prompt,
            read,
            written,
            answer,
            reasoning: reply.usage.reasoning,
        }
    }
}

/// Tokens of so many bytes; four bytes a token is close enough for clients that only add up.
pub(super) fn estimate(bytes: usize) -> u64 {
    bytes as u64 / 4
}

impl<'a> Answer<'a> {
    /// The length of the conversation makes ids that are new to it and the same at a repeat.
    pub(super) fn round(&self) -> usize {
        self.ask.messages.len()
    }

    /// The model by the name that the request had for it.
    pub(super) fn model(&self) -> &'a str {
        &self.ask.model
    }

    /// The calls with their ids, which begin with `prefix`; no id where the script wants none.
    pub(super) fn calls(&self, prefix: &str) -> Vec<(Option<String>, &'a Call)> {
        let calls = self.said.calls.iter().enumerate();
        let id = |index| match (
            self.reply.has(Flaw::NoCallId),
            self.reply.has(Flaw::SameCallId),
        ) {
            (true, _) => None,
            (_, true) => Some(format!("{prefix}same")),
            _ => Some(format!("{prefix}{}_{index}", self.round())),
        };
        calls.map(|(index, call)| (id(index), call)).collect()
    }

    /// The arguments as a string, or as the script wants them instead.
    pub(super) fn arguments_text(&self, call: &Call) -> Value {
        if self.reply.has(Flaw::ArgumentsType) {
            return call.arguments_json();
        }
        Value::String(call.arguments.clone())
    }

    /// The arguments as an object, or as the script wants them instead; what is not JSON stays
    /// a string.
    pub(super) fn arguments_object(&self, call: &Call) -> Value {
        if self.reply.has(Flaw::ArgumentsType) {
            return Value::String(call.arguments.clone());
        }
        call.arguments_json()
    }
}

impl Call {
    fn arguments_json(&self) -> Value {
        let parsed = serde_json::from_str(&self.arguments);
        parsed.unwrap_or_else(|_| Value::String(self.arguments.clone()))
    }
}

/// A text in the pieces in which models stream it.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

/// Arguments in pieces that cut every value of theirs.
pub(super) fn fragments(arguments: &str) -> Vec<String> {
    let letters: Vec<char> = arguments.chars().collect();
    letters
        .chunks(ARGUMENT_LETTERS)
        .map(String::from_iter)
        .collect()
}

/// The seal on something that the client may only hand back: made of the thing itself, so that a
/// fake that was started anew still knows its own and no other.
pub(super) fn seal(content: &str) -> String {
    let digest = Sha256::digest(format!("sealed by the fake:{content}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Seal{hex}")
}

/// Something that only this fake can open: sealed and in base64.
pub(super) fn encrypted(content: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(format!("{}{content}", seal(content)))
}

/// Whether this fake made it.
pub(super) fn is_encrypted(content: &str) -> bool {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let plain = STANDARD.decode(content).ok();
    let plain = plain.and_then(|plain| String::from_utf8(plain).ok());
    let length = seal("").len();
    plain.is_some_and(|plain| {
        plain.is_char_boundary(length) && plain.len() >= length && {
            let (sealed, content) = plain.split_at(length);
            sealed == seal(content)
        }
    })
}
