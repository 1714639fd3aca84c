use super::*;
use ml_intern_plugin::Control;
use ml_intern_plugin::chat::Part;
use ml_intern_plugin::provider::sse::Events;

const SERVICE: Service<'_> = Service {
    base_url: "http://a/v1",
    credential: "openai",
    model: "m",
    effort: false,
};

fn output<'a>() -> Output<'a> {
    Output::new(SERVICE, Reply::new(3, Box::new(|_| Control::Proceed)), None)
}

fn play(events: &[&str]) -> Result<Response, Error> {
    let stream: String = events
        .iter()
        .map(|event| format!("event: x\ndata: {event}\n\n"))
        .collect();
    let mut output = output();
    let mut parser = Events::default();
    for piece in stream.as_bytes().chunks(7) {
        parser.feed(piece);
        while let Some(event) = parser.next().unwrap() {
            if output.event(&event)? != Flow::More {
                return output.finish();
            }
        }
    }
    output.finish()
}

const COMPLETED: &str = r#"{"type":"response.completed","response":{"object":"response","id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4}}}}"#;

#[test]
fn reasoning_calls_and_text_keep_their_order() {
    let reasoning = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a\n\nb"}],"encrypted_content":"QQ=="}"#;
    let response = play(&[
        r#"{"type":"response.created","response":{"id":"resp_1"}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#,
        r#"{"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":0}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"a"}"#,
        r#"{"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":1}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"b"}"#,
        &format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{reasoning}}}"#),
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"c1","name":"read","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"p\":"}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"1}"}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"c1","name":"read","arguments":"{\"p\":1}"}}"#,
        r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","call_id":"c2","name":"list","arguments":"{}"}}"#,
        COMPLETED,
    ])
    .unwrap();
    let [
        Part::Reasoning(thought),
        Part::Call(first),
        Part::Call(second),
    ] = &response.parts[..]
    else {
        panic!("{:?}", response.parts)
    };
    assert_eq!(
        (thought.text.as_str(), thought.opaque.as_deref()),
        ("a\n\nb", Some(reasoning))
    );
    assert_eq!(
        (first.id.as_str(), first.arguments.as_str()),
        ("c1", r#"{"p":1}"#)
    );
    assert_eq!(
        (second.name.as_str(), second.arguments.as_str()),
        ("list", "{}")
    );
    assert_eq!(response.stop, Stop::ToolUse);
    let usage = response.usage;
    assert_eq!(
        (usage.input, usage.output, usage.cache_read, usage.reasoning),
        (100, 9, 60, 4)
    );
    assert_eq!(response.id.as_deref(), Some("resp_1"));
}

#[test]
fn how_a_response_ends() {
    let text = r#"{"type":"response.output_text.delta","output_index":0,"delta":"x"}"#;
    let ended = |kind: &str, response: &str| {
        play(&[
            text,
            &format!(
                r#"{{"type":"{kind}","response":{{"object":"response","output":[],{response}}}}}"#
            ),
        ])
    };
    for (kind, response, stop) in [
        (
            "response.completed",
            r#""status":"completed""#,
            Stop::EndTurn,
        ),
        (
            "response.incomplete",
            r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#,
            Stop::MaxTokens,
        ),
        (
            "response.incomplete",
            r#""status":"incomplete","incomplete_details":{"reason":"content_filter"}"#,
            Stop::Refusal,
        ),
    ] {
        assert_eq!(ended(kind, response).unwrap().stop, stop, "{response}");
    }
    let refusal = play(&[
        r#"{"type":"response.refusal.delta","output_index":0,"delta":"no"}"#,
        COMPLETED,
    ])
    .unwrap();
    assert_eq!(refusal.stop, Stop::Refusal);
    let open = play(&[text]).unwrap_err();
    assert!(matches!(open, Error::Upstream(upstream) if upstream.retryable));
}

#[test]
fn failures_inside_a_stream() {
    for (event, retryable) in [
        (
            r#"{"type":"error","code":"server_error","message":"boom","param":null}"#,
            true,
        ),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"boom"}}}"#,
            true,
        ),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"insufficient_quota","message":"pay"}}}"#,
            false,
        ),
        ("nonsense", true),
    ] {
        let error = play(&[event]).unwrap_err();
        assert!(
            matches!(&error, Error::Upstream(upstream) if upstream.retryable == retryable),
            "{event}: {error:?}"
        );
    }
    let overflow = play(&[
        r#"{"type":"response.failed","response":{"error":{"code":"context_length_exceeded","message":"x"}}}"#,
    ]);
    assert!(matches!(overflow, Err(Error::ContextOverflow(_))));
}

#[test]
fn a_whole_answer() {
    let body = br#"{"object":"response","id":"r","status":"completed","error":null,"output":[
        {"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"},{"type":"output_text","text":"b"}]},
        {"type":"function_call","call_id":"c","name":"read","arguments":"{}"}]}"#;
    let mut output = output();
    output.whole(body).unwrap();
    let response = output.finish().unwrap();
    assert!(
        matches!(&response.parts[..], [Part::Reasoning(r), Part::Text(t), Part::Call(_)] if r.text == "hm" && r.opaque.is_none() && t == "ab"),
        "{:?}",
        response.parts
    );
    for body in [
        "{}",
        "[]",
        "",
        "<html>",
        r#"{"object":"response","status":"failed"}"#,
        r#"{"error":{"message":"x"}}"#,
    ] {
        let mut output = super::tests::output();
        assert!(
            matches!(output.whole(body.as_bytes()), Err(Error::Upstream(_))),
            "{body}"
        );
    }
}

#[test]
fn a_server_may_tell_items_apart_by_their_ids_alone() {
    let added = |id: &str, call: &str| {
        r#"{"type":"response.output_item.added","item":{"type":"function_call","id":"ID","call_id":"CALL","name":"read","arguments":""}}"#
            .replace("ID", id)
            .replace("CALL", call)
    };
    let delta = |id: &str, text: &str| {
        r#"{"type":"response.function_call_arguments.delta","item_id":"ID","delta":"TEXT"}"#
            .replace("ID", id)
            .replace("TEXT", text)
    };
    let done = |id: &str, call: &str| {
        r#"{"type":"response.output_item.done","item":{"type":"function_call","id":"ID","call_id":"CALL","name":"read","arguments":"[]"}}"#
            .replace("ID", id)
            .replace("CALL", call)
    };
    let response = play(&[
        &added("i1", "c1"),
        &delta("i1", "[1]"),
        &added("i2", "c2"),
        &delta("i2", "[2]"),
        &done("i1", "c1"),
        &done("i2", "c2"),
        COMPLETED,
    ])
    .unwrap();
    let calls = response.parts.iter().map(|part| match part {
        Part::Call(call) => (call.id.as_str(), call.arguments.as_str()),
        other => panic!("{other:?}"),
    });
    assert_eq!(calls.collect::<Vec<_>>(), [("c1", "[1]"), ("c2", "[2]")]);
}
