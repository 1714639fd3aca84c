//! A conversation that grows beyond the model's context.

use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::{Reply, Stop};
use ml_intern_agent::{Event, Message, Part, ProviderError, Role, Stamp, State};
use std::sync::Arc;

use crate::bench::{Bench, Setup, Step, bench, calls, fails, says};

/// Tokens, of which nine tenths may be used.
const WINDOW: u64 = 20_000;
const LIMIT: u64 = 18_000;

fn bytes(messages: &[Arc<Message>]) -> usize {
    let of = |part: &Part| match part {
        Part::Text { text } => text.len(),
        Part::Call(call) => call.name.len() + call.arguments.len(),
        Part::Result(result) => result.content.len(),
        Part::Image { .. } | Part::Reasoning { .. } => 0,
    };
    messages
        .iter()
        .flat_map(|message| &message.parts)
        .map(of)
        .sum()
}

fn is_summary(messages: &[Arc<Message>]) -> bool {
    let last = messages.last().unwrap();
    last.plain_text().contains("about to be cut")
}

/// Answers with the tokens of what was asked, and with a note where one is wanted.
fn counted(part: Part, stop: Stop) -> Step {
    Box::new(move |messages| {
        let usage = Usage {
            input: bytes(messages) as u64 / 4,
            output: 100,
            ..Usage::default()
        };
        let (part, stop) = match is_summary(messages) {
            true => (text("the note: lr 0.1 was too high"), Stop::EndTurn),
            false => (part, stop),
        };
        Ok(Reply {
            parts: vec![part],
            stop,
            usage,
        })
    })
}

fn text(text: &str) -> Part {
    Part::Text { text: text.into() }
}

/// A call whose result, with its arguments, takes about this many bytes twice.
fn call(number: usize, bytes: usize) -> Step {
    let arguments = format!("{{\"n\":{number},\"s\":\"{}\"}}", "x".repeat(bytes));
    let call = Call {
        id: format!("call{number}"),
        name: "look".into(),
        arguments,
    };
    counted(Part::Call(call), Stop::ToolUse)
}

fn rounds(count: usize, bytes: usize) -> Vec<Step> {
    let calls = (0..count).map(|number| call(number, bytes));
    calls
        .chain([counted(text("done"), Stop::EndTurn)])
        .collect()
}

fn small(steps: Vec<Step>) -> Bench {
    let setup = Setup {
        window: Some(WINDOW),
        ..Setup::default()
    };
    bench(setup, steps)
}

/// Tokens before and after each time.
fn compacted(bench: &Bench) -> Vec<(u64, u64)> {
    let events = bench.events().into_iter();
    let all = events.filter_map(|event| match event {
        Event::Compacted { before, after, .. } => Some((before, after)),
        _ => None,
    });
    all.collect()
}

/// What the model was last asked.
fn last(bench: &Bench) -> Vec<Message> {
    bench.script.seen.lock().unwrap().last().cloned().unwrap()
}

fn assert_folds(bench: &Bench) {
    let mut state = State::default();
    for (stamp, event) in bench.journal.events.lock().unwrap().iter() {
        state.apply(event, *stamp);
    }
    bench.agent.session.read(|live| {
        assert_eq!(live.messages, state.messages);
        assert_eq!(live.context.tokens(), state.context.tokens());
    });
}

#[tokio::test]
async fn one_task_and_many_rounds_are_summed_up_and_go_on() {
    let bench = small(rounds(60, 3000));
    assert_eq!(bench.run("train it").await, TurnEnd::Done);
    let times = compacted(&bench);
    assert!((3..=12).contains(&times.len()), "{times:?}");
    for (before, after) in times {
        assert!(before > LIMIT && after < LIMIT / 2, "{before} → {after}");
    }
    for seen in bench.script.seen.lock().unwrap().iter() {
        let seen: Vec<_> = seen.iter().cloned().map(Arc::new).collect();
        let tokens = bytes(&seen) as u64 / 4;
        assert!(tokens < WINDOW + 1000, "{tokens}");
        assert_eq!(seen[0].role, Role::User);
        assert!(seen[0].plain_text().starts_with("train it"));
    }
    let end = last(&bench);
    assert!(end[0].plain_text().contains("lr 0.1 was too high"));
    // The newest note stands for all before it.
    assert_eq!(end[0].plain_text().matches("the note").count(), 1);
    bench.check_conversations();
    assert_folds(&bench);
}

#[tokio::test]
async fn a_long_session_keeps_its_size() {
    let mut bench = small(rounds(2000, 3000));
    bench.agent.budget.iterations = 5000;
    assert_eq!(bench.run("train it").await, TurnEnd::Done);
    assert!(compacted(&bench).len() > 40);
    let size = bench.agent.session.read(|state| bytes(&state.messages));
    assert!(size < 4 * WINDOW as usize, "{size}");
    assert_folds(&bench);
}

#[tokio::test]
async fn what_the_person_said_later_the_plan_and_the_jobs_stay() {
    let mut steps = rounds(2, 3000);
    steps.extend(rounds(30, 3000));
    let bench = small(steps);
    let plan = serde_json::json!([{"id": "a", "content": "sweep the rate", "status": "completed"}]);
    let items = serde_json::from_value(plan).unwrap();
    bench.agent.session.record(Event::Plan { items }).unwrap();
    assert_eq!(bench.run("train it").await, TurnEnd::Done);
    assert_eq!(bench.run("but only on the first fold").await, TurnEnd::Done);
    assert!(compacted(&bench).len() > 1);
    let begin = last(&bench)[0].plain_text();
    assert!(begin.contains("but only on the first fold"), "{begin}");
    assert!(begin.contains("sweep the rate"), "{begin}");
    bench.check_conversations();
}

#[tokio::test]
async fn a_model_that_cannot_sum_up_gets_a_list_of_what_was_done() {
    let deaf = |step: Step| -> Step {
        Box::new(move |messages| match is_summary(messages) {
            true => Err(ProviderError::Other("no".into())),
            false => step(messages),
        })
    };
    let bench = small(rounds(14, 3000).into_iter().map(deaf).collect());
    assert_eq!(bench.run("train it").await, TurnEnd::Done);
    assert_eq!(compacted(&bench).len(), 1);
    let begin = last(&bench)[0].plain_text();
    assert!(begin.contains("look {\"n\":0"), "{begin}");
    bench.check_conversations();
}

#[tokio::test]
async fn a_service_whose_window_nobody_knows_makes_room_by_refusing() {
    let overflow = || fails(ProviderError::ContextOverflow("8192 at most".into()));
    let note = || says("the note");
    let one = |number: &str| calls(&[(number, "look", &format!("{{\"n\":{number}}}"))]);
    let steps = vec![
        one("1"),
        one("2"),
        one("3"),
        overflow(),
        note(),
        overflow(),
        note(),
        says("done"),
    ];
    let bench = bench(Setup::default(), steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(compacted(&bench).len(), 2);
    bench.check_conversations();
}

#[tokio::test]
async fn what_does_not_fit_at_all_ends_the_turn_and_says_so() {
    let overflow = || fails(ProviderError::ContextOverflow("8192 at most".into()));
    let bench = bench(Setup::default(), (0..20).map(|_| overflow()).collect());
    assert_eq!(bench.run(&"long ".repeat(9000)).await, TurnEnd::Error);
    assert!(bench.script.seen.lock().unwrap().len() <= 4);
    let error = bench
        .agent
        .session
        .read(|state| state.error.clone().unwrap());
    assert_eq!(error.0, "context_overflow");
    assert!(error.1.contains("8192 at most"), "{error:?}");
}

/// A window that the tools alone fill, by the service's count: it takes the requests nevertheless.
#[tokio::test]
async fn a_cut_that_changes_nothing_is_not_made_in_every_round() {
    let heavy = |step: Step| -> Step {
        Box::new(move |messages| {
            let mut reply = step(messages)?;
            reply.usage.input += WINDOW;
            Ok(reply)
        })
    };
    let bench = small(rounds(40, 300).into_iter().map(heavy).collect());
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    // A round is 150 tokens: 6000 in all, and a cut is worth it after 4500.
    let times = compacted(&bench).len();
    assert!((1..=3).contains(&times), "{times}");
    bench.check_conversations();
    assert_folds(&bench);
}

#[tokio::test]
async fn a_huge_result_is_cut_to_its_ends() {
    let steps = vec![call(1, 60_000), counted(text("done"), Stop::EndTurn)];
    let bench = small(steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let end = last(&bench);
    let result = end
        .iter()
        .flat_map(|message| &message.parts)
        .find_map(|part| match part {
            Part::Result(result) => Some(&result.content),
            _ => None,
        });
    let result = result.unwrap();
    assert!(
        result.len() < 40_000 && result.contains("were left out"),
        "{}",
        result.len()
    );
    assert!(result.starts_with("look {") && result.ends_with("x\"}"));
    bench.check_conversations();
    assert_folds(&bench);
}

#[test]
fn what_does_not_fit_a_state_changes_nothing_in_it() {
    let mut state = State::default();
    for at in [None, Some(0), Some(7), Some(u64::MAX)] {
        let event = Event::Compacted {
            at,
            longest: Some(0),
            summary: "s".into(),
            before: 1,
            after: 1,
        };
        state.apply(&event, Stamp { seq: 1, ms: 0 });
        assert!(state.messages.is_empty());
    }
}
