//! Reads an answer of `POST /messages`, streamed or whole.
//!
//! Shapes: the Claude API reference, Messages and its streaming events, as of October 2026.

use crate::opaque;
use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::lenient::Fields;
use ml_intern_plugin::provider::sse::Event;
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
    cache_read: Option<u64>,
    cache_write: Option<u64>,
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
        let message = read(data)?;
        let index = message.number("index").unwrap_or(0);
        match message.text("type").as_deref().unwrap_or_default() {
            "message_start" => self.head(&message.object("message").unwrap_or_default()),
            "content_block_start" => {
                self.begin(index, &message.object("content_block").unwrap_or_default())?;
            }
            "content_block_delta" => {
                self.more(index, &message.object("delta").unwrap_or_default())?;
            }
            "content_block_stop" => self.close()?,
            "message_delta" => {
                self.head(&message);
                self.end(&message.object("delta").unwrap_or_default());
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

    /// What stands in a message beside its content.
    fn head(&mut self, message: &Fields<'_>) {
        if let Some(id) = message.text("id") {
            self.reply.id = Some(id);
        }
        let asked = self.service.model;
        let model = message.text("model");
        if let Some(model) = model.filter(|model| !model.is_empty() && model != asked) {
            self.reply.model = Some(model);
        }
        if let Some(usage) = message.object("usage") {
            self.tokens.update(&usage);
        }
    }

    /// A block begins, or comes whole.
    fn begin(&mut self, index: u64, block: &Fields<'_>) -> Result<(), Error> {
        self.close()?;
        self.reply.apart();
        self.block = Some(match block.text("type").as_deref() {
            Some("thinking") => Block::Thinking {
                signature: String::new(),
            },
            Some("tool_use") => {
                self.reply.call(Fragment {
                    index: Some(index),
                    id: &block.text("id").unwrap_or_default(),
                    name: &block.text("name").unwrap_or_default(),
                    arguments: "",
                })?;
                Block::Call {
                    index,
                    input: Some(block.raw("input").unwrap_or("{}").to_owned()),
                }
            }
            Some("redacted_thinking") => {
                if let Some(data) = block.text("data") {
                    self.reply.opaque(opaque::of_redacted(&data));
                }
                Block::Plain
            }
            _ => Block::Plain,
        });
        self.more(index, block)
    }

    /// More of a block.
    fn more(&mut self, index: u64, new: &Fields<'_>) -> Result<(), Error> {
        if let Some(text) = new.text("text").filter(|text| !text.is_empty()) {
            self.said = true;
            self.reply.text(&text);
        }
        if let Some(text) = new.text("thinking") {
            self.reply.reasoning(&text);
        }
        if let (Some(Block::Thinking { signature }), Some(more)) =
            (&mut self.block, new.text("signature"))
        {
            signature.push_str(&more);
        }
        let fragment = new.text("partial_json").unwrap_or_default();
        if fragment.is_empty() {
            return Ok(());
        }
        if let Some(Block::Call { input, .. }) = &mut self.block {
            *input = None;
        }
        self.reply.call(Fragment {
            index: Some(index),
            arguments: &fragment,
            ..Fragment::default()
        })
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

    fn end(&mut self, message: &Fields<'_>) {
        if let Some(reason) = message.text("stop_reason") {
            self.reason = Some(reason);
        }
        let details = message.object("stop_details");
        if let Some(explanation) = details.and_then(|details| details.text("explanation")) {
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
        let message = read(body)?;
        let Some(content) = message.list("content") else {
            return Err(match message.text("type").as_deref() {
                Some("error") => errors::in_stream(&self.service, body),
                _ => unreadable("no content in it", body),
            });
        };
        self.head(&message);
        for (index, block) in content.into_iter().enumerate() {
            self.begin(index as u64, &read(block.as_bytes())?)?;
        }
        self.close()?;
        self.end(&message);
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

fn read(json: &[u8]) -> Result<Fields<'_>, Error> {
    Fields::read(json).map_err(|error| unreadable(&error.to_string(), json))
}

fn unreadable(why: &str, data: &[u8]) -> Error {
    errors::broken(&format!(
        "the server sent what is no message ({why}): {}",
        errors::bounded(&String::from_utf8_lossy(data), 200)
    ))
}

impl Tokens {
    /// Later counts replace earlier ones.
    fn update(&mut self, usage: &Fields<'_>) {
        let replace = |own: &mut Option<u64>, name: &str| *own = usage.number(name).or(*own);
        replace(&mut self.input, "input_tokens");
        replace(&mut self.cache_read, "cache_read_input_tokens");
        replace(&mut self.cache_write, "cache_creation_input_tokens");
        replace(&mut self.output, "output_tokens");
        if let Some(details) = usage.object("output_tokens_details") {
            self.thinking = details.number("thinking_tokens").or(self.thinking);
        }
    }

    /// The service counts cached input apart, the host with the rest.
    fn usage(&self) -> Usage {
        let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
        let (read, written) = (count(self.cache_read), count(self.cache_write));
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
