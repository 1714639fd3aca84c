//! Calls that a tool makes.

use crate::bench::{Setup, bench};
use async_trait::async_trait;
use ml_intern_agent::approval::{Gate, Mode};
use ml_intern_agent::message::Call;
use ml_intern_agent::ports::{Journal, JournalError};
use ml_intern_agent::tools::call_within;
use ml_intern_agent::{Event, Session, Stamp, State};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Has its first entry at once, and never the second.
#[derive(Default)]
struct Slow {
    events: Mutex<Vec<Event>>,
    syncs: AtomicU32,
}

#[async_trait]
impl Journal for Slow {
    fn append(&self, event: &Event) -> Result<Stamp, JournalError> {
        let mut events = self.events.lock().unwrap();
        events.push(event.clone());
        let seq = events.len() as u64;
        Ok(Stamp { seq, ms: 1_000 })
    }

    async fn sync(&self) -> Result<(), JournalError> {
        if self.syncs.fetch_add(1, Ordering::SeqCst) > 0 {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_while_its_result_goes_to_the_disk_has_one_result() {
    let bench = bench(Setup::default(), Vec::new());
    let journal = Arc::new(Slow::default());
    let session = Arc::new(Session::new(
        "s".into(),
        State::default(),
        Stamp { seq: 0, ms: 0 },
        journal.clone(),
        Vec::new(),
        bench.agent.session.redactor(),
    ));
    let gate = Gate::new(Mode::Auto, Vec::new(), None, session.clone());
    let call = Call {
        id: "a".into(),
        name: "append".into(),
        arguments: "{}".into(),
    };
    let (tools, clock) = (&*bench.tools, &*bench.clock);
    let made = call_within(&session, tools, &gate, clock, "c1.0/1", call);
    let on_its_way = async {
        while journal.syncs.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = made => panic!("the disk is too fast"),
        () = on_its_way => {}
    }
    let events = journal.events.lock().unwrap();
    let results = events
        .iter()
        .filter(|event| matches!(event, Event::ToolFinished { .. }));
    assert_eq!(results.count(), 1, "{events:?}");
}
