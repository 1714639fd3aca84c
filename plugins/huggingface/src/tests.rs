//! Requests as they are sent.

use super::*;
use crate::settings::tests::settings;
use ml_intern_plugin::chat::{
    Message, Part, Reasoning, Role, ToolCall, ToolChoice, ToolResult, ToolSpec,
};
use serde_json::{Value, json};

fn message(role: Role, part: Part) -> Message {
    Message {
        role,
        parts: vec![part],
        cache_breakpoint: false,
    }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

/// A short request to this model.
pub(crate) fn request(model: &str) -> Request {
    Request {
        model: model.to_owned(),
        messages: vec![message(Role::User, text("hi"))],
        tools: vec![ToolSpec {
            name: "read".to_owned(),
            description: "Reads".to_owned(),
            input_schema: "{}".to_owned(),
        }],
        tool_choice: ToolChoice::Auto,
        max_tokens: None,
        response_schema: None,
        affinity: None,
        effort: None,
        stream: false,
        extra: None,
    }
}

fn sent(request: Request) -> (Value, Vec<(&'static str, String)>) {
    let call = Call::of(request, &settings(&[]).unwrap()).unwrap();
    (serde_json::from_slice(&call.body).unwrap(), call.headers)
}

#[test]
fn the_least_effort_is_low_and_the_prefix_is_not_sent() {
    let mut asked = request("huggingface/a/b");
    asked.effort = Some("minimal".to_owned());
    let (body, headers) = sent(asked);
    assert_eq!(
        (&body["model"], &body["reasoning_effort"]),
        (&json!("a/b"), &json!("low"))
    );
    assert!(headers.is_empty());
    assert_eq!(sent(request("a/b")).0.get("reasoning_effort"), None);
}

#[test]
fn an_effort_that_the_router_does_not_know_is_refused_before_any_request() {
    for effort in ["xhigh", "max", "none", ""] {
        let mut asked = request("a/b");
        asked.effort = Some(effort.to_owned());
        let refused = Call::of(asked, &settings(&[]).unwrap());
        assert!(matches!(refused, Err(Error::Unsupported(_))), "{effort}");
    }
}

#[test]
fn a_long_session_is_cut_in_header_and_key() {
    let mut asked = request("openai/gpt-5.5-mini:fal-ai");
    asked.affinity = Some("s".repeat(300));
    let (body, headers) = sent(asked);
    let cut = "s".repeat(256);
    assert_eq!(headers, [("x-hf-session-id", cut.clone())]);
    assert_eq!(body["prompt_cache_key"], cut);
    assert_eq!(body["prompt_cache_retention"], "24h");
    assert_eq!(body.get("cache_control"), None);
}

#[test]
fn a_day_is_asked_for_without_a_session_too() {
    let (body, headers) = sent(request("openai/gpt-5.5:fal-ai"));
    assert_eq!(body["prompt_cache_retention"], "24h");
    assert!(body.get("prompt_cache_key").is_none() && headers.is_empty());
    // By another provider nothing would come of it.
    let (body, _) = sent(request("openai/gpt-5.5:novita"));
    assert_eq!(body.get("prompt_cache_retention"), None);
}

#[test]
fn instructions_are_marked_where_the_model_needs_marks() {
    let mark = json!({"type": "ephemeral"});
    let marked = json!([{"type": "text", "text": "be brief", "cache_control": mark}]);
    let call = Part::Call(ToolCall {
        id: "1".to_owned(),
        name: "read".to_owned(),
        arguments: "{}".to_owned(),
    });
    let result = Part::Result(ToolResult {
        call_id: "1".to_owned(),
        content: "r".to_owned(),
        images: Vec::new(),
        is_error: false,
    });
    let system = || message(Role::System, text("be brief"));
    for rest in [
        vec![message(Role::Assistant, call), message(Role::Tool, result)],
        vec![message(Role::User, text(""))],
    ] {
        let mut asked = request("anthropic/claude-opus-4.8:fal-ai");
        asked.messages = vec![system()];
        asked.messages.extend(rest);
        asked.messages.push(message(Role::User, text("and")));
        let (body, _) = sent(asked);
        assert_eq!(body["cache_control"], mark);
        assert_eq!(body["tools"][0]["cache_control"], mark);
        assert_eq!(body["messages"][0]["content"], marked);
    }
    let mut elsewhere = request("anthropic/claude-opus-4.8");
    elsewhere.messages.insert(0, system());
    let (body, _) = sent(elsewhere);
    assert!(!body.to_string().contains("cache_control"));
}

#[test]
fn reasoning_never_goes_back() {
    let mut asked = request("a/b");
    asked.messages.push(Message {
        role: Role::Assistant,
        parts: vec![
            Part::Reasoning(Reasoning {
                text: "hm".to_owned(),
                opaque: Some("[{\"type\":\"x\"}]".to_owned()),
            }),
            text("yes"),
        ],
        cache_breakpoint: false,
    });
    let (body, _) = sent(asked);
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "yes"})
    );
}

#[test]
fn an_organization_pays_wherever_the_request_goes() {
    let settings = settings(&[("base-url", "http://localhost:1/v1"), ("bill-to", "org")]).unwrap();
    let call = Call::of(request("a/b"), &settings).unwrap();
    assert_eq!(call.headers, [("x-hf-bill-to", "org".to_owned())]);
}

#[test]
fn a_wrong_id_is_refused_before_any_request() {
    let refused = Call::of(request("gpt-4"), &settings(&[]).unwrap());
    assert!(matches!(refused, Err(Error::InvalidInput(_))));
}
