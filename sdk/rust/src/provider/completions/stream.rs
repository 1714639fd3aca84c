//! Puts a reply together from the chunks in which it comes.

use super::chunk::{Delta, Usage};
use super::details::Details;
use crate::chat::{self, Response, Stop};
use crate::provider::sse::Event;
use crate::provider::value;
use crate::provider::{Flow, Fragment, Protocol, Reply, Service, cost, errors};
use crate::{Error, Price};
use std::borrow::Cow;

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

    /// Takes a chunk or a whole answer as JSON: they differ in `delta` and `message`.
    fn json(&mut self, data: &[u8]) -> Result<Flow, Error> {
        let names = ["id", "choices", "usage", "error", "object"];
        let [id, choices, usage, error, object] = value::sent("chat completion", data, names)?;
        if !error.is_null() || object.is("error") {
            return Err(errors::in_stream(&self.service, data));
        }
        if self.reply.id.is_none() {
            self.reply.id = id.filled().map(Cow::into_owned);
        }
        if let Some(usage) = Usage::read(usage) {
            self.usage = Some(usage);
        }
        for choice in choices.elements() {
            let [index, delta, message, reason] =
                choice.pick(["index", "delta", "message", "finish_reason"]);
            // With `n` in the extra parameters there are several choices: the first one is the reply.
            if index.number().unwrap_or(0) != 0 {
                continue;
            }
            self.begun = true;
            if let Some(reason) = reason.filled() {
                self.finish = Some(reason.into_owned());
            }
            match delta.is_null() {
                true => self.delta(&Delta::read(message), true)?,
                false => self.delta(&Delta::read(delta), false)?,
            }
            if self.reply.is_stopped() {
                return Ok(Flow::Stopped);
            }
        }
        Ok(Flow::More)
    }

    fn delta(&mut self, delta: &Delta<'_>, whole: bool) -> Result<(), Error> {
        // Servers in transition between the two names send the same text under both.
        let reasoning = delta.reasoning_content.filled();
        if let Some(text) = reasoning.or_else(|| delta.reasoning.filled()) {
            self.reply.reasoning(&text);
        }
        self.details.add(delta.reasoning_details);
        let refusal = delta.refusal.filled();
        self.refused |= refusal.is_some();
        for text in [delta.content.filled(), refusal].into_iter().flatten() {
            self.reply.text(&text);
        }
        for (place, call) in delta.tool_calls.elements().enumerate() {
            let [index, id, function] = call.pick(["index", "id", "function"]);
            let [name, arguments] = function.pick(["name", "arguments"]);
            self.reply.call(Fragment {
                index: index.number().or(whole.then_some(place as u64)),
                id: &id.text().unwrap_or_default(),
                name: &name.text().unwrap_or_default(),
                arguments: &arguments.json(),
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
            let start = errors::beginning(body);
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
            reply.usage = in_tokens(usage);
            let counted = self.price.as_ref().map(|price| cost(&reply.usage, price));
            reply.cost_usd = usage.cost.or(counted);
        }
        Ok(reply.finish(stop))
    }
}

/// `prompt_tokens` includes cached tokens, as the host counts them too.
fn in_tokens(usage: &Usage) -> chat::Usage {
    let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
    chat::Usage {
        input: count(usage.input),
        output: count(usage.output),
        cache_read: count(usage.cached),
        cache_write: count(usage.written),
        reasoning: count(usage.reasoning),
    }
}

#[cfg(test)]
mod tests;
