use super::*;
use crate::Control;
use crate::chat::{Part, ToolCall};
use crate::provider::MAX_CALLS;
use crate::provider::sse::Events;
use crate::sink;

const SERVICE: Service<'_> = Service {
    base_url: "http://a/v1",
    credential: "openai",
    model: "m",
    effort: false,
};

/// What a stream became, and what was shown meanwhile.
struct Seen {
    response: Result<Response, Error>,
    shown: Vec<String>,
}

/// Plays a stream to a reply, in pieces of 7 bytes, to a host that stops after `limit` deltas.
fn play_until(stream: &str, limit: usize, price: Option<&Price>) -> Seen {
    let mut shown = Vec::new();
    let emit = |delta: sink::Delta| {
        shown.push(match delta {
            sink::Delta::Text(text) => format!("t:{text}"),
            sink::Delta::Reasoning(text) => format!("r:{text}"),
            sink::Delta::CallStart(start) => {
                format!("s{}:{}:{}", start.index, start.id, start.name)
            }
            sink::Delta::CallArguments(part) => format!("a{}:{}", part.index, part.fragment),
        });
        if shown.len() >= limit {
            Control::Stop
        } else {
            Control::Proceed
        }
    };
    let reply = Completion::new(SERVICE, Reply::new(5, Box::new(emit)), price.copied());
    let response = read(stream, reply);
    Seen { response, shown }
}

fn read(stream: &str, mut reply: Completion<'_>) -> Result<Response, Error> {
    let mut events = Events::default();
    for piece in stream.as_bytes().chunks(7) {
        events.feed(piece);
        while let Some(event) = events.next().unwrap() {
            if reply.event(&event)? != Flow::More {
                return reply.finish();
            }
        }
    }
    if let Some(event) = events.finish().unwrap() {
        reply.event(&event)?;
    }
    reply.finish()
}

/// A stream of chunks with these choices, and its end.
fn stream(choices: &[&str]) -> String {
    let chunk = |choice: &&str| format!("data: {{\"id\":\"x\",\"choices\":[{choice}]}}\n\n");
    choices
        .iter()
        .map(chunk)
        .chain(["data: [DONE]\n\n".to_owned()])
        .collect()
}

fn play(choices: &[&str]) -> Seen {
    play_until(&stream(choices), usize::MAX, None)
}

fn calls(response: &Response) -> Vec<(&str, &str, &str)> {
    let own = |part| match part {
        &Part::Call(ToolCall {
            ref id,
            ref name,
            ref arguments,
        }) => Some((id.as_str(), name.as_str(), arguments.as_str())),
        _ => None,
    };
    response.parts.iter().filter_map(own).collect()
}

/// Calls of a stream of `tool_calls` lists.
fn check_calls(lists: &[&str], expected: &[(&str, &str, &str)]) -> Vec<String> {
    let choices: Vec<_> = lists
        .iter()
        .map(|list| format!("{{\"index\":0,\"delta\":{{\"tool_calls\":[{list}]}}}}"))
        .collect();
    let mut choices: Vec<_> = choices.iter().map(String::as_str).collect();
    choices.push(r#"{"delta":{},"finish_reason":"tool_calls"}"#);
    let seen = play(&choices);
    let response = seen.response.unwrap();
    assert_eq!(calls(&response), expected, "{lists:?}");
    assert!(matches!(response.stop, Stop::ToolUse));
    seen.shown
}

#[test]
fn text_reasoning_and_usage_in_the_last_chunk() {
    let mut text = stream(&[
        r#"{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}"#,
        r#"{"index":0,"delta":{"reasoning_content":"hm","reasoning":"hm"}}"#,
        r#"{"index":0,"delta":{"reasoning":"m"}}"#,
        r#"{"index":0,"delta":{"content":"Grüß "}}"#,
        r#"{"index":1,"delta":{"content":"other choice"}}"#,
        r#"{"index":0,"delta":{"content":"🦀"}}"#,
        r#"{"index":0,"delta":{},"finish_reason":"stop"}"#,
    ]);
    let usage = r#"data: {"id":"x","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":20.0,"prompt_tokens_details":{"cached_tokens":600},"completion_tokens_details":{"reasoning_tokens":"7"}}}"#;
    text = text.replace("data: [DONE]", &format!("{usage}\n\ndata: [DONE]"));
    let price = Price {
        input: 2.0,
        output: 10.0,
        cache_read: 0.5,
        cache_write: 2.0,
    };
    let seen = play_until(&text, usize::MAX, Some(&price));
    assert_eq!(seen.shown, ["r:hm", "r:m", "t:Grüß ", "t:🦀"]);
    let response = seen.response.unwrap();
    assert!(
        matches!(&response.parts[..], [Part::Reasoning(r), Part::Text(t)] if r.text == "hmm" && r.opaque.is_none() && t == "Grüß 🦀")
    );
    let usage = response.usage;
    assert_eq!(
        (
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning
        ),
        (1000, 20, 600, 0, 7)
    );
    let cost = response.cost_usd.unwrap();
    assert!(
        (cost - (400.0 * 2.0 + 600.0 * 0.5 + 20.0 * 10.0) / 1e6).abs() < 1e-12,
        "{cost}"
    );
    assert_eq!(response.id.as_deref(), Some("x"));
    assert!(matches!(response.stop, Stop::EndTurn));
}

#[test]
fn usage_may_ride_on_a_normal_chunk_and_may_be_odd() {
    for (usage, expected) in [
        (
            r#"{"prompt_tokens":3,"completion_tokens":4,"prompt_cache_hit_tokens":2}"#,
            (3, 4, 2),
        ),
        (
            r#"{"prompt_tokens":-3,"completion_tokens":null}"#,
            (0, 0, 0),
        ),
        (
            r#"{"prompt_tokens":99999999999,"completion_tokens":1e300}"#,
            (u32::MAX, u32::MAX, 0),
        ),
    ] {
        let text = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}},\"finish_reason\":\"stop\"}}],\"usage\":{usage}}}\n\ndata: {{\"choices\":[],\"usage\":null}}\n\ndata: [DONE]\n\n"
        );
        let response = play_until(&text, usize::MAX, None).response.unwrap();
        assert_eq!(
            (
                response.usage.input,
                response.usage.output,
                response.usage.cache_read
            ),
            expected
        );
    }
}

#[test]
fn call_fragments_are_joined_by_index() {
    let shown = check_calls(
        &[
            r#"{"index":0,"id":"a","type":"function","function":{"name":"read","arguments":""}}"#,
            r#"{"index":1,"id":"b","function":{"name":"li","arguments":""}},{"index":0,"function":{"arguments":"{\"p\""}}"#,
            r#"{"index":1,"id":"","function":{"name":"st","arguments":"{"}},{"index":0,"id":null,"function":{"name":null,"arguments":":1}"}}"#,
            r#"{"index":1,"function":{"arguments":"}"}}"#,
        ],
        &[("a", "read", "{\"p\":1}"), ("b", "list", "{}")],
    );
    assert_eq!(
        shown,
        [
            "s0:a:read",
            "s1:b:li",
            "a0:{\"p\"",
            "a1:{",
            "a0::1}",
            "a1:}"
        ]
    );
}

#[test]
fn calls_of_servers_that_count_or_name_differently() {
    // Index 0 for every call, each whole.
    check_calls(
        &[
            r#"{"index":0,"id":"a","function":{"name":"read","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"read","arguments":"{}"}}"#,
        ],
        &[("a", "read", "{}"), ("b", "read", "{}")],
    );
    // A new id with every fragment, the name only in the first.
    check_calls(
        &[
            r#"{"index":0,"id":"a1","function":{"name":"read","arguments":"{"}}"#,
            r#"{"index":0,"id":"a2","function":{"arguments":"}"}}"#,
        ],
        &[("a1", "read", "{}")],
    );
    // The name with every fragment.
    check_calls(
        &[
            r#"{"index":0,"id":"a","function":{"name":"read","arguments":"{"}}"#,
            r#"{"index":0,"id":"a","function":{"name":"read","arguments":"}"}}"#,
        ],
        &[("a", "read", "{}")],
    );
    // No index, with and without ids.
    check_calls(
        &[
            r#"{"id":"a","function":{"name":"read","arguments":"{"}}"#,
            r#"{"function":{"arguments":"}"}}"#,
            r#"{"id":"b","function":{"name":"list","arguments":"{}"}}"#,
        ],
        &[("a", "read", "{}"), ("b", "list", "{}")],
    );
    check_calls(
        &[
            r#"{"function":{"name":"read","arguments":"{}"}}"#,
            r#"{"function":{"name":"read","arguments":"{}"}}"#,
        ],
        &[("call_5_0", "read", "{}"), ("call_5_1", "read", "{}")],
    );
    // An index far away, an id that comes late, arguments that are an object, an id used twice.
    let shown = check_calls(
        &[
            r#"{"index":4294967296,"function":{"arguments":"{"}}"#,
            r#"{"index":4294967296,"id":"late","function":{"name":"read","arguments":"}"}}"#,
            r#"{"index":7,"id":"late","function":{"name":"list","arguments":{"a": 1}}}"#,
        ],
        &[("late", "read", "{}"), ("call_5_1", "list", "{\"a\": 1}")],
    );
    assert_eq!(shown[..2], ["s0:late:read", "a0:{}"]);
}

#[test]
fn a_reply_has_a_bounded_number_of_calls() {
    let list: Vec<_> = (0..=MAX_CALLS)
        .map(|at| format!("{{\"index\":{at},\"id\":\"c{at}\",\"function\":{{\"name\":\"x\"}}}}"))
        .collect();
    let seen = play(&[&format!(
        "{{\"delta\":{{\"tool_calls\":[{}]}}}}",
        list.join(",")
    )]);
    assert!(matches!(seen.response, Err(Error::Limit(_))));
}

#[test]
fn finish_reasons() {
    for (reason, stop) in [
        ("stop", Stop::EndTurn),
        ("eos_token", Stop::EndTurn),
        ("tool_calls", Stop::EndTurn),
        ("length", Stop::MaxTokens),
        ("model_length", Stop::MaxTokens),
        ("content_filter", Stop::Refusal),
        ("something new", Stop::Other),
    ] {
        let seen = play(&[&format!(
            "{{\"delta\":{{\"content\":\"x\"}},\"finish_reason\":\"{reason}\"}}"
        )]);
        assert_eq!(seen.response.unwrap().stop, stop, "{reason}");
    }
    let call = r#"{"index":0,"id":"a","function":{"name":"x","arguments":"{\"a\":"}}"#;
    for (reason, stop) in [
        ("stop", Stop::ToolUse),
        ("tool_calls", Stop::ToolUse),
        ("length", Stop::MaxTokens),
    ] {
        let seen = play(&[&format!(
            "{{\"delta\":{{\"tool_calls\":[{call}]}},\"finish_reason\":\"{reason}\"}}"
        )]);
        let response = seen.response.unwrap();
        assert_eq!(response.stop, stop, "{reason}");
        assert_eq!(calls(&response), [("a", "x", "{\"a\":")]);
    }
    for reason in ["error", "abort", "insufficient_system_resource"] {
        let seen = play(&[&format!(
            "{{\"delta\":{{}},\"finish_reason\":\"{reason}\"}}"
        )]);
        assert!(matches!(seen.response, Err(Error::Upstream(upstream)) if upstream.retryable));
    }
    let refusal = play(&[r#"{"delta":{"refusal":"no"},"finish_reason":"stop"}"#])
        .response
        .unwrap();
    assert!(
        refusal.stop == Stop::Refusal
            && matches!(&refusal.parts[..], [Part::Text(text)] if text == "no")
    );
}

#[test]
fn a_stream_needs_one_of_its_two_ends() {
    let open = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for broken in [
        open,
        "",
        "data: {\"choices\":[{\"delta\":{\"con",
        "data: {\"choices\":[]}\n\n",
    ] {
        let error = play_until(broken, usize::MAX, None).response.unwrap_err();
        assert!(
            matches!(error, Error::Upstream(upstream) if upstream.retryable && upstream.status.is_none()),
            "{broken}"
        );
    }
    let no_mark =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
    assert!(play_until(no_mark, usize::MAX, None).response.is_ok());
    let no_reason = format!("{open}data: [DONE]");
    assert_eq!(
        play_until(&no_reason, usize::MAX, None)
            .response
            .unwrap()
            .stop,
        Stop::EndTurn
    );
}

#[test]
fn an_error_in_the_middle_ends_the_reply() {
    let open = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for (event, retryable) in [
        (
            r#"data: {"error":{"code":500,"message":"boom","type":"server_error"}}"#,
            true,
        ),
        (
            r#"data: {"error":{"code":502,"message":"boom"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            true,
        ),
        (
            r#"data: {"object":"error","message":"boom","code":400}"#,
            false,
        ),
        ("event: error\ndata: boom", true),
        (r#"data: not json"#, true),
    ] {
        let seen = play_until(
            &format!("{open}{event}\n\ndata: [DONE]\n\n"),
            usize::MAX,
            None,
        );
        assert!(
            matches!(seen.response, Err(Error::Upstream(upstream)) if upstream.retryable == retryable),
            "{event}"
        );
        assert_eq!(seen.shown, ["t:a"]);
    }
    let null = format!(
        "{}data: [DONE]\n\n",
        open.replace("{\"choices\"", "{\"error\":null,\"choices\"")
    );
    assert!(play_until(&null, usize::MAX, None).response.is_ok());
}

#[test]
fn a_host_that_stops_gets_the_text_and_no_calls() {
    let text = stream(&[
        r#"{"delta":{"content":"a"}}"#,
        r#"{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"rm","arguments":"{}"}}]}}"#,
        r#"{"delta":{"content":"never read"}}"#,
    ]);
    for limit in 1..=3 {
        let seen = play_until(&text, limit, None);
        let response = seen.response.unwrap();
        assert_eq!(response.stop, Stop::Cancelled);
        assert!(
            matches!(&response.parts[..], [Part::Text(text)] if text == "a"),
            "{limit}"
        );
        assert_eq!(
            seen.shown.len(),
            limit,
            "nothing is sent after the answer to stop"
        );
    }
}

#[test]
fn fields_of_unexpected_types_do_not_lose_the_reply() {
    let seen = play(&[
        r#"{"index":null,"delta":{"content":[{"type":"thinking","thinking":[{"text":"x"}]},{"type":"text","text":"a"}],"reasoning":{"effort":"low"},"refusal":false,"tool_calls":null}}"#,
        r#"{"delta":{"content":7,"reasoning_content":true,"tool_calls":[]},"finish_reason":{"type":"stop"},"logprobs":{"a":[1]}}"#,
        r#"{"delta":null,"finish_reason":"stop"}"#,
    ]);
    assert!(matches!(&seen.response.unwrap().parts[..], [Part::Text(text)] if text == "a7"));
}

fn parsed(body: &str) -> Result<Response, Error> {
    let reply = Reply::new(3, Box::new(|_| Control::Proceed));
    let mut reply = Completion::new(SERVICE, reply, None);
    reply.whole(body.as_bytes())?;
    reply.finish()
}

#[test]
fn calls_without_index_are_separate_calls() {
    let response = parsed(
        r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
            {"id":"a","type":"function","function":{"name":"read","arguments":"{\"path\":1}"}},
            {"type":"function","function":{"name":"read","arguments":{"path":"2"}}},
            {"id":"a","function":{"name":"list","arguments":""}}]},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":null}}"#,
    )
    .unwrap();
    let calls = response.parts.iter().map(|part| match part {
        Part::Call(call) => (
            call.id.as_str(),
            call.name.as_str(),
            call.arguments.as_str(),
        ),
        other => panic!("{other:?}"),
    });
    let calls: Vec<_> = calls.collect();
    assert_eq!(
        calls,
        [
            ("a", "read", r#"{"path":1}"#),
            ("call_3_1", "read", r#"{"path":"2"}"#),
            ("call_3_2", "list", "")
        ]
    );
    assert!(matches!(response.stop, Stop::ToolUse));
    assert_eq!((response.usage.input, response.usage.output), (10, 2));
    assert!(response.cost_usd.is_none());
}

#[test]
fn text_reasoning_and_an_empty_reply() {
    let response = parsed(r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"reasoning":"r"},"finish_reason":"stop"}]}"#).unwrap();
    assert!(
        matches!(&response.parts[..], [Part::Reasoning(r), Part::Text(t)] if r.text == "r" && t == "ab")
    );
    let empty =
        parsed(r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#).unwrap();
    assert!(empty.parts.is_empty() && matches!(empty.stop, Stop::EndTurn));
}

#[test]
fn what_is_no_reply_is_a_retryable_failure() {
    for body in [
        "{}",
        r#"{"choices":[]}"#,
        r#"{"choices":null}"#,
        "<html>oops</html>",
        "",
        "[]",
        "null",
    ] {
        let error = parsed(body).unwrap_err();
        assert!(
            matches!(&error, Error::Upstream(upstream) if upstream.retryable),
            "{body}: {error:?}"
        );
    }
    let error =
        parsed(r#"{"error":{"message":"no such model","code":"model_not_found"}}"#).unwrap_err();
    assert!(
        matches!(&error, Error::NotFound(message) if message.contains("`m`")),
        "{error:?}"
    );
}

#[test]
fn a_routers_own_account_of_cost_and_cache_wins() {
    let usage = r#"{"prompt_tokens":100,"completion_tokens":1,"cost":0.0125,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}}"#;
    let body = format!(
        r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
    );
    let reply = Reply::new(3, Box::new(|_| Control::Proceed));
    let price = Price {
        input: 1000.0,
        output: 1000.0,
        cache_read: 1000.0,
        cache_write: 1000.0,
    };
    let mut reply = Completion::new(SERVICE, reply, Some(price));
    reply.whole(body.as_bytes()).unwrap();
    let response = reply.finish().unwrap();
    assert_eq!(response.cost_usd, Some(0.0125));
    assert_eq!(
        (response.usage.cache_read, response.usage.cache_write),
        (60, 30)
    );
}

#[test]
fn reasoning_details_are_kept_for_the_way_back() {
    let seen = play(&[
        r#"{"delta":{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","index":0}]}}"#,
        r#"{"delta":{"reasoning":"b","reasoning_details":[{"type":"reasoning.text","text":"b","signature":"s","index":0}]}}"#,
        r#"{"delta":{"content":"x"},"finish_reason":"stop"}"#,
    ]);
    let response = seen.response.unwrap();
    let [Part::Reasoning(reasoning), Part::Text(_)] = &response.parts[..] else {
        panic!("{:?}", response.parts)
    };
    assert_eq!(reasoning.text, "ab");
    assert_eq!(
        reasoning.opaque.as_deref(),
        Some(r#"[{"type":"reasoning.text","text":"ab","index":0,"signature":"s"}]"#)
    );
}
