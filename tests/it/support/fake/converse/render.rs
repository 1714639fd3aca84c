//! A reply as an answer of the Converse API: binary frames, or one JSON object.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        answer::{Answer, encrypted, fragments, seal, words},
        script::Flaw,
    },
    frame::{frame, spoiled},
};

/// The answer that is not a stream.
pub(in super::super) fn whole(answer: &Answer<'_>) -> Value {
    let content: Value = content(answer)
        .into_iter()
        .map(|block| block.whole)
        .collect();
    let mut whole = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(answer), "metrics": {"latencyMs": 12},
    });
    if !answer.reply.has(Flaw::NoUsage) {
        whole["usage"] = usage(answer);
    }
    whole
}

/// The answer as a stream.
pub(in super::super) fn events(answer: &Answer<'_>) -> Vec<Bytes> {
    let mut events = vec![event("messageStart", json!({"role": "assistant"}))];
    for (index, block) in content(answer).into_iter().enumerate() {
        // Only calls have a start of their own.
        let start = block
            .start
            .map(|start| ("contentBlockStart", "start", start));
        let deltas = block.deltas.into_iter();
        let deltas = deltas.map(|delta| ("contentBlockDelta", "delta", delta));
        events.extend(start.into_iter().chain(deltas).map(|(name, field, value)| {
            event(name, json!({"contentBlockIndex": index, field: value}))
        }));
        events.push(event(
            "contentBlockStop",
            json!({"contentBlockIndex": index}),
        ));
    }
    if !answer.reply.has(Flaw::NoDone) {
        events.push(event(
            "messageStop",
            json!({"stopReason": stop_reason(answer)}),
        ));
    }
    if !answer.reply.has(Flaw::NoUsage) {
        let metadata = json!({"usage": usage(answer), "metrics": {"latencyMs": 12}});
        events.push(event("metadata", metadata));
    }
    if answer.reply.has(Flaw::WrongChecksum) {
        let middle = events.len() / 2;
        events[middle] = spoiled(&events[middle]);
    }
    events
}

fn event(name: &str, mut payload: Value) -> Bytes {
    // The service pads its payloads, so that their lengths do not tell what is in them.
    payload["p"] = json!("abcdefghij");
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, payload.to_string().as_bytes())
}

fn stop_reason(answer: &Answer<'_>) -> &'static str {
    match (answer.reply.finish, &answer.said.refusal) {
        (Some("length"), _) => "max_tokens",
        (Some("content_filter"), _) | (None, Some(_)) => "content_filtered",
        (Some(reason), _) => reason,
        (None, None) if answer.said.calls.is_empty() => "end_turn",
        (None, None) => "tool_use",
    }
}

fn usage(answer: &Answer<'_>) -> Value {
    let tokens = answer.tokens;
    json!({
        "inputTokens": tokens.prompt.saturating_sub(tokens.read + tokens.written),
        "outputTokens": tokens.answer, "totalTokens": tokens.prompt + tokens.answer,
        "cacheReadInputTokens": tokens.read, "cacheWriteInputTokens": tokens.written,
    })
}

/// A block as it is in an answer at once, and as it comes piece by piece.
struct Block {
    whole: Value,
    start: Option<Value>,
    deltas: Vec<Value>,
}

fn content(answer: &Answer<'_>) -> Vec<Block> {
    if answer.reply.has(Flaw::Empty) {
        return Vec::new();
    }
    let mut blocks: Vec<Block> = reasoning(answer).into_iter().collect();
    let said = [
        answer.said.refusal.as_deref(),
        Some(answer.said.text.as_str()),
    ];
    for text in said.into_iter().flatten().filter(|text| !text.is_empty()) {
        blocks.push(Block {
            whole: json!({"text": text}),
            start: None,
            deltas: words(text).map(|word| json!({"text": word})).collect(),
        });
    }
    blocks.extend(calls(answer));
    blocks
}

/// Reasoning, which comes only where the request asks for it.
fn reasoning(answer: &Answer<'_>) -> Option<Block> {
    let reasoning = answer.said.reasoning.as_deref()?;
    let request = &answer.ask.request;
    let thinking = &request["additionalModelRequestFields"]["thinking"];
    if thinking["type"] != "adaptive" && request["outputConfig"]["effort"].is_null() {
        return None;
    }
    if answer.said.opaque {
        let content = json!({"redactedContent": encrypted(reasoning)});
        return Some(Block {
            whole: json!({"reasoningContent": content}),
            start: None,
            deltas: vec![json!({"reasoningContent": content})],
        });
    }
    let text = json!({"text": reasoning, "signature": seal(reasoning)});
    let signed = json!({"reasoningContent": {"signature": seal(reasoning)}});
    let deltas = words(reasoning).map(|word| json!({"reasoningContent": {"text": word}}));
    Some(Block {
        whole: json!({"reasoningContent": {"reasoningText": text}}),
        start: None,
        deltas: deltas.chain([signed]).collect(),
    })
}

fn calls(answer: &Answer<'_>) -> impl Iterator<Item = Block> {
    let calls = answer.calls("tooluse_").into_iter();
    calls.map(|(id, call)| {
        let mut start = json!({"name": call.name});
        if let Some(id) = id {
            start["toolUseId"] = json!(id);
        }
        let mut whole = start.clone();
        whole["input"] = answer.arguments_object(call);
        let deltas = match answer.reply.has(Flaw::ArgumentsType) {
            true => vec![json!({"toolUse": {"input": answer.arguments_text(call)}})],
            false => fragments(&call.arguments)
                .into_iter()
                .map(|part| json!({"toolUse": {"input": part}}))
                .collect(),
        };
        Block {
            whole: json!({"toolUse": whole}),
            start: Some(json!({"toolUse": start})),
            deltas,
        }
    })
}
