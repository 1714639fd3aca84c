//! What a server of the protocol answers.

use crate::provider::value::Value;

/// What is new in a choice, or the whole of it.
pub(crate) struct Delta<'a> {
    pub(crate) content: Value<'a>,
    pub(crate) reasoning_content: Value<'a>,
    pub(crate) reasoning: Value<'a>,
    pub(crate) refusal: Value<'a>,
    pub(crate) tool_calls: Value<'a>,
    /// OpenRouter: reasoning as the service behind it has it, to be returned unchanged.
    pub(crate) reasoning_details: Value<'a>,
}

impl<'a> Delta<'a> {
    pub(crate) fn read(delta: Value<'a>) -> Self {
        let [
            content,
            reasoning_content,
            reasoning,
            refusal,
            tool_calls,
            reasoning_details,
        ] = delta.pick([
            "content",
            "reasoning_content",
            "reasoning",
            "refusal",
            "tool_calls",
            "reasoning_details",
        ]);
        Self {
            content,
            reasoning_content,
            reasoning,
            refusal,
            tool_calls,
            reasoning_details,
        }
    }
}

/// Tokens that a server counted; whatever is none was not said.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    /// Those read from and written to the cache included.
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) cached: Option<u64>,
    pub(crate) written: Option<u64>,
    pub(crate) reasoning: Option<u64>,
    /// US dollars.
    pub(crate) cost: Option<f64>,
}

impl Usage {
    /// What of it an object says.
    pub(crate) fn read(usage: Value<'_>) -> Option<Self> {
        if !usage.is_object() {
            return None;
        }
        let [input, output, hit, creation, cost, of_input, of_output] = usage.pick([
            "prompt_tokens",
            "completion_tokens",
            // Where the DeepSeek service reports cached tokens.
            "prompt_cache_hit_tokens",
            // Routers in front of Anthropic's models.
            "cache_creation_input_tokens",
            // OpenRouter.
            "cost",
            "prompt_tokens_details",
            "completion_tokens_details",
        ]);
        let [cached, written, created] = of_input.pick([
            "cached_tokens",
            "cache_write_tokens",
            "cache_creation_tokens",
        ]);
        let first = |all: &[Value<'_>]| all.iter().find_map(|value| value.number());
        Some(Self {
            input: input.number(),
            output: output.number(),
            cached: first(&[cached, hit]),
            written: first(&[written, created, creation]),
            reasoning: of_output.get("reasoning_tokens").number(),
            cost: cost.amount(),
        })
    }
}
