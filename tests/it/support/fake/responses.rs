//! OpenAI's Responses API. This service keeps nothing, so what refers to earlier responses is not
//! found here.
//!
//! Shapes: the API reference of November 2026 and the types of the Python client 3.57.

use hyper::http::request::Parts;

use super::{
    Shared,
    error::ApiError,
    node::Checked,
    service::{Ask, Protocol, json_body},
};

mod check;
mod input;
mod render;

pub(super) use render::{error_event, events, whole};

/// Judges the body of `POST /v1/responses`.
pub(super) fn ask(shared: &Shared, head: &Parts, body: &[u8]) -> Checked<Ask> {
    let request = json_body(head, body, |message| {
        ApiError::new(400, "invalid_request_error", message)
    })?;
    check::request(&request, shared)?;
    Ok(Ask {
        protocol: Protocol::Responses,
        messages: input::plain(&request),
        model: request["model"].as_str().unwrap_or_default().to_owned(),
        stream: request["stream"] == true,
        blocks: Vec::new(),
        request,
    })
}
