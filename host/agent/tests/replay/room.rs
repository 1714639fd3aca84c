//! Conversations that outgrow the model's context.

use crate::bench::*;
use crate::recording::{begun, check, check_everywhere, log};
use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::{Reply, Stop};
use ml_intern_agent::{Event, Message, Part, ProviderError};
use std::sync::Arc;

fn bytes(messages: &[Arc<Message>]) -> usize {
    let of = |part: &Part| match part {
        Part::Text { text } => text.len(),
        Part::Call(call) => call.name.len() + call.arguments.len(),
        Part::Result(result) => result.content.len(),
        Part::Image { .. } | Part::Reasoning { .. } => 0,
    };
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts.map(of).sum()
}

fn is_summary(messages: &[Arc<Message>]) -> bool {
    let last = messages.last().unwrap();
    last.plain_text().contains("about to be cut")
}

fn text(text: &str) -> Part {
    Part::Text { text: text.into() }
}

/// Answers with the tokens of what was asked, and with `note` where one is wanted.
fn counted(part: Part, note: Option<&'static str>) -> Step {
    Box::new(move |messages| {
        let usage = Usage {
            input: bytes(messages) as u64 / 4,
            output: 100,
            ..Usage::default()
        };
        let part = match (is_summary(messages), note) {
            (true, None) => return Err(ProviderError::Other("no".into())),
            (true, Some(note)) => text(note),
            (false, _) => part,
        };
        Ok(Reply {
            parts: vec![part],
            stop: Stop::EndTurn,
            usage,
        })
    })
}

fn rounds(count: usize, bytes: usize, note: Option<&'static str>) -> Vec<Step> {
    let call = |number: usize| {
        let arguments = format!("{{\"n\":{number},\"s\":\"{}\"}}", "x".repeat(bytes));
        let call = Call {
            id: format!("call{number}"),
            name: "look".into(),
            arguments,
        };
        counted(Part::Call(call), note)
    };
    let calls = (0..count).map(call);
    calls.chain([counted(text("done"), note)]).collect()
}

fn compactions(bench: &Bench) -> usize {
    let events = bench.events().into_iter();
    events
        .filter(|event| matches!(event, Event::Compacted { .. }))
        .count()
}

#[tokio::test]
async fn a_long_turn_is_shortened_again_where_it_was() {
    for window in [12_000, 20_000, 32_768] {
        for note in [Some("the note:\n\nlr 0.1 was too high"), Some(" "), None] {
            let setup = Setup {
                window: Some(window),
                ..Setup::default()
            };
            let bench = begun(setup, rounds(60, 3000, note));
            assert_eq!(bench.run("train it").await, TurnEnd::Done);
            let more = rounds(10, 3000, note);
            bench.script.steps.lock().unwrap().extend(more);
            assert_eq!(bench.run("on the first fold").await, TurnEnd::Done);
            assert!(compactions(&bench) > 1);
            check(log(&bench)).await;
        }
    }
}

#[tokio::test]
async fn a_turn_that_was_shortened_breaks_off_anywhere() {
    let setup = Setup {
        window: Some(12_000),
        ..Setup::default()
    };
    let bench = begun(setup, rounds(14, 3000, Some("the note")));
    assert_eq!(bench.run("train it").await, TurnEnd::Done);
    assert!(compactions(&bench) > 0);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn a_huge_result_is_shortened_again() {
    let setup = Setup {
        window: Some(20_000),
        ..Setup::default()
    };
    let bench = begun(setup, rounds(1, 60_000, Some("the note")));
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert!(compactions(&bench) > 0);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn a_service_that_refused_refuses_again() {
    let overflow = || fails(ProviderError::ContextOverflow("8192 at most".into()));
    let one = |number: &str| calls(&[(number, "look", &format!("{{\"n\":{number}}}"))]);
    let steps = vec![
        one("1"),
        one("2"),
        one("3"),
        overflow(),
        says("the note"),
        overflow(),
        says("the note"),
        says("done"),
    ];
    let bench = begun(Setup::default(), steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(compactions(&bench), 2);
    check_everywhere(log(&bench)).await;
    let steps = [one("1"), one("2"), one("3")].into_iter();
    let steps = steps.chain((0..9).map(|_| overflow()));
    let bench = begun(Setup::default(), steps.collect());
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    check_everywhere(log(&bench)).await;
}
