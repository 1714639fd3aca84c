//! Puts a reply together from the chunks in which it comes.

use super::chunk::{Chunk, Delta, Usage};
use super::details::Details;
use crate::chat::{self, Response, Stop};
use crate::provider::sse::Event;
use crate::provider::{Flow, Fragment, Protocol, Reply, Service, errors};
use crate::{Error, Price};

/// A chat completion under construction.
#[derive(Debug)]
pub struct Completion<'a> {
    service: Service<'a>,
    /// What has come.
    pub reply: Reply<'a>,
    price: Option<Price>,
    details: Details,
    refused: bool,
    finish: Option<String>,
    usage: Option<Usage>,
    /// A choice has come.
    begun: bool,
    done: bool,
}

impl<'a> Completion<'a> {
    /// An empty one of this service. Where `price` is given, the cost is counted by it unless the
    /// service names its own.
    pub fn new(service: Service<'a>, reply: Reply<'a>, price: Option<Price>) -> Self {
        Self {
            service,
            reply,
            price,
            details: Details::default(),
            refused: false,
            finish: None,
            usage: None,
            begun: false,
            done: false,
        }
    }

    /// Takes a chunk or a whole answer as JSON.
    fn json(&mut self, data: &[u8]) -> Result<Flow, Error> {
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|error| {
            errors::broken(&format!(
                "the server sent what is no chat completion ({error}): {}",
                errors::bounded(&String::from_utf8_lossy(data), 200)
            ))
        })?;
        let reported = chunk.error.is_some_and(|error| error.get() != "null");
        if reported || chunk.object.as_deref() == Some("error") {
            return Err(errors::in_stream(&self.service, data));
        }
        if self.reply.id.is_none() {
            self.reply.id = chunk.id.filter(|id| !id.is_empty());
        }
        if chunk.usage.is_some() {
            self.usage = chunk.usage;
        }
        // With `n` in the extra parameters there are several choices: the first one is the reply.
        let first = chunk
            .choices
            .into_iter()
            .flatten()
            .filter(|choice| choice.index.unwrap_or(0) == 0);
        for choice in first {
            self.begun = true;
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish = Some(reason);
            }
            let whole = choice.delta.is_none();
            let delta = choice.delta.or(choice.message).unwrap_or_default();
            self.delta(delta, whole)?;
            if self.reply.is_stopped() {
                return Ok(Flow::Stopped);
            }
        }
        Ok(Flow::More)
    }

    fn delta(&mut self, delta: Delta<'_>, whole: bool) -> Result<(), Error> {
        // Servers in transition between the two names send the same text under both.
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(text) = filled(delta.reasoning_content).or(filled(delta.reasoning)) {
            self.reply.reasoning(&text);
        }
        if let Some(details) = delta.reasoning_details {
            self.details.add(details.get());
        }
        let refusal = filled(delta.refusal);
        self.refused |= refusal.is_some();
        for text in [filled(delta.content), refusal].into_iter().flatten() {
            self.reply.text(&text);
        }
        for (place, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            let function = call.function.as_ref();
            let arguments = function.map(|function| function.fragment());
            self.reply.call(Fragment {
                index: call.index.or(whole.then_some(place as u64)),
                id: call.id.as_deref().unwrap_or_default(),
                name: function
                    .and_then(|function| function.name.as_deref())
                    .unwrap_or_default(),
                arguments: arguments.as_deref().unwrap_or_default(),
            })?;
        }
        Ok(())
    }

    /// Words beside the protocol's own: `eos_token` and `stop_sequence` of text-generation-inference,
    /// `model_length` of Mistral, `insufficient_system_resource` of DeepSeek, `abort` of vLLM and
    /// SGLang, `error` of routers.
    fn stop(&self) -> Result<Stop, Error> {
        let reason = self.finish.as_deref().unwrap_or("stop");
        Ok(match reason {
            "length" | "max_tokens" | "model_length" => Stop::MaxTokens,
            "content_filter" | "refusal" => Stop::Refusal,
            "error" | "abort" | "insufficient_system_resource" => {
                return Err(errors::broken(&format!(
                    "the server gave up on the reply: finish reason `{reason}`"
                )));
            }
            _ if self.reply.has_calls() => Stop::ToolUse,
            _ if self.refused => Stop::Refusal,
            "stop" | "eos_token" | "stop_sequence" | "end_turn" | "tool_calls"
            | "function_call" => Stop::EndTurn,
            _ => Stop::Other,
        })
    }
}

impl Protocol for Completion<'_> {
    fn event(&mut self, event: &Event<'_>) -> Result<Flow, Error> {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(Flow::Done);
        }
        if data.is_empty() {
            return Ok(Flow::More);
        }
        if event.name == "error" {
            return Err(errors::in_stream(&self.service, data));
        }
        self.json(data)
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), Error> {
        self.json(body)?;
        if !self.begun {
            let start = errors::bounded(&String::from_utf8_lossy(body), 200);
            return Err(errors::broken(&format!(
                "the server's answer holds no reply: {start}"
            )));
        }
        self.done = true;
        Ok(())
    }

    fn has_finished(&self) -> bool {
        self.finish.is_some()
    }

    fn finish(self) -> Result<Response, Error> {
        if self.reply.is_stopped() {
            return Ok(self.reply.finish(Stop::Cancelled));
        }
        if self.finish.is_none() && !self.done {
            return Err(errors::broken(
                "the stream ended before the reply was complete",
            ));
        }
        let stop = self.stop()?;
        let mut reply = self.reply;
        if let Some(details) = self.details.into_json() {
            reply.opaque_of_all(details);
        }
        if let Some(usage) = &self.usage {
            let counted = self.price.as_ref().map(|price| cost(usage, price));
            reply.cost_usd = usage.cost.or(counted);
            reply.usage = in_tokens(usage);
        }
        Ok(reply.finish(stop))
    }
}

/// `prompt_tokens` includes cached tokens, as the host counts them too.
fn in_tokens(usage: &Usage) -> chat::Usage {
    let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
    let details = usage.completion_tokens_details.as_ref();
    chat::Usage {
        input: count(usage.prompt_tokens),
        output: count(usage.completion_tokens),
        cache_read: count(cached(usage)),
        cache_write: count(written(usage)),
        reasoning: count(details.and_then(|details| details.reasoning_tokens)),
    }
}

fn cached(usage: &Usage) -> Option<u64> {
    let details = usage.prompt_tokens_details.as_ref();
    details
        .and_then(|details| details.cached_tokens)
        .or(usage.prompt_cache_hit_tokens)
}

fn written(usage: &Usage) -> Option<u64> {
    let details = usage.prompt_tokens_details.as_ref();
    details
        .and_then(|details| details.cache_write_tokens.or(details.cache_creation_tokens))
        .or(usage.cache_creation_input_tokens)
}

/// US dollars.
fn cost(usage: &Usage, price: &Price) -> f64 {
    let input = usage.prompt_tokens.unwrap_or(0);
    let cached = cached(usage).unwrap_or(0).min(input);
    let written = written(usage).unwrap_or(0).min(input - cached);
    let output = usage.completion_tokens.unwrap_or(0);
    let millionths = (input - cached - written) as f64 * price.input
        + cached as f64 * price.cache_read
        + written as f64 * price.cache_write
        + output as f64 * price.output;
    millionths / 1e6
}

#[cfg(test)]
mod tests;
