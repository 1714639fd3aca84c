//! Bedrock's Converse API.
//!
//! Shapes: the service model of `bedrock-runtime` (2023-09-30) as botocore 1.44 has it; the texts of
//! errors are the service's own where tests or clients go by them.

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::{
    Shared,
    answer::estimate,
    cache::Block,
    error::ApiError,
    node::{Checked, Dialect, Node},
    script::Fault,
    service::{Ask, Protocol, Routed, json_body},
};

mod check;
mod conversation;
mod frame;
mod render;
mod signature;

pub(super) use render::{events, whole};

/// Judges a request to the service.
pub(super) fn route(shared: &Shared, head: &Parts, body: &[u8]) -> Checked<Routed> {
    signature::check(shared.key.as_deref(), head, body)?;
    let unknown = || ApiError::new(404, "UnknownOperationException", "");
    let path = shared.path(head).strip_prefix("/model/");
    let (id, operation) = path
        .and_then(|path| path.rsplit_once('/'))
        .ok_or_else(unknown)?;
    if head.method != "POST"
        || !["converse", "converse-stream", "count-tokens"].contains(&operation)
    {
        return Err(unknown());
    }
    let id = decoded(id);
    let model = shared
        .model(&id)
        .ok_or_else(|| invalid("The provided model identifier is invalid.".to_owned()))?;
    let request = json_body(head, body, |message| {
        ApiError::new(400, "SerializationException", message)
    })?;
    let root = Node::root(&request, Dialect::Bedrock)?;
    if operation == "count-tokens" {
        root.only(&["input"])?;
        let (kind, input) = root.get("input")?.union(&["converse", "invokeModel"])?;
        if kind == "converse" {
            check::counted(&input, model)?;
        }
        return Ok(Routed::Plain(json!({"inputTokens": estimate(body.len())})));
    }
    check::request(&root, model)?;
    Ok(Routed::Ask(Ask {
        protocol: Protocol::Converse,
        messages: conversation::plain(&request),
        model: id,
        stream: operation == "converse-stream",
        blocks: blocks(&request),
        request,
    }))
}

/// The service's errors.
pub(super) fn fault(fault: Fault) -> ApiError {
    let (status, kind, message) = match fault {
        Fault::RateLimited => (
            429,
            "ThrottlingException",
            "Too many requests, please wait before trying again.",
        ),
        Fault::ServerError => (
            500,
            "InternalServerException",
            "The system encountered an unexpected error during processing. Try your request again.",
        ),
        Fault::Unauthorized => (
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        Fault::ContextTooLong => (
            400,
            "ValidationException",
            "The model returned the following errors: Input is too long for requested model.",
        ),
        Fault::Overloaded => (
            503,
            "ServiceUnavailableException",
            "Bedrock is unable to process your request.",
        ),
        Fault::Unpaid => (
            403,
            "AccessDeniedException",
            "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided.",
        ),
    };
    ApiError::new(status, kind, message)
}

/// The frame that ends a stream with an error.
pub(super) fn error_event(error: &ApiError) -> Bytes {
    let mut kind = error.kind.to_owned();
    if !kind.ends_with("Exception") {
        kind = "modelStreamErrorException".to_owned();
    }
    kind[..1].make_ascii_lowercase();
    let headers = [
        (":exception-type", kind.as_str()),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    frame::frame(
        &headers,
        json!({"message": error.message}).to_string().as_bytes(),
    )
}

fn invalid(message: String) -> ApiError {
    ApiError::new(400, "ValidationException", message)
}

/// The blocks of a request as the cache knows them; a cache point marks the block before it.
fn blocks(request: &Value) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut add = |level: &str, list: &Value| {
        for block in list.as_array().into_iter().flatten() {
            if block.get("cachePoint").is_none() {
                blocks.push(Block::new(level, block));
            } else if let Some(last) = blocks.pop() {
                blocks.push(last.marked());
            }
        }
    };
    add("tool", &request["toolConfig"]["tools"]);
    add("system", &request["system"]);
    for message in request["messages"].as_array().into_iter().flatten() {
        add(
            message["role"].as_str().unwrap_or_default(),
            &message["content"],
        );
    }
    blocks
}

/// A segment of a path without its percent signs; what is not UTF-8 then is an unknown name.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
