//! What a person wants of the model, and what the model's service makes of it.

use crate::bench::*;
use crate::recording::{begun, check_everywhere, log};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::ports::Stop;
use ml_intern_agent::{Event, Part, ProviderError};
use serde_json::json;

#[tokio::test]
async fn efforts_and_reasoning_that_were_refused_are_so_again() {
    let refuses = || fails(ProviderError::Effort("no such effort".into()));
    let reasoning = Part::Reasoning {
        text: "hm".into(),
        provider: Some("p".into()),
        opaque: Some("{}".into()),
    };
    let call = Part::Call(ml_intern_agent::message::Call {
        id: "a".into(),
        name: "look".into(),
        arguments: "{}".into(),
    });
    let steps = vec![
        refuses(),
        fails(overloaded(Some(5))),
        refuses(),
        reply(vec![reasoning, call], Stop::ToolUse),
        fails(ProviderError::StaleReasoning("old".into())),
        says("done"),
    ];
    let bench = begun(Setup::default(), steps);
    let effort = Some("max".into());
    bench
        .agent
        .session
        .record(Event::EffortWanted { effort })
        .unwrap();
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    check_everywhere(log(&bench)).await;
}

#[tokio::test]
async fn answers_are_judged_again() {
    let steps = vec![
        says("prose"),
        says("{}"),
        says("prose"),
        says("prose"),
        says("prose"),
    ];
    let bench = begun(Setup::default(), steps);
    let schema = Some(json!({"type": "object"}));
    bench
        .agent
        .session
        .record(Event::AnswerExpected { schema })
        .unwrap();
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    check_everywhere(log(&bench)).await;
}
