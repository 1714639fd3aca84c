//! Reads an answer of `POST /model/{model}/converse-stream`, or a whole one of its sibling `converse`.
//!
//! Shapes: the service model of Bedrock's runtime in botocore 1.44.8.

use crate::frames::{Frame, Frames};
use crate::input;
use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::json::Json;
use ml_intern_plugin::provider::value::{self, Value};
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
        let names = ["contentBlockIndex", "start", "delta", "stopReason", "usage"];
        let [index, start, delta, reason, usage] = value::sent("reply", frame.payload, names)?;
        let index = index.number().unwrap_or(0);
        match frame.header(":event-type").unwrap_or_default() {
            "contentBlockStart" => {
                self.turn_to(index)?;
                self.call(index, start.get("toolUse"))?;
            }
            "contentBlockDelta" => {
                self.turn_to(index)?;
                self.content(index, delta)?;
            }
            "contentBlockStop" => self.close()?,
            "messageStop" => {
                self.close()?;
                self.reason = reason.owned();
            }
            "metadata" => self.count(usage),
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

    /// A block, or what is new of it.
    fn content(&mut self, index: u64, new: Value<'_>) -> Result<(), Error> {
        let [text, call, reasoning] = new.pick(["text", "toolUse", "reasoningContent"]);
        self.reply.text(&text.text().unwrap_or_default());
        self.call(index, call)?;
        let [whole, text, signature, redacted] =
            reasoning.pick(["reasoningText", "text", "signature", "redactedContent"]);
        let [text, signature] = match whole.is_null() {
            true => [text, signature],
            false => whole.pick(["text", "signature"]),
        };
        self.reply.reasoning(&text.text().unwrap_or_default());
        self.signature
            .push_str(&signature.text().unwrap_or_default());
        // It comes in one piece: two pieces of base64 would not be one.
        if let Some(content) = redacted.text() {
            self.reply.opaque(input::redacted(&content));
        }
        Ok(())
    }

    /// A call begins, or there is more of it.
    fn call(&mut self, index: u64, call: Value<'_>) -> Result<(), Error> {
        if !call.is_object() {
            return Ok(());
        }
        let [id, name, input] = call.pick(["toolUseId", "name", "input"]);
        // An object in a whole answer, a text with a piece of one in a stream.
        let arguments = input.json();
        let name = name.text();
        let begins = name.is_some();
        self.bare_call = (begins || self.bare_call) && arguments.is_empty();
        self.reply.call(Fragment {
            index: Some(index),
            id: &id.text().unwrap_or_default(),
            name: &name.unwrap_or_default(),
            arguments: &arguments,
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

    fn count(&mut self, tokens: Value<'_>) {
        if !tokens.is_object() {
            return;
        }
        self.counted = true;
        self.reply.usage = usage(tokens);
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
        let names = ["output", "stopReason", "usage"];
        let [output, reason, usage] = value::sent("reply", body, names)?;
        let message = output.get("message");
        if !message.is_object() {
            return Err(errors::broken(&format!(
                "the server sent what is no reply (no message in it): {}",
                errors::beginning(body)
            )));
        }
        for (index, block) in message.get("content").elements().enumerate() {
            self.message.turn_to(index as u64)?;
            self.message.content(index as u64, block)?;
        }
        self.message.close()?;
        self.message.reason = reason.owned();
        self.message.count(usage);
        Ok(())
    }

    fn has_finished(&self) -> bool {
        self.message.reason.is_some()
    }

    fn finish(self) -> Result<Response, Error> {
        self.message.finish()
    }
}

/// The service counts cached input apart, the host with the rest. What of the output was reasoning it does not say.
fn usage(tokens: Value<'_>) -> Usage {
    let [input, output, read, written] = tokens
        .pick([
            "inputTokens",
            "outputTokens",
            "cacheReadInputTokens",
            "cacheWriteInputTokens",
        ])
        .map(|count| count.tokens().unwrap_or(0));
    Usage {
        input: input.saturating_add(read).saturating_add(written),
        output,
        cache_read: read,
        cache_write: written,
        reasoning: 0,
    }
}

#[cfg(test)]
mod tests;
