//! What the Messages API refuses in a conversation.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    super::{
        answer::{is_encrypted, seal},
        model::Model,
        node::{Checked, Node},
    },
    parts,
};

const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Judges the messages of a request.
pub(super) fn check(root: &Node<'_>, model: &Model) -> Checked {
    let messages = root.get("messages")?;
    let messages = messages.items()?;
    let Some(first) = messages.first() else {
        return Err(root.error("messages: at least one message is required".to_owned()));
    };
    if first.get("role")?.str()? == "assistant" {
        let message = "messages: first message must use the \"user\" role";
        return Err(root.error(message.to_owned()));
    }
    // The ids of the calls of the assistant's turn before, whose results have to come next.
    let mut open: Vec<&str> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut speaker = "";
    for (index, message) in messages.iter().enumerate() {
        message.only(&["role", "content"])?;
        let role = message.get("role")?.one_of(&["user", "assistant"])?;
        let content = message.get("content")?;
        // Messages of one role in a row are one turn to the service.
        let turn_goes_on = role == speaker;
        speaker = role;
        match role {
            "assistant" => {
                if !turn_goes_on {
                    answered(root, &open, index)?;
                    open.clear();
                }
                let calls = assistant(&content)?;
                for id in &calls {
                    if seen.contains(id) {
                        let why = format!("`tool_use` ids must be unique: {id}");
                        return Err(content.refuse(&why));
                    }
                    seen.push(id);
                }
                open.extend(calls);
            }
            _ => {
                user(&content, model, &mut open, turn_goes_on)?;
                let next = messages.get(index + 1).map(|next| &next.value["role"]);
                if next.is_none_or(|role| role != "user") {
                    answered(root, &open, index)?;
                    open.clear();
                }
            }
        }
    }
    if speaker == "assistant" {
        let message = "This model does not support assistant message prefill. The conversation must end with a user message.";
        return Err(root.error(message.to_owned()));
    }
    if !seen.is_empty() && root.value["tools"].as_array().is_none_or(Vec::is_empty) {
        let message =
            "Requests which have `tool_use` or `tool_result` blocks in messages must define tools.";
        return Err(root.error(message.to_owned()));
    }
    Ok(())
}

fn answered(root: &Node<'_>, open: &[&str], index: usize) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    let (at, ids) = (index.saturating_sub(1), open.join(", "));
    Err(root.error(format!(
        "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )))
}

/// Judges what the assistant said, and returns the ids of its calls.
fn assistant<'a>(content: &Node<'a>) -> Checked<Vec<&'a str>> {
    let mut ids = Vec::new();
    if content.value.is_string() {
        return filled(content, content.str()?).map(|()| ids);
    }
    let blocks = content.items()?;
    if blocks.is_empty() {
        return Err(nothing(content));
    }
    for block in blocks {
        match block.get("type")?.str()? {
            "text" => text(&block, "messages")?,
            "thinking" => {
                block.only(&["type", "thinking", "signature"])?;
                let signature = block.get("signature")?.str()?;
                let thinking = block.get("thinking")?.str()?;
                let hidden = thinking.is_empty() && is_encrypted(signature);
                if signature != seal(thinking) && !hidden {
                    return Err(block.refuse("Invalid `signature` in `thinking` block"));
                }
            }
            "redacted_thinking" => {
                block.only(&["type", "data"])?;
                if !is_encrypted(block.get("data")?.str()?) {
                    return Err(block.refuse("Invalid `data` in `redacted_thinking` block"));
                }
            }
            "tool_use" => {
                block.only(&["type", "id", "name", "input", "cache_control"])?;
                block.get("name")?.word("_-", 200)?;
                block.get("input")?.object()?;
                ids.push(block.get("id")?.word("_-", 200)?);
            }
            other => return Err(unknown_block(&block, other)),
        }
    }
    Ok(ids)
}

/// Judges a message of the user, and takes the calls that it answers out of `open`.
fn user(content: &Node<'_>, model: &Model, open: &mut Vec<&str>, turn_goes_on: bool) -> Checked {
    if content.value.is_string() {
        return filled(content, content.str()?);
    }
    let blocks = content.items()?;
    if blocks.is_empty() {
        return Err(nothing(content));
    }
    let mut others = turn_goes_on && open.is_empty();
    for block in blocks {
        match block.get("type")?.str()? {
            "tool_result" if others && !open.is_empty() => {
                let ids = open.join(", ");
                return Err(block.error(format!(
                    "`tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Results must come first in the content."
                )));
            }
            "tool_result" => result(&block, model, open)?,
            "text" => {
                text(&block, "messages")?;
                others = true;
            }
            "image" => {
                image(&block, model)?;
                others = true;
            }
            other => return Err(unknown_block(&block, other)),
        }
    }
    Ok(())
}

fn result(block: &Node<'_>, model: &Model, open: &mut Vec<&str>) -> Checked {
    block.only(&[
        "type",
        "tool_use_id",
        "content",
        "is_error",
        "cache_control",
    ])?;
    let id = block.get("tool_use_id")?.word("_-", 200)?;
    let Some(position) = open.iter().position(|open| *open == id) else {
        return Err(block.refuse(&format!(
            "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
        )));
    };
    open.remove(position);
    let failed = match block.maybe("is_error")? {
        Some(failed) => failed.bool()?,
        None => false,
    };
    let content = block.maybe("content")?;
    let empty = content.as_ref().is_none_or(|content| {
        content.value == "" || content.value.as_array().is_some_and(Vec::is_empty)
    });
    if failed && empty {
        return Err(block.refuse("content cannot be empty if `is_error` is true"));
    }
    let Some(content) = content.filter(|content| !content.value.is_string()) else {
        return Ok(());
    };
    for part in content.items()? {
        match part.get("type")?.str()? {
            "text" => text(&part, "messages")?,
            "image" => image(&part, model)?,
            other => return Err(unknown_block(&part, other)),
        }
    }
    Ok(())
}

/// Judges a block of text.
pub(super) fn text(block: &Node<'_>, of: &str) -> Checked {
    block.only(&["type", "text", "cache_control"])?;
    let text = block.get("text")?.str()?;
    if text.is_empty() {
        return Err(block.error(format!("{of}: text content blocks must be non-empty")));
    }
    if text.trim().is_empty() {
        let message = format!("{of}: text content blocks must contain non-whitespace text");
        return Err(block.error(message));
    }
    Ok(())
}

fn image(block: &Node<'_>, model: &Model) -> Checked {
    block.only(&["type", "source", "cache_control"])?;
    if !model.images {
        return Err(block.refuse("image input is not supported by this model"));
    }
    let source = block.get("source")?;
    if source.get("type")?.one_of(&["base64", "url"])? == "url" {
        return source.get("url")?.str().map(drop);
    }
    source.only(&["type", "media_type", "data"])?;
    source.get("media_type")?.one_of(&IMAGES)?;
    let data = source.get("data")?;
    match STANDARD.decode(data.str()?) {
        Ok(image) if !image.is_empty() => Ok(()),
        _ => Err(data.refuse("invalid base64 data")),
    }
}

fn filled(content: &Node<'_>, text: &str) -> Checked {
    match text.trim().is_empty() {
        true => Err(nothing(content)),
        false => Ok(()),
    }
}

fn nothing(content: &Node<'_>) -> super::ApiError {
    content.refuse("all messages must have non-empty content")
}

fn unknown_block(block: &Node<'_>, kind: &str) -> super::ApiError {
    block.refuse(&format!(
        "Input tag '{kind}' found using 'type' does not match any of the expected tags"
    ))
}

/// The conversation of a request in the shape of chat completions.
pub(super) fn plain(request: &Value) -> Vec<Value> {
    let mut messages = Vec::new();
    let system = parts(&request["system"]);
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": joined(&system)}));
    }
    for message in request["messages"].as_array().into_iter().flatten() {
        let parts = parts(&message["content"]);
        if message["role"] == "assistant" {
            said(&parts, &mut messages);
            continue;
        }
        let (results, others): (Vec<Value>, Vec<Value>) = parts
            .into_iter()
            .partition(|part| part["type"] == "tool_result");
        messages.extend(results.iter().map(|result| {
            let content = plain_content(super::parts(&result["content"]));
            json!({"role": "tool", "tool_call_id": result["tool_use_id"], "content": content})
        }));
        if !others.is_empty() {
            messages.push(json!({"role": "user", "content": plain_content(others)}));
        }
    }
    messages
}

fn said(parts: &[Value], messages: &mut Vec<Value>) {
    let calls = parts.iter().filter(|part| part["type"] == "tool_use");
    let calls = calls.map(|call| {
        let function = json!({"name": call["name"], "arguments": call["input"].to_string()});
        json!({"id": call["id"], "type": "function", "function": function})
    });
    let calls: Vec<Value> = calls.collect();
    let mut message = json!({"role": "assistant", "content": joined(parts)});
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    messages.push(message);
}

fn joined(parts: &[Value]) -> String {
    parts
        .iter()
        .filter_map(|part| part["text"].as_str())
        .collect()
}

/// Text as a string; a list where there are images.
fn plain_content(parts: Vec<Value>) -> Value {
    if parts.iter().all(|part| part["type"] == "text") {
        return json!(joined(&parts));
    }
    let parts = parts.into_iter().map(|part| match part["type"].as_str() {
        Some("image") => {
            let source = &part["source"];
            let (kind, data) = (&source["media_type"], &source["data"]);
            let url = match source["url"].as_str() {
                Some(url) => url.to_owned(),
                None => format!(
                    "data:{};base64,{}",
                    kind.as_str().unwrap_or_default(),
                    data.as_str().unwrap_or_default()
                ),
            };
            json!({"type": "image_url", "image_url": {"url": url}})
        }
        _ => json!({"type": "text", "text": part["text"]}),
    });
    parts.collect()
}
