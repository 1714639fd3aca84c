use super::*;
use ml_intern_plugin::chat::ToolCall;

fn reply() -> Reply {
    let call = ToolCall {
        id: "c1".into(),
        name: "read".into(),
        arguments: "{}".into(),
    };
    Reply {
        step: 2,
        text: "two words".into(),
        reasoning: "hm".into(),
        calls: vec![call],
    }
}

/// The response for a host that stops at the delta of this number, and how many it got.
fn until(limit: usize) -> (Response, usize) {
    let mut seen = 0;
    let response = respond(reply(), "x", 9, &mut |_| {
        seen += 1;
        if seen >= limit {
            Control::Stop
        } else {
            Control::Proceed
        }
    });
    (response, seen)
}

#[test]
fn a_reply_is_shown_and_returned() {
    let (response, seen) = until(usize::MAX);
    assert_eq!(seen, 5);
    assert!(
        matches!(&response.parts[..], [Part::Reasoning(_), Part::Text(text), Part::Call(_)] if text == "two words")
    );
    assert_eq!(
        (
            response.usage.input,
            response.usage.output,
            response.usage.reasoning
        ),
        (3, 5, 1)
    );
    assert_eq!(
        (response.id.as_deref(), response.cost_usd),
        (Some("x-2"), Some(0.0))
    );
    assert!(response.stop == Stop::ToolUse);
}

#[test]
fn a_host_that_stops_gets_no_calls() {
    for limit in 1..=5 {
        let (response, seen) = until(limit);
        assert_eq!(seen, limit, "nothing is sent after the answer to stop");
        assert!(response.stop == Stop::Cancelled);
        assert!(
            !response
                .parts
                .iter()
                .any(|part| matches!(part, Part::Call(_)))
        );
    }
}

#[test]
fn a_recording_is_a_file_of_the_workspace() {
    assert_eq!(
        inside_workspace("a/b.toml").unwrap(),
        Path::new("/workspace/a/b.toml")
    );
    assert_eq!(
        inside_workspace("./b.toml").unwrap(),
        Path::new("/workspace/./b.toml")
    );
    for outside in ["/etc/passwd", "../x", "a/../../x", "/workspace/x"] {
        assert!(
            matches!(inside_workspace(outside), Err(Error::InvalidInput(_))),
            "{outside}"
        );
    }
}
