//! Turns that the host steps into, or that a limit ends.

use crate::bench::*;
use crate::recording::{begun, check_everywhere, log, resumed};
use ml_intern_agent::Event;
use ml_intern_agent::approval::Mode;
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::ports::{Reply, Stop};
use serde_json::json;
use std::time::Duration;

fn same(times: usize) -> Vec<Step> {
    (0..times)
        .map(|_| calls(&[("a", "look", "{\"n\":1}")]))
        .collect()
}

fn plan(bench: &Bench, status: &str) {
    let items = json!([{"id": "1", "content": "train", "status": status}]);
    let items = serde_json::from_value(items).unwrap();
    bench.agent.session.record(Event::Plan { items }).unwrap();
}

#[tokio::test]
async fn a_model_in_a_circle_is_told_barred_and_stopped_again() {
    let bench = begun(Setup::default(), same(20));
    assert_eq!(bench.run("go").await, TurnEnd::Repetition);
    bench.script.steps.lock().unwrap().clear();
    let steps = same(3).into_iter().chain([says("done")]);
    bench.script.steps.lock().unwrap().extend(steps);
    assert_eq!(bench.run("once more").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn a_circle_of_two_is_stopped_again() {
    let setup = Setup {
        mode: Mode::Auto,
        ..Setup::default()
    };
    let cycle = |_| {
        [("look", "{\"n\":1}"), ("append", "{\"n\":2}")]
            .map(|(tool, arguments)| calls(&[("a", tool, arguments)]))
    };
    let bench = begun(setup, (0..10).flat_map(cycle).collect());
    assert_eq!(bench.run("go").await, TurnEnd::Repetition);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn a_model_that_is_not_done_is_sent_back_again() {
    let steps = vec![
        says("one"),
        calls(&[("a", "look", "{}")]),
        says("two"),
        says("three"),
        says("four"),
    ];
    let bench = begun(Setup::default(), steps);
    plan(&bench, "pending");
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.advice().len(), 3);
    check_everywhere(log(&bench)).await;
}

fn rounds(count: usize) -> Vec<Step> {
    (0..count)
        .map(|n| calls(&[("a", "look", &format!("{{\"n\":{n}}}"))]))
        .collect()
}

#[tokio::test]
async fn limits_end_the_turn_again() {
    let budget = Budget::default();
    for (budget, end) in [
        (
            Budget {
                iterations: 3,
                ..budget
            },
            TurnEnd::Iterations,
        ),
        (
            Budget {
                usd: Some(ml_intern_agent::money::MicroUsd::from_usd(0.6)),
                ..budget
            },
            TurnEnd::Budget,
        ),
        (
            Budget {
                time: Duration::ZERO,
                ..budget
            },
            TurnEnd::Time,
        ),
    ] {
        let setup = Setup {
            budget,
            ..Setup::default()
        };
        let bench = begun(setup, rounds(9));
        assert_eq!(bench.run("go").await, end);
        assert_eq!(bench.run("go on").await, end);
        // Another process, with more of everything.
        let bench = resumed(Setup::default(), log(&bench), vec![says("done")]);
        assert_eq!(bench.run("finish").await, TurnEnd::Done);
        check_everywhere(log(&bench)).await;
    }
}

#[tokio::test]
async fn what_has_no_price_is_said_once_again() {
    let free = |step: Step| -> Step {
        Box::new(move |messages| {
            let reply = step(messages)?;
            let usage = Usage {
                cost_usd: None,
                ..reply.usage
            };
            Ok(Reply { usage, ..reply })
        })
    };
    let setup = Setup {
        budget: Budget {
            usd: Some(ml_intern_agent::money::MicroUsd::from_usd(1.0)),
            ..Budget::default()
        },
        ..Setup::default()
    };
    let steps = rounds(2).into_iter().chain([says("done")]).map(free);
    let bench = begun(setup, steps.collect());
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
    let cut = reply(
        vec![ml_intern_agent::Part::Text { text: "cut".into() }],
        Stop::MaxTokens,
    );
    let bench = begun(Setup::default(), vec![free(cut)]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
}
