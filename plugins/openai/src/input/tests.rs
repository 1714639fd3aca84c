use super::*;
use crate::settings::tests::settings;
use ml_intern_plugin::chat::{Reasoning, ToolCall, ToolSpec};
use serde_json::{Value, json};

fn request(messages: Vec<(Role, Vec<Part>)>) -> Request {
    let message = |(role, parts)| Message {
        role,
        parts,
        cache_breakpoint: false,
    };
    Request {
        model: "m".to_owned(),
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
    serde_json::from_slice(&body(request, &settings(&[]).unwrap()).unwrap()).unwrap()
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

fn reasoning(opaque: Option<&str>) -> Part {
    Part::Reasoning(Reasoning {
        text: "hm".into(),
        opaque: opaque.map(str::to_owned),
    })
}

fn result(id: &str, images: usize) -> Part {
    let image = Blob {
        media_type: "image/png".to_owned(),
        data: vec![1, 2, 3],
    };
    Part::Result(ToolResult {
        call_id: id.to_owned(),
        content: "r".to_owned(),
        images: vec![image; images],
        is_error: false,
    })
}

#[test]
fn a_conversation_becomes_items_in_its_order() {
    let item = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"QQ=="}"#;
    let got = parsed(&request(vec![
        (Role::System, vec![text("be"), text("brief")]),
        (Role::User, vec![text("hi")]),
        (
            Role::Assistant,
            vec![reasoning(Some(item)), call("a"), reasoning(None), call("b")],
        ),
        (Role::Tool, vec![result("a", 0), result("b", 1)]),
        (Role::Assistant, vec![text("done"), text("")]),
        (Role::User, vec![]),
    ]));
    let function = |id: &str| json!({"type": "function_call", "call_id": id, "name": "read", "arguments": "{\"p\":1}"});
    let input = |text: &str| json!({"type": "input_text", "text": text});
    let image =
        json!({"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AQID"});
    assert_eq!(
        got["input"],
        json!([
            {"type": "message", "role": "system", "content": [input("be"), input("brief")]},
            {"type": "message", "role": "user", "content": [input("hi")]},
            serde_json::from_str::<Value>(item).unwrap(),
            function("a"),
            function("b"),
            {"type": "function_call_output", "call_id": "a", "output": "r"},
            {"type": "function_call_output", "call_id": "b", "output": [input("r"), image]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
        ])
    );
}

#[test]
fn parameters() {
    let mut asked = request(vec![(Role::User, vec![text("hi")])]);
    asked.max_tokens = Some(64);
    asked.effort = Some("low".into());
    asked.affinity = Some("session".into());
    asked.response_schema = Some("{\"type\":\"object\"}".into());
    asked.tool_choice = ToolChoice::Named("read".into());
    asked.tools.push(ToolSpec {
        name: "read".to_owned(),
        description: "Reads".to_owned(),
        input_schema: "{\"type\":\"object\"}".to_owned(),
    });
    let mut got = parsed(&asked);
    got["input"].take();
    assert_eq!(
        got,
        json!({
            "model": "m", "stream": true, "store": false, "include": ["reasoning.encrypted_content"],
            "max_output_tokens": 64, "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": false}},
            "prompt_cache_key": "session", "tool_choice": {"type": "function", "name": "read"},
            "tools": [{"type": "function", "name": "read", "description": "Reads", "parameters": {"type": "object"}, "strict": false}],
            "input": null
        })
    );
    asked.extra = Some("{\"store\":true,\"top_p\":0.5}".into());
    let got = parsed(&asked);
    assert_eq!((&got["store"], &got["top_p"]), (&json!(true), &json!(0.5)));
    asked.extra = Some("{\"input\":[]}".into());
    assert!(body(&asked, &settings(&[]).unwrap()).is_err());
}

#[test]
fn a_longer_conversation_starts_with_the_bytes_of_the_shorter_one() {
    let settings = settings(&[]).unwrap();
    let of = |count: usize| {
        let mut all = vec![
            (Role::System, vec![text("s")]),
            (Role::User, vec![text("go")]),
        ];
        for at in 0..count {
            let id = format!("call_{at}");
            all.push((Role::Assistant, vec![call(&id)]));
            all.push((Role::Tool, vec![result(&id, 0)]));
        }
        body(&request(all), &settings).unwrap()
    };
    let mut last = of(0);
    for count in 1..20 {
        let next = of(count);
        assert!(next.starts_with(&last[..last.len() - 2]), "{count}");
        last = next;
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
    for (role, part) in [
        (Role::System, image()),
        (Role::System, call("a")),
        (Role::Assistant, image()),
        (Role::Assistant, result("a", 0)),
        (Role::Tool, text("x")),
        (Role::User, call("a")),
    ] {
        let asked = request(vec![(role, vec![part])]);
        assert!(matches!(
            body(&asked, &settings(&[]).unwrap()),
            Err(Error::InvalidInput(_))
        ));
    }
}
