//! Requests as they are sent.

use super::*;
use ml_intern_plugin::chat::{Message, Part, Role, ToolChoice};
use serde_json::{Value, json};

fn request(model: &str) -> Request {
    Request {
        model: model.to_owned(),
        messages: vec![Message {
            role: Role::User,
            parts: vec![Part::Text("hi".to_owned())],
            cache_breakpoint: false,
        }],
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        max_tokens: Some(5),
        response_schema: None,
        affinity: Some("session".to_owned()),
        effort: None,
        stream: false,
        extra: None,
    }
}

#[test]
fn a_server_gets_its_own_name_of_the_model_and_nothing_it_may_not_know() {
    let mut asked = request("ollama/qwen3:8b");
    let (kind, body) = sendable(&mut asked).unwrap();
    assert_eq!((kind.prefix, asked.model.as_str()), ("ollama/", "qwen3:8b"));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"model": "qwen3:8b", "stream": false, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]})
    );
}

#[test]
fn no_local_server_takes_an_effort() {
    for effort in ["low", "high", "none"] {
        let mut asked = request("vllm/m");
        asked.effort = Some(effort.to_owned());
        let refused = sendable(&mut asked);
        assert!(matches!(refused, Err(Error::Unsupported(text)) if text.contains("vLLM")));
    }
}

#[test]
fn an_id_without_a_server_is_refused_before_any_request() {
    let refused = sendable(&mut request("qwen3:8b"));
    assert!(matches!(refused, Err(Error::InvalidInput(_))));
}
