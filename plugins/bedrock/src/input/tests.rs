use super::*;
use ml_intern_plugin::chat::{Message, Role};
use serde_json::{Value, json};

fn request(messages: Vec<(Role, Vec<Part>)>) -> Request {
    let message = |(role, parts)| Message {
        role,
        parts,
        cache_breakpoint: true,
    };
    Request {
        model: "us.anthropic.claude-opus-4-8".to_owned(),
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

fn parsed(request: &Request) -> Value {
    serde_json::from_slice(&body(request).unwrap()).unwrap()
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

fn thinking(text: &str, opaque: Option<&str>) -> Part {
    Part::Reasoning(Reasoning {
        text: text.to_owned(),
        opaque: opaque.map(str::to_owned),
    })
}

fn image(media_type: &str) -> Blob {
    Blob {
        media_type: media_type.to_owned(),
        data: vec![1, 2, 3],
    }
}

fn result(id: &str, content: &str, images: usize, is_error: bool) -> Part {
    Part::Result(ToolResult {
        call_id: id.to_owned(),
        content: content.to_owned(),
        images: vec![image("image/jpeg"); images],
        is_error,
    })
}

fn read() -> ToolSpec {
    ToolSpec {
        name: "read".to_owned(),
        description: "Reads".to_owned(),
        input_schema: "{\"type\":\"object\"}".to_owned(),
    }
}

fn spec() -> Value {
    json!({"toolSpec": {"name": "read", "description": "Reads", "inputSchema": {"json": {"type": "object"}}}})
}

fn point() -> Value {
    json!({"cachePoint": {"type": "default"}})
}

#[test]
fn a_conversation_becomes_turns_of_blocks() {
    let mut asked = request(vec![
        (Role::System, vec![text("be"), text("")]),
        (
            Role::User,
            vec![text("hi"), Part::Image(image("image/png"))],
        ),
        (
            Role::Assistant,
            vec![
                thinking("a\n", Some(&signed("S+/=="))),
                thinking("", Some(&redacted("RA=="))),
                thinking(
                    "of another",
                    Some(r#"{"type":"reasoning","encrypted_content":"Q"}"#),
                ),
                thinking("without", None),
                text(" "),
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
    asked.tools.push(read());
    let got = parsed(&asked);
    let odd = ids::plain("functions.read:0");
    let picture = |format: &str| json!({"image": {"format": format, "source": {"bytes": "AQID"}}});
    assert_eq!(got["system"], json!([{"text": "be"}, point()]));
    assert_eq!(got["toolConfig"], json!({"tools": [spec(), point()]}));
    assert_eq!(
        got["messages"],
        json!([
            {"role": "user", "content": [{"text": "hi"}, picture("png")]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "a\n", "signature": "S+/=="}}},
                {"reasoningContent": {"redactedContent": "RA=="}},
                {"toolUse": {"toolUseId": odd, "name": "read", "input": {"p": 1}}},
                {"toolUse": {"toolUseId": "b", "name": "read", "input": {"p": 1}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": odd, "content": [{"text": "r"}, picture("jpeg")]}},
                {"toolResult": {"toolUseId": "b", "content": [], "status": "error"}},
                {"text": "go on"},
            ]},
        ])
    );
    asked.messages[1].parts = vec![Part::Image(image("image/tiff"))];
    assert!(matches!(body(&asked), Err(Error::InvalidInput(_))));
}

#[test]
fn parameters() {
    let mut asked = request(vec![(Role::User, vec![text("hi")])]);
    asked.messages[0].cache_breakpoint = false;
    assert_eq!(
        parsed(&asked),
        json!({
            "inferenceConfig": {},
            "additionalModelRequestFields": {"thinking": {"type": "adaptive", "display": "summarized"}},
            "messages": [{"role": "user", "content": [{"text": "hi"}]}]
        })
    );
    asked.max_tokens = Some(64);
    asked.effort = Some("low".into());
    asked.response_schema = Some("{\"type\":\"object\"}".into());
    asked.tools.push(read());
    asked.tool_choice = ToolChoice::Required;
    asked.extra = Some("{\"serviceTier\":{\"type\":\"flex\"}}".into());
    let mut got = parsed(&asked);
    got["messages"].take();
    assert_eq!(
        got,
        json!({
            "inferenceConfig": {"maxTokens": 64},
            "outputConfig": {"effort": "low", "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "answer", "schema": "{\"type\":\"object\"}"}}}},
            "serviceTier": {"type": "flex"},
            "toolConfig": {"tools": [spec(), point()], "toolChoice": {"any": {}}},
            "messages": null
        })
    );
    asked.tool_choice = ToolChoice::Named("read".into());
    assert_eq!(
        parsed(&asked)["toolConfig"]["toolChoice"],
        json!({"tool": {"name": "read"}})
    );
    asked.extra = Some("{\"inferenceConfig\":{\"topP\":0.5},\"outputConfig\":{}}".into());
    let got = parsed(&asked);
    assert_eq!(got["inferenceConfig"], json!({"topP": 0.5}));
    assert_eq!(got["outputConfig"], json!({}));
    for field in FIXED {
        asked.extra = Some(format!("{{\"{field}\":1}}"));
        assert!(body(&asked).is_err(), "{field}");
    }
}

#[test]
fn there_are_tools_wherever_the_conversation_holds_calls() {
    let mut asked = request(vec![(Role::User, vec![text("hi")])]);
    asked.tools.push(read());
    asked.tool_choice = ToolChoice::None;
    assert!(parsed(&asked)["toolConfig"].is_null());
    let mut asked = request(vec![
        (Role::User, vec![text("hi")]),
        (Role::Assistant, vec![call("a")]),
        (Role::Tool, vec![result("a", "r", 0, false)]),
    ]);
    let tools = parsed(&asked)["toolConfig"]["tools"].take();
    assert_eq!(tools[0]["toolSpec"]["name"], "unavailable");
    asked.tools.push(read());
    asked.tool_choice = ToolChoice::None;
    assert_eq!(parsed(&asked)["toolConfig"]["tools"][0], spec());
}

#[test]
fn models_get_only_what_they_know() {
    let mut asked = request(vec![
        (Role::System, vec![text("s")]),
        (Role::User, vec![text("hi")]),
        (Role::Assistant, vec![call("a")]),
        (Role::Tool, vec![result("a", "r", 0, true)]),
    ]);
    asked.tools.push(read());
    for (model, points, status, thinks) in [
        ("eu.anthropic.claude-opus-4-8", 4, true, true),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", 4, true, false),
        ("us.amazon.nova-pro-v1:0", 3, true, false),
        ("meta.llama4-maverick-17b-instruct-v1:0", 0, false, false),
    ] {
        asked.model = model.to_owned();
        let text = String::from_utf8(body(&asked).unwrap()).unwrap();
        assert_eq!(text.matches(CACHE_POINT).count(), points, "{model}");
        assert_eq!(text.contains("\"status\":\"error\""), status, "{model}");
        assert_eq!(text.contains("adaptive"), thinks, "{model}");
    }
}

#[test]
fn a_count_has_the_same_conversation_without_cache_points() {
    let mut asked = request(vec![
        (Role::System, vec![text("s")]),
        (Role::User, vec![text("hi")]),
    ]);
    asked.tools.push(read());
    asked.max_tokens = Some(5);
    let got: Value = serde_json::from_slice(&counted(&asked).unwrap()).unwrap();
    assert_eq!(
        got,
        json!({"input": {"converse": {
            "toolConfig": {"tools": [spec()]},
            "system": [{"text": "s"}],
            "messages": [{"role": "user", "content": [{"text": "hi"}]}]
        }}})
    );
}

#[test]
fn a_longer_conversation_starts_with_the_bytes_of_the_shorter_one_but_for_the_cache_points() {
    let of = |rounds: usize| {
        let mut all = vec![
            (Role::System, vec![text("s")]),
            (Role::User, vec![text("go")]),
        ];
        for at in 0..rounds {
            let id = format!("call_{at}");
            all.push((
                Role::Assistant,
                vec![thinking("hm", Some(&signed("S"))), call(&id)],
            ));
            all.push((Role::Tool, vec![result(&id, "r", 0, false)]));
            if at % 3 == 0 {
                all.push((Role::User, vec![text("and")]));
            }
        }
        let mut asked = request(all);
        asked.tools.push(read());
        let body = String::from_utf8(body(&asked).unwrap()).unwrap();
        assert_eq!(
            body.matches(CACHE_POINT).count(),
            if rounds == 0 { 3 } else { 4 }
        );
        let body = body.replace(&format!(",{CACHE_POINT}"), "");
        body.strip_suffix("]}]}").unwrap().to_owned()
    };
    let mut last = of(0);
    for rounds in 1..20 {
        let next = of(rounds);
        assert!(next.starts_with(&last), "{rounds}");
        last = next;
    }
}
