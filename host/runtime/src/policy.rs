//! The grant in force for one plugin. The user may take back a part of it while calls run, so a
//! capability asks for the rules at each call of the host and keeps none.

use std::sync::{Arc, PoisonError, RwLock};

use ml_intern_manifest::Effective;
use tokio::sync::watch;

/// What a plugin may do now. Cheap to clone; clones are the same policy.
#[derive(Debug, Clone)]
pub struct Policy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    current: RwLock<Current>,
    changes: watch::Sender<u64>,
}

/// The grant, and the same narrowed to what a call that is held to reading may do.
#[derive(Debug, Clone)]
struct Current {
    full: Arc<Effective>,
    reading: Arc<Effective>,
}

impl Current {
    fn new(effective: Effective) -> Self {
        Self {
            reading: Arc::new(effective.held_read_only()),
            full: Arc::new(effective),
        }
    }
}

impl Policy {
    /// A policy that allows this until it is replaced.
    pub fn new(effective: Effective) -> Self {
        Self(Arc::new(Inner {
            current: RwLock::new(Current::new(effective)),
            changes: watch::Sender::new(0),
        }))
    }

    /// Allows this from now on, also in calls that are running.
    pub fn replace(&self, effective: Effective) {
        let mut current = self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Current::new(effective);
        drop(current);
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// What is allowed now.
    pub fn effective(&self) -> Arc<Effective> {
        self.get(false)
    }

    pub(crate) fn get(&self, read_only: bool) -> Arc<Effective> {
        let current = self
            .0
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(if read_only {
            &current.reading
        } else {
            &current.full
        })
    }

    /// Tells when it is replaced.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }
}

impl From<Effective> for Policy {
    fn from(effective: Effective) -> Self {
        Self::new(effective)
    }
}
