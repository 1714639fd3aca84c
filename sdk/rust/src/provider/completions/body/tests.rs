use super::*;
use crate::chat::Reasoning;
use serde_json::{Value, json};

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message {
        role,
        parts,
        cache_breakpoint: false,
    }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn call(id: &str, arguments: &str) -> Part {
    Part::Call(ToolCall {
        id: id.to_owned(),
        name: "read".to_owned(),
        arguments: arguments.to_owned(),
    })
}

fn result(id: &str, content: &str, images: usize) -> Part {
    let image = Blob {
        media_type: "image/png".to_owned(),
        data: vec![1, 2, 3],
    };
    Part::Result(ToolResult {
        call_id: id.to_owned(),
        content: content.to_owned(),
        images: vec![image; images],
        is_error: false,
    })
}

fn request(messages: Vec<Message>) -> Request {
    Request {
        model: "m".to_owned(),
        messages,
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

fn with_tool(mut request: Request) -> Request {
    request.tools.push(ToolSpec {
        name: "read".to_owned(),
        description: "Reads \"a\" file".to_owned(),
        input_schema: " {\"type\": \"object\"}\n".to_owned(),
    });
    request
}

fn parsed(request: &Request, options: &Options<'_>) -> Value {
    serde_json::from_slice(&body(request, options).unwrap()).unwrap()
}

fn plain(request: &Request) -> Value {
    parsed(request, &Options::default())
}

fn messages(messages: Vec<Message>) -> Value {
    plain(&request(messages))["messages"].take()
}

fn refused(request: &Request) -> String {
    match body(request, &Options::default()) {
        Err(Error::InvalidInput(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_conversation() {
    let got = messages(vec![
        message(Role::System, vec![text("be"), text("brief")]),
        message(Role::User, vec![text("hi \u{1f600}\n\"x\"")]),
        message(
            Role::Assistant,
            vec![
                Part::Reasoning(Reasoning {
                    text: "hm".into(),
                    opaque: Some("{\"a\":1}".into()),
                }),
                call("a", "{\"p\":1}"),
                call("b", "{}"),
            ],
        ),
        message(Role::Tool, vec![result("a", "one", 0), result("b", "", 0)]),
        message(Role::Assistant, vec![text("so"), call("c", "{}")]),
        message(Role::Tool, vec![result("c", "three", 0)]),
        message(Role::Assistant, vec![text("done")]),
    ]);
    let function = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "read", "arguments": arguments}});
    let expected = json!([
        {"role": "system", "content": "be\n\nbrief"},
        {"role": "user", "content": "hi \u{1f600}\n\"x\""},
        {"role": "assistant", "content": null, "tool_calls": [function("a", "{\"p\":1}"), function("b", "{}")]},
        {"role": "tool", "content": "one", "tool_call_id": "a"},
        {"role": "tool", "content": "", "tool_call_id": "b"},
        {"role": "assistant", "content": "so", "tool_calls": [function("c", "{}")]},
        {"role": "tool", "content": "three", "tool_call_id": "c"},
        {"role": "assistant", "content": "done"},
    ]);
    assert_eq!(got, expected);
}

#[test]
fn images_of_results_wait_for_the_last_result() {
    let url = "data:image/png;base64,AQID";
    let image = json!({"type": "image_url", "image_url": {"url": url}});
    let label = |id: &str| json!({"type": "text", "text": format!("Images in the result of tool call {id}:")});
    let results = vec![
        message(Role::Assistant, vec![call("a", "{}"), call("b", "{}")]),
        message(Role::Tool, vec![result("a", "x", 2)]),
        message(Role::Tool, vec![result("b", "y", 1)]),
    ];
    let got = messages(results.clone());
    assert_eq!(got[1]["role"], "tool");
    assert_eq!(got[2]["role"], "tool");
    assert_eq!(
        got[3],
        json!({"role": "user", "content": [label("a"), image, image, label("b"), image]})
    );
    // The same bytes once more follows.
    let mut longer = results;
    longer.push(message(Role::Assistant, vec![text("seen")]));
    let long = messages(longer);
    assert_eq!(long.as_array().unwrap()[..4], got.as_array().unwrap()[..]);
}

#[test]
fn user_parts() {
    let image = Part::Image(Blob {
        media_type: "image/\"jpeg".into(),
        data: vec![0; 2],
    });
    let got = messages(vec![
        message(Role::User, vec![text("look"), image]),
        message(Role::User, vec![text("a"), text("b")]),
        message(Role::User, vec![]),
        message(Role::User, vec![result("a", "r", 0), text("and")]),
        message(Role::User, vec![result("b", "r", 0)]),
        message(Role::Assistant, vec![]),
    ]);
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:image/\"jpeg;base64,AAA="}}]},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": ""},
        {"role": "tool", "content": "r", "tool_call_id": "a"},
        {"role": "user", "content": "and"},
        {"role": "tool", "content": "r", "tool_call_id": "b"},
        {"role": "assistant", "content": ""},
    ]);
    assert_eq!(got, expected);
}

#[test]
fn arguments_that_are_no_object_are_never_sent() {
    for bad in [
        "",
        "{",
        "{\"a\":",
        "[1]",
        "null",
        "3",
        "{} {}",
        "{\"a\":1}x",
        "\u{0}{}",
        "{'a':1}",
    ] {
        let got = messages(vec![message(Role::Assistant, vec![call("a", bad)])]);
        assert_eq!(
            got[0]["tool_calls"][0]["function"]["arguments"], "{}",
            "{bad}"
        );
    }
    let kept = " {\"a\" : \"\\u00e9\\n\"} ";
    let got = messages(vec![message(Role::Assistant, vec![call("a", kept)])]);
    assert_eq!(got[0]["tool_calls"][0]["function"]["arguments"], kept);
}

#[test]
fn parameters_of_services_differ() {
    let mut asked = with_tool(request(vec![]));
    asked.max_tokens = Some(64);
    asked.response_schema = Some("{\"type\":\"object\"}".into());
    let options = Options {
        max_tokens_field: "max_completion_tokens",
        effort: Some(("reasoning_effort", "\"high\"".into())),
        fields: vec![("prompt_cache_key", "\"session\"".into())],
        ..Options::default()
    };
    let expected = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 64,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
        "reasoning_effort": "high", "prompt_cache_key": "session",
        "tools": [{"type": "function", "function": {"name": "read", "description": "Reads \"a\" file", "parameters": {"type": "object"}}}],
        "messages": []
    });
    assert_eq!(parsed(&asked, &options), expected);
    asked.stream = false;
    let whole = plain(&asked);
    assert_eq!(
        (&whole["stream"], &whole["max_tokens"]),
        (&json!(false), &json!(64))
    );
    assert!(whole.get("stream_options").is_none() && whole.get("prompt_cache_key").is_none());
}

#[test]
fn tools_are_strict_where_their_schema_is() {
    let mut asked = with_tool(request(vec![]));
    asked.tools.push(asked.tools[0].clone());
    asked.tools[1].input_schema =
        r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#.into();
    asked.response_schema = Some(asked.tools[1].input_schema.clone());
    let options = Options {
        strict: true,
        ..Options::default()
    };
    let got = parsed(&asked, &options);
    assert!(got["tools"][0]["function"].get("strict").is_none());
    assert_eq!(got["tools"][1]["function"]["strict"], true);
    assert_eq!(got["response_format"]["json_schema"]["strict"], true);
    assert!(
        plain(&asked)["tools"][1]["function"]
            .get("strict")
            .is_none()
    );
}

/// Vectors 67 and 68 of the specification.
#[test]
fn marks_for_the_cache_stand_before_the_last_message() {
    let options = Options {
        cache: PromptCache::Marks,
        ..Options::default()
    };
    let mark = json!({"type": "ephemeral"});
    let marked = |messages| {
        let got = parsed(&with_tool(request(messages)), &options);
        assert_eq!(got["cache_control"], mark);
        assert_eq!(got["tools"][0]["cache_control"], mark);
        got["messages"].clone()
    };
    let system = || message(Role::System, vec![text("be"), text("brief")]);
    let block = |text: &str| json!({"type": "text", "text": text, "cache_control": mark});
    let called = marked(vec![
        system(),
        message(Role::Assistant, vec![call("a", "{}")]),
        message(Role::Tool, vec![result("a", "r", 0)]),
        message(Role::User, vec![text("and")]),
    ]);
    assert_eq!(called[0]["content"], json!([block("be\n\nbrief")]));
    assert_eq!(called[3]["content"], "and");
    let empty = marked(vec![
        system(),
        message(Role::User, vec![text("")]),
        message(Role::User, vec![text("x")]),
    ]);
    assert_eq!(empty[0]["content"], json!([block("be\n\nbrief")]));
    let user = marked(vec![
        system(),
        message(Role::User, vec![text("a"), text("b"), text("")]),
        message(Role::Assistant, vec![text("c")]),
    ]);
    assert_eq!(user[0]["content"], "be\n\nbrief");
    assert_eq!(
        user[1]["content"],
        json!([{"type": "text", "text": "a"}, block("b"), {"type": "text", "text": ""}])
    );
    assert_eq!(marked(vec![system()])[0]["content"], "be\n\nbrief");
}

#[test]
fn tool_choices() {
    let mut asked = with_tool(request(vec![]));
    for (choice, expected) in [
        (ToolChoice::None, json!("none")),
        (ToolChoice::Required, json!("required")),
        (
            ToolChoice::Named("read".into()),
            json!({"type": "function", "function": {"name": "read"}}),
        ),
        (ToolChoice::Auto, Value::Null),
    ] {
        asked.tool_choice = choice;
        assert_eq!(plain(&asked)["tool_choice"], expected);
    }
    let mut none = request(vec![]);
    none.tool_choice = ToolChoice::Required;
    let got = plain(&none);
    assert!(got.get("tool_choice").is_none() && got.get("tools").is_none());
}

#[test]
fn extra_parameters_win_but_never_replace_the_conversation() {
    let mut asked = request(vec![message(Role::User, vec![text("hi")])]);
    let options = Options {
        effort: Some(("reasoning_effort", "\"low\"".into())),
        ..Options::default()
    };
    asked.max_tokens = Some(5);
    asked.extra = Some("{\"reasoning_effort\":\"minimal\",\"max_tokens\":9,\"top_p\":0.50,\"a\\\"b\":{\"c\":[1, 2]}}".into());
    let bytes = body(&asked, &options).unwrap();
    let got: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(got["reasoning_effort"], "minimal");
    assert_eq!(
        (&got["max_tokens"], got.get("max_completion_tokens")),
        (&json!(9), None)
    );
    assert_eq!(got["a\"b"], json!({"c": [1, 2]}));
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("reasoning_effort").count(), 1);
    assert!(
        text.contains("0.50"),
        "numbers are passed on as they were written: {text}"
    );
    for name in FIXED {
        asked.extra = Some(format!("{{\"{name}\":1}}"));
        assert!(refused(&asked).contains(name));
    }
    for bad in ["[]", "1", "", "{", "null", "{} x"] {
        asked.extra = Some(bad.into());
        assert!(refused(&asked).contains("JSON object"), "{bad}");
    }
}

#[test]
fn parts_out_of_place_are_refused() {
    let image = || {
        Part::Image(Blob {
            media_type: "image/png".into(),
            data: vec![],
        })
    };
    for (role, part, words) in [
        (Role::System, image(), "an image"),
        (Role::System, call("a", "{}"), "a tool call"),
        (Role::Assistant, image(), "an image"),
        (Role::Assistant, result("a", "", 0), "a tool result"),
        (Role::Tool, text("x"), "but results"),
        (Role::User, call("a", "{}"), "a tool call"),
    ] {
        let message = refused(&request(vec![
            message(Role::User, vec![]),
            message(role, vec![part]),
        ]));
        assert!(
            message.contains("message 1") && message.contains(words),
            "{message}"
        );
    }
    let mut asked = with_tool(request(vec![]));
    asked.tools[0].input_schema = "true".into();
    assert!(refused(&asked).contains("`read`"));
}

#[test]
fn reasoning_goes_back_only_when_asked_and_only_with_calls() {
    let thought = |opaque: Option<&str>| {
        Part::Reasoning(Reasoning {
            text: "why".into(),
            opaque: opaque.map(str::to_owned),
        })
    };
    let conversation = vec![
        message(Role::Assistant, vec![thought(None), call("a", "{}")]),
        message(Role::Tool, vec![result("a", "", 0)]),
        message(
            Role::Assistant,
            vec![thought(Some("[{\"a\":1}]")), text("x")],
        ),
    ];
    assert!(
        !plain(&request(conversation.clone()))
            .to_string()
            .contains("why")
    );
    let returned = |returned| {
        let options = Options {
            returned,
            ..Options::default()
        };
        parsed(&request(conversation.clone()), &options)
    };
    let kept = returned(ReturnedReasoning::Text);
    assert_eq!(kept["messages"][0]["reasoning_content"], "why");
    assert!(kept["messages"][2].get("reasoning_content").is_none());
    let details = returned(ReturnedReasoning::Details);
    assert!(details["messages"][0].get("reasoning_details").is_none());
    assert_eq!(
        details["messages"][2]["reasoning_details"],
        json!([{"a": 1}])
    );
}

/// A conversation as an agent makes them: a call and its result per iteration.
fn iterations(count: usize) -> Request {
    let mut all = vec![
        message(Role::System, vec![text("rules")]),
        message(Role::User, vec![text("go")]),
    ];
    for at in 0..count {
        let id = format!("call_{at:06}");
        all.push(message(
            Role::Assistant,
            vec![call(&id, "{\"command\":\"ls -l\\n\",\"path\":\"a/b\"}")],
        ));
        all.push(message(
            Role::Tool,
            vec![result(
                &id,
                &format!("line {at}\n\ttab \"quoted\"\n").repeat(12),
                0,
            )],
        ));
    }
    with_tool(request(all))
}

#[test]
fn a_longer_conversation_starts_with_the_bytes_of_the_shorter_one() {
    let options = Options::default();
    let mut last = body(&iterations(0), &options).unwrap();
    for count in 1..50 {
        let next = body(&iterations(count), &options).unwrap();
        assert!(
            next.starts_with(&last[..last.len() - 2]),
            "iteration {count}"
        );
        last = next;
    }
}

#[test]
fn the_buffer_is_big_enough_from_the_start() {
    let asked = iterations(200);
    let room = json::room(&asked);
    let bytes = body(&asked, &Options::default()).unwrap();
    assert!(bytes.len() > 60_000, "{}", bytes.len());
    assert!(
        bytes.len() <= room && room < bytes.len() * 2,
        "{room} for {}",
        bytes.len()
    );
}
