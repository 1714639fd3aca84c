//! The services that a fake can be: what lies where, who may ask, and how they say no.

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::{
    Shared,
    answer::Answer,
    body::{data, typed},
    cache::Block,
    chat, converse,
    error::ApiError,
    messages,
    node::Checked,
    responses,
    script::Fault,
};

/// A service whose protocol and manners a fake has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Service {
    /// OpenAI: chat completions and responses.
    OpenAi,
    /// Hugging Face's router: chat completions by many providers.
    Router,
    /// OpenRouter: chat completions with money, reasoning and patience in them.
    OpenRouter,
    /// A local Ollama: chat completions, and a catalogue of its own.
    Ollama,
    /// Anthropic: messages.
    Anthropic,
    /// Amazon's Bedrock: Converse, with signed requests.
    Bedrock,
}

/// How a model is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Protocol {
    Chat,
    Responses,
    Messages,
    Converse,
}

/// A request for a message of the model that the service takes.
pub(super) struct Ask {
    pub(super) protocol: Protocol,
    pub(super) request: Value,
    /// The conversation in the shape that chat completions have.
    pub(super) messages: Vec<Value>,
    pub(super) model: String,
    pub(super) stream: bool,
    /// What the cache may know of it; nothing where the service has no marks for it.
    pub(super) blocks: Vec<Block>,
}

/// What a request is for.
pub(super) enum Routed {
    Plain(Value),
    Ask(Ask),
}

impl Service {
    /// Where the service's API begins, as its clients have it in their base URL.
    pub(super) fn base(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Router => "/v1",
            Self::OpenRouter => "/api/v1",
            Self::Ollama | Self::Anthropic | Self::Bedrock => "",
        }
    }

    /// Judges a request.
    pub(super) fn route(self, shared: &Shared, head: &Parts, body: &[u8]) -> Checked<Routed> {
        match self {
            Self::Anthropic => messages::route(shared, head, body),
            Self::Bedrock => converse::route(shared, head, body),
            _ => chat::route(shared, head, body),
        }
    }

    /// Headers of every answer.
    pub(super) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OpenAi => &[("x-request-id", "req_fake")],
            Self::Router => &[("x-inference-provider", "fakeworks")],
            Self::Anthropic => &[("request-id", "req_fake")],
            Self::Bedrock => &[("x-amzn-requestid", "b0e3c1a2-fake")],
            Self::OpenRouter | Self::Ollama => &[],
        }
    }

    /// The name of an error where it is in a header of the answer rather than in its body.
    pub(super) fn error_header(self, error: &ApiError) -> Option<(&'static str, &'static str)> {
        (self == Self::Bedrock).then_some(("x-amzn-errortype", error.kind))
    }

    /// The body of the answer that is an error.
    pub(super) fn error_body(self, error: &ApiError) -> Value {
        let message = &error.message;
        match self {
            Self::Anthropic => json!({
                "type": "error", "error": {"type": error.kind, "message": message},
                "request_id": "req_fake",
            }),
            Self::Bedrock => json!({"message": message}),
            Self::OpenRouter => json!({
                "error": {"message": message, "code": error.status}, "user_id": "user_fake",
            }),
            // The router's own errors are strings, and Ollama's outside of `/v1`; those of models
            // are objects.
            Self::Router | Self::Ollama if error.kind.is_empty() => json!({"error": message}),
            _ => json!({"error": {
                "message": message, "type": error.kind, "param": error.param, "code": error.code,
            }}),
        }
    }

    /// The event of an error in a stream of `answer`, after `before` others.
    pub(super) fn error_event(self, answer: &Answer<'_>, error: &ApiError, before: usize) -> Bytes {
        match (answer.ask.protocol, self) {
            (Protocol::Messages, _) => typed(&self.error_body(error)),
            (Protocol::Responses, _) => responses::error_event(answer, error, before),
            (Protocol::Converse, _) => converse::error_event(error),
            (Protocol::Chat, Self::OpenRouter) => {
                data(&chat::error_chunk(answer, error).to_string())
            }
            (Protocol::Chat, _) => data(&self.error_body(error).to_string()),
        }
    }

    /// The error that this service has for a fault.
    pub(super) fn fault(self, fault: Fault) -> ApiError {
        match self {
            Self::Anthropic => messages::fault(fault),
            Self::Bedrock => converse::fault(fault),
            Self::Router => chat::router_fault(fault),
            Self::OpenRouter => chat::open_router_fault(fault),
            Self::OpenAi | Self::Ollama => chat::fault(fault),
        }
    }

    /// Content type and events of an answer; one event where it is not a stream.
    pub(super) fn render(self, answer: &Answer<'_>) -> (&'static str, Vec<Bytes>) {
        let stream = answer.ask.stream;
        let content_type = match (answer.ask.protocol, stream) {
            (_, false) => "application/json",
            (Protocol::Converse, true) => "application/vnd.amazon.eventstream",
            (_, true) => "text/event-stream; charset=utf-8",
        };
        let events = match (answer.ask.protocol, stream) {
            (Protocol::Chat, true) => chat::events(answer),
            (Protocol::Responses, true) => responses::events(answer),
            (Protocol::Messages, true) => messages::events(answer),
            (Protocol::Converse, true) => converse::events(answer),
            (Protocol::Chat, false) => vec![whole(&chat::whole(answer))],
            (Protocol::Responses, false) => vec![whole(&responses::whole(answer))],
            (Protocol::Messages, false) => vec![whole(&messages::whole(answer))],
            (Protocol::Converse, false) => vec![whole(&converse::whole(answer))],
        };
        (content_type, events)
    }
}

fn whole(answer: &Value) -> Bytes {
    Bytes::from(answer.to_string())
}

/// Reads a body that has to be JSON and to say so.
pub(super) fn json_body(
    head: &Parts,
    body: &[u8],
    refuse: fn(String) -> ApiError,
) -> Checked<Value> {
    let content_type = head.headers.get("content-type");
    if !content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        let message = "Unsupported content type: send 'Content-Type: application/json'.";
        return Err(refuse(message.to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| {
        refuse(format!(
            "We could not parse the JSON body of your request: {error}"
        ))
    })
}

/// The value of a parameter of the query.
pub(super) fn query<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    let mut pairs = head
        .uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The value of a header.
pub(super) fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}
