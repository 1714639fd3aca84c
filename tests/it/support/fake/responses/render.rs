//! A reply as a response of the Responses API: numbered events, or one JSON object.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::{
    answer::{Answer, CREATED, encrypted, fragments, words},
    body::{kept_alive, typed},
    error::ApiError,
    script::Flaw,
};

/// The answer that is not a stream.
pub(in super::super) fn whole(answer: &Answer<'_>) -> Value {
    let items: Vec<Value> = items(answer).into_iter().map(|item| item.whole).collect();
    let mut response = response(answer, status(answer), json!(items));
    if !answer.reply.has(Flaw::NoUsage) {
        response["usage"] = usage(answer);
    }
    response
}

/// The answer as a stream.
pub(in super::super) fn events(answer: &Answer<'_>) -> Vec<Bytes> {
    let begun = response(answer, "in_progress", json!([]));
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    for (output_index, item) in items(answer).into_iter().enumerate() {
        let added = json!({"type": "response.output_item.added", "item": item.start});
        let done = json!({"type": "response.output_item.done", "item": item.whole});
        let between = item.events.into_iter().map(|mut event| {
            event["item_id"] = item.whole["id"].clone();
            event
        });
        let own = std::iter::once(added).chain(between).chain([done]);
        events.extend(own.map(|mut event| {
            event["output_index"] = json!(output_index);
            event
        }));
    }
    if !answer.reply.has(Flaw::NoDone) {
        let end = format!("response.{}", status(answer));
        events.push(json!({"type": end, "response": whole(answer)}));
    }
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        typed(&event)
    });
    let events = numbered.collect();
    match answer.reply.has(Flaw::KeepAlive) {
        true => kept_alive(events, ": keep-alive\n\n"),
        false => events,
    }
}

/// The event that ends a stream with an error: of the whole response where the error has a code,
/// of the stream otherwise.
pub(in super::super) fn error_event(answer: &Answer<'_>, error: &ApiError, before: usize) -> Bytes {
    let mut event = match error.code {
        None => json!({
            "type": "error", "code": error.kind, "message": error.message, "param": error.param,
        }),
        Some(code) => {
            let mut failed = response(answer, "failed", json!([]));
            failed["error"] = json!({"code": code, "message": error.message});
            json!({"type": "response.failed", "response": failed})
        }
    };
    event["sequence_number"] = json!(before);
    typed(&event)
}

fn status(answer: &Answer<'_>) -> &'static str {
    match answer.reply.finish {
        Some("length" | "content_filter") => "incomplete",
        _ => "completed",
    }
}

fn response(answer: &Answer<'_>, status: &str, output: Value) -> Value {
    let request = &answer.ask.request;
    let or = |name: &str, other: Value| match &request[name] {
        Value::Null => other,
        given => given.clone(),
    };
    let reason = match answer.reply.finish {
        Some("length") => "max_output_tokens",
        Some(reason) => reason,
        None => "",
    };
    let incomplete = (status == "incomplete").then(|| json!({"reason": reason}));
    json!({
        "id": format!("resp_{}", answer.round()), "object": "response", "created_at": CREATED,
        "status": status, "background": false, "error": null, "incomplete_details": incomplete,
        "instructions": request["instructions"], "max_output_tokens": request["max_output_tokens"],
        "metadata": or("metadata", json!({})), "model": answer.model(), "output": output,
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": null,
        "prompt_cache_key": request["prompt_cache_key"],
        "reasoning": {"effort": request["reasoning"]["effort"], "summary": request["reasoning"]["summary"]},
        "service_tier": "default", "store": or("store", json!(true)),
        "temperature": or("temperature", json!(1.0)),
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": or("tool_choice", json!("auto")), "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)), "truncation": or("truncation", json!("disabled")),
        "usage": null, "user": null,
    })
}

fn usage(answer: &Answer<'_>) -> Value {
    let tokens = answer.tokens;
    json!({
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.read, "cache_write_tokens": tokens.written},
        "output_tokens": tokens.answer,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.answer,
    })
}

/// An item as it is in the end, as it is when it begins, and what comes in between: events that
/// still lack what all events of an item have.
struct Item {
    whole: Value,
    start: Value,
    events: Vec<Value>,
}

fn items(answer: &Answer<'_>) -> Vec<Item> {
    if answer.reply.has(Flaw::Empty) {
        return Vec::new();
    }
    let said = answer.said;
    let refusal = said
        .refusal
        .as_ref()
        .map(|why| message(answer, "refusal", why));
    let text = (!said.text.is_empty()).then(|| message(answer, "output_text", &said.text));
    let items = [reasoning(answer), refusal, text].into_iter().flatten();
    items.chain(calls(answer)).collect()
}

/// Reasoning: its summary where the request asks for one, and the whole, encrypted, where the
/// request asks for that.
fn reasoning(answer: &Answer<'_>) -> Option<Item> {
    let reasoning = answer.said.reasoning.as_deref()?;
    let request = &answer.ask.request;
    let summary = !answer.said.opaque && !request["reasoning"]["summary"].is_null();
    let include = request["include"].as_array().into_iter().flatten();
    let sent = include
        .into_iter()
        .any(|one| one == "reasoning.encrypted_content");
    let id = format!("rs_{}", answer.round());
    let part = json!({"type": "summary_text", "text": reasoning});
    let parts = if summary { vec![&part] } else { Vec::new() };
    let mut whole = json!({"id": id, "type": "reasoning", "summary": parts});
    if sent {
        whole["encrypted_content"] = json!(encrypted(reasoning));
    }
    let mut start = whole.clone();
    start["summary"] = json!([]);
    let mut events = Vec::new();
    if summary {
        let event = |name: &str, field: &str, value: Value| {
            let name = format!("response.reasoning_summary_{name}");
            json!({"type": name, "summary_index": 0, field: value})
        };
        let empty = json!({"type": "summary_text", "text": ""});
        events.push(event("part.added", "part", empty));
        events.extend(words(reasoning).map(|word| event("text.delta", "delta", json!(word))));
        events.push(event("text.done", "text", json!(reasoning)));
        events.push(event("part.done", "part", part));
    }
    Some(Item {
        whole,
        start,
        events,
    })
}

/// A message of one part, which is text or a refusal.
fn message(answer: &Answer<'_>, kind: &str, text: &str) -> Item {
    let field = match kind {
        "refusal" => "refusal",
        _ => "text",
    };
    let part = |text: &str| {
        let mut part = json!({"type": kind, field: text});
        if kind == "output_text" {
            part["annotations"] = json!([]);
            part["logprobs"] = json!([]);
        }
        part
    };
    let event = |name: &str, field: &str, value: Value| {
        let mut event = json!({"type": format!("response.{name}"), "content_index": 0});
        event[field] = value;
        if name.starts_with("output_text") {
            event["logprobs"] = json!([]);
        }
        event
    };
    let mut events = vec![event("content_part.added", "part", part(""))];
    let delta = format!("{kind}.delta");
    events.extend(words(text).map(|word| event(&delta, "delta", json!(word))));
    events.push(event(&format!("{kind}.done"), field, json!(text)));
    events.push(event("content_part.done", "part", part(text)));
    let id = format!("msg_{}", answer.round());
    let item = |status: &str, content: Value| {
        json!({
            "id": id, "type": "message", "status": status, "role": "assistant", "content": content,
        })
    };
    Item {
        whole: item(status(answer), json!([part(text)])),
        start: item("in_progress", json!([])),
        events,
    }
}

fn calls(answer: &Answer<'_>) -> impl Iterator<Item = Item> {
    let calls = answer.calls("call_").into_iter().enumerate();
    calls.map(|(index, (call_id, call))| {
        let item = |status: &str, arguments: Value| {
            let mut item = json!({
                "id": format!("fc_{}_{index}", answer.round()), "type": "function_call",
                "status": status, "name": call.name, "arguments": arguments,
            });
            if let Some(id) = &call_id {
                item["call_id"] = json!(id);
            }
            item
        };
        let arguments = answer.arguments_text(call);
        let event = |name: &str, field: &str, value: Value| {
            json!({"type": format!("response.function_call_arguments.{name}"), field: value})
        };
        let parts = fragments(&call.arguments).into_iter();
        let deltas = parts.map(|part| event("delta", "delta", json!(part)));
        let mut done = event("done", "arguments", arguments.clone());
        done["name"] = json!(call.name);
        Item {
            whole: item(status(answer), arguments),
            start: item("in_progress", json!("")),
            events: deltas.chain([done]).collect(),
        }
    })
}
