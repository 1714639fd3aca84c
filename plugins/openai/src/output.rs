//! Reads an answer of `POST /responses`, streamed or whole.
//!
//! Shapes: the OpenAI API reference, Responses and its streaming events, as of October 2026.

use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::sse::Event;
use ml_intern_plugin::provider::value::{self, Value};
use ml_intern_plugin::provider::{Flow, Fragment, Protocol, Reply, Service, errors};
use ml_intern_plugin::{Error, Price};
use std::borrow::Cow;

/// A response under construction.
pub(crate) struct Output<'a> {
    service: Service<'a>,
    reply: Reply<'a>,
    price: Option<Price>,
    /// Items whose text or arguments have come in pieces.
    streamed: Vec<u64>,
    /// Ids of items, for servers that do not count them (llama.cpp).
    items: Vec<String>,
    refused: bool,
    /// The whole response, once the stream has told it.
    end: Option<End>,
}

/// How a response ended.
struct End {
    status: String,
    reason: Option<String>,
}

impl<'a> Output<'a> {
    /// An empty one; where `price` is given, the cost is counted by it.
    pub(crate) fn new(service: Service<'a>, reply: Reply<'a>, price: Option<Price>) -> Self {
        Self {
            service,
            reply,
            price,
            streamed: Vec::new(),
            items: Vec::new(),
            refused: false,
            end: None,
        }
    }

    fn message(&mut self, data: &[u8]) -> Result<Flow, Error> {
        let names = [
            "type",
            "delta",
            "output_index",
            "item_id",
            "summary_index",
            "item",
            "response",
        ];
        let [kind, delta, index, id, part, item, response] = value::sent("response", data, names)?;
        let delta = delta.text().unwrap_or_default();
        let id = id.text().or_else(|| item.get("id").text());
        let index = match index.number() {
            Some(index) => index,
            None => self.numbered(&id.unwrap_or_default()),
        };
        match &*kind.text().unwrap_or_default() {
            "response.output_text.delta" => {
                self.note(index);
                self.reply.text(&delta);
            }
            "response.refusal.delta" => {
                self.note(index);
                self.refused = true;
                self.reply.text(&delta);
            }
            "response.reasoning_summary_part.added" if part.number().is_some_and(|at| at > 0) => {
                self.reply.reasoning("\n\n");
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.note(index);
                self.reply.reasoning(&delta);
            }
            "response.function_call_arguments.delta" => {
                self.note(index);
                self.reply.call(Fragment {
                    index: Some(index),
                    arguments: &delta,
                    ..Fragment::default()
                })?;
            }
            "response.output_item.added" => self.begin(item, index)?,
            "response.output_item.done" => self.item(item, index)?,
            "response.completed" | "response.incomplete" => {
                self.end(response.raw().as_bytes(), false)?;
                return Ok(Flow::Done);
            }
            "response.failed" | "error" => {
                return Err(match response.is_null() {
                    true => errors::in_stream(&self.service, data),
                    false => errors::in_stream(&self.service, response.raw().as_bytes()),
                });
            }
            // Progress of the service's own tools, and whatever comes to be.
            _ => {}
        }
        Ok(match self.reply.is_stopped() {
            true => Flow::Stopped,
            false => Flow::More,
        })
    }

    /// The number of an item, by its id.
    fn numbered(&mut self, id: &str) -> u64 {
        let known = self.items.iter().position(|known| known == id);
        let at = known.unwrap_or_else(|| {
            self.items.push(id.to_owned());
            self.items.len() - 1
        });
        at as u64
    }

    fn note(&mut self, index: u64) {
        if !self.streamed.contains(&index) {
            self.streamed.push(index);
        }
    }

    /// An item begins: of a call its name is known.
    fn begin(&mut self, item: Value<'_>, index: u64) -> Result<(), Error> {
        if item.get("type").is("function_call") {
            return self.call(item, index, "");
        }
        if item.is_object() {
            self.reply.apart();
        }
        Ok(())
    }

    fn call(&mut self, item: Value<'_>, index: u64, arguments: &str) -> Result<(), Error> {
        let [id, name] = item.pick(["call_id", "name"]);
        self.reply.call(Fragment {
            index: Some(index),
            id: &id.text().unwrap_or_default(),
            name: &name.text().unwrap_or_default(),
            arguments,
        })
    }

    /// An item is whole. What came in pieces is there already.
    fn item(&mut self, item: Value<'_>, index: u64) -> Result<(), Error> {
        let streamed = self.streamed.contains(&index);
        match &*item.get("type").text().unwrap_or_default() {
            "function_call" => {
                let arguments = match streamed {
                    true => Cow::Borrowed(""),
                    false => item.get("arguments").json(),
                };
                self.call(item, index, &arguments)?;
            }
            "reasoning" => self.thought(item, streamed),
            "message" if !streamed => {
                self.reply.apart();
                for part in item.get("content").elements() {
                    let [kind, text, refusal] = part.pick(["type", "text", "refusal"]);
                    self.refused |= kind.is("refusal");
                    let text = text.text().or_else(|| refusal.text());
                    self.reply.text(&text.unwrap_or_default());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn thought(&mut self, item: Value<'_>, streamed: bool) {
        let [summary, content, encrypted] = item.pick(["summary", "content", "encrypted_content"]);
        if !streamed {
            let all = summary.elements().chain(content.elements());
            let texts = all.filter_map(|part| part.get("text").owned());
            let texts = texts.collect::<Vec<_>>();
            self.reply.apart();
            self.reply.reasoning(&texts.join("\n\n"));
        }
        // Without its content the service does not know the item any more.
        if encrypted.filled().is_some() {
            self.reply.opaque(item.raw().to_owned());
        }
    }

    /// The whole response; `items`: none has come so far.
    fn end(&mut self, whole: &[u8], items: bool) -> Result<(), Error> {
        let names = [
            "object",
            "id",
            "status",
            "error",
            "incomplete_details",
            "output",
            "usage",
        ];
        let [object, id, status, error, details, output, usage] =
            value::sent("response", whole, names)?;
        if !error.is_null() || status.is("failed") {
            return Err(errors::in_stream(&self.service, whole));
        }
        if !object.is("response") && output.is_null() {
            let start = errors::beginning(whole);
            return Err(errors::broken(&format!(
                "the server's answer holds no reply: {start}"
            )));
        }
        if items {
            for (index, item) in output.elements().enumerate() {
                self.item(item, index as u64)?;
            }
        }
        self.reply.id = id.owned();
        if usage.is_object() {
            self.reply.usage = in_tokens(usage);
            let price = self.price.as_ref();
            self.reply.cost_usd = price.map(|price| cost(&self.reply.usage, price));
        }
        self.end = Some(End {
            status: status.owned().unwrap_or_default(),
            reason: details.get("reason").owned(),
        });
        Ok(())
    }

    fn stop(&self, end: &End) -> Result<Stop, Error> {
        Ok(match (end.status.as_str(), end.reason.as_deref()) {
            ("incomplete", Some("content_filter")) => Stop::Refusal,
            ("incomplete", _) => Stop::MaxTokens,
            ("cancelled", _) => return Err(errors::broken("the server gave up on the reply")),
            _ if self.reply.has_calls() => Stop::ToolUse,
            _ if self.refused => Stop::Refusal,
            _ => Stop::EndTurn,
        })
    }
}

impl Protocol for Output<'_> {
    fn event(&mut self, event: &Event<'_>) -> Result<Flow, Error> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(Flow::More);
        }
        // Servers that answer several protocols end all of them alike.
        if data == b"[DONE]" {
            return Ok(Flow::Done);
        }
        self.message(data)
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), Error> {
        self.end(body, true)
    }

    fn has_finished(&self) -> bool {
        self.end.is_some()
    }

    fn finish(self) -> Result<Response, Error> {
        if self.reply.is_stopped() {
            return Ok(self.reply.finish(Stop::Cancelled));
        }
        let Some(end) = &self.end else {
            return Err(errors::broken(
                "the stream ended before the reply was complete",
            ));
        };
        let stop = self.stop(end)?;
        Ok(self.reply.finish(stop))
    }
}

/// `input_tokens` includes cached tokens, as the host counts them too.
fn in_tokens(usage: Value<'_>) -> Usage {
    let [input, output, of_input, of_output] = usage.pick([
        "input_tokens",
        "output_tokens",
        "input_tokens_details",
        "output_tokens_details",
    ]);
    let [cached, written] = of_input.pick(["cached_tokens", "cache_write_tokens"]);
    let count = |count: Value<'_>| count.tokens().unwrap_or(0);
    Usage {
        input: count(input),
        output: count(output),
        cache_read: count(cached),
        cache_write: count(written),
        reasoning: count(of_output.get("reasoning_tokens")),
    }
}

/// US dollars, by the rates that the user set.
fn cost(usage: &Usage, price: &Price) -> f64 {
    let cached = usage.cache_read.min(usage.input);
    let millionths = f64::from(usage.input - cached) * price.input
        + f64::from(cached) * price.cache_read
        + f64::from(usage.output) * price.output;
    millionths / 1e6
}

#[cfg(test)]
mod tests;
