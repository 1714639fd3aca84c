//! Puts a reply together from the pieces in which it comes.

use crate::chunk::{CallDelta, Chunk, Delta, Usage};
use crate::errors;
use crate::sse::Event;
use ml_intern_plugin::chat::{self, Part, Reasoning, Response, Stop, ToolCall};
use ml_intern_plugin::sink::{self, CallArguments, CallStart};
use ml_intern_plugin::{Control, Error, Price};

/// Calls in one reply. A model in a loop writes more; nothing good comes of running them.
const MAX_CALLS: usize = 256;

/// What to do after an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Flow {
    /// Read on.
    More,
    /// The stream said that it is complete.
    Done,
    /// The host wants no more.
    Stopped,
}

/// Takes deltas for display.
pub(crate) type Emit<'a> = dyn FnMut(sink::Delta) -> Control + 'a;

/// A reply under construction.
pub(crate) struct Reply<'a> {
    model: &'a str,
    /// Number of messages in the request: makes the ids of calls that came without one different
    /// from those of earlier replies.
    turn: usize,
    id: Option<String>,
    text: String,
    reasoning: String,
    refused: bool,
    calls: Vec<Call>,
    finish: Option<String>,
    usage: Option<Usage>,
    /// A choice has come.
    begun: bool,
    done: bool,
    stopped: bool,
}

/// A call under construction.
#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// Its start went to the sink, and this many bytes of its arguments.
    shown: Option<usize>,
}

impl<'a> Reply<'a> {
    /// An empty reply of `model` to a request of `turn` messages.
    pub(crate) fn new(model: &'a str, turn: usize) -> Self {
        Self {
            model,
            turn,
            id: None,
            text: String::new(),
            reasoning: String::new(),
            refused: false,
            calls: Vec::new(),
            finish: None,
            usage: None,
            begun: false,
            done: false,
            stopped: false,
        }
    }

    /// Takes one event of the stream.
    ///
    /// # Errors
    /// What the server reported in the event, or `upstream` (retryable) when it is not JSON.
    pub(crate) fn event(&mut self, event: &Event<'_>, emit: &mut Emit<'_>) -> Result<Flow, Error> {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(Flow::Done);
        }
        if data.is_empty() {
            return Ok(Flow::More);
        }
        if event.name == "error" {
            return Err(errors::in_stream(data, self.model));
        }
        self.json(data, emit)
    }

    /// Takes a chunk or a whole answer as JSON.
    pub(crate) fn json(&mut self, data: &[u8], emit: &mut Emit<'_>) -> Result<Flow, Error> {
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|error| {
            errors::broken(&format!(
                "the server sent what is no chat completion ({error}): {}",
                errors::bounded(&String::from_utf8_lossy(data), 200)
            ))
        })?;
        let reported = chunk.error.is_some_and(|error| error.get() != "null");
        if reported || chunk.object.as_deref() == Some("error") {
            return Err(errors::in_stream(data, self.model));
        }
        if self.id.is_none() {
            self.id = chunk.id.filter(|id| !id.is_empty());
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
            if self.delta(delta, whole, emit)? == Control::Stop {
                self.stopped = true;
                return Ok(Flow::Stopped);
            }
        }
        Ok(Flow::More)
    }

    fn delta(
        &mut self,
        delta: Delta<'_>,
        whole: bool,
        emit: &mut Emit<'_>,
    ) -> Result<Control, Error> {
        let mut control = Control::Proceed;
        let mut send = |delta| {
            if control == Control::Proceed {
                control = emit(delta);
            }
        };
        // Servers in transition between the two names send the same text under both.
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(text) = filled(delta.reasoning_content).or(filled(delta.reasoning)) {
            self.reasoning.push_str(&text);
            send(sink::Delta::Reasoning(text));
        }
        let refusal = filled(delta.refusal);
        self.refused |= refusal.is_some();
        for text in [filled(delta.content), refusal].into_iter().flatten() {
            self.text.push_str(&text);
            send(sink::Delta::Text(text));
        }
        for (place, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            let at = self.place(&call, whole.then_some(place as u64))?;
            self.fragment(at, &call);
            self.show(at, &mut send);
        }
        Ok(control)
    }

    /// Which call a fragment belongs to; makes a new one when it belongs to none so far.
    fn place(&mut self, fragment: &CallDelta<'_>, position: Option<u64>) -> Result<usize, Error> {
        let index = fragment.index.or(position);
        let id = fragment.id.as_deref().unwrap_or_default();
        let named = fragment
            .function
            .as_ref()
            .and_then(|function| function.name.as_deref())
            .is_some_and(|name| !name.is_empty());
        // Servers that give every call the index 0 tell them apart by id, and servers that make up
        // a new id for every fragment leave the name out of all but the first.
        let other = |call: &Call| named && !id.is_empty() && !call.id.is_empty() && call.id != id;
        let found = match index {
            Some(_) => self
                .calls
                .iter()
                .rposition(|call| call.index == index)
                .filter(|at| !other(&self.calls[*at])),
            // Without an index a fragment continues the last call, unless it names another.
            None => self.calls.len().checked_sub(1).filter(|at| {
                let last = &self.calls[*at];
                let whole = !last.arguments.is_empty();
                !(other(last) || named && id.is_empty() && whole)
            }),
        };
        if let Some(at) = found {
            return Ok(at);
        }
        if self.calls.len() == MAX_CALLS {
            return Err(Error::Limit(format!(
                "more than {MAX_CALLS} tool calls in one reply"
            )));
        }
        self.calls.push(Call {
            index,
            ..Call::default()
        });
        Ok(self.calls.len() - 1)
    }

    fn fragment(&mut self, at: usize, fragment: &CallDelta<'_>) {
        let call = &mut self.calls[at];
        let function = fragment.function.as_ref();
        if let Some(id) = fragment
            .id
            .as_ref()
            .filter(|id| !id.is_empty() && call.id.is_empty())
        {
            call.id.clone_from(id);
        }
        // A name repeated with every fragment is one name.
        let name = function
            .and_then(|function| function.name.as_deref())
            .unwrap_or_default();
        if name != call.name {
            call.name.push_str(name);
        }
        if let Some(function) = function {
            call.arguments.push_str(&function.fragment());
        }
    }

    /// Sends what is new about a call, once its name is there.
    fn show(&mut self, at: usize, send: &mut impl FnMut(sink::Delta)) {
        let id = match self.calls[at].id.as_str() {
            "" => self.made_up_id(at),
            id => id.to_owned(),
        };
        let call = &mut self.calls[at];
        if call.name.is_empty() {
            return;
        }
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        if call.shown.is_none() {
            send(sink::Delta::CallStart(CallStart {
                index,
                id,
                name: call.name.clone(),
            }));
        }
        let fragment = call.arguments[call.shown.unwrap_or(0)..].to_owned();
        call.shown = Some(call.arguments.len());
        if !fragment.is_empty() {
            send(sink::Delta::CallArguments(CallArguments {
                index,
                fragment,
            }));
        }
    }

    fn made_up_id(&self, at: usize) -> String {
        format!("call_{}_{at}", self.turn)
    }

    /// Whether no choice has come so far.
    pub(crate) fn is_empty(&self) -> bool {
        !self.begun
    }

    /// Whether the server has said why it stopped.
    pub(crate) fn has_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Says that nothing more will come and nothing is missing.
    pub(crate) fn complete(&mut self) {
        self.done = true;
    }

    /// The reply, with its cost when a price is known.
    ///
    /// # Errors
    /// `upstream` (retryable) when the stream ended early or the server gave up.
    pub(crate) fn finish(mut self, price: Option<&Price>) -> Result<Response, Error> {
        if self.stopped {
            self.calls.clear();
        } else if self.finish.is_none() && !self.done {
            return Err(errors::broken(
                "the stream ended before the reply was complete",
            ));
        }
        let stop = self.stop()?;
        let calls = self.calls();
        let mut parts = Vec::with_capacity(calls.len() + 2);
        if !self.reasoning.is_empty() {
            parts.push(Part::Reasoning(Reasoning {
                text: self.reasoning,
                opaque: None,
            }));
        }
        if !self.text.is_empty() {
            parts.push(Part::Text(self.text));
        }
        parts.extend(calls.into_iter().map(Part::Call));
        let cost_usd = self
            .usage
            .as_ref()
            .zip(price)
            .map(|(usage, price)| cost(usage, price));
        let usage = usage(&self.usage.unwrap_or_default());
        Ok(Response {
            parts,
            stop,
            usage,
            id: self.id,
            cost_usd,
        })
    }

    /// Words beside the protocol's own: `eos_token` and `stop_sequence` of text-generation-inference,
    /// `model_length` of Mistral, `insufficient_system_resource` of DeepSeek, `abort` of vLLM and
    /// SGLang, `error` of routers.
    fn stop(&self) -> Result<Stop, Error> {
        if self.stopped {
            return Ok(Stop::Cancelled);
        }
        let called = !self.calls.is_empty();
        let reason = self.finish.as_deref().unwrap_or("stop");
        Ok(match reason {
            "length" | "max_tokens" | "model_length" => Stop::MaxTokens,
            "content_filter" | "refusal" => Stop::Refusal,
            "error" | "abort" | "insufficient_system_resource" => {
                return Err(errors::broken(&format!(
                    "the server gave up on the reply: finish reason `{reason}`"
                )));
            }
            _ if called => Stop::ToolUse,
            _ if self.refused => Stop::Refusal,
            "stop" | "eos_token" | "stop_sequence" | "end_turn" | "tool_calls"
            | "function_call" => Stop::EndTurn,
            _ => Stop::Other,
        })
    }

    /// The calls, each with an id of its own.
    fn calls(&mut self) -> Vec<ToolCall> {
        let mut calls: Vec<ToolCall> = Vec::with_capacity(self.calls.len());
        for (at, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            let taken = calls.iter().any(|earlier| earlier.id == call.id);
            let id = if call.id.is_empty() || taken {
                self.made_up_id(at)
            } else {
                call.id
            };
            calls.push(ToolCall {
                id,
                name: call.name,
                arguments: call.arguments,
            });
        }
        calls
    }
}

/// `prompt_tokens` includes cached tokens, as the host counts them too.
fn usage(usage: &Usage) -> chat::Usage {
    let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
    let details = usage.completion_tokens_details.as_ref();
    chat::Usage {
        input: count(usage.prompt_tokens),
        output: count(usage.completion_tokens),
        cache_read: count(cached(usage)),
        cache_write: 0,
        reasoning: count(details.and_then(|details| details.reasoning_tokens)),
    }
}

fn cached(usage: &Usage) -> Option<u64> {
    let details = usage.prompt_tokens_details.as_ref();
    details
        .and_then(|details| details.cached_tokens)
        .or(usage.prompt_cache_hit_tokens)
}

/// US dollars.
fn cost(usage: &Usage, price: &Price) -> f64 {
    let input = usage.prompt_tokens.unwrap_or(0);
    let cached = cached(usage).unwrap_or(0).min(input);
    let output = usage.completion_tokens.unwrap_or(0);
    let millionths = (input - cached) as f64 * price.input
        + cached as f64 * price.cache_read
        + output as f64 * price.output;
    millionths / 1e6
}

#[cfg(test)]
mod tests;
