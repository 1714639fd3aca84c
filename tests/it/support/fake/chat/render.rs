//! A reply as a chat completion: server-sent events, or one JSON object.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        answer::{Answer, CREATED, encrypted, fragments, seal, words},
        body::{data, kept_alive},
        error::ApiError,
        script::Flaw,
        service::Service,
    },
    is_open_router, reasoning_field,
};

/// The answer that is not a stream.
pub(in super::super) fn whole(answer: &Answer<'_>) -> Value {
    let said = answer.said;
    let content = match said.text.as_str() {
        "" => Value::Null,
        text => json!(text),
    };
    let mut message = json!({"role": "assistant", "content": content, "refusal": said.refusal});
    if let Some(reasoning) = &said.reasoning {
        if !said.opaque {
            message[reasoning_field(answer.service)] = json!(reasoning);
        }
        if is_open_router(answer) {
            message["reasoning_details"] = json!([whole_detail(answer, reasoning)]);
        }
    }
    let calls = calls(answer);
    if !calls.is_empty() {
        let calls = calls.into_iter().map(|(_, mut call, arguments)| {
            call["function"]["arguments"] = arguments;
            call
        });
        message["tool_calls"] = calls.collect();
    }
    let choice = json!({
        "index": 0, "message": message, "logprobs": null, "finish_reason": finish(answer),
    });
    let choices = match answer.reply.has(Flaw::Empty) {
        true => json!([]),
        false => json!([choice]),
    };
    let mut whole = json!({
        "id": id(answer), "object": "chat.completion", "created": CREATED,
        "model": answer.model(), "choices": choices, "system_fingerprint": "fp_fake",
    });
    if is_open_router(answer) {
        whole["provider"] = json!("Fakeworks");
    }
    if !answer.reply.has(Flaw::NoUsage) {
        whole["usage"] = usage(answer);
    }
    whole
}

/// The answer as a stream.
pub(in super::super) fn events(answer: &Answer<'_>) -> Vec<Bytes> {
    let mut events = Vec::new();
    if !answer.reply.has(Flaw::Empty) {
        events.push(delta(
            answer,
            json!({"role": "assistant", "content": "", "refusal": null}),
        ));
        events.extend(spoken(answer).map(|part| delta(answer, part)));
        events.extend(call_deltas(answer).map(|part| delta(answer, part)));
        events.push(choice(answer, json!({}), json!(finish(answer))));
    }
    if usage_wanted(answer) && !answer.reply.has(Flaw::NoUsage) {
        let mut last = chunk(answer, json!([]));
        last["usage"] = usage(answer);
        events.push(data(&last.to_string()));
    }
    if !answer.reply.has(Flaw::NoDone) {
        events.push(data("[DONE]"));
    }
    let comment = match is_open_router(answer) {
        true => ": OPENROUTER PROCESSING\n\n",
        false => ": keep-alive\n\n",
    };
    if answer.reply.has(Flaw::KeepAlive) {
        return kept_alive(events, comment);
    }
    if is_open_router(answer) {
        // It has always something to wait for first.
        events.insert(0, Bytes::from_static(comment.as_bytes()));
    }
    events
}

/// The chunk that tells of an error in OpenRouter's streams.
pub(in super::super) fn error_chunk(answer: &Answer<'_>, error: &ApiError) -> Value {
    let choices = json!([{
        "index": 0, "delta": {"content": ""}, "finish_reason": "error",
        "native_finish_reason": "error", "logprobs": null,
    }]);
    let mut chunk = chunk(answer, choices);
    chunk["error"] = json!({"code": error.status, "message": error.message});
    chunk
}

fn id(answer: &Answer<'_>) -> String {
    match is_open_router(answer) {
        true => format!("gen-{}", answer.round()),
        false => format!("chatcmpl-{}", answer.round()),
    }
}

fn finish(answer: &Answer<'_>) -> &'static str {
    let usual = match (&answer.said.refusal, answer.said.calls.is_empty()) {
        (Some(_), _) if is_open_router(answer) => "content_filter",
        (_, true) => "stop",
        (_, false) => "tool_calls",
    };
    answer.reply.finish.unwrap_or(usual)
}

/// Whether a stream reports its tokens; OpenRouter's always does.
fn usage_wanted(answer: &Answer<'_>) -> bool {
    is_open_router(answer) || answer.ask.request["stream_options"]["include_usage"] == true
}

fn usage(answer: &Answer<'_>) -> Value {
    let tokens = answer.tokens;
    let mut usage = json!({
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.answer,
        "total_tokens": tokens.prompt + tokens.answer,
        "prompt_tokens_details": {"cached_tokens": tokens.read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    });
    if is_open_router(answer) {
        // A made-up price that tests can compute: a millionth of a dollar a token.
        let cost = (tokens.prompt + tokens.answer) as f64 / 1e6;
        usage["prompt_tokens_details"]["cache_write_tokens"] = json!(tokens.written);
        usage["cost"] = json!(cost);
        usage["is_byok"] = json!(false);
        usage["cost_details"] = json!({"upstream_inference_cost": null});
    }
    usage
}

/// Reasoning, refusal and text in pieces.
fn spoken<'a>(answer: &'a Answer<'_>) -> impl Iterator<Item = Value> + 'a {
    let said = answer.said;
    let open = said.reasoning.as_deref().filter(|_| !said.opaque);
    let field = reasoning_field(answer.service);
    let reasoning = words(open.unwrap_or_default()).map(move |word| {
        let mut delta = json!({"content": "", field: word});
        if is_open_router(answer) {
            delta["reasoning_details"] = json!([{
                "type": "reasoning.text", "text": word, "format": "anthropic-claude-v1", "index": 0,
            }]);
        }
        delta
    });
    let seal = said.reasoning.as_deref().filter(|_| is_open_router(answer));
    let seal = seal.map(|text| {
        let mut detail = whole_detail(answer, text);
        if let Some(detail) = detail.as_object_mut() {
            // The text came before, piece by piece.
            detail.remove("text");
        }
        json!({"content": "", "reasoning_details": [detail]})
    });
    let refusal = words(said.refusal.as_deref().unwrap_or_default());
    reasoning
        .chain(seal)
        .chain(refusal.map(|word| json!({"refusal": word})))
        .chain(words(&said.text).map(|word| json!({"content": word})))
}

/// Reasoning as OpenRouter wants it back.
fn whole_detail(answer: &Answer<'_>, text: &str) -> Value {
    if answer.said.opaque {
        return json!({
            "type": "reasoning.encrypted", "data": encrypted(text), "id": "rs_0",
            "format": "openai-responses-v1", "index": 0,
        });
    }
    json!({
        "type": "reasoning.text", "text": text, "signature": seal(text),
        "format": "anthropic-claude-v1", "index": 0,
    })
}

/// Each call: its place, the call without its arguments, and these.
fn calls(answer: &Answer<'_>) -> Vec<(usize, Value, Value)> {
    let calls = answer.calls("call_").into_iter().enumerate();
    let calls = calls.map(|(index, (id, call))| {
        let function = json!({"name": call.name, "arguments": ""});
        let mut start = json!({"id": id, "type": "function", "function": function});
        if let (None, Some(start)) = (id, start.as_object_mut()) {
            start.remove("id");
        }
        (index, start, answer.arguments_text(call))
    });
    calls.collect()
}

fn call_deltas(answer: &Answer<'_>) -> impl Iterator<Item = Value> {
    let each = calls(answer)
        .into_iter()
        .map(|(index, mut start, arguments)| {
            start["index"] = json!(index);
            let Some(text) = arguments.as_str() else {
                start["function"]["arguments"] = arguments;
                return vec![start];
            };
            let more = fragments(text)
                .into_iter()
                .map(|part| json!({"index": index, "function": {"arguments": part}}));
            std::iter::once(start).chain(more).collect()
        });
    let mut each: Vec<Vec<Value>> = each.collect();
    if answer.reply.has(Flaw::MixedFragments) {
        each.reverse();
        each = vec![interleaved(each)];
    }
    each.into_iter()
        .flatten()
        .map(|part| json!({"tool_calls": [part]}))
}

/// One of each in turn, as long as there are any.
fn interleaved(each: Vec<Vec<Value>>) -> Vec<Value> {
    let mut each: Vec<_> = each.into_iter().map(Vec::into_iter).collect();
    let mut mixed = Vec::new();
    loop {
        let before = mixed.len();
        mixed.extend(each.iter_mut().filter_map(Iterator::next));
        if mixed.len() == before {
            return mixed;
        }
    }
}

fn delta(answer: &Answer<'_>, delta: Value) -> Bytes {
    choice(answer, delta, Value::Null)
}

fn choice(answer: &Answer<'_>, delta: Value, finish: Value) -> Bytes {
    let mut choice = json!({
        "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish,
    });
    if is_open_router(answer) {
        choice["native_finish_reason"] = finish;
    }
    data(&chunk(answer, json!([choice])).to_string())
}

fn chunk(answer: &Answer<'_>, choices: Value) -> Value {
    let mut chunk = json!({
        "id": id(answer), "object": "chat.completion.chunk", "created": CREATED,
        "model": answer.model(), "system_fingerprint": "fp_fake", "choices": choices,
    });
    if is_open_router(answer) {
        chunk["provider"] = json!("Fakeworks");
    }
    if usage_wanted(answer) && answer.service != Service::OpenRouter {
        // The API sends the field in every chunk as soon as it is asked for.
        chunk["usage"] = Value::Null;
    }
    chunk
}
