//! Recordings in which something is not what the loop makes of the rest.

use crate::bench::*;
use crate::inputs::busy;
use crate::recording::{Log, begun, log, numbered, played};
use ml_intern_agent::approval::Decision;
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::ports::{Reply, Stop};
use ml_intern_agent::{Event, Part, ProviderError};
use serde_json::{Value, json};

/// A session in which the loop writes an entry of each kind.
async fn session() -> Log {
    let setup = Setup {
        answers: Some(vec![answer(Decision::AllowAlways, None)]),
        budget: Budget {
            usd: Some(ml_intern_agent::money::MicroUsd::from_usd(1e9)),
            ..Budget::default()
        },
        window: Some(20_000),
        ..Setup::default()
    };
    let same = || calls(&[("a", "look", "{\"n\":1}")]);
    let long = "x".repeat(90_000);
    let long = calls(&[("b", "look", &format!("{{\"s\":\"{long}\"}}"))]);
    let unpriced: Step = Box::new(|_| {
        let text = "half".to_owned();
        Ok(Reply {
            parts: vec![Part::Text { text }],
            stop: Stop::EndTurn,
            usage: Usage {
                input: 100,
                ..Usage::default()
            },
        })
    });
    let steps = vec![
        fails(overloaded(None)),
        calls(&[("a", "write", "{\"n\":1}"), ("b", "append", "{\"n\":2}")]),
        same(),
        same(),
        same(),
        calls(&[
            ("c", "nothing", "{}"),
            ("a", "look", "{"),
            ("b", "look", "{"),
        ]),
        unpriced,
        says("done"),
        says("really"),
        long,
        says("the note"),
        fails(ProviderError::Auth("bad key".into())),
    ];
    let bench = begun(setup, steps);
    let items = json!([{"id": "1", "content": "train", "status": "pending"}]);
    let items = serde_json::from_value(items).unwrap();
    bench.agent.session.record(Event::Plan { items }).unwrap();
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let text = "and now".into();
    bench
        .agent
        .session
        .record(Event::InputQueued { text })
        .unwrap();
    assert_eq!(bench.run("go on").await, TurnEnd::Error);
    log(&bench)
}

/// Gives a field of an entry another value, plays the log, and expects that this is noticed there.
async fn noticed(log: &Log, at: usize, pointer: &str, value: Value) {
    let mut entry = serde_json::to_value(&log[at].1).unwrap();
    let name = entry["type"].as_str().unwrap().to_owned();
    let field = entry.pointer_mut(pointer);
    *field.unwrap_or_else(|| panic!("`{name}` has no {pointer}")) = value;
    let mut changed = log.clone();
    changed[at].1 = serde_json::from_value(entry).unwrap();
    assert_ne!(changed[at].1, log[at].1, "{name} {pointer}");
    let report = played(changed.clone()).await;
    let Some(divergence) = report.divergence else {
        panic!("{pointer} of `{name}` is another one, and nothing is said of it");
    };
    assert_eq!(
        divergence.seq, log[at].0.seq,
        "{name} {pointer}: {}",
        divergence.what
    );
    assert_eq!(divergence.expected.as_ref(), Some(&changed[at].1));
    let path = pointer[1..].replace("/0", "[0]").replace('/', ".");
    let says = divergence
        .what
        .contains(&format!("`{path}` of `{name}` was"));
    assert!(says, "{name} {pointer}: {}", divergence.what);
    assert_eq!(report.events, at as u64);
}

/// Another last byte, or another number.
fn another(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(format!("{}~", &text[..text.len() - 1])),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::Bool(is) => json!(!is),
        other => panic!("{other} has no byte to change"),
    }
}

#[tokio::test]
async fn a_byte_that_is_another_one_is_noticed_in_its_place() {
    let log = session().await;
    // By type, and code where there is one: the fields that the loop makes.
    let fields: &[(&str, &[&str])] = &[
        ("turn.started", &["/turn"]),
        ("tool.started", &["/index", "/arguments/n"]),
        ("tool.finished", &["/index", "/tool"]),
        (
            "permission.requested",
            &["/id", "/tool", "/plugin", "/detail/n"],
        ),
        ("approval_not_kept", &[]),
        ("retry", &[]),
        ("price_unknown", &["/text"]),
        ("malformed_again", &["/text"]),
        ("repetition", &["/tools/0", "/text"]),
        ("continuation", &["/text"]),
        ("compacted", &["/at", "/before", "/after"]),
        ("turn.finished", &["/message", "/iterations"]),
    ];
    let mut left: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    for (at, (_, event)) in log.iter().enumerate() {
        let entry = serde_json::to_value(event).unwrap();
        let name = entry["code"].as_str().or(entry["type"].as_str()).unwrap();
        let Some((name, fields)) = fields.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        left.retain(|one| one != name);
        for pointer in *fields {
            if let Some(value) = entry.pointer(pointer) {
                noticed(&log, at, pointer, another(value)).await;
            }
        }
    }
    assert_eq!(left, Vec::<&str>::new(), "the session has none of these");
}

fn find(log: &Log, is: impl Fn(&Event) -> bool) -> usize {
    log.iter().position(|(_, event)| is(event)).unwrap()
}

#[tokio::test]
async fn words_that_the_loop_chooses_are_compared_as_a_whole() {
    let log = session().await;
    let injected = |event: &Event| matches!(event, Event::Message { message } if message.injected);
    let at = find(&log, injected);
    noticed(&log, at, "/parts/0/text", json!("do as you like")).await;
    let at = find(&log, |event| matches!(event, Event::Repetition { .. }));
    noticed(&log, at, "/step", json!("stopped")).await;
    let at = find(&log, |event| matches!(event, Event::Error { .. }));
    let text = "the model's service refused the credential: ";
    noticed(&log, at, "/message", json!(text.trim_end())).await;
    let at = find(&log, |event| matches!(event, Event::Compacted { .. }));
    let Event::Compacted { summary, .. } = &log[at].1 else {
        panic!("{at}");
    };
    let other = summary.replace("Pending: train", "Pending: trait");
    noticed(&log, at, "/summary", json!(other)).await;
}

#[tokio::test]
async fn a_reply_that_is_another_one_is_noticed_where_it_leads_elsewhere() {
    let log = session().await;
    let is_call =
        |event: &Event| matches!(event, Event::ToolStarted { tool, .. } if tool == "append");
    let at = find(&log, is_call);
    let mut changed = log.clone();
    for (_, event) in &mut changed {
        if let Event::Message { message } = event {
            for part in &mut message.parts {
                if let Part::Call(call) = part
                    && call.name == "append"
                {
                    call.arguments = "{\"n\":3}".into();
                }
            }
        }
    }
    let divergence = played(changed).await.divergence.unwrap();
    assert_eq!(divergence.seq, log[at].0.seq);
    assert_eq!(
        divergence.what,
        "`arguments.n` of `tool.started` was `2`, and is `3`"
    );
}

/// A host that had no guard wrote nothing where this one writes.
#[tokio::test]
async fn a_loop_that_did_less_is_noticed_where_it_did_nothing() {
    let whole = session().await;
    let guard = |event: &Event| match event {
        Event::Repetition { .. } => true,
        Event::Notice { code, .. } => code == "repetition",
        Event::Message { message } => {
            message.injected && message.plain_text().contains("REPETITION")
        }
        _ => false,
    };
    let at = find(&whole, guard);
    let events = whole.iter().map(|(_, event)| event.clone());
    let events: Vec<_> = events.filter(|event| !guard(event)).collect();
    let divergence = played(numbered(events)).await.divergence.unwrap();
    assert_eq!(divergence.seq, whole[at].0.seq);
    assert!(matches!(&divergence.found, Some(Event::Message { message }) if message.injected));
    assert_eq!(
        divergence.what,
        "`usage` was recorded, and the loop writes `message`"
    );
}

/// A host that had another guard wrote something where this one asks the model.
#[tokio::test]
async fn a_loop_that_did_more_is_noticed_where_this_one_goes_on() {
    let whole = session().await;
    let at = find(
        &whole,
        |event| matches!(event, Event::ToolFinished { tool, .. } if tool == "append"),
    );
    let mut events: Vec<_> = whole.iter().map(|(_, event)| event.clone()).collect();
    events.insert(at + 1, Event::InputTaken {});
    let divergence = played(numbered(events)).await.divergence.unwrap();
    assert_eq!(divergence.seq, at as u64 + 2);
    assert_eq!(
        divergence.what,
        "the loop asks the model to go on, and the recording goes on with `input.taken`"
    );
    assert_eq!(divergence.found, None);
}

#[tokio::test]
async fn a_result_without_its_beginning_is_noticed() {
    let whole = session().await;
    let is_call =
        |event: &Event| matches!(event, Event::ToolStarted { tool, .. } if tool == "append");
    let at = find(&whole, is_call);
    let mut events: Vec<_> = whole.iter().map(|(_, event)| event.clone()).collect();
    events.remove(at);
    let divergence = played(numbered(events)).await.divergence.unwrap();
    assert_eq!(divergence.seq, whole[at].0.seq);
    assert!(matches!(divergence.found, Some(Event::ToolStarted { .. })));
}

/// Whatever stands in a log, the replay ends.
#[tokio::test]
async fn a_log_that_lacks_any_entry_ends() {
    let setup = Setup {
        answers: Some(vec![answer(Decision::Allow, None); 20]),
        ..Setup::default()
    };
    let step = calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]);
    let mut bench = begun(setup, vec![step, says("done"), says("more")]);
    busy(&mut bench);
    bench.run("go").await;
    bench.run("go on").await;
    let mut logs = vec![log(&bench)];
    // Too long to leave out and turn round each of its entries with all that it says.
    let session = session().await.into_iter();
    let long = |event: &Event| serde_json::to_string(event).unwrap().len() > 10_000;
    logs.push(session.take_while(|(_, event)| !long(event)).collect());
    for whole in logs {
        let events: Vec<_> = whole.into_iter().map(|(_, event)| event).collect();
        for at in 0..events.len() {
            let mut lacking = events.clone();
            lacking.remove(at);
            played(numbered(lacking)).await;
            let mut twice = events.clone();
            twice.insert(at, events[at].clone());
            played(numbered(twice)).await;
            let mut turned = events.clone();
            turned.swap(at, (at + 1) % events.len());
            played(numbered(turned)).await;
        }
    }
}
