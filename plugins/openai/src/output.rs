//! Reads an answer of `POST /responses`, streamed or whole.
//!
//! Shapes: the OpenAI API reference, Responses and its streaming events, as of October 2026.

use ml_intern_plugin::chat::{Response, Stop, Usage};
use ml_intern_plugin::provider::lenient::{json_text, number, text};
use ml_intern_plugin::provider::sse::Event;
use ml_intern_plugin::provider::{Flow, Fragment, Protocol, Reply, Service, errors};
use ml_intern_plugin::{Error, Price};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A response under construction.
pub(crate) struct Output<'a> {
    service: Service<'a>,
    reply: Reply<'a>,
    price: Option<Price>,
    /// Items whose text or arguments have come in pieces.
    streamed: Vec<u64>,
    refused: bool,
    /// The whole response, once the stream has told it.
    end: Option<End>,
}

/// How a response ended.
struct End {
    status: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    delta: Option<String>,
    #[serde(default, deserialize_with = "number")]
    output_index: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    summary_index: Option<u64>,
    #[serde(default, borrow)]
    item: Option<&'a RawValue>,
    #[serde(default, borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(default, deserialize_with = "text")]
    object: Option<String>,
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
    #[serde(default, borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Incomplete {
    #[serde(default, deserialize_with = "text")]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    call_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "text")]
    encrypted_content: Option<String>,
    #[serde(default)]
    summary: Option<Vec<Content>>,
    #[serde(default)]
    content: Option<Vec<Content>>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "text")]
    text: Option<String>,
    #[serde(default, deserialize_with = "text")]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default, deserialize_with = "number")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    output_tokens: Option<u64>,
    #[serde(default)]
    input_tokens_details: Option<Details>,
    #[serde(default)]
    output_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "number")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    cache_write_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    reasoning_tokens: Option<u64>,
}

impl<'a> Output<'a> {
    /// An empty one; where `price` is given, the cost is counted by it.
    pub(crate) fn new(service: Service<'a>, reply: Reply<'a>, price: Option<Price>) -> Self {
        Self {
            service,
            reply,
            price,
            streamed: Vec::new(),
            refused: false,
            end: None,
        }
    }

    fn message(&mut self, data: &[u8]) -> Result<Flow, Error> {
        let message: Message<'_> =
            serde_json::from_slice(data).map_err(|error| unreadable(&error, data))?;
        let kind = message.kind.unwrap_or_default();
        let delta = message.delta.unwrap_or_default();
        let index = message.output_index.unwrap_or(0);
        match kind.as_str() {
            "response.output_text.delta" => {
                self.note(index);
                self.reply.text(&delta);
            }
            "response.refusal.delta" => {
                self.note(index);
                self.refused = true;
                self.reply.text(&delta);
            }
            "response.reasoning_summary_part.added"
                if message.summary_index.is_some_and(|at| at > 0) =>
            {
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
            "response.output_item.added" => self.begin(message.item, index)?,
            "response.output_item.done" => self.item(message.item, index)?,
            "response.completed" | "response.incomplete" => {
                let whole = message.response.map_or("null", RawValue::get);
                self.end(whole.as_bytes(), false)?;
                return Ok(Flow::Done);
            }
            "response.failed" | "error" => return Err(self.failed(data, message.response)),
            // Progress of the service's own tools, and whatever comes to be.
            _ => {}
        }
        Ok(match self.reply.is_stopped() {
            true => Flow::Stopped,
            false => Flow::More,
        })
    }

    fn note(&mut self, index: u64) {
        if !self.streamed.contains(&index) {
            self.streamed.push(index);
        }
    }

    /// An item begins: of a call its name is known.
    fn begin(&mut self, item: Option<&RawValue>, index: u64) -> Result<(), Error> {
        let Some(item) = item.and_then(|item| parsed(item.get())) else {
            return Ok(());
        };
        match item.kind.as_deref() {
            Some("function_call") => self.reply.call(Fragment {
                index: Some(index),
                id: item.call_id.as_deref().unwrap_or_default(),
                name: item.name.as_deref().unwrap_or_default(),
                arguments: "",
            }),
            _ => {
                self.reply.apart();
                Ok(())
            }
        }
    }

    /// An item is whole. What came in pieces is there already.
    fn item(&mut self, raw: Option<&RawValue>, index: u64) -> Result<(), Error> {
        let Some(raw) = raw else {
            return Ok(());
        };
        let Some(item) = parsed(raw.get()) else {
            return Ok(());
        };
        let streamed = self.streamed.contains(&index);
        match item.kind.as_deref() {
            Some("function_call") => self.reply.call(Fragment {
                index: Some(index),
                id: item.call_id.as_deref().unwrap_or_default(),
                name: item.name.as_deref().unwrap_or_default(),
                arguments: &match streamed {
                    true => String::new(),
                    false => json_text(item.arguments),
                },
            })?,
            Some("reasoning") => {
                let all = item.summary.into_iter().chain(item.content).flatten();
                if !streamed {
                    let texts = all.filter_map(|part| part.text).collect::<Vec<_>>();
                    self.reply.apart();
                    self.reply.reasoning(&texts.join("\n\n"));
                }
                // Without its content the service does not know the item any more.
                if item
                    .encrypted_content
                    .is_some_and(|content| !content.is_empty())
                {
                    self.reply.opaque(raw.get().to_owned());
                }
            }
            Some("message") if !streamed => {
                self.reply.apart();
                for part in item.content.into_iter().flatten() {
                    self.refused |= part.kind.as_deref() == Some("refusal");
                    let text = part.text.or(part.refusal);
                    self.reply.text(&text.unwrap_or_default());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The whole response; `items`: none has come so far.
    fn end(&mut self, data: &[u8], items: bool) -> Result<(), Error> {
        let whole: Whole<'_> =
            serde_json::from_slice(data).map_err(|error| unreadable(&error, data))?;
        let status = whole.status.unwrap_or_default();
        let reported = whole.error.is_some_and(|error| error.get() != "null");
        if reported || status == "failed" {
            return Err(errors::in_stream(&self.service, data));
        }
        if whole.object.as_deref() != Some("response") && whole.output.is_none() {
            let start = errors::bounded(&String::from_utf8_lossy(data), 200);
            return Err(errors::broken(&format!(
                "the server's answer holds no reply: {start}"
            )));
        }
        if items {
            for (index, item) in whole.output.into_iter().flatten().enumerate() {
                self.item(Some(item), index as u64)?;
            }
        }
        self.reply.id = whole.id;
        if let Some(tokens) = whole.usage {
            self.reply.usage = tokens.usage();
            self.reply.cost_usd = self
                .price
                .as_ref()
                .map(|price| cost(&self.reply.usage, price));
        }
        self.end = Some(End {
            status,
            reason: whole.incomplete_details.and_then(|details| details.reason),
        });
        Ok(())
    }

    fn failed(&self, data: &[u8], response: Option<&RawValue>) -> Error {
        let data = response.map_or(data, |response| response.get().as_bytes());
        errors::in_stream(&self.service, data)
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

fn parsed(item: &str) -> Option<Item<'_>> {
    serde_json::from_str(item).ok()
}

fn unreadable(error: &serde_json::Error, data: &[u8]) -> Error {
    errors::broken(&format!(
        "the server sent what is no response ({error}): {}",
        errors::bounded(&String::from_utf8_lossy(data), 200)
    ))
}

impl Tokens {
    /// `input_tokens` includes cached tokens, as the host counts them too.
    fn usage(&self) -> Usage {
        let count = |number: Option<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX);
        let input = self.input_tokens_details.as_ref();
        let output = self.output_tokens_details.as_ref();
        Usage {
            input: count(self.input_tokens),
            output: count(self.output_tokens),
            cache_read: count(input.and_then(|details| details.cached_tokens)),
            cache_write: count(input.and_then(|details| details.cache_write_tokens)),
            reasoning: count(output.and_then(|details| details.reasoning_tokens)),
        }
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
