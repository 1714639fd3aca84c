//! A reply as the bytes of an answer: server-sent events, or one JSON object.

use bytes::Bytes;
use serde_json::{Value, json};

use super::script::{Asked, Call, Ending, Kind, Reply};

/// Letters of tool-call arguments in one event; short enough to cut every real argument.
const ARGUMENT_LETTERS: usize = 5;
/// Bytes in one write of a huge body.
const FILLER: usize = 64 * 1024;
/// A fixed time stamp (seconds since 1970) keeps answers the same from run to run.
const CREATED: u64 = 1_790_000_000;

/// The pieces in which the body is written, whether the connection is dropped after the last
/// one, and whether it stays open with nothing to come.
pub(super) struct Body {
    pub(super) content_type: &'static str,
    pub(super) pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    pub(super) then: Then,
}

/// What follows the last piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Then {
    End,
    Cut,
    Hang,
}

/// The body for a reply that is neither a refusal nor silence.
pub(super) fn body(reply: &Reply, asked: &Asked<'_>, request_bytes: usize) -> Body {
    let stream = asked.request["stream"] == true;
    let content_type = if stream {
        "text/event-stream; charset=utf-8"
    } else {
        "application/json"
    };
    let (content_type, events) = match &reply.kind {
        Kind::Message { text, calls } => {
            let answer = Answer::new(reply, asked, text, calls, request_bytes);
            let whole = || vec![Bytes::from(answer.whole().to_string())];
            (content_type, if stream { answer.events() } else { whole() })
        }
        Kind::Huge { bytes } => {
            let pieces = Box::new(huge(stream, *bytes));
            return Body {
                content_type,
                pieces,
                then: Then::End,
            };
        }
        Kind::Raw { content_type, body } => (*content_type, vec![body.clone()]),
        Kind::Refused { .. } | Kind::NoHead => unreachable!("answered before a body is made"),
    };
    let (events, then) = end(events, reply.ending);
    let pieces = match reply.piece_bytes {
        None => events,
        Some(bytes) => {
            let all = Bytes::from(events.concat());
            let starts = (0..all.len()).step_by(bytes);
            starts
                .map(|start| all.slice(start..all.len().min(start + bytes)))
                .collect()
        }
    };
    Body {
        content_type,
        pieces: Box::new(pieces.into_iter()),
        then,
    }
}

fn end(mut events: Vec<Bytes>, ending: Ending) -> (Vec<Bytes>, Then) {
    let last = events.len().saturating_sub(1);
    match ending {
        Ending::Proper => (events, Then::End),
        Ending::CutAfter(whole) => {
            let whole = whole.min(last);
            events.truncate(whole + 1);
            if let Some(event) = events.last_mut() {
                event.truncate(event.len() / 2);
            }
            (events, Then::Cut)
        }
        Ending::HangAfter(whole) => {
            events.truncate(whole.min(last));
            (events, Then::Hang)
        }
    }
}

/// An answer that never comes to a line end, made as it is written.
fn huge(stream: bool, bytes: usize) -> impl Iterator<Item = Bytes> + Send {
    let head: &[u8] = match stream {
        true => br#"data: {"choices":[{"index":0,"delta":{"content":""#,
        false => br#"{"choices":[{"index":0,"message":{"role":"assistant","content":""#,
    };
    let filler = Bytes::from(vec![b'x'; FILLER]);
    std::iter::once(Bytes::from_static(head))
        .chain(std::iter::repeat_n(filler, bytes.div_ceil(FILLER)))
}

struct Answer<'a> {
    id: String,
    model: &'a Value,
    text: &'a str,
    /// Each call with its id.
    calls: Vec<(String, &'a Call)>,
    finish: &'static str,
    usage: Value,
    usage_wanted: bool,
}

impl<'a> Answer<'a> {
    fn new(
        reply: &Reply,
        asked: &Asked<'a>,
        text: &'a str,
        calls: &'a [Call],
        request_bytes: usize,
    ) -> Self {
        // The length of the conversation makes ids that are new to it and the same at a repeat.
        let round = asked.messages.len();
        let id = |(index, call)| (format!("call_{round}_{index}"), call);
        let letters: usize = calls.iter().map(|call| call.arguments.len()).sum();
        // Four bytes a token is close enough for clients that only add up.
        let estimate = (
            request_bytes as u64 / 4,
            (text.len() + letters) as u64 / 4 + 1,
        );
        let (prompt, completion) = reply.usage.unwrap_or(estimate);
        Self {
            id: format!("chatcmpl-{round}"),
            model: &asked.request["model"],
            text,
            calls: calls.iter().enumerate().map(id).collect(),
            finish: reply.finish.unwrap_or(if calls.is_empty() {
                "stop"
            } else {
                "tool_calls"
            }),
            usage: json!({
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            }),
            usage_wanted: asked.request["stream_options"]["include_usage"] == true,
        }
    }

    fn whole(&self) -> Value {
        let content = if self.text.is_empty() {
            Value::Null
        } else {
            json!(self.text)
        };
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if !self.calls.is_empty() {
            let calls = self.calls.iter().map(|(id, call)| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                json!({"id": id, "type": "function", "function": function})
            });
            message["tool_calls"] = calls.collect();
        }
        let choice = json!({
            "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish,
        });
        json!({
            "id": self.id, "object": "chat.completion", "created": CREATED, "model": self.model,
            "choices": [choice], "usage": self.usage, "system_fingerprint": "fp_fake",
        })
    }

    fn events(&self) -> Vec<Bytes> {
        let mut events =
            vec![self.delta(json!({"role": "assistant", "content": "", "refusal": null}))];
        for word in self.text.split_inclusive(' ') {
            events.push(self.delta(json!({"content": word})));
        }
        for (index, (id, call)) in self.calls.iter().enumerate() {
            let function = json!({"name": call.name, "arguments": ""});
            let start = json!({"index": index, "id": id, "type": "function", "function": function});
            events.push(self.delta(json!({"tool_calls": [start]})));
            let letters: Vec<char> = call.arguments.chars().collect();
            for part in letters.chunks(ARGUMENT_LETTERS) {
                let function = json!({"arguments": String::from_iter(part)});
                let more = json!({"index": index, "function": function});
                events.push(self.delta(json!({"tool_calls": [more]})));
            }
        }
        events.push(self.choice(json!({}), json!(self.finish)));
        if self.usage_wanted {
            let mut usage = self.chunk(json!([]));
            usage["usage"] = self.usage.clone();
            events.push(event(&usage.to_string()));
        }
        events.push(event("[DONE]"));
        events
    }

    fn delta(&self, delta: Value) -> Bytes {
        self.choice(delta, Value::Null)
    }

    fn choice(&self, delta: Value, finish: Value) -> Bytes {
        let choice = json!({
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish,
        });
        event(&self.chunk(json!([choice])).to_string())
    }

    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": CREATED,
            "model": self.model, "system_fingerprint": "fp_fake", "choices": choices,
        });
        if self.usage_wanted {
            // The API sends the field in every chunk as soon as it is asked for.
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}

fn event(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}
