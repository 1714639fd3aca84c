//! A model that goes round in circles.

use ml_intern_agent::event::{CallStatus, Repetition, Step as Told, TurnEnd};
use ml_intern_agent::{Event, Message, Role};

use crate::bench::{Bench, Setup, Step, bench, calls, says};

/// The same call in a reply, so many times.
fn same(times: usize) -> impl Iterator<Item = Step> {
    let arguments = ["{\"n\":1}", "{ \"n\": 1 }"];
    (0..times).map(move |time| calls(&[("a", "look", arguments[time % 2])]))
}

fn repetitions(bench: &Bench) -> Vec<Repetition> {
    let events = bench.events().into_iter();
    let noticed = events.filter_map(|event| match event {
        Event::Repetition { repetition } => Some(repetition),
        _ => None,
    });
    noticed.collect()
}

fn steps(bench: &Bench) -> Vec<Told> {
    repetitions(bench).into_iter().map(|one| one.step).collect()
}

#[tokio::test]
async fn a_model_that_repeats_itself_is_told_once_and_may_go_another_way() {
    let script = same(3).chain([calls(&[("b", "look", "{\"n\":2}")]), says("done")]);
    let bench = bench(Setup::default(), script.collect());
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(steps(&bench), [Told::Warned]);
    let [told] = &bench.advice()[..] else {
        panic!("{:?}", bench.advice());
    };
    assert!(
        told.starts_with("[SYSTEM: REPETITION GUARD]") && told.contains("`look`"),
        "{told}"
    );
    assert_eq!(bench.tools.ran.lock().unwrap().len(), 4);
    bench.check_conversations();
}

#[tokio::test]
async fn a_model_that_does_not_stop_is_barred_and_then_stopped() {
    let bench = bench(Setup::default(), same(20).collect());
    assert_eq!(bench.run("go").await, TurnEnd::Repetition);
    assert_eq!(steps(&bench), [Told::Warned, Told::Barred, Told::Stopped]);
    // Three were made, one after it was told, and the last was not run.
    assert_eq!(bench.tools.ran.lock().unwrap().len(), 4);
    let finished = bench.finished();
    let (_, status, text) = &finished[4];
    assert_eq!((finished.len(), *status), (5, CallStatus::Error));
    assert!(text.contains("was not run"), "{text}");
    bench.check_conversations();
    // What a person says next begins anew.
    bench.script.steps.lock().unwrap().clear();
    bench
        .script
        .steps
        .lock()
        .unwrap()
        .extend(same(2).chain([says("done")]));
    assert_eq!(bench.run("once more").await, TurnEnd::Done);
    assert_eq!(bench.tools.ran.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn a_cycle_is_named_in_its_order_and_goes_on_once_more_before_it_is_barred() {
    let cycle = || {
        [("look", "{\"n\":1}"), ("append", "{\"n\":2}")]
            .map(|(tool, arguments)| calls(&[("a", tool, arguments)]))
    };
    let script = (0..10).flat_map(|_| cycle());
    let setup = Setup {
        mode: ml_intern_agent::approval::Mode::Auto,
        ..Setup::default()
    };
    let bench = bench(setup, script.collect());
    assert_eq!(bench.run("go").await, TurnEnd::Repetition);
    assert_eq!(steps(&bench), [Told::Warned, Told::Barred, Told::Stopped]);
    assert_eq!(repetitions(&bench)[0].tools, ["look", "append"]);
    assert_eq!(bench.tools.ran.lock().unwrap().len(), 6);
    bench.check_conversations();
}

#[tokio::test]
async fn equal_calls_side_by_side_are_no_repetition() {
    let three = [
        ("a", "look", "{}"),
        ("b", "look", "{}"),
        ("c", "look", "{}"),
    ];
    let bench = bench(
        Setup::default(),
        vec![calls(&three), calls(&three), says("done")],
    );
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(steps(&bench), []);
}

#[tokio::test]
async fn a_session_that_goes_on_knows_what_was_told() {
    let first = bench(Setup::default(), same(4).collect());
    let cancel = tokio_util::sync::CancellationToken::new();
    // The script is empty then, and the model silent.
    let run = ml_intern_agent::turn::run(&first.agent, Some("go"), &cancel);
    let stop = async {
        while first.script.seen.lock().unwrap().len() < 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = run => panic!("it ended"),
        () = stop => {}
    }
    assert_eq!(steps(&first), [Told::Warned, Told::Barred]);
    let log = first.journal.events.lock().unwrap().clone();
    let setup = Setup {
        log,
        ..Setup::default()
    };
    let again = bench(setup, same(1).collect());
    let end = ml_intern_agent::turn::run(&again.agent, None, &cancel)
        .await
        .unwrap();
    assert_eq!(end, TurnEnd::Repetition);
    assert_eq!(again.tools.ran.lock().unwrap().len(), 0);
    let last = again
        .script
        .seen
        .lock()
        .unwrap()
        .last()
        .and_then(|seen| seen.last().cloned());
    let last: Message = last.unwrap();
    assert!(
        last.role == Role::User && last.plain_text().contains("not run any more"),
        "{last:?}"
    );
}
