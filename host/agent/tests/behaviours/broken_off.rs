//! A reply whose calls were not all answered when the host stopped.

use crate::bench::{Setup, bench, calls, fails, says};
use ml_intern_agent::approval::Mode;
use ml_intern_agent::event::{CallStatus, TurnEnd};
use ml_intern_agent::message::Call;
use ml_intern_agent::{Event, Message, Part, ProviderError, Role, Stamp, turn};
use tokio_util::sync::CancellationToken;

fn finished(index: u32, content: &str) -> Event {
    Event::ToolFinished {
        call: format!("c2.{index}"),
        index,
        tool: "look".into(),
        status: CallStatus::Ok,
        content: content.into(),
        images: Vec::new(),
        ms: 1,
    }
}

/// Three calls, of which the second has its result.
fn log() -> Vec<(Stamp, Event)> {
    let mut message = Message::text(Role::Assistant, "");
    message.parts = (1..=3)
        .map(|number| {
            Part::Call(Call {
                id: number.to_string(),
                name: "look".into(),
                arguments: "{}".into(),
            })
        })
        .collect();
    let events = [
        Event::TurnStarted {
            turn: 1,
            input: "go".into(),
        },
        Event::Message { message },
        finished(1, "the second"),
    ];
    let stamps = (1..).map(|seq| Stamp { seq, ms: 1_000 });
    stamps.zip(events).collect()
}

/// Ids of the calls and the first words of their results.
fn results(message: &Message) -> Vec<(String, String)> {
    let results = message.parts.iter().filter_map(|part| match part {
        Part::Result(result) => {
            let words = result.content.split(';').next().unwrap_or_default();
            Some((result.call_id.clone(), words.to_owned()))
        }
        _ => None,
    });
    results.collect()
}

#[tokio::test]
async fn calls_without_a_result_get_one_in_their_place_before_other_words_and_keep_it() {
    let setup = Setup {
        log: log(),
        ..Setup::default()
    };
    let bench = bench(setup, vec![says("fine"), says("still fine")]);
    assert_eq!(bench.run("something else").await, TurnEnd::Done);
    let sent = bench.script.seen.lock().unwrap()[0].clone();
    let roles: Vec<_> = sent.iter().map(|message| message.role).collect();
    let expected = [Role::User, Role::Assistant, Role::Tool, Role::User];
    assert_eq!(roles, expected);
    let gone_on = "the user went on without waiting for this call";
    let expected = [("1", gone_on), ("2", "the second"), ("3", gone_on)];
    let expected = expected.map(|(id, words)| (id.to_owned(), words.to_owned()));
    assert_eq!(results(&sent[2]), expected);
    assert!(bench.tools.ran.lock().unwrap().is_empty());
    bench.check_conversations();

    // A result that comes too late is a line of the log, and no part of the conversation.
    let before = bench.agent.session.read(|state| format!("{state:?}"));
    bench.agent.session.record(finished(0, "too late")).unwrap();
    let after = bench.agent.session.read(|state| format!("{state:?}"));
    assert_eq!(before, after);
    assert_eq!(bench.run("and now?").await, TurnEnd::Done);
    bench.check_conversations();
}

#[tokio::test]
async fn a_call_that_may_not_run_twice_does_not_however_often_the_host_stops() {
    let mut log = Vec::new();
    // Each ends with the start of the call.
    for entries in [4, 5, 6] {
        let steps = match log.is_empty() {
            true => vec![calls(&[("a", "append", "{}")])],
            false => vec![says("done")],
        };
        let setup = Setup {
            mode: Mode::Auto,
            log,
            fail_at: Some(entries + 1),
            ..Setup::default()
        };
        let bench = bench(setup, steps);
        let input = (entries == 4).then_some("go");
        let broken = turn::run(&bench.agent, input, &CancellationToken::new()).await;
        assert!(broken.is_err());
        let ran = bench.tools.ran.lock().unwrap().len();
        assert_eq!(ran, usize::from(entries == 4), "{entries}");
        log = bench.journal.events.lock().unwrap().clone();
        let last = log.last().map(|(_, event)| event);
        assert!(matches!(last, Some(Event::ToolStarted { .. })), "{last:?}");
    }
    let setup = Setup {
        log,
        ..Setup::default()
    };
    let bench = bench(setup, vec![says("done")]);
    let end = turn::run(&bench.agent, None, &CancellationToken::new()).await;
    assert_eq!(end.unwrap(), TurnEnd::Done);
    assert!(bench.tools.ran.lock().unwrap().is_empty());
    assert_eq!(bench.finished()[0].1, CallStatus::Interrupted);
}

#[tokio::test]
async fn a_turn_that_went_on_after_its_failure_has_no_error_left() {
    let failing = bench(
        Setup::default(),
        vec![fails(ProviderError::Auth("no key".into()))],
    );
    assert_eq!(failing.run("go").await, TurnEnd::Error);
    let error = failing.agent.session.read(|state| state.error.clone());
    assert_eq!(error.unwrap().0, "auth");
    // Stopped before the end of the turn was written down.
    let mut log = failing.journal.events.lock().unwrap().clone();
    log.pop();
    let setup = Setup {
        log,
        ..Setup::default()
    };
    let bench = bench(setup, vec![says("done")]);
    let end = turn::run(&bench.agent, None, &CancellationToken::new()).await;
    assert_eq!(end.unwrap(), TurnEnd::Done);
    assert_eq!(bench.agent.session.read(|state| state.error.clone()), None);
}
