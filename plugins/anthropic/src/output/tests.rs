use super::*;
use ml_intern_plugin::Control;
use ml_intern_plugin::chat::Part;
use ml_intern_plugin::provider::price;
use ml_intern_plugin::provider::sse::Events;

const SERVICE: Service<'_> = Service {
    base_url: "http://a/v1",
    credential: "anthropic",
    model: "claude-haiku-4-5",
    effort: false,
};

fn output<'a>() -> Output<'a> {
    let reply = Reply::new(3, Box::new(|_| Control::Proceed));
    Output::new(SERVICE, reply, Some(price(1.0, 10.0, 0.1, 2.0)))
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

fn whole(body: &str) -> Result<Response, Error> {
    let mut output = output();
    output.whole(body.as_bytes())?;
    output.finish()
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5-20251001","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":1}}}"#;
const TEXT: &str =
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const HI: &str =
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn ended(reason: &str) -> String {
    format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":40,"output_tokens_details":{{"thinking_tokens":15}}}}}}"#
    )
}

#[test]
fn thinking_text_and_calls_keep_their_order_and_their_bytes() {
    let response = play(&[
        START,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"a\n"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" b"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"S+/"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"=="}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"D"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"signature_delta","signature":"T"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"Hi"}}"#,
        r#"{"type":"content_block_stop","index":3}"#,
        r#"{"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_1","name":"read","input":{}}}"#,
        r#"{"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"{\"p\":"}}"#,
        r#"{"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"content_block_stop","index":4}"#,
        r#"{"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"toolu_2","name":"list","input":{}}}"#,
        r#"{"type":"content_block_stop","index":5}"#,
        &ended("tool_use"),
        STOP,
    ])
    .unwrap();
    let [
        Part::Reasoning(first),
        Part::Reasoning(hidden),
        Part::Reasoning(silent),
        Part::Text(text),
        Part::Call(read),
        Part::Call(list),
    ] = &response.parts[..]
    else {
        panic!("{:?}", response.parts)
    };
    assert_eq!(
        opaque::block(first).unwrap(),
        r#"{"type":"thinking","thinking":"a\n b","signature":"S+/=="}"#
    );
    assert_eq!(
        opaque::block(hidden).unwrap(),
        r#"{"type":"redacted_thinking","data":"D"}"#
    );
    assert_eq!(
        opaque::block(silent).unwrap(),
        r#"{"type":"thinking","thinking":"","signature":"T"}"#
    );
    assert_eq!(text, "Hi");
    assert_eq!(
        (
            read.id.as_str(),
            read.name.as_str(),
            read.arguments.as_str()
        ),
        ("toolu_1", "read", r#"{"p":1}"#)
    );
    assert_eq!(
        (list.name.as_str(), list.arguments.as_str()),
        ("list", "{}")
    );
    assert_eq!(response.stop, Stop::ToolUse);
    assert_eq!(response.id.as_deref(), Some("msg_1"));
    assert_eq!(response.model.as_deref(), Some("claude-haiku-4-5-20251001"));
    let usage = response.usage;
    assert_eq!((usage.input, usage.output, usage.reasoning), (60, 40, 15));
    assert_eq!((usage.cache_read, usage.cache_write), (30, 20));
    let cost = (response.cost_usd.unwrap() * 1e6).round();
    assert_eq!(cost, 10.0 + 3.0 + 40.0 + 400.0);
}

#[test]
fn how_a_message_ends() {
    for (reason, stop) in [
        ("end_turn", Stop::EndTurn),
        ("stop_sequence", Stop::EndTurn),
        ("max_tokens", Stop::MaxTokens),
        ("refusal", Stop::Refusal),
        ("pause_turn", Stop::Other),
        ("something_new", Stop::Other),
    ] {
        let response = play(&[START, TEXT, HI, &ended(reason), STOP]).unwrap();
        assert_eq!(response.stop, stop, "{reason}");
        assert!(
            matches!(&response.parts[..], [Part::Text(text)] if text == "Hi"),
            "{reason}"
        );
    }
    let full = play(&[
        START,
        TEXT,
        HI,
        &ended("model_context_window_exceeded"),
        STOP,
    ]);
    assert!(matches!(full, Err(Error::ContextOverflow(_))));
    let open = play(&[START, TEXT, HI]).unwrap_err();
    assert!(matches!(open, Error::Upstream(upstream) if upstream.retryable));
    // All that was to come is the usage of a connection that broke.
    assert!(play(&[START, TEXT, HI, &ended("end_turn")]).is_ok());
}

#[test]
fn a_refusal_without_words_is_explained() {
    let refused = |text: &[&str]| {
        let end = r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber","explanation":"Not that."}},"usage":{"output_tokens":1}}"#;
        let events = [&[START], text, &[end, STOP]].concat();
        play(&events).unwrap()
    };
    for (text, said) in [(&[][..], "Not that."), (&[TEXT, HI][..], "Hi")] {
        let response = refused(text);
        assert_eq!(response.stop, Stop::Refusal);
        assert!(matches!(&response.parts[..], [Part::Text(text)] if text == said));
    }
}

#[test]
fn failures_inside_a_stream() {
    let error =
        |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
    for (event, retryable) in [
        (error("overloaded_error"), true),
        (error("api_error"), true),
        (error("invalid_request_error"), false),
        ("nonsense".to_owned(), true),
    ] {
        let failed = play(&[START, &event]).unwrap_err();
        assert!(
            matches!(&failed, Error::Upstream(upstream) if upstream.retryable == retryable),
            "{event}: {failed:?}"
        );
    }
}

#[test]
fn a_call_that_was_cut_keeps_what_came_of_it() {
    let response = play(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"read","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"p\":"}}"#,
        &ended("max_tokens"),
        STOP,
    ])
    .unwrap();
    assert_eq!(response.stop, Stop::MaxTokens);
    assert!(matches!(&response.parts[..], [Part::Call(call)] if call.arguments == "{\"p\":"));
}

#[test]
fn a_host_that_wants_no_more_ends_the_message() {
    let reply = Reply::new(3, Box::new(|_| Control::Stop));
    let mut output = Output::new(SERVICE, reply, None);
    let event = |data: &'static str| Event {
        name: "x",
        data: data.as_bytes(),
    };
    assert_eq!(output.event(&event(START)).unwrap(), Flow::More);
    assert_eq!(output.event(&event(HI)).unwrap(), Flow::Stopped);
    let response = output.finish().unwrap();
    assert_eq!((response.stop, response.usage.input), (Stop::Cancelled, 60));
}

#[test]
fn a_whole_answer() {
    let response = whole(
        r#"{"id":"msg_2","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[
        {"type":"thinking","thinking":"hm","signature":"S"},{"type":"text","text":"a"},
        {"type":"tool_use","id":"t","name":"read","input":{"p":[1]}}],
        "stop_reason":"tool_use","stop_details":null,"usage":{"input_tokens":5,"output_tokens":7}}"#,
    )
    .unwrap();
    assert!(
        matches!(&response.parts[..], [Part::Reasoning(r), Part::Text(t), Part::Call(c)]
            if opaque::block(r).is_some() && t == "a" && c.arguments == r#"{"p":[1]}"#),
        "{:?}",
        response.parts
    );
    assert_eq!((response.stop, response.usage.input), (Stop::ToolUse, 5));
    assert!(response.model.is_none());
    for body in [
        "{}",
        "[]",
        "",
        "<html>",
        r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#,
    ] {
        assert!(matches!(whole(body), Err(Error::Upstream(_))), "{body}");
    }
}
