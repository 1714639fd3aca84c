//! Calls of one reply, of which one waits for a person.

use crate::bench::{Bench, Setup, bench, calls, says};
use async_trait::async_trait;
use ml_intern_agent::approval::{Answer, Gate, Mode, Rule};
use ml_intern_agent::event::{CallStatus, PermissionRequest, TurnEnd};
use ml_intern_agent::ports::{Approver, Observer};
use ml_intern_agent::{Event, Stamp, turn};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A person who reads the question and says nothing.
struct Silent;

#[async_trait]
impl Approver for Silent {
    async fn ask(&self, _request: &PermissionRequest) -> Option<Answer> {
        std::future::pending().await
    }

    fn remember(&self, _rule: &Rule) -> Result<(), String> {
        Ok(())
    }
}

/// Reads `look`, then wants to change something with `write`.
fn asking(watchers: Vec<Arc<dyn Observer>>) -> Bench {
    let setup = Setup {
        watchers,
        ..Setup::default()
    };
    let both = calls(&[("a", "look", "{}"), ("b", "write", "{}")]);
    let mut bench = bench(setup, vec![both, says("done")]);
    let session = bench.agent.session.clone();
    let gate = Gate::new(
        Mode::Ask,
        ml_intern_agent::approval::Rules::default(),
        Some(Arc::new(Silent)),
        session,
    );
    bench.agent.gate = Arc::new(gate);
    bench
}

fn is_question(event: &Event) -> bool {
    matches!(event, Event::PermissionRequested { .. })
}

#[tokio::test]
async fn a_reading_call_is_answered_while_the_question_of_its_neighbour_is_open() {
    let bench = asking(Vec::new());
    let cancel = CancellationToken::new();
    let run = turn::run(&bench.agent, Some("go"), &cancel);
    let asked = async {
        while !bench.events().iter().any(is_question) {
            tokio::task::yield_now().await;
        }
        let finished = bench.finished();
        assert_eq!(finished.len(), 1);
        assert_eq!(
            (finished[0].0.as_str(), finished[0].1),
            ("look", CallStatus::Ok)
        );
        let events = bench.events();
        let questions = events.iter().filter(|event| is_question(event));
        assert_eq!(questions.count(), 1);
        assert!(is_question(events.last().unwrap()), "the turn goes on");
        assert!(bench.agent.session.read(|state| state.turn_open));
        cancel.cancel();
    };
    let (end, ()) = tokio::join!(run, asked);
    assert_eq!(end.unwrap(), TurnEnd::Interrupted);
}

/// Goes on with other words in the moment in which it reads the question.
#[derive(Default)]
struct Hasty(OnceLock<Arc<Gate>>);

impl Observer for Hasty {
    fn event(&self, _stamp: Stamp, event: &Event) {
        if let (true, Some(gate)) = (is_question(event), self.0.get()) {
            gate.abandon();
        }
    }
}

#[tokio::test]
async fn who_goes_on_in_the_moment_of_the_question_has_answered_it() {
    let hasty = Arc::new(Hasty::default());
    let bench = asking(vec![hasty.clone()]);
    assert!(hasty.0.set(bench.agent.gate.clone()).is_ok());
    let cancel = CancellationToken::new();
    let run = turn::run(&bench.agent, Some("go"), &cancel);
    let end = tokio::time::timeout(Duration::from_secs(5), run).await;
    assert_eq!(end.unwrap().unwrap(), TurnEnd::Done);
    let finished = bench.finished();
    assert_eq!(finished[1].1, CallStatus::Denied);
    assert!(finished[1].2.contains("abandoned"), "{finished:?}");
}
