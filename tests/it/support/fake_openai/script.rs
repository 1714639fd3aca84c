//! The model of the fake server: a function from a conversation to a reply.
//!
//! The function sees nothing but the request (and how often the same conversation came before),
//! so a client that is killed and resumed gets the answer that it would have got.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;

use super::error::ApiError;

/// What the model knows when it replies.
pub(crate) struct Asked<'a> {
    /// The whole request.
    pub(crate) request: &'a Value,
    /// Its messages, oldest first, never empty.
    pub(crate) messages: &'a [Value],
    /// How many earlier requests had byte for byte the same messages: 0 at the first try.
    pub(crate) attempt: usize,
}

impl Asked<'_> {
    /// How many messages the assistant has said so far.
    pub(crate) fn assistant_messages(&self) -> usize {
        let roles = self.messages.iter().map(|message| &message["role"]);
        roles.filter(|role| *role == "assistant").count()
    }

    /// The content of the last message, empty where it is not a plain string.
    pub(crate) fn last_text(&self) -> &str {
        let last = self.messages.last();
        last.and_then(|message| message["content"].as_str())
            .unwrap_or_default()
    }
}

/// The model.
#[derive(Clone)]
pub(crate) struct Script(Arc<dyn Fn(&Asked<'_>) -> Reply + Send + Sync>);

impl Script {
    /// A model that replies with whatever `decide` returns.
    pub(crate) fn new(decide: impl Fn(&Asked<'_>) -> Reply + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    /// A model that gives `replies` one after the other: the first to a conversation in which
    /// the assistant has said nothing, and so on. Past the end it answers with an error.
    pub(crate) fn steps(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        Self::new(move |asked| {
            let said = asked.assistant_messages();
            replies.get(said).cloned().unwrap_or_else(|| {
                let message = format!("the script has {} replies, no number {said}", replies.len());
                Reply::refused(ApiError::invalid("script", message))
            })
        })
    }

    /// The reply to `asked`, the right one of a chain of [`Reply::then`].
    pub(super) fn decide(&self, asked: &Asked<'_>) -> Reply {
        let mut reply = (self.0)(asked);
        for _ in 0..asked.attempt {
            match reply.then.take() {
                Some(next) => reply = *next,
                None => break,
            }
        }
        reply
    }
}

/// A call of a tool by the model.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Call {
    /// A call with proper arguments.
    pub(crate) fn new(name: &str, arguments: Value) -> Self {
        Self::raw(name, &arguments.to_string())
    }

    /// Whether a call in a conversation is this one.
    pub(crate) fn is(&self, name: &str, arguments: &str) -> bool {
        self.name == name && self.arguments == arguments
    }

    /// A call whose arguments are any text, as models produce them when they go wrong.
    pub(crate) fn raw(name: &str, arguments: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }
}

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(super) kind: Kind,
    pub(super) finish: Option<&'static str>,
    pub(super) usage: Option<(u64, u64)>,
    pub(super) wait: Duration,
    pub(super) pace: Duration,
    pub(super) piece_bytes: Option<usize>,
    pub(super) ending: Ending,
    then: Option<Box<Reply>>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Message {
        text: String,
        calls: Vec<Call>,
    },
    Refused {
        error: ApiError,
        retry_after_s: Option<u64>,
    },
    Raw {
        content_type: &'static str,
        body: Bytes,
    },
    /// One line, or one JSON string, of about this many bytes.
    Huge {
        bytes: usize,
    },
    NoHead,
}

/// How a body ends; the numbers count server-sent events.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Proper,
    CutAfter(usize),
    HangAfter(usize),
}

impl Reply {
    /// Plain text, which ends the turn.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::message(text, [])
    }

    /// One tool call.
    pub(crate) fn call(name: &str, arguments: Value) -> Self {
        Self::calls([Call::new(name, arguments)])
    }

    /// Several tool calls in one message.
    pub(crate) fn calls(calls: impl IntoIterator<Item = Call>) -> Self {
        Self::message("", calls)
    }

    /// Text and tool calls in one message.
    pub(crate) fn message(text: impl Into<String>, calls: impl IntoIterator<Item = Call>) -> Self {
        let calls = calls.into_iter().collect();
        Self::of(Kind::Message {
            text: text.into(),
            calls,
        })
    }

    /// 429 with a `Retry-After` header in seconds.
    pub(crate) fn rate_limited(retry_after_s: u64) -> Self {
        let message = "Rate limit reached for requests per min.";
        let error = ApiError::new(429, "requests", message).code("rate_limit_exceeded");
        Self::of(Kind::Refused {
            error,
            retry_after_s: Some(retry_after_s),
        })
    }

    /// 500.
    pub(crate) fn server_error() -> Self {
        let message = "The server had an error while processing your request. Sorry about that!";
        Self::refused(ApiError::new(500, "server_error", message))
    }

    /// 401 as for a revoked key.
    pub(crate) fn unauthorized() -> Self {
        Self::refused(super::wrong_key())
    }

    /// 400 as for a prompt that is longer than the model's context.
    pub(crate) fn context_too_long() -> Self {
        let message = "This model's maximum context length is 128000 tokens. However, your messages resulted in 128001 tokens. Please reduce the length of the messages.";
        Self::refused(ApiError::invalid("messages", message).code("context_length_exceeded"))
    }

    /// Any error of the API.
    pub(crate) fn refused(error: ApiError) -> Self {
        Self::of(Kind::Refused {
            error,
            retry_after_s: None,
        })
    }

    /// Status 200 and any bytes at all.
    pub(crate) fn raw(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::of(Kind::Raw {
            content_type,
            body: body.into(),
        })
    }

    /// An event stream with broken JSON, unknown events, stray lines and bytes that are not UTF-8.
    pub(crate) fn garbage_events() -> Self {
        let body = b"data: {\"choices\": [\n\n:\nevent: \ndata\nid: 7\ndata: [1, 2]\n\n\xff\xfe\0\r\n\r\ndata: {}\n\ndata: null\n\n";
        Self::raw("text/event-stream", &body[..])
    }

    /// A web page instead of an API answer, as a captive portal sends it.
    pub(crate) fn web_page() -> Self {
        Self::raw(
            "text/html; charset=utf-8",
            "<!doctype html><title>Log in</title>",
        )
    }

    /// A body of about `bytes` bytes without one line end in it.
    pub(crate) fn huge(bytes: usize) -> Self {
        Self::of(Kind::Huge { bytes })
    }

    /// Takes the request and never answers.
    pub(crate) fn never() -> Self {
        Self::of(Kind::NoHead)
    }

    /// Sets the finish reason, for instance `length`.
    pub(crate) fn finish(self, reason: &'static str) -> Self {
        Self {
            finish: Some(reason),
            ..self
        }
    }

    /// Sets the tokens that the answer reports: of the prompt, and of the completion.
    pub(crate) fn usage(self, prompt: u64, completion: u64) -> Self {
        Self {
            usage: Some((prompt, completion)),
            ..self
        }
    }

    /// Waits before the first byte of the answer.
    pub(crate) fn wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Waits before each piece of the body.
    pub(crate) fn pace(self, pace: Duration) -> Self {
        Self { pace, ..self }
    }

    /// Writes the body in pieces of `bytes` bytes, wherever that cuts lines and characters.
    pub(crate) fn pieces_of(self, bytes: usize) -> Self {
        Self {
            piece_bytes: Some(bytes),
            ..self
        }
    }

    /// Drops the connection after `events` whole events and half of the next one, at the latest
    /// in the middle of the last one. An answer that is not a stream counts as one event.
    pub(crate) fn cut_after(self, events: usize) -> Self {
        Self {
            ending: Ending::CutAfter(events),
            ..self
        }
    }

    /// Stops writing after `events` whole events, at the latest before the last one, and keeps
    /// the connection open.
    pub(crate) fn hang_after(self, events: usize) -> Self {
        Self {
            ending: Ending::HangAfter(events),
            ..self
        }
    }

    /// Gives `next` instead when the same conversation comes again; can be chained.
    pub(crate) fn then(mut self, next: Reply) -> Self {
        self.then = Some(Box::new(match self.then.take() {
            None => next,
            Some(earlier) => earlier.then(next),
        }));
        self
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            finish: None,
            usage: None,
            wait: Duration::ZERO,
            pace: Duration::ZERO,
            piece_bytes: None,
            ending: Ending::Proper,
            then: None,
        }
    }
}
