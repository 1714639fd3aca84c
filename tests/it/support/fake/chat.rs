//! Chat completions, in the accents of the services that speak them.
//!
//! Shapes: OpenAI's API reference of October 2026; the routers' and Ollama's own pages of the
//! same month.

use hyper::http::request::Parts;
use serde_json::Value;

use super::{
    Shared,
    answer::Answer,
    error::ApiError,
    model::Model,
    node::Checked,
    responses,
    script::Fault,
    service::{Ask, Protocol, Routed, Service, header, json_body},
};

mod check;
mod lists;
mod render;

pub(super) use render::{error_chunk, events, whole};

/// What a router takes after the colon of a model's name beside the names of providers.
const POLICIES: [&str; 3] = ["fastest", "cheapest", "preferred"];

/// Judges a request to a service that speaks chat completions.
pub(super) fn route(shared: &Shared, head: &Parts, body: &[u8]) -> Checked<Routed> {
    let service = shared.service;
    let method = head.method.as_str();
    let path = shared.path(head);
    if service == Service::Ollama
        && let Some(list) = lists::ollama(shared, method, path, body)?
    {
        return Ok(Routed::Plain(list));
    }
    let base = match service.base() {
        "" => "/v1",
        base => base,
    };
    let below = path.strip_prefix(base).unwrap_or("/elsewhere");
    // The routers' catalogues are open to everybody.
    if method == "GET"
        && below == "/models"
        && matches!(service, Service::Router | Service::OpenRouter)
    {
        return Ok(Routed::Plain(lists::models(shared)));
    }
    authorize(shared, head)?;
    match (method, below) {
        ("GET", "/models") => Ok(Routed::Plain(lists::models(shared))),
        ("POST", "/chat/completions") => Ok(Routed::Ask(ask(shared, head, body)?)),
        ("POST", "/responses") if service == Service::OpenAi => {
            Ok(Routed::Ask(responses::ask(shared, head, body)?))
        }
        ("GET", path) if path.starts_with("/models/") => {
            let id = path.trim_start_matches("/models/");
            let missing = format!("The model '{id}' does not exist");
            let missing = ApiError::new(404, "invalid_request_error", missing);
            let missing = missing.code("model_not_found");
            let model = shared.model(id).ok_or(missing)?;
            Ok(Routed::Plain(lists::listed(model)))
        }
        (method, _) => {
            let message = format!("Invalid URL ({method} {path})");
            Err(ApiError::new(404, "invalid_request_error", message))
        }
    }
}

fn ask(shared: &Shared, head: &Parts, body: &[u8]) -> Checked<Ask> {
    let request = json_body(head, body, |message| {
        ApiError::new(400, "invalid_request_error", message)
    })?;
    check::request(&request, shared)?;
    Ok(Ask {
        protocol: Protocol::Chat,
        messages: request["messages"].as_array().cloned().unwrap_or_default(),
        model: request["model"].as_str().unwrap_or_default().to_owned(),
        stream: request["stream"] == true,
        blocks: Vec::new(),
        request,
    })
}

/// The model of this name, which routers let end with a colon and who shall serve it.
fn model<'a>(shared: &'a Shared, id: &str) -> Option<&'a Model> {
    if shared.service != Service::Router {
        return shared.model(id);
    }
    match id.rsplit_once(':') {
        None => shared.model(id),
        Some((id, by)) => {
            let known = |model: &&Model| model.providers.contains(&by) || POLICIES.contains(&by);
            shared.model(id).filter(known)
        }
    }
}

fn authorize(shared: &Shared, head: &Parts) -> Checked {
    let Some(key) = &shared.key else {
        return Ok(());
    };
    match header(head, "authorization") {
        None => {
            let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
            Err(ApiError::new(401, "invalid_request_error", message))
        }
        Some(given) if given.strip_prefix("Bearer ") == Some(key) => Ok(()),
        Some(_) => Err(shared.service.fault(Fault::Unauthorized)),
    }
}

/// OpenAI's errors.
pub(super) fn fault(fault: Fault) -> ApiError {
    match fault {
        Fault::RateLimited => {
            let message = "Rate limit reached for requests per min.";
            ApiError::new(429, "requests", message).code("rate_limit_exceeded")
        }
        Fault::ServerError => {
            let message =
                "The server had an error while processing your request. Sorry about that!";
            ApiError::new(500, "server_error", message)
        }
        Fault::Unauthorized => {
            let message = "Incorrect API key provided: sk-***. You can find your API key at https://platform.openai.com/account/api-keys.";
            ApiError::new(401, "invalid_request_error", message).code("invalid_api_key")
        }
        Fault::ContextTooLong => {
            let message = "This model's maximum context length is 128000 tokens. However, your messages resulted in 128001 tokens. Please reduce the length of the messages.";
            ApiError::invalid("messages", message).code("context_length_exceeded")
        }
        Fault::Overloaded => {
            let message = "The engine is currently overloaded, please try again later";
            ApiError::new(503, "server_error", message)
        }
        Fault::Unpaid => {
            let message =
                "You exceeded your current quota, please check your plan and billing details.";
            ApiError::new(429, "insufficient_quota", message).code("insufficient_quota")
        }
    }
}

/// The errors of Hugging Face's router where it has its own.
pub(super) fn router_fault(of: Fault) -> ApiError {
    match of {
        Fault::Unauthorized => ApiError::new(401, "", "Invalid username or password."),
        Fault::RateLimited => ApiError::new(429, "", "Too Many Requests"),
        Fault::Unpaid => {
            let message = "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly included credits.";
            ApiError::new(402, "", message)
        }
        other => fault(other),
    }
}

/// The errors of OpenRouter where it has its own.
pub(super) fn open_router_fault(of: Fault) -> ApiError {
    match of {
        Fault::Unauthorized => ApiError::new(401, "", "No auth credentials found"),
        Fault::RateLimited => ApiError::new(429, "", "Rate limit exceeded: free-models-per-min."),
        Fault::Overloaded => ApiError::new(503, "", "No instances available"),
        Fault::ContextTooLong => {
            let message = "This endpoint's maximum context length is 128000 tokens. However, you requested about 128001 tokens. Please reduce the length of either one.";
            ApiError::new(400, "", message)
        }
        Fault::Unpaid => {
            let message = "This request requires more credits, or fewer max_tokens.";
            ApiError::new(402, "", message)
        }
        other => fault(other),
    }
}

/// Whether the answer speaks as OpenRouter does.
fn is_open_router(answer: &Answer<'_>) -> bool {
    answer.service == Service::OpenRouter
}

/// The field of a message in which the service has the model's reasoning.
fn reasoning_field(service: Service) -> &'static str {
    match service {
        // OpenAI itself keeps it; the servers of open models have this.
        Service::OpenAi => "reasoning_content",
        _ => "reasoning",
    }
}

/// Whether a field of an object is a string.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
