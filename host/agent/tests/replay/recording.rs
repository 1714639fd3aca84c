//! Recording a session with the bench, and playing it again.

use crate::bench::{Bench, Setup, Step, bench};
use ml_intern_agent::replay::{Report, replay};
use ml_intern_agent::{Event, Message, Role, Stamp};
use std::time::Duration;

/// A log.
pub(crate) type Log = Vec<(Stamp, Event)>;

/// Long for anything that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bench whose session has begun as the host begins one.
pub(crate) fn begun(mut setup: Setup, steps: Vec<Step>) -> Bench {
    if setup.log.is_empty() {
        let message = Message::text(Role::System, "You train models.");
        setup.log = numbered([
            Event::SessionStarted {
                model: "test/m".into(),
                workspace: "/work".into(),
                host: "0.0.1".into(),
                tools: vec!["look".into()],
                limits: Some(setup.budget.limits(setup.window, false)),
            },
            Event::Message { message },
        ]);
    }
    bench(setup, steps)
}

/// Another process goes on with a log.
pub(crate) fn resumed(mut setup: Setup, mut log: Log, steps: Vec<Step>) -> Bench {
    let seq = log.len() as u64 + 1;
    let event = Event::SessionResumed {
        model: "test/m".into(),
        host: "0.0.2".into(),
        limits: Some(setup.budget.limits(setup.window, false)),
    };
    log.push((Stamp { seq, ms: 1_000 }, event));
    setup.log = log;
    bench(setup, steps)
}

pub(crate) fn numbered(events: impl IntoIterator<Item = Event>) -> Log {
    let stamp = |seq: usize| Stamp {
        seq: seq as u64 + 1,
        ms: 1_000,
    };
    let events = events.into_iter().enumerate();
    events.map(|(seq, event)| (stamp(seq), event)).collect()
}

pub(crate) fn log(bench: &Bench) -> Log {
    bench.journal.events.lock().unwrap().clone()
}

pub(crate) async fn played(log: Log) -> Report {
    let replayed = replay(log);
    tokio::time::timeout(PATIENCE, replayed).await.unwrap()
}

/// Plays a session again.
pub(crate) async fn check(log: Log) -> Report {
    let report = played(log.clone()).await;
    let what = report.divergence.as_ref();
    let what = what.map(|one| (one.seq, &one.what));
    assert_eq!(what, None, "{}", shown(&log));
    assert_eq!(report.events, log.len() as u64);
    report
}

/// Plays a session again, whole and cut off behind each of its entries.
#[track_caller]
pub(crate) fn check_everywhere(log: Log) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        check(log.clone()).await;
        for length in 0..log.len() {
            let report = played(log[..length].to_vec()).await;
            let what = report.divergence.map(|one| (one.seq, one.what));
            assert_eq!(
                (what, report.events),
                (None, length as u64),
                "cut off behind {length} at {place}: {}",
                shown(&log)
            );
        }
    }
}

fn shown(log: &Log) -> String {
    let line = |(stamp, event): &(Stamp, Event)| {
        let text = serde_json::to_string(event).unwrap();
        format!(
            "{}: {}",
            stamp.seq,
            text.chars().take(160).collect::<String>()
        )
    };
    log.iter().map(line).collect::<Vec<_>>().join("\n")
}
