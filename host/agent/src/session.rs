//! One session: its state, its log and who watches.

use crate::event::{Event, Stamp};
use crate::ports::{Journal, JournalError, Observer};
use crate::state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State changes only here, one event at a time: log first, then state, then whoever watches.
pub struct Session {
    id: String,
    inner: Mutex<Inner>,
    journal: Arc<dyn Journal>,
    observers: Vec<Arc<dyn Observer>>,
}

struct Inner {
    state: State,
    last: Stamp,
}

impl Session {
    /// A session whose log holds what `state` was folded from; `last` is the place of the last entry.
    pub fn new(
        id: String,
        state: State,
        last: Stamp,
        journal: Arc<dyn Journal>,
        observers: Vec<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            id,
            inner: Mutex::new(Inner { state, last }),
            journal,
            observers,
        }
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Appends to the log, applies, and tells whoever watches.
    pub fn record(&self, event: Event) -> Result<Stamp, JournalError> {
        let mut inner = self.lock();
        let stamp = self.journal.append(&event)?;
        inner.state.apply(&event, stamp);
        inner.last = stamp;
        self.tell(stamp, &event);
        Ok(stamp)
    }

    /// Like [`Session::record`], and returns when the entry is on the disk.
    pub async fn record_durably(&self, event: Event) -> Result<Stamp, JournalError> {
        let stamp = self.record(event)?;
        self.journal.sync().await?;
        Ok(stamp)
    }

    /// Tells whoever watches about something that the log does not keep.
    pub fn show(&self, event: &Event) {
        let stamp = self.lock().last;
        self.tell(stamp, event);
    }

    /// Place of the newest entry.
    pub fn last(&self) -> Stamp {
        self.lock().last
    }

    /// Reads the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    fn tell(&self, stamp: Stamp, event: &Event) {
        for observer in &self.observers {
            observer.event(stamp, event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic between the log and the fold cannot leave the state half changed: `apply` does not panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
