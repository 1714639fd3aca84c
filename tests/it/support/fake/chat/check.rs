//! What the server refuses: every request that OpenAI, or one of the servers that speak its
//! protocol, would not take.
//!
//! The hosted service is more lenient in two places: it takes two user messages in a row, and it
//! takes tool-call arguments that are not JSON when they are sent back. Chat templates of open
//! models raise an error for the first, llama.cpp answers 500 for the second (seen with the build
//! of October 2026), so a client that does either works with some servers only.

use serde_json::{Map, Value};

use super::super::{
    Shared,
    answer::{is_encrypted, seal},
    error::ApiError,
    node::Checked,
    service::Service,
};

/// Most tools that a request may offer, from the API reference of chat completions.
const MAX_TOOLS: usize = 128;
/// Longest name of a function, from the same page; letters, digits, `_` and `-`.
const MAX_NAME: usize = 64;

/// Judges the body of a request for a completion.
pub(super) fn request(request: &Value, shared: &Shared) -> Checked {
    let service = shared.service;
    let fields = object(request, "body")?;
    let known = |name: &str| TOP_LEVEL.contains(&name) || extra(service).contains(&name);
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        let message = format!("Unrecognized request argument supplied: {name}");
        return Err(ApiError::invalid(name, message).code("unknown_parameter"));
    }
    model(fields, shared)?;
    settings(fields)?;
    tools(fields, service)?;
    let messages = required(fields, "messages", "messages")?;
    if service != Service::OpenRouter {
        no_marks(messages)?;
    }
    conversation(messages, service)
}

/// Marks for the cache are an addition of OpenRouter's.
fn no_marks(messages: &Value) -> Checked {
    for (index, message) in messages.as_array().into_iter().flatten().enumerate() {
        for part in message["content"].as_array().into_iter().flatten() {
            if part.get("cache_control").is_some() {
                let at = format!("messages[{index}].content.cache_control");
                let message = format!("Unknown parameter: '{at}'.");
                return Err(ApiError::invalid(at, message).code("unknown_parameter"));
            }
        }
    }
    Ok(())
}

/// What a service takes beyond the protocol.
fn extra(service: Service) -> &'static [&'static str] {
    match service {
        Service::OpenRouter => &[
            "reasoning",
            "usage",
            "provider",
            "models",
            "session_id",
            "cache_control",
        ],
        _ => &[],
    }
}

/// What a service takes in a message of the assistant beyond the protocol.
fn extra_of_assistant(service: Service) -> &'static [&'static str] {
    match service {
        Service::OpenRouter => &["reasoning", "reasoning_details"],
        Service::Ollama => &["reasoning"],
        _ => &[],
    }
}

/// The fields of a request that a client of ours has a reason to send.
const TOP_LEVEL: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "seed",
    "stop",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "user",
    "metadata",
    "store",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
];

fn model(fields: &Map<String, Value>, shared: &Shared) -> Checked {
    let id = string(required(fields, "model", "model")?, "model")?;
    let Some(model) = super::model(shared, id) else {
        let message = format!("The model `{id}` does not exist or you do not have access to it.");
        let error = ApiError::new(404, "invalid_request_error", message);
        return Err(error.code("model_not_found"));
    };
    if !model.tools && fields.contains_key("tools") {
        let message = format!("{id} does not support tools");
        return Err(ApiError::invalid("tools", message));
    }
    let messages = fields.get("messages").and_then(Value::as_array);
    let contents = messages.into_iter().flatten().map(|one| &one["content"]);
    let mut parts = contents.filter_map(Value::as_array).flatten();
    if !model.images && parts.any(|part| part["type"] == "image_url") {
        let message = format!("{id} does not support image input");
        return Err(ApiError::invalid("messages", message));
    }
    let efforts = [
        &fields.get("reasoning_effort"),
        &fields.get("reasoning").and_then(|r| r.get("effort")),
    ];
    for effort in efforts.into_iter().flatten() {
        let effort = string(effort, "reasoning_effort")?;
        // `none` and `minimal` are the ways to switch reasoning off.
        if !matches!(effort, "none" | "minimal") && !model.efforts.contains(&effort) {
            let message = format!(
                "Unsupported value: 'reasoning_effort' does not support '{effort}' with this model."
            );
            return Err(ApiError::invalid("reasoning_effort", message).code("unsupported_value"));
        }
    }
    Ok(())
}

fn settings(fields: &Map<String, Value>) -> Checked {
    let stream = boolean(fields, "stream")?;
    boolean(fields, "parallel_tool_calls")?;
    if let Some(options) = fields.get("stream_options") {
        if !stream {
            let message =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(ApiError::invalid("stream_options", message));
        }
        let options = object(options, "stream_options")?;
        only(
            options,
            &["include_usage", "include_obfuscation"],
            "stream_options",
        )?;
        boolean(options, "include_usage")?;
    }
    for name in ["max_tokens", "max_completion_tokens", "n"] {
        if fields
            .get(name)
            .is_some_and(|n| n.as_u64().is_none_or(|n| n == 0))
        {
            return Err(wrong_type(name, "a positive integer"));
        }
    }
    for (name, highest) in [("temperature", 2.0), ("top_p", 1.0)] {
        let outside = |n: &Value| n.as_f64().is_none_or(|n| !(0.0..=highest).contains(&n));
        if fields.get(name).is_some_and(outside) {
            return Err(wrong_type(name, &format!("a number from 0 to {highest}")));
        }
    }
    for name in ["tool_choice", "parallel_tool_calls"] {
        if fields.contains_key(name) && !fields.contains_key("tools") {
            let message = format!("'{name}' is only allowed when 'tools' are specified.");
            return Err(ApiError::invalid(name, message));
        }
    }
    Ok(())
}

fn tools(fields: &Map<String, Value>, service: Service) -> Checked {
    let Some(tools) = fields.get("tools") else {
        return Ok(());
    };
    let tools = filled_array(tools, "tools")?;
    if tools.len() > MAX_TOOLS {
        let message = format!("Invalid 'tools': array too long, at most {MAX_TOOLS}.");
        return Err(ApiError::invalid("tools", message).code("array_above_max_length"));
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let at = format!("tools[{index}]");
        let fields = object(tool, &at)?;
        let known: &[&str] = match service {
            Service::OpenRouter => &["type", "function", "cache_control"],
            _ => &["type", "function"],
        };
        only(fields, known, &at)?;
        literal(fields, "type", "function", &at)?;
        let at = format!("{at}.function");
        let function = object(required(fields, "function", &at)?, &at)?;
        only(
            function,
            &["name", "description", "parameters", "strict"],
            &at,
        )?;
        let name = function_name(function, &at)?;
        if names.contains(&name) {
            return Err(ApiError::invalid(
                at,
                format!("Tool names must be unique: {name}."),
            ));
        }
        names.push(name);
        if let Some(description) = function.get("description") {
            string(description, &format!("{at}.description"))?;
        }
        if let Some(schema) = function.get("parameters") {
            parameters(schema, name, &format!("{at}.parameters"))?;
        }
    }
    Ok(())
}

fn parameters(schema: &Value, name: &str, at: &str) -> Checked {
    let refuse = |why: String| {
        let message = format!("Invalid schema for function '{name}': {why}");
        Err(ApiError::invalid(at, message).code("invalid_function_parameters"))
    };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return refuse(format!(
            "schema must be a JSON Schema of 'type: \"object\"', got {schema}"
        ));
    }
    match jsonschema::meta::validate(schema) {
        Ok(()) => Ok(()),
        Err(error) => refuse(error.to_string()),
    }
}

fn conversation(messages: &Value, service: Service) -> Checked {
    let messages = filled_array(messages, "messages")?;
    // The ids of the calls of the last assistant message that have no result so far.
    let mut open: Vec<&str> = Vec::new();
    let mut speaker = "";
    for (index, value) in messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        let message = object(value, &at)?;
        let role = string(required(message, "role", &format!("{at}.role"))?, &at)?;
        if role != "tool" {
            all_answered(&open, &at)?;
            if role == speaker && matches!(role, "user" | "assistant") {
                let message = format!("'{at}' is the second message with role '{role}' in a row.");
                return Err(ApiError::invalid(at, message));
            }
        }
        match role {
            "system" | "developer" => plain_message(message, &["role", "content", "name"], &at)?,
            "user" => plain_message(message, &["role", "content", "name"], &at)?,
            "assistant" => open = assistant(message, &at, service)?,
            "tool" => tool_result(message, &mut open, &at)?,
            other => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'tool', and 'developer'."
                );
                return Err(ApiError::invalid(format!("{at}.role"), message).code("invalid_value"));
            }
        }
        // A system message between two others does not make them less consecutive.
        if !matches!(role, "system" | "developer") {
            speaker = role;
        }
    }
    all_answered(&open, "messages")?;
    if matches!(speaker, "user" | "tool") {
        return Ok(());
    }
    let message = "The last message must have role 'user' or 'tool': there is nothing to answer.";
    Err(ApiError::invalid("messages", message))
}

fn all_answered(open: &[&str], at: &str) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    let message = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ";
    Err(ApiError::invalid(
        at,
        format!("{message}{}", open.join(", ")),
    ))
}

fn plain_message(message: &Map<String, Value>, fields: &[&str], at: &str) -> Checked {
    only(message, fields, at)?;
    let at = format!("{at}.content");
    content(required(message, "content", &at)?, &at)
}

/// Judges an assistant message and returns the ids of its calls.
fn assistant<'a>(
    message: &'a Map<String, Value>,
    at: &str,
    service: Service,
) -> Checked<Vec<&'a str>> {
    let known = ["role", "content", "tool_calls", "name", "refusal"];
    only(message, &[&known, extra_of_assistant(service)].concat(), at)?;
    if let Some(details) = message.get("reasoning_details") {
        reasoning_details(details, &format!("{at}.reasoning_details"))?;
    }
    let text = message.get("content").filter(|content| !content.is_null());
    if let Some(text) = text {
        content(text, &format!("{at}.content"))?;
    }
    let Some(calls) = message.get("tool_calls") else {
        if text.is_none_or(|text| text == "") {
            let message = format!(
                "Invalid value for '{at}': an assistant message needs 'content' or 'tool_calls'."
            );
            return Err(ApiError::invalid(at, message));
        }
        return Ok(Vec::new());
    };
    let at = format!("{at}.tool_calls");
    let mut ids = Vec::new();
    for (index, call) in filled_array(calls, &at)?.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let call = object(call, &at)?;
        only(call, &["id", "type", "function"], &at)?;
        literal(call, "type", "function", &at)?;
        let id = string(required(call, "id", &format!("{at}.id"))?, &at)?;
        if id.is_empty() || ids.contains(&id) {
            return Err(ApiError::invalid(
                at,
                format!("Empty or repeated tool call id '{id}'."),
            ));
        }
        ids.push(id);
        let function = object(required(call, "function", &at)?, &at)?;
        only(function, &["name", "arguments"], &at)?;
        function_name(function, &at)?;
        let at = format!("{at}.function.arguments");
        let arguments = string(required(function, "arguments", &at)?, &at)?;
        if let Err(error) = serde_json::from_str::<Value>(arguments) {
            return Err(ApiError::invalid(
                at,
                format!("Tool call arguments are not JSON: {error}"),
            ));
        }
    }
    Ok(ids)
}

/// Reasoning that was streamed in pieces comes back in whole ones, with their seals.
fn reasoning_details(details: &Value, at: &str) -> Checked {
    for (index, detail) in filled_array(details, at)?.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let detail = object(detail, &at)?;
        let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
        let known = match text("type") {
            "reasoning.text" => text("signature") == seal(text("text")),
            "reasoning.encrypted" => is_encrypted(text("data")),
            "reasoning.summary" => !text("summary").is_empty(),
            _ => return Err(wrong_type(&format!("{at}.type"), "a type of reasoning")),
        };
        if !known {
            let message = format!("Invalid reasoning in '{at}': it is not what was sent.");
            return Err(ApiError::invalid(at, message));
        }
    }
    Ok(())
}

fn tool_result(message: &Map<String, Value>, open: &mut Vec<&str>, at: &str) -> Checked {
    plain_message(message, &["role", "content", "tool_call_id"], at)?;
    let at = format!("{at}.tool_call_id");
    let id = string(required(message, "tool_call_id", &at)?, &at)?;
    let Some(position) = open.iter().position(|call| *call == id) else {
        let message = format!(
            "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'; no open call has the id '{id}'."
        );
        return Err(ApiError::invalid(at, message));
    };
    open.remove(position);
    Ok(())
}

fn content(content: &Value, at: &str) -> Checked {
    if content.is_string() {
        return Ok(());
    }
    for (index, part) in filled_array(content, at)?.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let part = object(part, &at)?;
        match part.get("type").and_then(Value::as_str) {
            Some("text") => {
                only(part, &["type", "text", "cache_control"], &at)?;
                string(required(part, "text", &at)?, &at)?;
            }
            Some("image_url") => {
                only(part, &["type", "image_url"], &at)?;
                let image = object(required(part, "image_url", &at)?, &at)?;
                string(required(image, "url", &at)?, &at)?;
            }
            _ => {
                return Err(wrong_type(
                    &format!("{at}.type"),
                    "one of 'text' and 'image_url'",
                ));
            }
        }
    }
    Ok(())
}

fn function_name<'a>(function: &'a Map<String, Value>, at: &str) -> Checked<&'a str> {
    let at = format!("{at}.name");
    let name = string(required(function, "name", &at)?, &at)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(name);
    }
    let message = format!("Invalid '{at}': '{name}' does not match '^[a-zA-Z0-9_-]{{1,64}}$'.");
    Err(ApiError::invalid(at, message).code("invalid_value"))
}

fn required<'a>(fields: &'a Map<String, Value>, name: &str, at: &str) -> Checked<&'a Value> {
    fields.get(name).ok_or_else(|| {
        let message = format!("Missing required parameter: '{at}'.");
        ApiError::invalid(at, message).code("missing_required_parameter")
    })
}

fn only(fields: &Map<String, Value>, known: &[&str], at: &str) -> Checked {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let at = format!("{at}.{name}");
            let message = format!("Unknown parameter: '{at}'.");
            Err(ApiError::invalid(at, message).code("unknown_parameter"))
        }
    }
}

fn literal(fields: &Map<String, Value>, name: &str, value: &str, at: &str) -> Checked {
    let at = format!("{at}.{name}");
    if required(fields, name, &at)? == value {
        return Ok(());
    }
    Err(wrong_type(&at, &format!("'{value}'")))
}

fn object<'a>(value: &'a Value, at: &str) -> Checked<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| wrong_type(at, "an object"))
}

fn string<'a>(value: &'a Value, at: &str) -> Checked<&'a str> {
    value.as_str().ok_or_else(|| wrong_type(at, "a string"))
}

fn filled_array<'a>(value: &'a Value, at: &str) -> Checked<&'a [Value]> {
    let array = value.as_array().ok_or_else(|| wrong_type(at, "an array"))?;
    if array.is_empty() {
        let message = format!(
            "Invalid '{at}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        );
        return Err(ApiError::invalid(at, message).code("empty_array"));
    }
    Ok(array)
}

/// The value of an optional boolean; false where it is absent.
fn boolean(fields: &Map<String, Value>, name: &str) -> Checked<bool> {
    let value = fields.get(name).map_or(Some(false), Value::as_bool);
    value.ok_or_else(|| wrong_type(name, "a boolean"))
}

fn wrong_type(at: &str, expected: &str) -> ApiError {
    let message = format!("Invalid type for '{at}': expected {expected}.");
    ApiError::invalid(at, message).code("invalid_type")
}
