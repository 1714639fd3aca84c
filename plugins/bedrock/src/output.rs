//! Reads an answer of `POST /model/{model}/converse-stream`, or a whole one of its sibling `converse`.
//!
//! Shapes: the service model of Bedrock's runtime in botocore 1.44.8.

use crate::frames::{Frame, Frames};
use crate::input;
use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::lenient::Fields;
use ml_intern_plugin::provider::{Flow, Fragment, Framing, Reply, Service, cost, errors};
use ml_intern_plugin::{Error, Price};

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
        let event = read(frame.payload)?;
        let index = event.number("contentBlockIndex").unwrap_or(0);
        match frame.header(":event-type").unwrap_or_default() {
            "contentBlockStart" => {
                self.turn_to(index)?;
                self.content(index, &event.object("start").unwrap_or_default())?;
            }
            "contentBlockDelta" => {
                self.turn_to(index)?;
                self.content(index, &event.object("delta").unwrap_or_default())?;
            }
            "contentBlockStop" => self.close()?,
            "messageStop" => {
                self.close()?;
                self.reason = event.text("stopReason");
            }
            "metadata" => self.count(&event),
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

    /// A block, its start, or what is new of it.
    fn content(&mut self, index: u64, new: &Fields<'_>) -> Result<(), Error> {
        self.reply.text(&new.text("text").unwrap_or_default());
        if let Some(call) = new.object("toolUse") {
            self.call(index, &call)?;
        }
        if let Some(reasoning) = new.object("reasoningContent") {
            // It comes in one piece: two pieces of base64 would not be one.
            if let Some(content) = reasoning.text("redactedContent") {
                self.reply.opaque(input::redacted(&content));
            }
            let reasoning = reasoning.object("reasoningText").unwrap_or(reasoning);
            self.reply
                .reasoning(&reasoning.text("text").unwrap_or_default());
            self.signature
                .push_str(&reasoning.text("signature").unwrap_or_default());
        }
        Ok(())
    }

    /// A call begins, or there is more of it.
    fn call(&mut self, index: u64, call: &Fields<'_>) -> Result<(), Error> {
        let name = call.text("name");
        // An object in a whole answer, a text with a piece of one in a stream.
        let piece = call.text("input");
        let arguments = piece.as_deref().or(call.raw("input")).unwrap_or_default();
        self.bare_call = (name.is_some() || self.bare_call) && arguments.is_empty();
        self.reply.call(Fragment {
            index: Some(index),
            id: &call.text("toolUseId").unwrap_or_default(),
            name: &name.unwrap_or_default(),
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

    fn count(&mut self, message: &Fields<'_>) {
        let Some(tokens) = message.object("usage") else {
            return;
        };
        self.counted = true;
        self.reply.usage = usage(&tokens);
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
        let answer = read(body)?;
        let message = answer
            .object("output")
            .and_then(|output| output.object("message"));
        let Some(content) = message.and_then(|message| message.list("content")) else {
            return Err(unreadable("no message in it", body));
        };
        for (index, block) in content.into_iter().enumerate() {
            self.message.turn_to(index as u64)?;
            self.message
                .content(index as u64, &read(block.as_bytes())?)?;
        }
        self.message.close()?;
        self.message.reason = answer.text("stopReason");
        self.message.count(&answer);
        Ok(())
    }

    fn has_finished(&self) -> bool {
        self.message.reason.is_some()
    }

    fn finish(self) -> Result<Response, Error> {
        self.message.finish()
    }
}

fn read(json: &[u8]) -> Result<Fields<'_>, Error> {
    Fields::read(json).map_err(|error| unreadable(&error.to_string(), json))
}

fn unreadable(why: &str, body: &[u8]) -> Error {
    errors::broken(&format!(
        "the server sent what is no reply ({why}): {}",
        errors::bounded(&String::from_utf8_lossy(body), 200)
    ))
}

/// The service counts cached input apart, the host with the rest. What of the output was reasoning it does not say.
fn usage(tokens: &Fields<'_>) -> Usage {
    let count = |name: &str| u32::try_from(tokens.number(name).unwrap_or(0)).unwrap_or(u32::MAX);
    let read = count("cacheReadInputTokens");
    let written = count("cacheWriteInputTokens");
    Usage {
        input: count("inputTokens")
            .saturating_add(read)
            .saturating_add(written),
        output: count("outputTokens"),
        cache_read: read,
        cache_write: written,
        reasoning: 0,
    }
}

#[cfg(test)]
mod tests;
