//! Reads an answer of `POST /model/{model}/converse-stream`, or a whole one of its sibling `converse`.
//!
//! Shapes: the service model of Bedrock's runtime in botocore 1.44.8.

use crate::frames::{Frame, Frames};
use crate::input;
use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::lenient::{number, text};
use ml_intern_plugin::provider::{Flow, Fragment, Framing, Reply, Service, cost, errors};
use ml_intern_plugin::{Error, Price};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A reply that arrives in frames.
pub(crate) struct Output<'a> {
    frames: Frames,
    message: Message<'a>,
}

/// A message under construction.
struct Message<'a> {
    service: Service<'a>,
    reply: Reply<'a>,
    price: Option<Price>,
    /// The block that is being written. Only calls have a beginning of their own in the stream.
    block: Option<u64>,
    /// What has come of its signature.
    signature: String,
    /// It is a call of which no arguments have come.
    bare_call: bool,
    reason: Option<String>,
    counted: bool,
}

/// The content of an event, or a whole answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(default, deserialize_with = "number")]
    content_block_index: Option<u64>,
    #[serde(default, borrow)]
    start: Option<Content<'a>>,
    #[serde(default, borrow)]
    delta: Option<Content<'a>>,
    #[serde(default, borrow)]
    output: Option<Answer<'a>>,
    #[serde(default, deserialize_with = "text")]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default, borrow)]
    message: Option<Whole<'a>>,
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(default, borrow)]
    content: Vec<Content<'a>>,
}

/// A block, its start, or what is new of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(default, deserialize_with = "text")]
    text: Option<String>,
    #[serde(default, borrow)]
    tool_use: Option<Call<'a>>,
    #[serde(default)]
    reasoning_content: Option<Reasoning>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    #[serde(default, deserialize_with = "text")]
    tool_use_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    /// An object in a whole answer, a text with a piece of one in a stream.
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    #[serde(default)]
    reasoning_text: Option<Thought>,
    #[serde(default, deserialize_with = "text")]
    text: Option<String>,
    #[serde(default, deserialize_with = "text")]
    signature: Option<String>,
    /// In base64.
    #[serde(default, deserialize_with = "text")]
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct Thought {
    #[serde(default, deserialize_with = "text")]
    text: Option<String>,
    #[serde(default, deserialize_with = "text")]
    signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    #[serde(default, deserialize_with = "number")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    cache_write_input_tokens: Option<u64>,
}

impl<'a> Output<'a> {
    /// An empty one. Where `price` is given, the cost is counted by it.
    pub(crate) fn new(service: Service<'a>, reply: Reply<'a>, price: Option<Price>) -> Self {
        Self {
            frames: Frames::default(),
            message: Message {
                service,
                reply,
                price,
                block: None,
                signature: String::new(),
                bare_call: false,
                reason: None,
                counted: false,
            },
        }
    }

    /// The service's id of the reply.
    pub(crate) fn set_id(&mut self, id: Option<&str>) {
        self.message.reply.id = id.map(str::to_owned);
    }
}

impl Message<'_> {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<Flow, Error> {
        match frame.header(":message-type") {
            Some("event") => {}
            Some("exception") => {
                let name = frame.header(":exception-type").unwrap_or_default();
                return Err(self.failed(name, frame.payload));
            }
            Some("error") => {
                let mut body = Json::default();
                body.raw("{\"message\":");
                body.string(frame.header(":error-message").unwrap_or_default());
                body.raw("}");
                let name = frame.header(":error-code").unwrap_or_default();
                return Err(self.failed(name, &body.into_bytes()));
            }
            _ => return Ok(Flow::More),
        }
        let event = parsed(frame.payload)?;
        let index = event.content_block_index.unwrap_or(0);
        match frame.header(":event-type").unwrap_or_default() {
            "contentBlockStart" => {
                self.turn_to(index)?;
                if let Some(call) = event.start.and_then(|start| start.tool_use) {
                    self.call(index, &call)?;
                }
            }
            "contentBlockDelta" => {
                self.turn_to(index)?;
                if let Some(delta) = event.delta {
                    self.content(index, delta)?;
                }
            }
            "contentBlockStop" => self.close()?,
            "messageStop" => {
                self.close()?;
                self.reason = event.stop_reason;
            }
            "metadata" => self.count(event.usage),
            // `messageStart`, and whatever comes to be.
            _ => {}
        }
        Ok(match (self.reply.is_stopped(), self.reason.is_some()) {
            (true, _) => Flow::Stopped,
            // The usage comes last.
            (false, true) if self.counted => Flow::Done,
            (false, _) => Flow::More,
        })
    }

    /// What comes next belongs to this block.
    fn turn_to(&mut self, index: u64) -> Result<(), Error> {
        if self.block != Some(index) {
            self.close()?;
            self.reply.apart();
            self.block = Some(index);
        }
        Ok(())
    }

    fn content(&mut self, index: u64, new: Content<'_>) -> Result<(), Error> {
        self.reply.text(&new.text.unwrap_or_default());
        if let Some(call) = new.tool_use {
            self.call(index, &call)?;
        }
        if let Some(reasoning) = new.reasoning_content {
            let whole = reasoning.reasoning_text;
            let (text, signature) = match whole {
                Some(whole) => (whole.text, whole.signature),
                None => (reasoning.text, reasoning.signature),
            };
            self.reply.reasoning(&text.unwrap_or_default());
            self.signature.push_str(&signature.unwrap_or_default());
            // It comes in one piece: two pieces of base64 would not be one.
            if let Some(content) = reasoning.redacted_content {
                self.reply.opaque(input::redacted(&content));
            }
        }
        Ok(())
    }

    /// A call begins, or there is more of it.
    fn call(&mut self, index: u64, call: &Call<'_>) -> Result<(), Error> {
        let input = call.input.map_or("", RawValue::get);
        let piece = serde_json::from_slice::<String>(input.as_bytes());
        let arguments = piece.as_deref().unwrap_or(input);
        let begins = call.name.is_some();
        self.bare_call = (begins || self.bare_call) && arguments.is_empty();
        self.reply.call(Fragment {
            index: Some(index),
            id: call.tool_use_id.as_deref().unwrap_or_default(),
            name: call.name.as_deref().unwrap_or_default(),
            arguments,
        })
    }

    /// The block is at its end.
    fn close(&mut self) -> Result<(), Error> {
        let Some(index) = self.block.take() else {
            return Ok(());
        };
        if !self.signature.is_empty() {
            self.reply.opaque(input::signed(&self.signature));
            self.signature.clear();
        }
        if std::mem::take(&mut self.bare_call) {
            self.reply.call(Fragment {
                index: Some(index),
                arguments: "{}",
                ..Fragment::default()
            })?;
        }
        Ok(())
    }

    fn count(&mut self, tokens: Option<Tokens>) {
        let Some(tokens) = tokens else {
            return;
        };
        self.counted = true;
        self.reply.usage = tokens.usage();
        let usage = &self.reply.usage;
        self.reply.cost_usd = self.price.as_ref().map(|price| cost(usage, price));
    }

    /// The error of an exception, by the status that it has where it is the whole answer.
    fn failed(&self, name: &str, body: &[u8]) -> Error {
        let status = match name {
            "validationException" => 400,
            "modelStreamErrorException" => 424,
            "throttlingException" => 429,
            "serviceUnavailableException" => 503,
            _ => 500,
        };
        // There it begins with a capital letter.
        let mut code = name.to_owned();
        if let Some(first) = code.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        errors::of_coded_answer(&self.service, status, None, Some(&code), body)
    }

    fn stop(&self) -> Result<Stop, Error> {
        Ok(match self.reason.as_deref() {
            Some("model_context_window_exceeded") => {
                return Err(Error::ContextOverflow(
                    "the reply filled the model's context window".to_owned(),
                ));
            }
            Some(reason @ ("malformed_model_output" | "malformed_tool_use")) => {
                return Err(errors::broken(&format!(
                    "the model's reply cannot be read: stop reason `{reason}`"
                )));
            }
            Some("guardrail_intervened" | "content_filtered") => Stop::Refusal,
            Some("max_tokens") => Stop::MaxTokens,
            _ if self.reply.has_calls() => Stop::ToolUse,
            Some("end_turn" | "stop_sequence" | "tool_use") => Stop::EndTurn,
            _ => Stop::Other,
        })
    }

    fn finish(mut self) -> Result<Response, Error> {
        self.close()?;
        if self.reply.is_stopped() {
            return Ok(self.reply.finish(Stop::Cancelled));
        }
        if self.reason.is_none() {
            return Err(errors::broken(
                "the stream ended before the reply was complete",
            ));
        }
        let stop = self.stop()?;
        Ok(self.reply.finish(stop))
    }
}

impl Framing for Output<'_> {
    const STREAM: &'static str = "application/vnd.amazon.eventstream";

    fn chunk(&mut self, bytes: &[u8]) -> Result<Flow, Error> {
        self.frames.feed(bytes);
        while let Some(frame) = self.frames.next()? {
            let flow = self.message.frame(&frame)?;
            if flow != Flow::More {
                return Ok(flow);
            }
        }
        Ok(Flow::More)
    }

    fn end(&mut self) -> Result<Flow, Error> {
        Ok(Flow::Done)
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), Error> {
        let answer = parsed(body)?;
        let Some(message) = answer.output.and_then(|output| output.message) else {
            return Err(unreadable("no message in it", body));
        };
        for (index, block) in message.content.into_iter().enumerate() {
            self.message.turn_to(index as u64)?;
            self.message.content(index as u64, block)?;
        }
        self.message.close()?;
        self.message.reason = answer.stop_reason;
        self.message.count(answer.usage);
        Ok(())
    }

    fn has_finished(&self) -> bool {
        self.message.reason.is_some()
    }

    fn finish(self) -> Result<Response, Error> {
        self.message.finish()
    }
}

fn parsed(body: &[u8]) -> Result<Event<'_>, Error> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string(), body))
}

fn unreadable(why: &str, body: &[u8]) -> Error {
    errors::broken(&format!(
        "the server sent what is no reply ({why}): {}",
        errors::bounded(&String::from_utf8_lossy(body), 200)
    ))
}

impl Tokens {
    /// The service counts cached input apart, the host with the rest. What of the output was reasoning it does not say.
    fn usage(&self) -> Usage {
        let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
        let read = count(self.cache_read_input_tokens);
        let written = count(self.cache_write_input_tokens);
        Usage {
            input: count(self.input_tokens)
                .saturating_add(read)
                .saturating_add(written),
            output: count(self.output_tokens),
            cache_read: read,
            cache_write: written,
            reasoning: 0,
        }
    }
}

#[cfg(test)]
mod tests;
