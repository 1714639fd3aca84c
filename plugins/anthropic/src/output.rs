//! Reads an answer of `POST /messages`, streamed or whole.
//!
//! Shapes: the Claude API reference, Messages and its streaming events, as of October 2026.

use crate::opaque;
use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::sse::Event;
use ml_intern_plugin::provider::value::{self, NULL, Value};
use ml_intern_plugin::provider::{Flow, Fragment, Protocol, Reply, Service, cost, errors};
use ml_intern_plugin::{Error, Price};

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

/// Every count is of the whole message so far.
#[derive(Default)]
struct Tokens {
    input: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
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
        let names = [
            "type",
            "index",
            "delta",
            "message",
            "content_block",
            "usage",
        ];
        let [kind, index, delta, message, block, usage] = value::sent("message", data, names)?;
        let index = index.number().unwrap_or(0);
        match &*kind.text().unwrap_or_default() {
            "message_start" => self.head(message),
            "content_block_start" if !block.is_null() => self.begin(index, block)?,
            "content_block_delta" => self.more(index, delta)?,
            "content_block_stop" => self.close()?,
            "message_delta" => {
                self.tokens.update(usage);
                self.end(delta);
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

    /// What stands at the beginning of a message, and around a whole one.
    fn head(&mut self, message: Value<'_>) {
        let [id, model, usage] = message.pick(["id", "model", "usage"]);
        if let Some(id) = id.owned() {
            self.reply.id = Some(id);
        }
        let asked = self.service.model;
        if let Some(model) = model.filled().filter(|model| model != asked) {
            self.reply.model = Some(model.into_owned());
        }
        self.tokens.update(usage);
    }

    /// A block begins, or comes whole.
    fn begin(&mut self, index: u64, block: Value<'_>) -> Result<(), Error> {
        self.close()?;
        self.reply.apart();
        self.block = Some(match &*block.get("type").text().unwrap_or_default() {
            "thinking" => Block::Thinking {
                signature: String::new(),
            },
            "tool_use" => {
                let [id, name, input] = block.pick(["id", "name", "input"]);
                self.reply.call(Fragment {
                    index: Some(index),
                    id: &id.text().unwrap_or_default(),
                    name: &name.text().unwrap_or_default(),
                    arguments: "",
                })?;
                let input = match input.json() {
                    nothing if nothing.is_empty() => "{}".to_owned(),
                    input => input.into_owned(),
                };
                Block::Call {
                    index,
                    input: Some(input),
                }
            }
            "redacted_thinking" => {
                if let Some(data) = block.get("data").text() {
                    self.reply.opaque(opaque::of_redacted(&data));
                }
                Block::Plain
            }
            _ => Block::Plain,
        });
        self.more(index, block)
    }

    /// More of a block.
    fn more(&mut self, index: u64, new: Value<'_>) -> Result<(), Error> {
        let [text, thinking, signature, fragment] =
            new.pick(["text", "thinking", "signature", "partial_json"]);
        if let Some(text) = text.filled() {
            self.said = true;
            self.reply.text(&text);
        }
        if let Some(text) = thinking.filled() {
            self.reply.reasoning(&text);
        }
        let fragment = fragment.json();
        match (&mut self.block, signature.text()) {
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

    fn end(&mut self, end: Value<'_>) {
        let [reason, details] = end.pick(["stop_reason", "stop_details"]);
        if let Some(reason) = reason.owned() {
            self.reason = Some(reason);
        }
        if let Some(explanation) = details.get("explanation").owned() {
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
        let [kind, content] = value::sent("message", body, ["type", "content"])?;
        if content.is_null() {
            return Err(match kind.is("error") {
                true => errors::in_stream(&self.service, body),
                false => errors::broken(&format!(
                    "the server's answer holds no message: {}",
                    errors::beginning(body)
                )),
            });
        }
        let message = value::parse(body).unwrap_or(NULL);
        self.head(message);
        for (index, block) in content.elements().enumerate() {
            self.begin(index as u64, block)?;
        }
        self.close()?;
        self.end(message);
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

impl Tokens {
    /// Later counts replace earlier ones.
    fn update(&mut self, usage: Value<'_>) {
        let [input, read, written, output, details] = usage.pick([
            "input_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens",
            "output_tokens_details",
        ]);
        self.input = input.number().or(self.input);
        self.read = read.number().or(self.read);
        self.written = written.number().or(self.written);
        self.output = output.number().or(self.output);
        self.thinking = details.get("thinking_tokens").number().or(self.thinking);
    }

    /// The service counts cached input apart, the host with the rest.
    fn usage(&self) -> Usage {
        let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
        let (read, written) = (count(self.read), count(self.written));
        Usage {
            input: count(self.input)
                .saturating_add(read)
                .saturating_add(written),
            output: count(self.output),
            cache_read: read,
            cache_write: written,
            reasoning: count(self.thinking),
        }
    }
}

#[cfg(test)]
mod tests;
