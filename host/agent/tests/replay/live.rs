//! Recorded models with real tools.

use crate::bench::*;
use crate::inputs::Busy;
use crate::recording::{Log, begun, log};
use async_trait::async_trait;
use ml_intern_agent::approval::{Decision, Gate, Mode};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::ports::{Invocation, Outcome, Tool, Toolbox};
use ml_intern_agent::replay::{Live, Report, replay_live};
use ml_intern_agent::{Event, Session};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

async fn played(
    log: Log,
    mode: Mode,
    toolbox: impl FnOnce(Arc<Session>, Arc<Gate>) -> Arc<dyn Toolbox> + Send,
) -> Report {
    let live = Live {
        toolbox: Box::new(toolbox),
        mode,
        approver: None,
    };
    let replayed = replay_live(log, live);
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, replayed).await.unwrap()
}

/// The tools of the bench; what they say is what `say` makes of it.
struct Saying<F>(Arc<Tools>, F);

#[async_trait]
impl<F: Fn(&Invocation, String) -> String + Send + Sync> Toolbox for Saying<F> {
    fn tools(&self) -> &[Tool] {
        self.0.tools()
    }

    async fn call(&self, invocation: Invocation) -> Outcome {
        let asked = invocation.clone();
        // Longer than it takes to look whether anything moves.
        tokio::time::sleep(Duration::from_millis(2)).await;
        match self.0.call(invocation).await {
            Outcome::Output {
                content, images, ..
            } => Outcome::Output {
                content: (self.1)(&asked, content),
                images,
                is_error: false,
            },
            other => other,
        }
    }
}

fn tools() -> Arc<Tools> {
    bench(Setup::default(), Vec::new()).tools
}

async fn session() -> Log {
    let steps = vec![
        calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]),
        calls(&[("c", "look", "{\"n\":1}")]),
        calls(&[("d", "write", "{\"n\":3}"), ("e", "look", "{\"n\":\"x\"}")]),
        calls(&[("f", "look", "{\"n\":4}")]),
        says("done"),
    ];
    let setup = Setup {
        mode: Mode::Auto,
        ..Setup::default()
    };
    let bench = begun(setup, steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    log(&bench)
}

#[tokio::test]
async fn tools_that_do_the_same_make_no_difference() {
    let log = session().await;
    for length in 0..=log.len() {
        let report = played(log[..length].to_vec(), Mode::Auto, |_, _| {
            Arc::new(Saying(tools(), |_: &Invocation, content| content))
        });
        let report = report.await;
        assert_eq!(report.divergence, None, "cut off behind {length}");
        assert_eq!(report.differing, []);
        assert_eq!(report.events, length as u64);
    }
}

#[tokio::test]
async fn calls_that_come_out_otherwise_are_listed_and_stop_nothing() {
    let log = session().await;
    let report = played(log.clone(), Mode::Auto, |_, _| {
        let say = |call: &Invocation, content: String| match call.arguments["n"].as_u64() {
            Some(2 | 3) => content.replace("\"n\"", "\"m\""),
            _ => content,
        };
        Arc::new(Saying(tools(), say))
    });
    let report = report.await;
    assert_eq!(report.divergence, None);
    assert_eq!(report.events, log.len() as u64);
    let differing = report.differing.iter();
    let differing: Vec<_> = differing
        .map(|call| (&*call.tool, &*call.expected, &*call.found))
        .collect();
    assert_eq!(
        differing,
        [
            ("look", "`look {\"n\":2}`", "`look {\"m\":2}`"),
            ("write", "`write {\"n\":3}`", "`write {\"m\":3}`"),
        ]
    );
}

/// What the model does now is a circle, because the results are the same.
#[tokio::test]
async fn a_guard_that_steps_in_now_is_a_difference() {
    let number = AtomicU64::new(0);
    let step = || calls(&[("a", "look", "{\"n\":1}")]);
    let mut bench = begun(
        Setup::default(),
        vec![step(), step(), step(), step(), says("done")],
    );
    let counting = move |_: &Invocation, content: String| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        format!("{content} {number}")
    };
    bench.agent.toolbox = Arc::new(Saying(bench.tools.clone(), counting));
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let report = played(log(&bench), Mode::Auto, |_, _| tools()).await;
    let divergence = report.divergence.unwrap();
    assert!(matches!(&divergence.found, Some(Event::Message { message }) if message.injected));
    assert_eq!(
        divergence.what,
        "`usage` was recorded, and the loop writes `message`"
    );
    assert_eq!(report.differing.len(), 3);
}

#[tokio::test]
async fn what_tools_write_and_ask_is_not_compared() {
    let setup = Setup {
        answers: Some(vec![answer(Decision::Allow, None); 20]),
        ..Setup::default()
    };
    let steps = vec![
        calls(&[("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")]),
        calls(&[("c", "write", "{}"), ("d", "append", "{}")]),
        says("done"),
    ];
    let mut bench = begun(setup, steps);
    crate::inputs::busy(&mut bench);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    let log = log(&bench);
    let busy = |session, gate| {
        let clock = Arc::new(Still {
            slept_ms: AtomicU64::new(0),
        });
        Arc::new(Busy {
            tools: tools(),
            session,
            gate,
            clock,
        }) as Arc<dyn Toolbox>
    };
    for mode in [Mode::Ask, Mode::Auto] {
        let report = played(log.clone(), mode, busy).await;
        assert_eq!(report.divergence.map(|one| one.what), None);
        assert_eq!(report.differing, []);
        assert_eq!(report.events, log.len() as u64);
    }
    // Others that write nothing.
    let report = played(log.clone(), Mode::Ask, |_, _| tools()).await;
    assert_eq!(report.divergence.map(|one| one.what), None);
    assert_eq!(report.events, log.len() as u64);
}
