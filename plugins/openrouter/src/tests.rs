//! Requests as they are sent, and answers with what the service adds to the protocol.

use super::*;
use crate::settings::tests::settings;
use ml_intern_plugin::chat::{Message, Part, Reasoning, Role, Stop, ToolChoice};
use ml_intern_plugin::provider::Protocol;
use ml_intern_plugin::provider::sse::Event;
use serde_json::{Value, json};

fn request(model: &str) -> Request {
    let message = |role, parts| Message {
        role,
        parts,
        cache_breakpoint: false,
    };
    let reasoning = Part::Reasoning(Reasoning {
        text: "hm".to_owned(),
        opaque: Some(r#"[{"type":"reasoning.text","text":"hm","index":0}]"#.to_owned()),
    });
    Request {
        model: model.to_owned(),
        messages: vec![
            message(Role::User, vec![Part::Text("hi".to_owned())]),
            message(
                Role::Assistant,
                vec![reasoning, Part::Text("yes".to_owned())],
            ),
            message(Role::User, vec![Part::Text("and".to_owned())]),
        ],
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        max_tokens: Some(5),
        response_schema: None,
        affinity: Some("session".to_owned()),
        effort: Some("xhigh".to_owned()),
        stream: true,
        extra: None,
    }
}

fn sent(request: &Request, pairs: &[(&str, &str)]) -> Value {
    let settings = settings(pairs).unwrap();
    let body = completions::body(request, &options(request, &settings)).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_request_asks_for_its_cost_and_returns_reasoning() {
    let body = sent(&request("qwen/q"), &[("provider", r#"{"sort":"price"}"#)]);
    assert_eq!(
        body,
        json!({
            "model": "qwen/q", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 5,
            "reasoning": {"effort": "xhigh"}, "usage": {"include": true}, "provider": {"sort": "price"},
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "yes", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]},
                {"role": "user", "content": "and"}
            ]
        })
    );
}

#[test]
fn caching_is_asked_for_as_the_model_wants_it() {
    let claude = sent(&request("anthropic/claude-x"), &[]);
    let mark = json!({"type": "ephemeral"});
    assert_eq!(claude["cache_control"], mark);
    assert_eq!(claude["messages"][0]["content"][0]["cache_control"], mark);
    assert_eq!(claude.get("prompt_cache_key"), None);
    let gpt = sent(&request("openai/gpt-5.5"), &[]);
    assert_eq!(gpt["prompt_cache_key"], "session");
    assert_eq!(gpt.get("cache_control"), None);
}

#[test]
fn the_users_own_parameters_win() {
    let mut asked = request("a/b");
    asked.extra = Some(r#"{"reasoning":{"max_tokens":9},"provider":{"only":["x"]}}"#.to_owned());
    let body = sent(&asked, &[("provider", "{}")]);
    assert_eq!(body["reasoning"], json!({"max_tokens": 9}));
    assert_eq!(body["provider"], json!({"only": ["x"]}));
}

fn streamed(events: &[&str]) -> Result<Response, Error> {
    let settings = settings(&[]).unwrap();
    let service = service(&settings, "a/b", false);
    let reply = Reply::new(1, Box::new(|_| ml_intern_plugin::Control::Proceed));
    let mut completion = completions::Completion::new(service, reply, None);
    for data in events {
        completion.event(&Event {
            name: "",
            data: data.as_bytes(),
        })?;
    }
    completion.finish()
}

#[test]
fn the_cost_is_the_services_own() {
    let response = streamed(&[
        r#"{"id":"gen-1","provider":"X","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#,
        r#"{"id":"gen-1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"cost":0.00012,"prompt_tokens_details":{"cached_tokens":4}}}"#,
        "[DONE]",
    ])
    .unwrap();
    assert_eq!(
        (response.stop, response.cost_usd),
        (Stop::EndTurn, Some(0.00012))
    );
    assert_eq!(response.usage.cache_read, 4);
}

#[test]
fn a_provider_that_fails_in_the_middle_is_worth_another_attempt() {
    let failed = |code: u16| {
        let chunk = format!(
            r#"{{"id":"gen-1","provider":"X","error":{{"code":{code},"message":"Provider returned error","metadata":{{"provider_name":"X","raw":"gone"}}}},"choices":[{{"index":0,"delta":{{"content":""}},"finish_reason":"error"}}]}}"#
        );
        match streamed(&[&chunk]) {
            Err(Error::Upstream(upstream)) => upstream,
            other => panic!("{other:?}"),
        }
    };
    for (code, retryable) in [(502, true), (503, true), (429, true), (402, false)] {
        let error = failed(code);
        assert_eq!((error.status, error.retryable), (Some(code), retryable));
        assert_eq!(error.message, "Provider returned error (X: gone)");
    }
}
