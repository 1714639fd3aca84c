//! What the Responses API refuses in a conversation, which it has as a list of items.

use serde_json::{Value, json};

use super::super::{
    answer::is_encrypted,
    error::ApiError,
    model::Model,
    node::{Checked, Node},
};

/// Longest id of a call.
const MAX_CALL_ID: usize = 64;

/// Judges the `input` of a request.
pub(super) fn check(root: &Node<'_>, model: &Model) -> Checked {
    let input = root.get("input")?;
    if input.value.is_string() {
        return Ok(());
    }
    let mut calls: Vec<&str> = Vec::new();
    let mut answered: Vec<&str> = Vec::new();
    let mut reasoning: Option<&str> = None;
    for item in input.filled()? {
        let kind = match item.maybe("type")? {
            Some(kind) => kind.str()?,
            None => "message",
        };
        let said = kind == "function_call" || item.value["role"] == "assistant";
        if let Some(id) = reasoning.filter(|_| !said && kind != "reasoning") {
            return Err(alone(root, id));
        }
        reasoning = None;
        match kind {
            "message" => message(&item, model)?,
            "reasoning" => reasoning = Some(thought(&item, root)?),
            "function_call" => {
                let id = call(&item)?;
                if calls.contains(&id) {
                    return Err(item.error(format!("Duplicate call_id '{id}' in 'input'.")));
                }
                calls.push(id);
            }
            "function_call_output" => {
                let id = output(&item, model)?;
                if !calls.contains(&id) {
                    let message =
                        format!("No tool call found for function call output with call_id {id}.");
                    return Err(input.error(message));
                }
                if answered.contains(&id) {
                    return Err(item.error(format!("Duplicate output for call_id {id}.")));
                }
                answered.push(id);
            }
            "item_reference" => {
                let id = item.get("id")?.str()?;
                return Err(not_kept(id));
            }
            other => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'function_call', 'function_call_output', 'item_reference', 'message', and 'reasoning'."
                );
                return Err(item.error(message).code("invalid_value"));
            }
        }
    }
    if let Some(id) = reasoning {
        return Err(alone(root, id));
    }
    match calls.iter().find(|id| !answered.contains(id)) {
        None => Ok(()),
        Some(id) => Err(input.error(format!("No tool output found for function call {id}."))),
    }
}

fn alone(root: &Node<'_>, id: &str) -> ApiError {
    let message = "of type 'reasoning' was provided without its required following item.";
    root.error(format!("Item '{id}' {message}"))
}

fn not_kept(id: &str) -> ApiError {
    let message = format!(
        "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."
    );
    ApiError::new(404, "invalid_request_error", message)
}

/// An id of an item begins with letters that tell what it is.
fn own_id(item: &Node<'_>, prefix: &str) -> Checked {
    let Some(id) = item.maybe("id")? else {
        return Ok(());
    };
    let text = id.str()?;
    if text.starts_with(prefix) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{}': '{text}'. Expected an ID that begins with '{prefix}'.",
        id.at()
    );
    Err(id.error(message).code("invalid_value"))
}

fn message(item: &Node<'_>, model: &Model) -> Checked {
    let role = item.get("role")?;
    let role = role.one_of(&["assistant", "system", "developer", "user"])?;
    let content = item.get("content")?;
    if role == "assistant" {
        item.only(&["type", "role", "content", "id", "status", "phase"])?;
        own_id(item, "msg")?;
    } else {
        item.only(&["type", "role", "content", "status"])?;
    }
    if content.value.is_string() {
        return Ok(());
    }
    for part in content.filled()? {
        match (role, part.get("type")?) {
            ("assistant", kind) => match kind.one_of(&["output_text", "refusal"])? {
                "refusal" => {
                    part.only(&["type", "refusal"])?;
                    part.get("refusal")?.str()?;
                }
                _ => {
                    part.only(&["type", "text", "annotations", "logprobs"])?;
                    part.get("text")?.str()?;
                }
            },
            _ => seen(&part, model)?,
        }
    }
    Ok(())
}

/// Text or an image that the model is shown.
fn seen(part: &Node<'_>, model: &Model) -> Checked {
    if part.get("type")?.one_of(&["input_text", "input_image"])? == "input_text" {
        part.only(&["type", "text"])?;
        return part.get("text")?.str().map(drop);
    }
    part.only(&["type", "image_url", "detail"])?;
    if !model.images {
        let message = format!("Image input is not supported with {}.", model.id);
        return Err(part.error(message));
    }
    if let Some(detail) = part.maybe("detail")? {
        detail.one_of(&["low", "high", "auto", "original"])?;
    }
    let url = part.get("image_url")?;
    if ["data:image/", "https://", "http://"]
        .iter()
        .any(|start| url.value.as_str().is_some_and(|url| url.starts_with(start)))
    {
        return Ok(());
    }
    let message = format!("Invalid '{}'. Expected a valid URL.", url.at());
    Err(url.error(message).code("invalid_value"))
}

/// Judges an item of reasoning and returns its id.
fn thought<'a>(item: &Node<'a>, root: &Node<'_>) -> Checked<&'a str> {
    item.only(&[
        "type",
        "id",
        "summary",
        "content",
        "encrypted_content",
        "status",
    ])?;
    own_id(item, "rs")?;
    let id = item.get("id")?.str()?;
    for part in item.get("summary")?.items()? {
        part.only(&["type", "text"])?;
        part.get("type")?.one_of(&["summary_text"])?;
        part.get("text")?.str()?;
    }
    match item.maybe("encrypted_content")? {
        Some(content) if is_encrypted(content.str()?) => Ok(id),
        Some(content) => {
            let start: String = content.str()?.chars().take(8).collect();
            let message = format!(
                "The encrypted content {start}... could not be verified. Reason: Encrypted content could not be decrypted or parsed."
            );
            let error = ApiError::new(400, "invalid_request_error", message);
            Err(error.code("invalid_encrypted_content"))
        }
        None if root.value["store"] == false => Err(not_kept(id)),
        None => Ok(id),
    }
}

/// Judges a call and returns the id under which it is answered.
fn call<'a>(item: &Node<'a>) -> Checked<&'a str> {
    item.only(&["type", "id", "call_id", "name", "arguments", "status"])?;
    own_id(item, "fc")?;
    item.get("name")?.word("_-", MAX_CALL_ID)?;
    let arguments = item.get("arguments")?;
    if let Err(error) = serde_json::from_str::<Value>(arguments.str()?) {
        // The hosted service takes them; servers that render a chat template do not.
        return Err(arguments.error(format!("Tool call arguments are not JSON: {error}")));
    }
    call_id(item)
}

fn output<'a>(item: &Node<'a>, model: &Model) -> Checked<&'a str> {
    item.only(&["type", "id", "call_id", "output", "status"])?;
    own_id(item, "fc")?;
    let content = item.get("output")?;
    if !content.value.is_string() {
        for part in content.filled()? {
            seen(&part, model)?;
        }
    }
    call_id(item)
}

fn call_id<'a>(item: &Node<'a>) -> Checked<&'a str> {
    let id = item.get("call_id")?;
    let text = id.str()?;
    match text.len() {
        0 => {
            let message = format!("Invalid '{}': empty string.", id.at());
            Err(id.error(message).code("empty_string"))
        }
        1..=MAX_CALL_ID => Ok(text),
        length => {
            let message = format!(
                "Invalid '{}': string too long. Expected a string with maximum length {MAX_CALL_ID}, but got a string with length {length} instead.",
                id.at()
            );
            Err(id.error(message).code("string_above_max_length"))
        }
    }
}

/// The conversation of a request in the shape of chat completions.
pub(super) fn plain(request: &Value) -> Vec<Value> {
    let mut messages = Vec::new();
    if let Some(instructions) = request["instructions"].as_str() {
        messages.push(json!({"role": "system", "content": instructions}));
    }
    if let Some(text) = request["input"].as_str() {
        messages.push(json!({"role": "user", "content": text}));
    }
    for item in request["input"].as_array().into_iter().flatten() {
        match item["type"].as_str().unwrap_or("message") {
            "message" if item["role"] == "assistant" => {
                turn(&mut messages)["content"] = content(&item["content"]);
            }
            "message" => {
                messages.push(json!({"role": item["role"], "content": content(&item["content"])}));
            }
            "function_call" => {
                let function = json!({"name": item["name"], "arguments": item["arguments"]});
                let call = json!({"id": item["call_id"], "type": "function", "function": function});
                let message = turn(&mut messages);
                match message["tool_calls"].as_array_mut() {
                    Some(calls) => calls.push(call),
                    None => message["tool_calls"] = json!([call]),
                }
            }
            "function_call_output" => messages.push(json!({
                "role": "tool", "tool_call_id": item["call_id"], "content": content(&item["output"]),
            })),
            _ => {}
        }
    }
    messages
}

/// The message of the assistant that items of its are part of: the last one, or a new one.
fn turn(messages: &mut Vec<Value>) -> &mut Value {
    if messages
        .last()
        .is_none_or(|last| last["role"] != "assistant")
    {
        messages.push(json!({"role": "assistant", "content": null}));
    }
    messages.last_mut().expect("there is one now")
}

/// Text as a string; a list where there are images.
fn content(content: &Value) -> Value {
    let Some(parts) = content.as_array() else {
        return content.clone();
    };
    if parts.iter().all(|part| part["type"] != "input_image") {
        return parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<String>()
            .into();
    }
    let parts = parts.iter().map(|part| match part["image_url"].as_str() {
        Some(url) => json!({"type": "image_url", "image_url": {"url": url}}),
        None => json!({"type": "text", "text": part["text"]}),
    });
    parts.collect()
}
