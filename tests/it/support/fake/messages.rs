//! Anthropic's Messages API.
//!
//! Shapes: the API reference of November 2026 and the types of the Python client 2.14; the texts of
//! errors are the service's own where tests or clients go by them.

use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::{
    Shared,
    answer::estimate,
    cache::Block,
    error::ApiError,
    model::Model,
    node::Checked,
    script::Fault,
    service::{Ask, Protocol, Routed, header, json_body, query},
};

mod check;
mod conversation;
mod render;

pub(super) use render::{events, whole};

/// The versions of the API: the first, which most programs name, and the one of the client 2.14.
const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];
/// Models on a page of the list where the request does not say.
const PAGE: usize = 20;
/// Most models on a page.
const MAX_PAGE: usize = 1000;

/// Judges a request to the service.
pub(super) fn route(shared: &Shared, head: &Parts, body: &[u8]) -> Checked<Routed> {
    authorize(shared, head)?;
    let path = shared.path(head);
    match (head.method.as_str(), path) {
        ("POST", "/v1/messages") => {
            let request = json_body(head, body, invalid)?;
            check::request(&request, shared)?;
            Ok(Routed::Ask(Ask {
                protocol: Protocol::Messages,
                messages: conversation::plain(&request),
                model: request["model"].as_str().unwrap_or_default().to_owned(),
                stream: request["stream"] == true,
                blocks: blocks(&request),
                request,
            }))
        }
        ("POST", "/v1/messages/count_tokens") => {
            let request = json_body(head, body, invalid)?;
            check::count(&request, shared)?;
            Ok(Routed::Plain(json!({"input_tokens": estimate(body.len())})))
        }
        ("GET", "/v1/models") => page(shared, head).map(Routed::Plain),
        ("GET", path) if path.starts_with("/v1/models/") => {
            let id = path.trim_start_matches("/v1/models/");
            let model = shared.model(id).ok_or_else(|| unknown_model(id))?;
            Ok(Routed::Plain(listed(model)))
        }
        _ => Err(ApiError::new(404, "not_found_error", "Not Found")),
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::new(400, "invalid_request_error", message)
}

fn unknown_model(id: &str) -> ApiError {
    ApiError::new(404, "not_found_error", format!("model: {id}"))
}

/// The key comes in either header: the Python client sends it as a bearer token since 2.14, older
/// ones and most other programs in `x-api-key`.
fn authorize(shared: &Shared, head: &Parts) -> Checked {
    if let Some(key) = &shared.key {
        let bearer = header(head, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        match header(head, "x-api-key").or(bearer) {
            None => {
                let message = "x-api-key header is required";
                return Err(ApiError::new(401, "authentication_error", message));
            }
            Some(given) if given == key => {}
            Some(_) => return Err(fault(Fault::Unauthorized)),
        }
    }
    match header(head, "anthropic-version") {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        Some(other) => Err(invalid(format!(
            "anthropic-version: \"{other}\" is not a valid version"
        ))),
        None => Err(invalid("anthropic-version: header is required".to_owned())),
    }
}

/// The service's errors.
pub(super) fn fault(fault: Fault) -> ApiError {
    let (status, kind, message) = match fault {
        Fault::RateLimited => (
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 50,000 input tokens per minute.",
        ),
        Fault::ServerError => (500, "api_error", "Internal server error"),
        Fault::Unauthorized => (401, "authentication_error", "invalid x-api-key"),
        Fault::ContextTooLong => (
            400,
            "invalid_request_error",
            "prompt is too long: 200001 tokens > 200000 maximum",
        ),
        Fault::Overloaded => (529, "overloaded_error", "Overloaded"),
        Fault::Unpaid => (
            402,
            "billing_error",
            "Your credit balance is too low to access the API.",
        ),
    };
    ApiError::new(status, kind, message)
}

/// The blocks of a request as the cache knows them: tools, then the system's text, then messages.
fn blocks(request: &Value) -> Vec<Block> {
    let mut blocks = vec![Block::new("model", &request["model"])];
    let listed = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let tools = listed(&request["tools"]);
    blocks.extend(tools.iter().map(|tool| Block::new("tool", tool)));
    let system = parts(&request["system"]);
    blocks.extend(system.iter().map(|part| Block::new("system", part)));
    // Other settings of these end what is cached of the messages, and nothing before.
    let settings = json!([request["tool_choice"], request["thinking"]]);
    blocks.push(Block::new("settings", &settings));
    for message in listed(&request["messages"]) {
        let role = message["role"].as_str().unwrap_or_default();
        let content = parts(&message["content"]);
        blocks.extend(content.iter().map(|part| Block::new(role, part)));
    }
    // A mark on the request itself is one on its last block.
    match request["cache_control"].is_null() {
        true => blocks,
        false => {
            let last = blocks.pop().map(Block::marked);
            blocks.extend(last);
            blocks
        }
    }
}

/// Content as blocks, where a string is short for one block of text.
fn parts(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(parts) => parts.clone(),
        _ => Vec::new(),
    }
}

fn page(shared: &Shared, head: &Parts) -> Checked<Value> {
    let limit = match query(head, "limit") {
        None => PAGE,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=MAX_PAGE) => limit,
            _ => {
                let message = "limit: Input should be from 1 to 1000";
                return Err(invalid(message.to_owned()));
            }
        },
    };
    let position = |id: &str| {
        let position = shared.models.iter().position(|model| model.id == id);
        position.ok_or_else(|| invalid(format!("unknown id `{id}`")))
    };
    let all = shared.models.len();
    let (first, end) = match (query(head, "after_id"), query(head, "before_id")) {
        (Some(_), Some(_)) => {
            let message = "only one of after_id and before_id may be set";
            return Err(invalid(message.to_owned()));
        }
        (Some(id), None) => {
            let first = position(id)? + 1;
            (first, all.min(first + limit))
        }
        (None, Some(id)) => {
            let end = position(id)?;
            (end.saturating_sub(limit), end)
        }
        (None, None) => (0, all.min(limit)),
    };
    let models = &shared.models[first..end];
    let more = if query(head, "before_id").is_some() {
        first > 0
    } else {
        end < all
    };
    Ok(json!({
        "data": models.iter().map(listed).collect::<Value>(), "has_more": more,
        "first_id": models.first().map(|model| &model.id),
        "last_id": models.last().map(|model| &model.id),
    }))
}

fn listed(model: &Model) -> Value {
    let is = |supported: bool| json!({"supported": supported});
    let reasons = !model.efforts.is_empty();
    let mut effort = json!({"supported": reasons});
    for level in ["low", "medium", "high", "xhigh", "max"] {
        effort[level] = is(model.efforts.contains(&level));
    }
    json!({
        "type": "model", "id": model.id, "display_name": model.id,
        "created_at": "2026-09-01T00:00:00Z", "lifecycle": "active", "deprecated_at": null,
        "retires_at": null, "line": null, "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": is(true), "citations": is(true), "code_execution": is(false),
            "context_management": {"supported": false},
            "effort": effort, "image_input": is(model.images), "pdf_input": is(false),
            "server_tools": {
                "supported": false, "code_execution": is(false), "web_search": is(false),
            },
            "structured_outputs": is(true),
            "thinking": {"supported": reasons, "types": {
                "adaptive": is(reasons), "between_tools": is(false), "disabled": is(true),
                "enabled": is(false),
            }},
        },
    })
}
