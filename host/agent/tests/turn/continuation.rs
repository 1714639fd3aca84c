//! A model that answers before its plan is done.

use ml_intern_agent::Event;
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::message::Role;
use serde_json::{Value, json};

use crate::bench::{Bench, Setup, Step, bench, calls, says};

fn with_plan(items: &[(&str, &str)], steps: Vec<Step>) -> Bench {
    let items = items.iter().enumerate().map(|(index, (content, status))| {
        json!({"id": format!("{}", index + 1), "content": content, "status": status})
    });
    let items = serde_json::from_value(Value::Array(items.collect())).unwrap();
    let bench = bench(Setup::default(), steps);
    bench.agent.session.record(Event::Plan { items }).unwrap();
    bench
}

#[tokio::test]
async fn a_plan_that_is_not_done_sends_the_model_back_twice() {
    let items = [("a", "pending"); 6];
    let bench = with_plan(&items, vec![says("one"), says("two"), says("three")]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.answer().as_deref(), Some("three"));
    let advice = bench.advice();
    assert_eq!(advice.len(), 2);
    for text in advice {
        assert!(text.starts_with("[SYSTEM: CONTINUATION GUARD]"), "{text}");
        assert!(text.contains("4. a [pending]; ... and 2 more"), "{text}");
        assert!(!text.contains("5. a"), "{text}");
    }
    bench.check_conversations();
}

#[tokio::test]
async fn a_call_in_between_counts_from_the_beginning() {
    let steps = vec![
        says("one"),
        says("two"),
        calls(&[("a", "look", "{}")]),
        says("three"),
        says("four"),
        says("five"),
    ];
    let bench = with_plan(&[("a", "completed"), ("b", "in_progress")], steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.answer().as_deref(), Some("five"));
    let advice = bench.advice();
    assert_eq!(advice.len(), 4);
    assert!(
        advice[0].contains("2. b [in progress].") && !advice[0].contains("1. a"),
        "{advice:?}"
    );
}

#[tokio::test]
async fn a_plan_that_is_done_or_not_there_ends_with_the_first_answer() {
    let bench = with_plan(&[("a", "completed")], vec![says("one")]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let bench = with_plan(&[], vec![says("one")]);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert!(bench.advice().is_empty());
    assert_eq!(
        bench
            .agent
            .session
            .read(|state| state.messages.last().unwrap().role),
        Role::Assistant
    );
}

#[tokio::test]
async fn what_was_held_counts_after_a_resume_and_not_in_the_next_turn() {
    let first = with_plan(
        &[("a", "pending")],
        vec![says("one"), says("two"), says("three")],
    );
    assert_eq!(first.run("go").await, TurnEnd::Done);
    let log = first.journal.events.lock().unwrap().clone();
    let setup = Setup {
        log,
        ..Setup::default()
    };
    let again = bench(setup, vec![says("four"), says("five"), says("six")]);
    assert_eq!(again.agent.session.read(|state| state.held), 2);
    assert_eq!(again.run("go on").await, TurnEnd::Done);
    assert_eq!(again.answer().as_deref(), Some("six"));
}

#[tokio::test]
async fn an_answer_at_the_cap_is_taken() {
    let mut bench = with_plan(&[("a", "pending")], vec![says("one"), says("two")]);
    bench.agent.budget.iterations = 1;
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.answer().as_deref(), Some("one"));
}
