//! A reply as a message of the Messages API: server-sent events, or one JSON object.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::{
    answer::{Answer, encrypted, fragments, seal, words},
    body::{kept_alive, typed},
    script::Flaw,
};

/// The answer that is not a stream.
pub(in super::super) fn whole(answer: &Answer<'_>) -> Value {
    let mut message = head(answer, usage(answer));
    message["content"] = content(answer)
        .into_iter()
        .map(|block| block.whole)
        .collect();
    message["stop_reason"] = json!(stop_reason(answer));
    message["stop_details"] = stop_details(answer);
    message
}

/// The answer as a stream.
pub(in super::super) fn events(answer: &Answer<'_>) -> Vec<Bytes> {
    let mut usage_so_far = usage(answer);
    if let Some(usage) = usage_so_far.as_object_mut() {
        usage["output_tokens"] = json!(1);
        usage.remove("output_tokens_details");
    }
    let mut events = vec![typed(&json!({
        "type": "message_start", "message": head(answer, usage_so_far),
    }))];
    // The service sends at least this one.
    events.push(typed(&json!({"type": "ping"})));
    for (index, block) in content(answer).into_iter().enumerate() {
        events.push(typed(&json!({
            "type": "content_block_start", "index": index, "content_block": block.start,
        })));
        events.extend(block.deltas.iter().map(|delta| {
            typed(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
        }));
        events.push(typed(
            &json!({"type": "content_block_stop", "index": index}),
        ));
    }
    let mut end = json!({"type": "message_delta", "delta": {
        "stop_reason": stop_reason(answer), "stop_sequence": null,
        "stop_details": stop_details(answer),
    }});
    if !answer.reply.has(Flaw::NoUsage) {
        end["usage"] = usage(answer);
    }
    events.push(typed(&end));
    if !answer.reply.has(Flaw::NoDone) {
        events.push(typed(&json!({"type": "message_stop"})));
    }
    match answer.reply.has(Flaw::KeepAlive) {
        true => kept_alive(events, "event: ping\ndata: {\"type\": \"ping\"}\n\n"),
        false => events,
    }
}

fn head(answer: &Answer<'_>, usage: Value) -> Value {
    let mut head = json!({
        "id": format!("msg_{}", answer.round()), "type": "message", "role": "assistant",
        "model": answer.model(), "content": [], "stop_reason": null, "stop_sequence": null,
        "stop_details": null, "usage": usage,
    });
    if answer.reply.has(Flaw::NoUsage)
        && let Some(head) = head.as_object_mut()
    {
        head.remove("usage");
    }
    head
}

fn stop_reason(answer: &Answer<'_>) -> &'static str {
    match (answer.reply.finish, &answer.said.refusal) {
        (Some("length"), _) => "max_tokens",
        (Some("content_filter"), _) | (None, Some(_)) => "refusal",
        (Some(reason), _) => reason,
        (None, None) if answer.said.calls.is_empty() => "end_turn",
        (None, None) => "tool_use",
    }
}

fn stop_details(answer: &Answer<'_>) -> Value {
    match &answer.said.refusal {
        Some(why) => json!({"type": "refusal", "category": null, "explanation": why}),
        None => Value::Null,
    }
}

fn usage(answer: &Answer<'_>) -> Value {
    let tokens = answer.tokens;
    let uncached = tokens.prompt.saturating_sub(tokens.read + tokens.written);
    json!({
        "input_tokens": uncached,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.written, "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": tokens.answer,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        "service_tier": "standard",
    })
}

/// A block as it is in an answer at once, and as it comes piece by piece.
struct Block {
    whole: Value,
    start: Value,
    deltas: Vec<Value>,
}

fn content(answer: &Answer<'_>) -> Vec<Block> {
    if answer.reply.has(Flaw::Empty) {
        return Vec::new();
    }
    let mut blocks: Vec<Block> = thinking(answer).into_iter().collect();
    let text = answer.said.text.as_str();
    if !text.is_empty() {
        let deltas = words(text).map(|word| json!({"type": "text_delta", "text": word}));
        blocks.push(Block {
            whole: json!({"type": "text", "text": text}),
            start: json!({"type": "text", "text": ""}),
            deltas: deltas.collect(),
        });
    }
    blocks.extend(calls(answer));
    blocks
}

/// Reasoning, which comes only where the request asks for it.
fn thinking(answer: &Answer<'_>) -> Option<Block> {
    let wanted = &answer.ask.request["thinking"];
    let thinking = answer.said.reasoning.as_ref()?;
    if wanted["type"] != "adaptive" {
        return None;
    }
    if answer.said.opaque {
        let whole = json!({"type": "redacted_thinking", "data": encrypted(thinking)});
        return Some(Block {
            start: whole.clone(),
            whole,
            deltas: Vec::new(),
        });
    }
    let (thinking, signature) = match wanted["display"] == "omitted" {
        true => ("", encrypted(thinking)),
        false => (thinking.as_str(), seal(thinking)),
    };
    let deltas = words(thinking).map(|word| json!({"type": "thinking_delta", "thinking": word}));
    let signed = json!({"type": "signature_delta", "signature": signature});
    Some(Block {
        whole: json!({"type": "thinking", "thinking": thinking, "signature": signature}),
        start: json!({"type": "thinking", "thinking": "", "signature": ""}),
        deltas: deltas.chain([signed]).collect(),
    })
}

fn calls(answer: &Answer<'_>) -> impl Iterator<Item = Block> {
    let calls = answer.calls("toolu_").into_iter();
    calls.map(|(id, call)| {
        let mut start = json!({"type": "tool_use", "id": id, "name": call.name, "input": {}});
        if let (None, Some(start)) = (id, start.as_object_mut()) {
            start.remove("id");
        }
        let mut whole = start.clone();
        whole["input"] = answer.arguments_object(call);
        let deltas = match answer.reply.has(Flaw::ArgumentsType) {
            true => vec![json!({
                "type": "input_json_delta", "partial_json": answer.arguments_text(call),
            })],
            // The first piece is empty, as it is in the service's own streams.
            false => std::iter::once(String::new())
                .chain(fragments(&call.arguments))
                .map(|part| json!({"type": "input_json_delta", "partial_json": part}))
                .collect(),
        };
        Block {
            whole,
            start,
            deltas,
        }
    })
}
