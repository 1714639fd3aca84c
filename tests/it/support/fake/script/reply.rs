//! What a fake server does with one request: what its model says, and what goes wrong.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{super::error::ApiError, Call};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(in super::super) kind: Kind,
    pub(in super::super) finish: Option<&'static str>,
    pub(in super::super) usage: Usage,
    pub(in super::super) flaws: Vec<Flaw>,
    pub(in super::super) retry_after_s: Option<u64>,
    pub(in super::super) wait: Duration,
    pub(in super::super) pace: Duration,
    pub(in super::super) piece_bytes: Option<usize>,
    pub(in super::super) ending: Ending,
    pub(super) then: Option<Box<Reply>>,
}

#[derive(Clone, Debug)]
pub(in super::super) enum Kind {
    Message(Said),
    /// An error that every service has, said as this one says it.
    Fault(Fault),
    Refused(ApiError),
    Raw {
        status: u16,
        content_type: &'static str,
        body: Bytes,
    },
    /// One line, or one JSON string, of about this many bytes.
    Huge {
        bytes: usize,
    },
    NoHead,
}

/// What the model says in one message, in this order.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Said {
    pub(in super::super) reasoning: Option<String>,
    /// Whether the reasoning is kept from the client, who gets something to send back only.
    pub(in super::super) opaque: bool,
    pub(in super::super) text: String,
    pub(in super::super) refusal: Option<String>,
    pub(in super::super) calls: Vec<Call>,
}

/// The tokens that an answer reports; what is not set is estimated.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Usage {
    /// Of the prompt, the cached ones included, and of the answer, its reasoning included.
    pub(in super::super) both: Option<(u64, u64)>,
    /// Of the prompt: read from the cache, and written to it.
    pub(in super::super) cached: Option<(u64, u64)>,
    /// Of the answer, for reasoning.
    pub(in super::super) reasoning: u64,
}

/// Errors that every service has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Fault {
    RateLimited,
    ServerError,
    Unauthorized,
    ContextTooLong,
    Overloaded,
    Unpaid,
}

/// How a body ends; the numbers count events.
#[derive(Clone, Debug)]
pub(in super::super) enum Ending {
    Proper,
    CutAfter(usize),
    HangAfter(usize),
    ErrorAfter(usize, ApiError),
}

/// What is wrong with an answer that has come so far as to have status 200.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    /// No choices, no output, no content: whatever holds what the model says is an empty list.
    Empty,
    /// The tokens are not reported.
    NoUsage,
    /// Calls come without an id.
    NoCallId,
    /// All calls have the same id.
    SameCallId,
    /// Arguments are an object where they should be a string, and the other way round.
    ArgumentsType,
    /// The fragments of several calls are mixed, the last call first; chat completions only.
    MixedFragments,
    /// The event that ends the stream is missing.
    NoDone,
    /// Lines of a stream end as those of HTTP do.
    CrLf,
    /// Comments, or the protocol's own pings, between the events of a stream.
    KeepAlive,
    /// A checksum in the middle of the stream is wrong; Bedrock only.
    WrongChecksum,
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
        Self::of(Kind::Message(Said {
            text: text.into(),
            calls,
            ..Said::default()
        }))
    }

    /// Reasoning before what is said otherwise; kept from the client where `opaque`.
    pub(crate) fn reasoning(self, text: &str, opaque: bool) -> Self {
        self.say(|said| {
            said.reasoning = Some(text.to_owned());
            said.opaque = opaque;
        })
    }

    /// The model, or a filter after it, will not answer and says why.
    pub(crate) fn refusal(why: &str) -> Self {
        Self::text("").say(|said| said.refusal = Some(why.to_owned()))
    }

    /// 429 with a `Retry-After` header in seconds.
    pub(crate) fn rate_limited(retry_after_s: u64) -> Self {
        Self::of(Kind::Fault(Fault::RateLimited)).retry_after(retry_after_s)
    }

    /// 500.
    pub(crate) fn server_error() -> Self {
        Self::of(Kind::Fault(Fault::ServerError))
    }

    /// 529 of Anthropic, 503 elsewhere: too many requests of everybody.
    pub(crate) fn overloaded() -> Self {
        Self::of(Kind::Fault(Fault::Overloaded))
    }

    /// 402, or what the service has for an account without money.
    pub(crate) fn unpaid() -> Self {
        Self::of(Kind::Fault(Fault::Unpaid))
    }

    /// 401, Bedrock's 403, as for a revoked key.
    pub(crate) fn unauthorized() -> Self {
        Self::of(Kind::Fault(Fault::Unauthorized))
    }

    /// 400 as for a prompt that is longer than the model's context.
    pub(crate) fn context_too_long() -> Self {
        Self::of(Kind::Fault(Fault::ContextTooLong))
    }

    /// Any error of the API.
    pub(crate) fn refused(error: ApiError) -> Self {
        Self::of(Kind::Refused(error))
    }

    /// Status 200 and any bytes at all.
    pub(crate) fn raw(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::of(Kind::Raw {
            status: 200,
            content_type,
            body: body.into(),
        })
    }

    /// The error page of a proxy that does not reach the service.
    pub(crate) fn proxy_page(status: u16) -> Self {
        Self::of(Kind::Raw {
            status,
            content_type: "text/html",
            body: Bytes::from_static(
                b"<html>\r\n<head><title>Bad Gateway</title></head>\r\n<body><center><h1>Bad Gateway</h1></center></body>\r\n</html>\r\n",
            ),
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
    pub(crate) fn usage(mut self, prompt: u64, completion: u64) -> Self {
        self.usage.both = Some((prompt, completion));
        self
    }

    /// Sets the tokens of the prompt that the answer reports as read from the cache and as
    /// written to it; where it is not set, services with marks for the cache report what theirs did.
    pub(crate) fn cached(mut self, read: u64, written: u64) -> Self {
        self.usage.cached = Some((read, written));
        self
    }

    /// Sets the tokens of the answer that it reports as reasoning.
    pub(crate) fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.usage.reasoning = tokens;
        self
    }

    /// Adds a `Retry-After` header in seconds to an error.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    /// Adds something that is wrong with the answer; can be chained.
    pub(crate) fn flawed(mut self, flaw: Flaw) -> Self {
        self.flaws.push(flaw);
        self
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

    /// Goes on, after `events` events at most, with an error in the stream, as a service does
    /// whose status of 200 is long written. An answer that is not a stream is the error alone.
    pub(crate) fn error_after(self, events: usize, error: ApiError) -> Self {
        Self {
            ending: Ending::ErrorAfter(events, error),
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

    /// The reply as a step of a recording for the provider `replay`.
    pub(crate) fn recorded(&self) -> String {
        let Kind::Message(said) = &self.kind else {
            panic!("only messages can be recorded: {self:?}");
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut step = String::from("\n[[step]]\n[step.reply]\n");
        for (name, text) in [
            ("text", Some(said.text.as_str())),
            ("reasoning", said.reasoning.as_deref()),
        ] {
            let text = text.filter(|text| !text.is_empty());
            step.extend(text.map(|text| format!("{name} = {}\n", quoted(text))));
        }
        for call in &said.calls {
            // An id must be new to the recording, and a call has no other name.
            let id = format!("c{}", call.arguments.len() + step.len());
            let arguments: toml::Value = serde_json::from_str(&call.arguments).unwrap();
            step += &format!(
                "[[step.reply.call]]\nid = \"{id}\"\nname = {}\narguments = {arguments}\n",
                quoted(&call.name),
            );
        }
        step
    }

    /// Whether this is wrong with the answer.
    pub(in super::super) fn has(&self, flaw: Flaw) -> bool {
        self.flaws.contains(&flaw)
    }

    fn say(mut self, change: impl FnOnce(&mut Said)) -> Self {
        if let Kind::Message(said) = &mut self.kind {
            change(said);
        }
        self
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            finish: None,
            usage: Usage::default(),
            flaws: Vec::new(),
            retry_after_s: None,
            wait: Duration::ZERO,
            pace: Duration::ZERO,
            piece_bytes: None,
            ending: Ending::Proper,
            then: None,
        }
    }
}
