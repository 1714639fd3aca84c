//! What the Converse API refuses in a conversation.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    super::{
        answer::{is_encrypted, seal},
        model::Model,
        node::{Checked, Node},
    },
    check::{MAX_NAME, cache_point},
};

/// Judges the messages of a request and returns the number of cache points in them.
pub(super) fn check(root: &Node<'_>, model: &Model, tools: bool) -> Checked<usize> {
    let messages = root.get("messages")?.filled()?;
    let (mut points, mut speaker) = (0, "");
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        message.only(&["role", "content"])?;
        let role = message.get("role")?.one_of(&["user", "assistant"])?;
        if role == speaker {
            let message = "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.";
            return Err(root.error(message.to_owned()));
        }
        speaker = role;
        let content = message.get("content")?;
        let mut answered: Vec<&str> = Vec::new();
        let mut asked: Vec<&str> = Vec::new();
        for (at, block) in content.filled()?.iter().enumerate() {
            let (kind, value) = block.union(&[
                "text",
                "image",
                "toolUse",
                "toolResult",
                "cachePoint",
                "reasoningContent",
            ])?;
            match (kind, role) {
                ("text", _) if value.str()?.trim().is_empty() => {
                    return Err(root.error(format!(
                        "The text field in the ContentBlock object at messages.{index}.content.{at} is blank. Add text to the text field, and try again."
                    )));
                }
                ("text", _) => {}
                ("cachePoint", _) => points += cache_point(&value)?,
                ("image", "user") => image(&value, model)?,
                ("toolResult", "user") => answered.push(result(&value, model)?),
                ("toolUse", "assistant") => asked.push(call(&value)?),
                ("reasoningContent", "assistant") => reasoning(&value)?,
                _ => {
                    return Err(root.error(format!(
                        "The {kind} block at messages.{index}.content.{at} is not allowed in a message of the role {role}."
                    )));
                }
            }
        }
        answers(root, &open, &answered, index)?;
        open = asked;
    }
    if messages[0].value["role"] != "user" {
        let message = "A conversation must start with a user message. Try again with a conversation that starts with a user message.";
        return Err(root.error(message.to_owned()));
    }
    if speaker == "assistant" {
        let message = "The model returned the following errors: This model does not support assistant message prefill. The conversation must end with a user message.";
        return Err(root.error(message.to_owned()));
    }
    if !tools && has_tools(root.value) {
        let message = "The toolConfig field must be defined when using toolUse and toolResult content blocks.";
        return Err(root.error(message.to_owned()));
    }
    Ok(points)
}

fn has_tools(request: &Value) -> bool {
    let messages = request["messages"].as_array().into_iter().flatten();
    let mut blocks = messages
        .filter_map(|message| message["content"].as_array())
        .flatten();
    blocks.any(|block| block.get("toolUse").is_some() || block.get("toolResult").is_some())
}

/// Every call of the turn before has one result, and nothing else has.
fn answers(root: &Node<'_>, open: &[&str], answered: &[&str], index: usize) -> Checked {
    let missing: Vec<&str> = open
        .iter()
        .copied()
        .filter(|id| !answered.contains(id))
        .collect();
    if !missing.is_empty() {
        return Err(root.error(format!(
            "Expected toolResult blocks at messages.{index}.content for the following Ids: {}",
            missing.join(", ")
        )));
    }
    if answered.len() > open.len() {
        return Err(root.error(format!(
            "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn."
        )));
    }
    Ok(())
}

fn call<'a>(call: &Node<'a>) -> Checked<&'a str> {
    call.only(&["toolUseId", "name", "input"])?;
    call.get("name")?.word("_-", MAX_NAME)?;
    if !call.get("input")?.value.is_object() {
        let message = "The format of the value at toolUse.input is invalid. Provide a json object for the field and try again.";
        return Err(call.error(message.to_owned()));
    }
    call.get("toolUseId")?.word("_.:-", MAX_NAME)
}

fn result<'a>(result: &Node<'a>, model: &Model) -> Checked<&'a str> {
    result.only(&["toolUseId", "content", "status"])?;
    if let Some(status) = result.maybe("status")? {
        status.one_of(&["success", "error"])?;
    }
    for part in result.get("content")?.items()? {
        match part.union(&["text", "json", "image"])? {
            ("text", text) => drop(text.str()?),
            ("json", json) => drop(json.object()?),
            (_, picture) => image(&picture, model)?,
        }
    }
    result.get("toolUseId")?.word("_.:-", MAX_NAME)
}

fn image(image: &Node<'_>, model: &Model) -> Checked {
    image.only(&["format", "source"])?;
    if !model.images {
        let message = "This model doesn't support the image content block that you provided.";
        return Err(image.error(message.to_owned()));
    }
    image
        .get("format")?
        .one_of(&["png", "jpeg", "gif", "webp"])?;
    let (_, bytes) = image.get("source")?.union(&["bytes"])?;
    match STANDARD.decode(bytes.str()?) {
        Ok(image) if !image.is_empty() => Ok(()),
        _ => Err(bytes.refuse("Member must be base64")),
    }
}

fn reasoning(block: &Node<'_>) -> Checked {
    let known = match block.union(&["reasoningText", "redactedContent"])? {
        ("reasoningText", text) => {
            text.only(&["text", "signature"])?;
            text.get("signature")?.str()? == seal(text.get("text")?.str()?)
        }
        (_, content) => is_encrypted(content.str()?),
    };
    if known {
        return Ok(());
    }
    let message =
        "The model returned the following errors: Invalid `signature` in `thinking` block";
    Err(block.error(message.to_owned()))
}

/// The conversation of a request in the shape of chat completions.
pub(super) fn plain(request: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut messages = Vec::new();
    let system = joined(&list(&request["system"]));
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system}));
    }
    for message in list(&request["messages"]) {
        let blocks = list(&message["content"]);
        if message["role"] == "assistant" {
            let calls = blocks.iter().filter_map(|block| block.get("toolUse"));
            let calls = calls.map(|call| {
                let function =
                    json!({"name": call["name"], "arguments": call["input"].to_string()});
                json!({"id": call["toolUseId"], "type": "function", "function": function})
            });
            let calls: Vec<Value> = calls.collect();
            let mut message = json!({"role": "assistant", "content": joined(&blocks)});
            if !calls.is_empty() {
                message["tool_calls"] = json!(calls);
            }
            messages.push(message);
            continue;
        }
        let results = blocks.iter().filter_map(|block| block.get("toolResult"));
        messages.extend(results.map(|result| {
            json!({
                "role": "tool", "tool_call_id": result["toolUseId"],
                "content": content(&list(&result["content"])),
            })
        }));
        let others = blocks
            .into_iter()
            .filter(|block| block.get("toolResult").is_none() && block.get("cachePoint").is_none());
        let others: Vec<Value> = others.collect();
        if !others.is_empty() {
            messages.push(json!({"role": "user", "content": content(&others)}));
        }
    }
    messages
}

fn joined(blocks: &[Value]) -> String {
    blocks
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect()
}

/// Text as a string; a list where there are images.
fn content(blocks: &[Value]) -> Value {
    if blocks.iter().all(|block| block.get("image").is_none()) {
        return json!(joined(blocks));
    }
    let parts = blocks.iter().map(|block| match block.get("image") {
        Some(image) => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (format, bytes) = (text(&image["format"]), text(&image["source"]["bytes"]));
            let url = format!("data:image/{format};base64,{bytes}");
            json!({"type": "image_url", "image_url": {"url": url}})
        }
        None => json!({"type": "text", "text": block["text"]}),
    });
    parts.collect()
}
