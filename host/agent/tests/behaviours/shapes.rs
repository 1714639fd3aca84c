//! Final answers that have to have a shape.

use crate::bench::{Bench, Setup, bench, calls, says};
use ml_intern_agent::Event;
use ml_intern_agent::event::TurnEnd;
use serde_json::json;

fn expect(bench: &Bench) {
    let schema =
        json!({"type": "object", "required": ["loss"], "properties": {"loss": {"type": "number"}}});
    let schema = Some(schema);
    bench
        .agent
        .session
        .record(Event::AnswerExpected { schema })
        .unwrap();
}

#[tokio::test]
async fn an_answer_that_fits_is_taken_without_what_is_around_it() {
    let steps = vec![
        calls(&[("a", "look", "{}")]),
        says("```json\n{\"loss\": 0.5}\n```"),
    ];
    let bench = bench(Setup::default(), steps);
    expect(&bench);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.answer().as_deref(), Some("{\"loss\": 0.5}"));
    let wanted = bench.script.wanted.lock().unwrap();
    assert!(
        wanted
            .iter()
            .all(|(_, schema)| schema.as_ref().is_some_and(|text| text.contains("loss")))
    );
}

#[tokio::test]
async fn a_model_is_told_what_is_wrong_with_its_answer() {
    let steps = vec![
        says("The loss is 0.5."),
        says("{\"loss\":\"0.5\"}"),
        says("{\"loss\":0.5}"),
    ];
    let bench = bench(Setup::default(), steps);
    expect(&bench);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let advice = bench.advice();
    assert!(
        advice[0].contains("not JSON") && advice[1].contains("`/loss`"),
        "{advice:?}"
    );
    bench.check_conversations();
}

#[tokio::test]
async fn a_model_that_does_not_learn_fails_the_turn() {
    let steps = (0..4).map(|_| says("The loss is 0.5."));
    let bench = bench(Setup::default(), steps.collect());
    expect(&bench);
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    let failed = bench.events().into_iter().any(|event| {
        matches!(event, Event::Error { kind, message } if kind == "output_schema" && message.contains("3 times"))
    });
    assert!(failed);
    // Another turn is judged anew, and one without a shape not at all.
    bench
        .agent
        .session
        .record(Event::AnswerExpected { schema: None })
        .unwrap();
    assert_eq!(bench.run("go").await, TurnEnd::Done);
}
