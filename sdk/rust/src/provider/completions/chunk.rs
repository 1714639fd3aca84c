//! What a server of the protocol answers.

use crate::provider::lenient::{amount, json_text, number, text};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One streamed chunk, or a whole answer: they differ in `delta` and `message`.
#[derive(Deserialize)]
pub(crate) struct Chunk<'a> {
    #[serde(default, deserialize_with = "text")]
    pub(crate) id: Option<String>,
    #[serde(default, borrow)]
    pub(crate) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    #[serde(default, borrow)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) object: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default, deserialize_with = "number")]
    pub(crate) index: Option<u64>,
    #[serde(default, borrow)]
    pub(crate) delta: Option<Delta<'a>>,
    #[serde(default, borrow)]
    pub(crate) message: Option<Delta<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Delta<'a> {
    #[serde(default, deserialize_with = "text")]
    pub(crate) content: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) reasoning_content: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) reasoning: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) refusal: Option<String>,
    #[serde(default, borrow)]
    pub(crate) tool_calls: Option<Vec<CallDelta<'a>>>,
    /// OpenRouter: reasoning as the service behind it has it, to be returned unchanged.
    #[serde(default, borrow)]
    pub(crate) reasoning_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(crate) struct CallDelta<'a> {
    #[serde(default, deserialize_with = "number")]
    pub(crate) index: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) id: Option<String>,
    #[serde(default, borrow)]
    pub(crate) function: Option<FunctionDelta<'a>>,
}

#[derive(Default, Deserialize)]
pub(crate) struct FunctionDelta<'a> {
    #[serde(default, deserialize_with = "text")]
    pub(crate) name: Option<String>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

impl FunctionDelta<'_> {
    /// The fragment of the arguments. Some servers send an object instead of its text.
    pub(crate) fn fragment(&self) -> String {
        json_text(self.arguments)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Usage {
    #[serde(default, deserialize_with = "number")]
    pub(crate) prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) completion_tokens: Option<u64>,
    /// Where the DeepSeek service reports cached tokens.
    #[serde(default, deserialize_with = "number")]
    pub(crate) prompt_cache_hit_tokens: Option<u64>,
    /// OpenRouter: US dollars.
    #[serde(default, deserialize_with = "amount")]
    pub(crate) cost: Option<f64>,
    /// Routers in front of Anthropic's models.
    #[serde(default, deserialize_with = "number")]
    pub(crate) cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    pub(crate) prompt_tokens_details: Option<Details>,
    #[serde(default)]
    pub(crate) completion_tokens_details: Option<Details>,
}

/// Details of the prompt or of the completion: either has one of these.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Details {
    #[serde(default, deserialize_with = "number")]
    pub(crate) cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) cache_write_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) cache_creation_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) reasoning_tokens: Option<u64>,
}
