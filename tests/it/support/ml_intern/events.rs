//! The lines of `--output-format stream-json`.

use serde_json::Value;

/// The events in the whole lines of `text`; other lines are left to [`stream`] to refuse.
pub(super) fn whole_lines(text: &str) -> impl Iterator<Item = Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

/// All events of a run that has ended, or what is wrong with them as a stream.
pub(super) fn stream(text: &str) -> Result<Vec<Value>, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let events = text.lines().map(event).collect::<Result<Vec<_>, _>>()?;
    let kind = |event: Option<&Value>| event.map_or(Value::Null, |event| event["type"].clone());
    if kind(events.first()) != "session.started" {
        return Err(format!("the first event is {}", kind(events.first())));
    }
    if kind(events.last()) != "result" {
        return Err(format!("the last event is {}", kind(events.last())));
    }
    let results = events
        .iter()
        .filter(|event| event["type"] == "result")
        .count();
    if results != 1 {
        return Err(format!("{results} events have the type `result`"));
    }
    for pair in events.windows(2) {
        // A conversation goes on in another session.
        if pair[1]["type"] == "session.started" {
            continue;
        }
        if pair[0]["session"] != pair[1]["session"] {
            return Err(format!("another session in {}", pair[1]));
        }
        if pair[0]["seq"].as_u64() > pair[1]["seq"].as_u64() {
            return Err(format!("`seq` goes back in {}", pair[1]));
        }
    }
    Ok(events)
}

fn event(line: &str) -> Result<Value, String> {
    let event: Value =
        serde_json::from_str(line).map_err(|error| format!("{error} in `{line}`"))?;
    let whole = event["v"] == 1
        && event["type"].is_string()
        && event["session"].is_string()
        && event["seq"].is_u64()
        && !event["ts"].is_null();
    if whole {
        Ok(event)
    } else {
        Err(format!("a common field is missing in `{line}`"))
    }
}

#[test]
fn a_stream_is_refused_for_each_thing_that_can_be_wrong() {
    let line = |kind: &str, seq: u64, session: &str| {
        format!(
            "{{\"v\":1,\"type\":\"{kind}\",\"session\":\"{session}\",\"seq\":{seq},\"ts\":0}}\n"
        )
    };
    let (first, last) = (line("session.started", 0, "a"), line("result", 2, "a"));
    let check = |middle: &str| stream(&format!("{first}{middle}{last}")).map(|events| events.len());

    assert_eq!(check(&line("message", 1, "a")), Ok(3));
    for (middle, why) in [
        (line("result", 1, "a"), "2 events have the type `result`"),
        (line("message", 3, "a"), "`seq` goes back"),
        (line("message", 1, "b"), "another session"),
        ("warning: hello\n".to_owned(), "expected value"),
        (
            "{\"v\":1,\"type\":\"message\"}\n".to_owned(),
            "a common field is missing",
        ),
        ("\n".to_owned(), "EOF"),
    ] {
        let error = check(&middle).unwrap_err();
        assert!(error.contains(why), "{middle}: {error}");
    }
    assert!(stream(&first).unwrap_err().contains("the last event is"));
    assert!(stream(&last).unwrap_err().contains("the first event is"));
    assert!(stream("").is_err());
    assert!(stream(&format!("{first}{}", last.trim_end())).is_err());
}
