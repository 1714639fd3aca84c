use super::*;
use crate::frames::tests::frame;
use ml_intern_plugin::Control;
use ml_intern_plugin::chat::Part;
use ml_intern_plugin::provider::price;

const SERVICE: Service<'_> = Service {
    base_url: "https://bedrock-runtime.us-east-1.amazonaws.com",
    credential: "aws",
    model: "us.anthropic.claude-opus-4-8",
    effort: false,
};

fn output<'a>() -> Output<'a> {
    let reply = Reply::new(3, Box::new(|_| Control::Proceed));
    Output::new(SERVICE, reply, Some(price(1.0, 10.0, 0.1, 2.0)))
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    frame(&headers, payload.as_bytes())
}

fn delta(index: u32, delta: &str) -> Vec<u8> {
    let payload = format!(r#"{{"contentBlockIndex":{index},"delta":{delta},"p":"abcd"}}"#);
    event("contentBlockDelta", &payload)
}

fn start(index: u32, id: &str, name: &str) -> Vec<u8> {
    let payload = format!(
        r#"{{"contentBlockIndex":{index},"start":{{"toolUse":{{"toolUseId":"{id}","name":"{name}"}}}}}}"#
    );
    event("contentBlockStart", &payload)
}

fn end(index: u32) -> Vec<u8> {
    let payload = format!(r#"{{"contentBlockIndex":{index}}}"#);
    event("contentBlockStop", &payload)
}

fn stop(reason: &str) -> Vec<u8> {
    event("messageStop", &format!(r#"{{"stopReason":"{reason}"}}"#))
}

fn metadata() -> Vec<u8> {
    event(
        "metadata",
        r#"{"metrics":{"latencyMs":5},"usage":{"inputTokens":10,"outputTokens":40,"totalTokens":100,"cacheReadInputTokens":30,"cacheWriteInputTokens":20}}"#,
    )
}

fn play(frames: &[Vec<u8>], size: usize) -> Result<Response, Error> {
    let mut output = output();
    output.set_id(Some("r-1"));
    for piece in frames.concat().chunks(size) {
        if output.chunk(piece)? != Flow::More {
            return output.finish();
        }
    }
    output.end()?;
    output.finish()
}

#[test]
fn reasoning_text_and_calls_keep_their_order() {
    let frames = [
        event("messageStart", r#"{"role":"assistant"}"#),
        delta(0, r#"{"reasoningContent":{"text":"a\n"}}"#),
        delta(0, r#"{"reasoningContent":{"text":" b"}}"#),
        delta(0, r#"{"reasoningContent":{"signature":"S+/=="}}"#),
        end(0),
        delta(1, r#"{"reasoningContent":{"redactedContent":"RA=="}}"#),
        end(1),
        delta(2, r#"{"text":"Hi"}"#),
        end(2),
        delta(3, r#"{"text":"there"}"#),
        end(3),
        start(4, "t1", "read"),
        delta(4, r#"{"toolUse":{"input":""}}"#),
        delta(4, r#"{"toolUse":{"input":"{\"p\":"}}"#),
        delta(4, r#"{"toolUse":{"input":"1}"}}"#),
        end(4),
        start(5, "t2", "list"),
        end(5),
        stop("tool_use"),
        metadata(),
    ];
    for size in [1, 7, 64, 100_000] {
        let response = play(&frames, size).unwrap();
        let [
            Part::Reasoning(thought),
            Part::Reasoning(hidden),
            Part::Text(first),
            Part::Text(second),
            Part::Call(read),
            Part::Call(list),
        ] = &response.parts[..]
        else {
            panic!("{:?}", response.parts)
        };
        assert_eq!(thought.text, "a\n b");
        assert_eq!(thought.opaque, Some(input::signed("S+/==")));
        assert_eq!(hidden.opaque, Some(input::redacted("RA==")));
        assert_eq!((first.as_str(), second.as_str()), ("Hi", "there"));
        assert_eq!(
            (read.id.as_str(), read.arguments.as_str()),
            ("t1", r#"{"p":1}"#)
        );
        assert_eq!(
            (list.name.as_str(), list.arguments.as_str()),
            ("list", "{}")
        );
        assert_eq!(response.stop, Stop::ToolUse);
        assert_eq!(response.id.as_deref(), Some("r-1"));
        let usage = response.usage;
        assert_eq!((usage.input, usage.output), (60, 40));
        assert_eq!((usage.cache_read, usage.cache_write), (30, 20));
        let cost = (response.cost_usd.unwrap() * 1e6).round();
        assert_eq!(cost, 10.0 + 3.0 + 40.0 + 400.0);
    }
}

#[test]
fn how_a_message_ends() {
    for (reason, expected) in [
        ("end_turn", Stop::EndTurn),
        ("stop_sequence", Stop::EndTurn),
        ("max_tokens", Stop::MaxTokens),
        ("guardrail_intervened", Stop::Refusal),
        ("content_filtered", Stop::Refusal),
        ("something_new", Stop::Other),
    ] {
        let frames = [delta(0, r#"{"text":"x"}"#), stop(reason), metadata()];
        assert_eq!(play(&frames, 50).unwrap().stop, expected, "{reason}");
    }
    let full = [stop("model_context_window_exceeded"), metadata()];
    assert!(matches!(play(&full, 50), Err(Error::ContextOverflow(_))));
    for broken in [
        vec![stop("malformed_tool_use")],
        vec![delta(0, r#"{"text":"x"}"#)],
        vec![b"HTTP/1.1 400 Bad Request".to_vec()],
    ] {
        let error = play(&broken, 50).unwrap_err();
        assert!(matches!(error, Error::Upstream(upstream) if upstream.retryable));
    }
    // Without its usage a reply is a reply.
    assert!(play(&[stop("end_turn")], 50).is_ok());
}

#[test]
fn exceptions_inside_a_stream() {
    let thrown = |name: &str, message: &str| {
        let headers = [(":exception-type", name), (":message-type", "exception")];
        let payload = format!(r#"{{"message":"{message}"}}"#);
        let frames = [
            delta(0, r#"{"text":"x"}"#),
            frame(&headers, payload.as_bytes()),
        ];
        play(&frames, 50).unwrap_err()
    };
    for (name, retryable) in [
        ("throttlingException", true),
        ("modelStreamErrorException", true),
        ("internalServerException", true),
        ("serviceUnavailableException", true),
        ("validationException", false),
        ("somethingNewException", true),
    ] {
        let error = thrown(name, "m");
        assert!(
            matches!(&error, Error::Upstream(upstream) if upstream.retryable == retryable && upstream.message == "m"),
            "{name}: {error:?}"
        );
    }
    let long = thrown(
        "validationException",
        "Input is too long for requested model.",
    );
    assert!(matches!(long, Error::ContextOverflow(_)));
    let headers = [
        (":message-type", "error"),
        (":error-code", "InternalError"),
        (":error-message", "gone"),
    ];
    let error = play(&[frame(&headers, b"")], 50).unwrap_err();
    assert!(
        matches!(&error, Error::Upstream(upstream) if upstream.message == "gone" && upstream.code.as_deref() == Some("InternalError")),
        "{error:?}"
    );
}

#[test]
fn a_host_that_wants_no_more_ends_the_message() {
    let reply = Reply::new(3, Box::new(|_| Control::Stop));
    let mut output = Output::new(SERVICE, reply, None);
    let flow = output.chunk(&delta(0, r#"{"text":"x"}"#)).unwrap();
    assert_eq!(flow, Flow::Stopped);
    assert_eq!(output.finish().unwrap().stop, Stop::Cancelled);
}

#[test]
fn a_whole_answer() {
    let whole = |body: &str| {
        let mut output = output();
        output.whole(body.as_bytes())?;
        output.finish()
    };
    let response = whole(
        r#"{"output":{"message":{"role":"assistant","content":[
        {"reasoningContent":{"reasoningText":{"text":"hm","signature":"S"}}},
        {"text":"a"},
        {"toolUse":{"toolUseId":"t","name":"read","input":{"p":[1]}}},
        {"toolUse":{"toolUseId":"u","name":"list","input":{}}}]}},
        "stopReason":"tool_use","metrics":{"latencyMs":1},"usage":{"inputTokens":5,"outputTokens":7,"totalTokens":12}}"#,
    )
    .unwrap();
    let [
        Part::Reasoning(thought),
        Part::Text(text),
        Part::Call(read),
        Part::Call(list),
    ] = &response.parts[..]
    else {
        panic!("{:?}", response.parts)
    };
    assert_eq!(thought.opaque, Some(input::signed("S")));
    assert_eq!(
        (
            text.as_str(),
            read.arguments.as_str(),
            list.arguments.as_str()
        ),
        ("a", r#"{"p":[1]}"#, "{}")
    );
    assert_eq!((response.stop, response.usage.input), (Stop::ToolUse, 5));
    for body in ["{}", "[]", "", "<html>", r#"{"message":"x"}"#] {
        let error = whole(body).unwrap_err();
        assert!(
            matches!(error, Error::Upstream(upstream) if upstream.retryable),
            "{body}"
        );
    }
}
