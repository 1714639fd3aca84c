use super::*;
use crate::settings::tests::settings;
use ml_intern_plugin::chat::{Message, Reasoning, Role, ToolSpec};
use serde_json::{Value, json};

fn request(messages: Vec<(Role, Vec<Part>)>) -> Request {
    let message = |(role, parts)| Message {
        role,
        parts,
        cache_breakpoint: true,
    };
    Request {
        model: "claude-opus-4-8".to_owned(),
        messages: messages.into_iter().map(message).collect(),
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        max_tokens: None,
        response_schema: None,
        affinity: None,
        effort: None,
        stream: true,
        extra: None,
    }
}

fn with(request: &Request, pairs: &[(&str, &str)]) -> Value {
    serde_json::from_slice(&body(request, &settings(pairs).unwrap()).unwrap()).unwrap()
}

fn parsed(request: &Request) -> Value {
    with(request, &[])
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn call(id: &str) -> Part {
    Part::Call(ToolCall {
        id: id.to_owned(),
        name: "read".to_owned(),
        arguments: "{\"p\":1}".to_owned(),
    })
}

fn thought(text: &str, opaque: Option<&str>) -> Part {
    Part::Reasoning(Reasoning {
        text: text.to_owned(),
        opaque: opaque.map(str::to_owned),
    })
}

fn image() -> Blob {
    Blob {
        media_type: "image/png".to_owned(),
        data: vec![1, 2, 3],
    }
}

fn result(id: &str, content: &str, images: usize, is_error: bool) -> Part {
    Part::Result(ToolResult {
        call_id: id.to_owned(),
        content: content.to_owned(),
        images: vec![image(); images],
        is_error,
    })
}

fn tool(name: &str, schema: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "Reads".to_owned(),
        input_schema: schema.to_owned(),
    }
}

#[test]
fn a_conversation_becomes_turns_of_blocks() {
    let mut asked = request(vec![
        (Role::System, vec![text("be"), text(""), text("brief")]),
        (Role::User, vec![text("hi"), Part::Image(image())]),
        (
            Role::Assistant,
            vec![
                thought(
                    "a\n",
                    Some(r#"{"type":"thinking","signature":"S\u002b/=="}"#),
                ),
                thought("", Some(r#"{"type":"redacted_thinking","data":"D"}"#)),
                thought("of another", Some(r#"{"type":"reasoning","id":"rs_1"}"#)),
                thought("without", None),
                text(" \n"),
                text("so"),
                call("functions.read:0"),
                call("b"),
            ],
        ),
        (
            Role::Tool,
            vec![
                result("functions.read:0", "r", 1, true),
                result("b", "", 0, true),
            ],
        ),
        (Role::User, vec![text("go on")]),
    ]);
    for message in &mut asked.messages {
        message.cache_breakpoint = false;
    }
    let got = parsed(&asked);
    let cache = json!({"type": "ephemeral"});
    assert_eq!(
        got["system"],
        json!([{"type": "text", "text": "be"}, {"type": "text", "text": "brief", "cache_control": cache}])
    );
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AQID"}});
    let odd = ids::plain("functions.read:0");
    assert_eq!(
        got["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "hi"}, picture]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "a\n", "signature": "S+/=="},
                {"type": "redacted_thinking", "data": "D"},
                {"type": "text", "text": "so"},
                {"type": "tool_use", "id": odd, "name": "read", "input": {"p": 1}},
                {"type": "tool_use", "id": "b", "name": "read", "input": {"p": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": odd, "content": [{"type": "text", "text": "r"}, picture]},
                {"type": "tool_result", "tool_use_id": "b", "is_error": true},
                {"type": "text", "text": "go on"},
            ]},
        ])
    );
}

#[test]
fn parameters_of_a_model_that_thinks() {
    let mut asked = request(vec![(Role::User, vec![text("hi")])]);
    asked.max_tokens = Some(64);
    asked.effort = Some("low".into());
    asked.response_schema = Some(" {\"type\":\"object\"} ".into());
    asked.tool_choice = ToolChoice::None;
    asked.tools = vec![tool("read", "{\"type\":\"object\"}"), tool("ls", "{}")];
    let mut got = parsed(&asked);
    got["messages"].take();
    let cache = json!({"type": "ephemeral"});
    assert_eq!(
        got,
        json!({
            "model": "claude-opus-4-8", "stream": true, "max_tokens": 64,
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
            "tool_choice": {"type": "none"},
            "tools": [
                {"name": "read", "description": "Reads", "input_schema": {"type": "object"}},
                {"name": "ls", "description": "Reads", "input_schema": {}, "cache_control": cache},
            ],
            "messages": null
        })
    );
    asked.extra =
        Some("{\"thinking\":{\"type\":\"between_tools\"},\"max_tokens\":1,\"top_k\":5}".into());
    let got = parsed(&asked);
    assert_eq!(got["thinking"], json!({"type": "between_tools"}));
    assert_eq!((&got["max_tokens"], &got["top_k"]), (&json!(1), &json!(5)));
    for field in FIXED {
        asked.extra = Some(format!("{{\"{field}\":1}}"));
        assert!(body(&asked, &settings(&[]).unwrap()).is_err(), "{field}");
    }
}

#[test]
fn thinking_follows_the_model_the_user_and_the_choice_of_tools() {
    let mut asked = request(vec![(Role::User, vec![text("hi")])]);
    asked.tools = vec![tool("read", "{}")];
    assert_eq!(parsed(&asked)["thinking"]["type"], "adaptive");
    assert_eq!(
        with(&asked, &[("thinking", "off")])["thinking"],
        json!({"type": "disabled"})
    );
    asked.tool_choice = ToolChoice::Required;
    let got = parsed(&asked);
    assert!(got["thinking"].is_null());
    assert_eq!(got["tool_choice"], json!({"type": "any"}));
    asked.tool_choice = ToolChoice::Named("read".to_owned());
    assert_eq!(
        parsed(&asked)["tool_choice"],
        json!({"type": "tool", "name": "read"})
    );
    asked.tool_choice = ToolChoice::Auto;
    asked.model = "claude-opus-4-5".to_owned();
    asked.effort = Some("high".to_owned());
    let got = with(&asked, &[("thinking", "off")]);
    assert!(got["thinking"].is_null() && got["tool_choice"].is_null());
    assert_eq!(got["output_config"], json!({"effort": "high"}));
    assert_eq!(got["max_tokens"], 32_000);
}

#[test]
fn tools_are_strict_only_where_the_user_wants_it() {
    let closed = r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#;
    let mut asked = request(vec![(Role::User, vec![text("hi")])]);
    asked.tools = vec![tool("a", closed), tool("b", "{\"type\":\"object\"}")];
    assert!(parsed(&asked)["tools"][0]["strict"].is_null());
    let got = with(&asked, &[("strict-tools", "true")]);
    assert_eq!(got["tools"][0]["strict"], true);
    assert!(got["tools"][1]["strict"].is_null());
}

#[test]
fn a_count_has_the_same_conversation_and_no_parameters_of_a_reply() {
    let mut asked = request(vec![
        (Role::System, vec![text("s")]),
        (Role::User, vec![text("hi")]),
    ]);
    asked.tools = vec![tool("read", "{}")];
    asked.extra = Some("{\"top_k\":5}".into());
    let whole = parsed(&asked);
    let counted = counted(&asked, &settings(&[]).unwrap()).unwrap();
    let counted: Value = serde_json::from_slice(&counted).unwrap();
    for field in ["model", "messages", "system", "tools", "thinking"] {
        assert_eq!(counted[field], whole[field], "{field}");
    }
    assert_eq!(counted.as_object().unwrap().len(), 5);
}

fn session(rounds: usize) -> Request {
    let opaque = r#"{"type":"thinking","signature":"S"}"#;
    let mut all = vec![
        (Role::System, vec![text("s")]),
        (Role::User, vec![text("go")]),
    ];
    for at in 0..rounds {
        let id = format!("call_{at}");
        all.push((
            Role::Assistant,
            vec![thought("hm", Some(opaque)), call(&id)],
        ));
        all.push((Role::Tool, vec![result(&id, "r", 0, false)]));
        if at % 3 == 0 {
            all.push((Role::User, vec![text("and")]));
        }
    }
    let mut request = request(all);
    request.tools = vec![tool("read", "{}")];
    request
}

#[test]
fn a_longer_conversation_starts_with_the_bytes_of_the_shorter_one_but_for_the_marks() {
    let settings = settings(&[]).unwrap();
    let of = |rounds| {
        let body = body(&session(rounds), &settings).unwrap();
        let body = String::from_utf8(body).unwrap().replace(CACHE, "");
        body.strip_suffix("]}]}").unwrap().to_owned()
    };
    let mut last = of(0);
    for rounds in 1..20 {
        let next = of(rounds);
        assert!(next.starts_with(&last), "{rounds}");
        last = next;
    }
}

#[test]
fn four_marks_at_most_and_none_on_thinking() {
    for rounds in 0..8 {
        let body = body(&session(rounds), &settings(&[]).unwrap()).unwrap();
        let marks = String::from_utf8(body).unwrap().matches(CACHE).count();
        assert_eq!(marks, if rounds == 0 { 3 } else { 4 }, "{rounds}");
    }
    let got = parsed(&request(vec![
        (Role::User, vec![text("a")]),
        (
            Role::Assistant,
            vec![
                text("b"),
                thought("", Some(r#"{"type":"redacted_thinking","data":"D"}"#)),
            ],
        ),
        (Role::Tool, vec![result("c", "", 0, false)]),
    ]));
    assert!(got["messages"][0]["content"][0]["cache_control"].is_null());
    assert!(got["messages"][1]["content"][0]["cache_control"].is_object());
    assert!(got["messages"][2]["content"][0]["cache_control"].is_object());
}
