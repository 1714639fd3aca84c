//! Reads an answer of `POST /messages`, streamed or whole.
//!
//! Shapes: the Claude API reference, Messages and its streaming events, as of October 2026.

use crate::opaque;
use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::lenient::{json_text, number, text};
use ml_intern_plugin::provider::sse::Event;
use ml_intern_plugin::provider::{Flow, Fragment, Protocol, Reply, Service, cost, errors};
use ml_intern_plugin::{Error, Price};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A message under construction.
pub(crate) struct Output<'a> {
    service: Service<'a>,
    reply: Reply<'a>,
    price: Option<Price>,
    /// The block that is being written.
    block: Option<Block>,
    tokens: Tokens,
    /// Text has come.
    said: bool,
    reason: Option<String>,
    explanation: Option<String>,
    done: bool,
}

/// What is left to say of a block at its end.
enum Block {
    /// Nothing.
    Plain,
    Thinking {
        signature: String,
    },
    Call {
        index: u64,
        /// The input that came with the block's start: it counts where no other comes.
        input: Option<String>,
    },
}

/// An event, or a whole message.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "number")]
    index: Option<u64>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    content_block: Option<Content<'a>>,
    #[serde(default, borrow)]
    delta: Option<Content<'a>>,
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    model: Option<String>,
    #[serde(default, borrow)]
    content: Option<Vec<Content<'a>>>,
    #[serde(default, deserialize_with = "text")]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_details: Option<Details>,
    #[serde(default)]
    usage: Option<Tokens>,
}

/// A block, or what is new of it.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    text: Option<String>,
    #[serde(default, deserialize_with = "text")]
    thinking: Option<String>,
    #[serde(default, deserialize_with = "text")]
    signature: Option<String>,
    #[serde(default, deserialize_with = "text")]
    data: Option<String>,
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "text")]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "text")]
    explanation: Option<String>,
}

/// Every count is of the whole message so far.
#[derive(Default, Deserialize)]
struct Tokens {
    #[serde(default, deserialize_with = "number")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default, deserialize_with = "number")]
    thinking_tokens: Option<u64>,
}

impl<'a> Output<'a> {
    /// An empty one. Where `price` is given, the cost is counted by it.
    pub(crate) fn new(service: Service<'a>, reply: Reply<'a>, price: Option<Price>) -> Self {
        Self {
            service,
            reply,
            price,
            block: None,
            tokens: Tokens::default(),
            said: false,
            reason: None,
            explanation: None,
            done: false,
        }
    }

    fn message(&mut self, data: &[u8]) -> Result<Flow, Error> {
        let message: Message<'_> =
            serde_json::from_slice(data).map_err(|error| unreadable(&error, data))?;
        let index = message.index.unwrap_or(0);
        match message.kind.as_deref().unwrap_or_default() {
            "message_start" => {
                let head = message.message.map_or("{}", RawValue::get);
                let head: Message<'_> = serde_json::from_str(head)
                    .map_err(|error| unreadable(&error, head.as_bytes()))?;
                self.head(head.id, head.model, head.usage);
            }
            "content_block_start" => {
                if let Some(block) = message.content_block {
                    self.begin(index, block)?;
                }
            }
            "content_block_delta" => {
                if let Some(delta) = message.delta {
                    self.more(index, delta)?;
                }
            }
            "content_block_stop" => self.close()?,
            "message_delta" => {
                self.head(None, None, message.usage);
                if let Some(delta) = message.delta {
                    self.end(delta.stop_reason, delta.stop_details);
                }
            }
            "message_stop" => {
                self.done = true;
                return Ok(Flow::Done);
            }
            "error" => return Err(errors::in_stream(&self.service, data)),
            // `ping`, and whatever comes to be.
            _ => {}
        }
        Ok(match self.reply.is_stopped() {
            true => Flow::Stopped,
            false => Flow::More,
        })
    }

    fn head(&mut self, id: Option<String>, model: Option<String>, tokens: Option<Tokens>) {
        if id.is_some() {
            self.reply.id = id;
        }
        let asked = self.service.model;
        if let Some(model) = model.filter(|model| !model.is_empty() && model != asked) {
            self.reply.model = Some(model);
        }
        if let Some(tokens) = tokens {
            self.tokens.update(tokens);
        }
    }

    /// A block begins, or comes whole.
    fn begin(&mut self, index: u64, block: Content<'_>) -> Result<(), Error> {
        self.close()?;
        self.reply.apart();
        self.block = Some(match block.kind.as_deref() {
            Some("thinking") => Block::Thinking {
                signature: String::new(),
            },
            Some("tool_use") => {
                self.reply.call(Fragment {
                    index: Some(index),
                    id: block.id.as_deref().unwrap_or_default(),
                    name: block.name.as_deref().unwrap_or_default(),
                    arguments: "",
                })?;
                let input = match json_text(block.input) {
                    nothing if nothing.is_empty() => "{}".to_owned(),
                    input => input,
                };
                Block::Call {
                    index,
                    input: Some(input),
                }
            }
            Some("redacted_thinking") => {
                if let Some(data) = &block.data {
                    self.reply.opaque(opaque::of_redacted(data));
                }
                Block::Plain
            }
            _ => Block::Plain,
        });
        self.more(index, block)
    }

    /// More of a block.
    fn more(&mut self, index: u64, new: Content<'_>) -> Result<(), Error> {
        if let Some(text) = new.text.filter(|text| !text.is_empty()) {
            self.said = true;
            self.reply.text(&text);
        }
        if let Some(text) = new.thinking {
            self.reply.reasoning(&text);
        }
        let fragment = json_text(new.partial_json);
        match (&mut self.block, new.signature) {
            (Some(Block::Thinking { signature }), Some(more)) => signature.push_str(&more),
            (block, _) if !fragment.is_empty() => {
                if let Some(Block::Call { input, .. }) = block {
                    *input = None;
                }
                self.reply.call(Fragment {
                    index: Some(index),
                    arguments: &fragment,
                    ..Fragment::default()
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The block is at its end.
    fn close(&mut self) -> Result<(), Error> {
        match self.block.take() {
            Some(Block::Thinking { signature }) if !signature.is_empty() => {
                self.reply.opaque(opaque::of_thinking(&signature));
            }
            Some(Block::Call {
                index,
                input: Some(input),
            }) => self.reply.call(Fragment {
                index: Some(index),
                arguments: &input,
                ..Fragment::default()
            })?,
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, reason: Option<String>, details: Option<Details>) {
        if reason.is_some() {
            self.reason = reason;
        }
        if let Some(explanation) = details.and_then(|details| details.explanation) {
            self.explanation = Some(explanation);
        }
    }

    fn stop(&self) -> Result<Stop, Error> {
        Ok(match self.reason.as_deref() {
            Some("model_context_window_exceeded") => {
                return Err(Error::ContextOverflow(
                    "the reply filled the model's context window".to_owned(),
                ));
            }
            Some("refusal") => Stop::Refusal,
            Some("max_tokens") => Stop::MaxTokens,
            Some("pause_turn") => Stop::Other,
            _ if self.reply.has_calls() => Stop::ToolUse,
            Some("end_turn" | "stop_sequence" | "tool_use") | None => Stop::EndTurn,
            Some(_) => Stop::Other,
        })
    }
}

impl Protocol for Output<'_> {
    fn event(&mut self, event: &Event<'_>) -> Result<Flow, Error> {
        let data = event.data.trim_ascii();
        match data.is_empty() {
            true => Ok(Flow::More),
            false => self.message(data),
        }
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), Error> {
        let message: Message<'_> =
            serde_json::from_slice(body).map_err(|error| unreadable(&error, body))?;
        let Some(content) = message.content else {
            return Err(match message.kind.as_deref() {
                Some("error") => errors::in_stream(&self.service, body),
                _ => errors::broken(&format!(
                    "the server's answer holds no message: {}",
                    errors::bounded(&String::from_utf8_lossy(body), 200)
                )),
            });
        };
        self.head(message.id, message.model, message.usage);
        for (index, block) in content.into_iter().enumerate() {
            self.begin(index as u64, block)?;
        }
        self.close()?;
        self.end(message.stop_reason, message.stop_details);
        self.done = true;
        Ok(())
    }

    fn has_finished(&self) -> bool {
        self.done || self.reason.is_some()
    }

    fn finish(mut self) -> Result<Response, Error> {
        self.close()?;
        self.reply.usage = self.tokens.usage();
        let usage = &self.reply.usage;
        self.reply.cost_usd = self.price.as_ref().map(|price| cost(usage, price));
        if self.reply.is_stopped() {
            return Ok(self.reply.finish(Stop::Cancelled));
        }
        if !self.has_finished() {
            return Err(errors::broken(
                "the stream ended before the reply was complete",
            ));
        }
        let stop = self.stop()?;
        if stop == Stop::Refusal && !self.said {
            self.reply.text(&self.explanation.unwrap_or_default());
        }
        Ok(self.reply.finish(stop))
    }
}

fn unreadable(error: &serde_json::Error, data: &[u8]) -> Error {
    errors::broken(&format!(
        "the server sent what is no message ({error}): {}",
        errors::bounded(&String::from_utf8_lossy(data), 200)
    ))
}

impl Tokens {
    /// Later counts replace earlier ones.
    fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_read_input_tokens = later
            .cache_read_input_tokens
            .or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = later
            .cache_creation_input_tokens
            .or(self.cache_creation_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        if later.output_tokens_details.is_some() {
            self.output_tokens_details = later.output_tokens_details;
        }
    }

    /// The service counts cached input apart, the host with the rest.
    fn usage(&self) -> Usage {
        let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
        let read = count(self.cache_read_input_tokens);
        let written = count(self.cache_creation_input_tokens);
        let output = self.output_tokens_details.as_ref();
        Usage {
            input: count(self.input_tokens)
                .saturating_add(read)
                .saturating_add(written),
            output: count(self.output_tokens),
            cache_read: read,
            cache_write: written,
            reasoning: count(output.and_then(|details| details.thinking_tokens)),
        }
    }
}

#[cfg(test)]
mod tests;
