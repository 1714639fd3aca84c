//! How hard a model is asked to think, and what a service does not take.

use crate::bench::{Bench, Setup, Step, bench, calls, fails, overloaded, reply, says};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::ports::Stop;
use ml_intern_agent::{Event, Part, ProviderError};
use std::sync::atomic::Ordering;

fn refuses() -> Step {
    fails(ProviderError::Effort("effort 'max' invalid".into()))
}

fn want(bench: &Bench, effort: Option<&str>) {
    let effort = effort.map(str::to_owned);
    bench
        .agent
        .session
        .record(Event::EffortWanted { effort })
        .unwrap();
}

fn asked(bench: &Bench) -> Vec<Option<String>> {
    let wanted = bench.script.wanted.lock().unwrap();
    wanted.iter().map(|(effort, _)| effort.clone()).collect()
}

fn some(effort: &str) -> Option<String> {
    Some(effort.to_owned())
}

#[tokio::test]
async fn an_effort_that_is_refused_is_lowered_until_it_is_taken_and_stays_so() {
    let steps = vec![
        refuses(),
        refuses(),
        calls(&[("a", "look", "{}")]),
        says("done"),
    ];
    let bench = bench(Setup::default(), steps);
    want(&bench, Some("max"));
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(
        asked(&bench),
        [some("max"), some("xhigh"), some("high"), some("high")]
    );
    assert_eq!(
        bench.clock.slept_ms.load(Ordering::SeqCst),
        0,
        "nothing is waited for"
    );
    let refused = bench.events().into_iter().filter_map(|event| match event {
        Event::EffortRefused {
            effort, instead, ..
        } => Some((effort, instead)),
        _ => None,
    });
    let refused: Vec<_> = refused.collect();
    assert_eq!(
        refused,
        [
            ("max".to_owned(), some("xhigh")),
            ("xhigh".to_owned(), some("high"))
        ]
    );
}

#[tokio::test]
async fn a_model_that_takes_none_is_asked_for_none() {
    let steps = vec![refuses(), refuses(), refuses(), says("done")];
    let bench = bench(Setup::default(), steps);
    want(&bench, Some("high"));
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(
        asked(&bench),
        [some("high"), some("medium"), some("low"), None]
    );
}

#[tokio::test]
async fn healing_is_no_attempt() {
    let steps = vec![
        fails(overloaded(Some(1))),
        refuses(),
        fails(overloaded(Some(1))),
        refuses(),
        says("done"),
    ];
    let bench = bench(Setup::default(), steps);
    want(&bench, Some("max"));
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(asked(&bench).len(), 5);
}

#[tokio::test]
async fn an_effort_that_nobody_asked_for_cannot_be_lowered() {
    let bench = bench(Setup::default(), vec![refuses(), says("never")]);
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    want(&bench, Some("low"));
    want(&bench, None);
    assert_eq!(bench.run("again").await, TurnEnd::Done);
    assert_eq!(asked(&bench), [None, None]);
}

fn reasoned(provider: Option<&str>) -> Step {
    let reasoning = Part::Reasoning {
        text: "hm".into(),
        provider: provider.map(str::to_owned),
        opaque: Some("{\"signature\":\"s\"}".into()),
    };
    reply(
        vec![reasoning, Part::Text { text: "so".into() }],
        Stop::EndTurn,
    )
}

fn pieces(bench: &Bench) -> Vec<usize> {
    let seen = bench.script.seen.lock().unwrap();
    let count = |messages: &Vec<ml_intern_agent::Message>| {
        let parts = messages.iter().flat_map(|message| &message.parts);
        parts
            .filter(|part| matches!(part, Part::Reasoning { .. }))
            .count()
    };
    seen.iter().map(count).collect()
}

#[tokio::test]
async fn reasoning_that_a_service_does_not_know_any_more_is_left_out_once() {
    let stale = || fails(ProviderError::StaleReasoning("Invalid `signature`".into()));
    let steps = vec![
        reasoned(Some("p")),
        stale(),
        says("done"),
        says("and again"),
        stale(),
    ];
    let bench = bench(Setup::default(), steps);
    assert_eq!(bench.run("one").await, TurnEnd::Done);
    assert_eq!(bench.run("two").await, TurnEnd::Done);
    assert_eq!(bench.run("three").await, TurnEnd::Done);
    assert_eq!(pieces(&bench), [0, 1, 0, 0]);
    assert_eq!(bench.clock.slept_ms.load(Ordering::SeqCst), 0);
    // Where there is none, it is something else.
    assert_eq!(bench.run("four").await, TurnEnd::Error);
    let dropped = bench
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::ReasoningDropped { pieces: 1, .. }));
    assert_eq!(dropped.count(), 1);
}
