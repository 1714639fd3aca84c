//! Turns with calls, questions and failures.

use crate::bench::*;
use crate::recording::{begun, check, check_everywhere, log, resumed};
use ml_intern_agent::approval::{Decision, Mode};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::Stop;
use ml_intern_agent::{Event, Part, ProviderError, turn};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn auto() -> Setup {
    Setup {
        mode: Mode::Auto,
        ..Setup::default()
    }
}

/// Reads side by side, changes things one after the other, and answers.
fn steps() -> Vec<Step> {
    vec![
        calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]),
        calls(&[
            ("c", "look", "{}"),
            ("d", "write", "{}"),
            ("e", "append", "{}"),
            ("f", "look", "{}"),
            ("g", "crash", "{}"),
        ]),
        says("done"),
    ]
}

#[tokio::test]
async fn turns_with_calls_come_out_as_they_were() {
    let bench = begun(auto(), steps());
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    bench.script.steps.lock().unwrap().extend(steps());
    assert_eq!(bench.run("again").await, TurnEnd::Done);
    let report = check(log(&bench)).await;
    assert_eq!(
        (report.turns, report.iterations, report.tool_calls),
        (2, 6, 14)
    );
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn calls_that_are_refused_are_refused_again() {
    let step = calls(&[
        ("a", "loook", "{}"),
        ("b", "look", "{\"n\":\"x\"}"),
        ("c", "look", "{"),
        ("", "look", ""),
        ("", "look", "[1]"),
    ]);
    let bad = || calls(&[("a", "look", "{")]);
    let steps = vec![step, bad(), bad(), bad(), says("sorry")];
    let bench = begun(Setup::default(), steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn replies_that_were_cut_are_cut_again() {
    let cut = |text: &str| {
        let call = |name: &str| {
            Part::Call(Call {
                id: "a".into(),
                name: name.into(),
                arguments: "{\"n\"".into(),
            })
        };
        let text = Part::Text { text: text.into() };
        reply(vec![text, call("write"), call("look")], Stop::MaxTokens)
    };
    let bench = begun(auto(), vec![cut("now I"), cut(""), says("shorter")]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
    let bench = begun(auto(), (0..4).map(|_| cut("")).collect());
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn a_reply_of_nothing_ends_the_turn_again() {
    let bench = begun(
        auto(),
        (0..3).map(|_| reply(Vec::new(), Stop::Other)).collect(),
    );
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn a_service_that_failed_fails_again() {
    for errors in [
        vec![overloaded(Some(1234)), overloaded(None)],
        vec![
            ProviderError::Timeout,
            ProviderError::Timeout,
            ProviderError::Timeout,
        ],
        vec![overloaded(None), overloaded(None), overloaded(None)],
        vec![overloaded(None), ProviderError::Auth("bad key".into())],
        vec![ProviderError::Fault("trapped".into())],
        vec![ProviderError::ContextOverflow("8192 at most".into())],
    ] {
        let steps = errors.into_iter().map(fails).chain([says("done")]);
        let bench = begun(Setup::default(), steps.collect());
        bench.run("go").await;
        check_everywhere(log(&bench)).await;
    }
}

#[tokio::test]
async fn what_a_person_answered_is_answered_again() {
    let write = |arguments: &str| calls(&[("a", "write", arguments)]);
    for answers in [
        None,
        Some(vec![]),
        Some(vec![answer(Decision::Allow, None); 3]),
        Some(vec![answer(Decision::Deny, None); 3]),
        Some(vec![answer(Decision::AllowSession, None)]),
        Some(vec![answer(Decision::AllowAlways, Some(json!({"n": 7})))]),
        Some(vec![answer(Decision::Allow, Some(json!({"n": "]\n"})))]),
        Some(vec![answer(Decision::Allow, Some(json!({"s": "]\n[\""})))]),
    ] {
        let setup = Setup {
            answers: answers.clone(),
            ..Setup::default()
        };
        let steps = vec![
            calls(&[("a", "write", "{\"n\":1}"), ("b", "look", "{}")]),
            write("{\"n\":2}"),
            write("{\"n\":3}"),
            says("ok"),
        ];
        let bench = begun(setup, steps);
        assert_eq!(bench.run("go").await, TurnEnd::Done, "{answers:?}");
        check_everywhere(log(&bench)).await;
    }
}

#[tokio::test]
async fn every_mode_comes_out_as_it_was() {
    for mode in [Mode::Plan, Mode::Ask, Mode::AutoEdit, Mode::Auto] {
        let setup = Setup {
            mode,
            ..Setup::default()
        };
        let step = calls(&[
            ("a", "write", "{}"),
            ("b", "append", "{}"),
            ("c", "look", "{}"),
        ]);
        let bench = begun(setup, vec![step, says("ok")]);
        assert_eq!(bench.run("go").await, TurnEnd::Done);
        check_everywhere(log(&bench)).await;
    }
}

/// A process dies behind each entry and another one goes on; then what both wrote is played again.
#[tokio::test]
async fn a_session_that_died_anywhere_and_went_on_comes_out_as_it_was() {
    let whole = begun(auto(), steps());
    whole.run("go").await;
    let whole = log(&whole);
    for cut in 3..whole.len() {
        let head = whole[..cut].to_vec();
        let answered = head.iter().filter(|(_, event)| {
            matches!(event, Event::Message { message } if message.role == ml_intern_agent::Role::Assistant)
        });
        let mut left = steps();
        left.drain(..answered.count());
        let bench = resumed(auto(), head, left);
        let end = turn::run(&bench.agent, None, &CancellationToken::new()).await;
        assert_eq!(end.unwrap(), TurnEnd::Done);
        check_everywhere(log(&bench)).await;
    }
}

/// The one that goes on has something else to do.
#[tokio::test]
async fn a_turn_that_was_left_behind_is_left_behind_again() {
    let whole = begun(auto(), steps());
    whole.run("go").await;
    let whole = log(&whole);
    for cut in 3..whole.len() {
        let bench = resumed(auto(), whole[..cut].to_vec(), vec![says("fine")]);
        assert_eq!(bench.run("something else").await, TurnEnd::Done);
        check_everywhere(log(&bench)).await;
    }
}
