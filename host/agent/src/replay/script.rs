//! The recording and how far the replay is: what every port asks, and where every entry is compared.

use super::calls::{self, Recorded};
use super::compare::{difference, type_of};
use super::section::{Cut, Origin, Section};
use super::{Divergence, live};
use crate::approval::Gate;
use crate::event::{Event, Stamp};
use crate::ports::JournalError;
use crate::session::Others;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The recording, shared by all ports.
pub(super) struct Script {
    pub(super) events: Vec<(Stamp, Event)>,
    /// Position of the next entry. Whoever waits for one waits here.
    position: watch::Sender<usize>,
    stage: Mutex<Stage>,
    /// Weak: the gate holds the session, and the session this.
    gate: Mutex<Weak<Gate>>,
    live: Option<live::Comparison>,
}

struct Stage {
    section: Arc<Section>,
    calls: Arc<HashMap<String, Recorded>>,
    /// Cancelled when the time of the turn is over.
    time: CancellationToken,
    /// Why the run goes no further.
    halt: Option<Halt>,
}

#[derive(Clone)]
enum Halt {
    /// The recording of this run is over.
    End,
    Diverged(Box<Divergence>),
}

impl Script {
    pub(super) fn new(events: Vec<(Stamp, Event)>, live: bool) -> Self {
        let section = Arc::new(Section::of(&events, 0..0));
        Self {
            events,
            position: watch::Sender::new(0),
            stage: Mutex::new(Stage {
                section,
                calls: Arc::default(),
                time: CancellationToken::new(),
                halt: None,
            }),
            gate: Mutex::default(),
            live: live.then(live::Comparison::default),
        }
    }

    /// Position of the next entry.
    pub(super) fn at(&self) -> usize {
        *self.position.borrow()
    }

    pub(super) fn section(&self) -> Arc<Section> {
        self.stage().section.clone()
    }

    pub(super) fn calls(&self) -> Arc<HashMap<String, Recorded>> {
        self.stage().calls.clone()
    }

    pub(super) fn event(&self, at: usize) -> Option<&Event> {
        self.events.get(at).map(|(_, event)| event)
    }

    /// The next run begins.
    pub(super) fn begin(&self, section: Section) {
        let calls = match &self.live {
            Some(live) => {
                live.begin();
                HashMap::new()
            }
            None => calls::recorded(&self.events, &section),
        };
        *self.stage() = Stage {
            section: Arc::new(section),
            calls: Arc::new(calls),
            time: CancellationToken::new(),
            halt: None,
        };
    }

    pub(super) fn direct(&self, gate: &Arc<Gate>) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(gate);
    }

    pub(super) fn gate(&self) -> Option<Arc<Gate>> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.upgrade()
    }

    /// How real calls compared.
    pub(super) fn comparison(&self) -> Option<&live::Comparison> {
        self.live.as_ref()
    }

    /// Whether the recording has no more of this run.
    pub(super) fn is_over(&self) -> bool {
        self.at() >= self.section().range.end
    }

    /// How the run is ended from outside, if that is what comes next.
    pub(super) fn due(&self) -> Option<Cut> {
        let (at, cut) = self.section().cut?;
        (at == self.at()).then_some(cut)
    }

    /// Whether the run was ended where it is, and not in the next call of the model, of which some text had come.
    pub(super) fn is_held(&self) -> bool {
        let partial = matches!(self.event(self.at()), Some(Event::Message { .. }));
        self.due().is_some() && !partial
    }

    /// Cancelled when the time of the turn is over.
    pub(super) fn time(&self) -> CancellationToken {
        self.stage().time.clone()
    }

    /// Returns once the next entry is that at `at`; never where the recording passes it by.
    pub(super) async fn reach(&self, at: usize) {
        let mut position = self.position.subscribe();
        // The sender lives as long as this does.
        let reached = position.wait_for(|now| *now == at).await.is_ok();
        if !reached {
            std::future::pending::<()>().await;
        }
    }

    /// The loop does something that the recording does not go on with.
    pub(super) fn diverge(&self, found: Option<Event>, what: String) -> JournalError {
        let at = self.at();
        let expected = self.events.get(at);
        // Behind the last entry of a log is the next one that it could have.
        let behind = || self.events.last().map_or(1, |(stamp, _)| stamp.seq + 1);
        let divergence = Divergence {
            seq: expected.map_or_else(behind, |(stamp, _)| stamp.seq),
            expected: expected.map(|(_, event)| event.clone()),
            found,
            what,
        };
        self.halt(Halt::Diverged(Box::new(divergence)))
    }

    /// In words, what the recording goes on with.
    pub(super) fn instead(&self) -> String {
        match self.event(self.at()) {
            Some(event) => format!("the recording goes on with `{}`", type_of(event)),
            None => "the recording ends".into(),
        }
    }

    /// Whether the run goes no further.
    pub(super) fn is_halted(&self) -> bool {
        self.stage().halt.is_some()
    }

    pub(super) fn divergence(&self) -> Option<Divergence> {
        match &self.stage().halt {
            Some(Halt::Diverged(divergence)) => Some((**divergence).clone()),
            _ => None,
        }
    }

    fn halt(&self, halt: Halt) -> JournalError {
        // The first reason is the one that counts.
        self.stage().halt.get_or_insert(halt);
        JournalError("the replay of this run is over".into())
    }

    /// The recording of the run has no more.
    pub(super) fn end(&self) -> JournalError {
        self.halt(Halt::End)
    }

    /// Compares what the loop writes with what it wrote.
    pub(super) fn compare(&self, event: &Event) -> Result<Stamp, JournalError> {
        if self.is_halted() || self.is_over() {
            return Err(self.halt(Halt::End));
        }
        if let Some(live) = &self.live {
            return live.compare(self, event);
        }
        let at = self.at();
        let Some((stamp, expected)) = self.events.get(at) else {
            return Err(self.halt(Halt::End));
        };
        match difference(expected, event, false) {
            Some(what) => Err(self.diverge(Some(event.clone()), what)),
            None => {
                self.go_to(at + 1);
                Ok(*stamp)
            }
        }
    }

    pub(super) fn go_to(&self, at: usize) {
        self.position.send_replace(at);
    }

    /// Passes an entry from outside.
    pub(super) fn pass(&self) -> Option<(Stamp, Event)> {
        let at = self.at();
        let (stamp, event) = self.events.get(at)?;
        if let (Event::PermissionRequested { request }, Some(gate)) = (event, self.gate()) {
            // The gate numbers its questions; this one was asked through it.
            let number = request
                .id
                .rsplit_once("-p")
                .and_then(|(_, n)| n.parse().ok());
            number.inspect(|n: &u64| gate.renumber(&request.call, *n));
        }
        self.go_to(at + 1);
        Some((*stamp, event.clone()))
    }

    /// Whether the loop takes the words that were just queued without waiting for anything before.
    fn is_taken_at_once(&self, section: &Section) -> bool {
        let own = section.own(self.at()).next();
        own.and_then(|at| self.event(at))
            .is_some_and(|event| matches!(event, Event::InputTaken {}))
    }

    /// Real tools write their own; of the recorded ones, only what a person did happens again.
    fn happens_again(&self, origin: Origin) -> bool {
        self.live.is_none() || origin == Origin::Between
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        // Nothing that is done under the lock can panic half-way.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Others for Script {
    fn before(&self, next: Option<&Event>) -> Vec<(Stamp, Event)> {
        let section = self.section();
        let mut entries = Vec::new();
        while !self.is_over() && !self.is_halted() {
            let at = self.at();
            let own = match (section.origin(at), self.event(at), next) {
                (Origin::Loop, ..) => true,
                (Origin::Between, Some(recorded), Some(next)) => is_alike(recorded, next),
                _ => false,
            };
            if own {
                break;
            }
            let again = self.happens_again(section.origin(at));
            entries.extend(self.pass().filter(|_| again));
        }
        entries
    }

    fn after(&self) -> Vec<(Stamp, Event)> {
        let section = self.section();
        let mut entries = Vec::new();
        while !self.is_over() && !self.is_halted() {
            let at = self.at();
            let now = match section.origin(at) {
                Origin::Loop => false,
                Origin::Beside => true,
                Origin::Between => {
                    let queued = matches!(self.event(at), Some(Event::InputQueued { .. }));
                    queued && self.is_taken_at_once(&section)
                }
            };
            if !now {
                break;
            }
            let again = self.happens_again(section.origin(at));
            entries.extend(self.pass().filter(|_| again));
        }
        entries
    }
}

/// Whether both are entries of one kind, so that one is compared with the other.
fn is_alike(recorded: &Event, next: &Event) -> bool {
    match (recorded, next) {
        (Event::Notice { code: was, .. }, Event::Notice { code: is, .. }) => was == is,
        _ => std::mem::discriminant(recorded) == std::mem::discriminant(next),
    }
}
