//! The conversation as the model sees it, independent of any provider's wire format.

use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The system prompt; always the first message and only that.
    System,
    /// A person, or the host speaking in a person's place (see [`Message::injected`]).
    User,
    /// The model.
    Assistant,
    /// Results of the calls in the assistant message before it, in the order of the calls.
    Tool,
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Part {
    /// Plain text.
    Text {
        /// UTF-8.
        text: String,
    },
    /// A picture.
    Image {
        /// For example `image/png`.
        media_type: String,
        /// Base64 of the bytes.
        base64: String,
    },
    /// The model's reasoning; `opaque` goes back to the same provider unchanged, and to no other.
    Reasoning {
        /// What may be shown.
        text: String,
        /// Name of the provider that it came from; none in older logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// The provider's own JSON (a signature, encrypted content).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opaque: Option<String>,
    },
    /// A tool call.
    Call(Call),
    /// A result.
    Result(CallResult),
}

/// A tool call as the model made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The provider's id, unique within its message.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// A JSON object as text; `{}` where the model's own text did not parse.
    pub arguments: String,
}

/// What a call came to, as the model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// [`Call::id`].
    pub call_id: String,
    /// Text for the model.
    pub content: String,
    /// Pictures, for models that take them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Whether the model should take it as a failure.
    #[serde(default)]
    pub is_error: bool,
}

/// A picture in a tool result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// For example `image/png`.
    pub media_type: String,
    /// Base64 of the bytes.
    pub base64: String,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// In order.
    pub parts: Vec<Part>,
    /// Written by the host in the user's place (a guard's advice); not a turn of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub injected: bool,
}

impl Message {
    /// A message of one text part.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::Text { text: text.into() }],
            injected: false,
        }
    }

    /// The text parts, joined.
    pub fn plain_text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n\n")
    }

    /// The tool calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some(call),
            _ => None,
        })
    }
}
