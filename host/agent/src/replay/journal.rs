//! The log of a session that is played again: what is written to it is compared.

use super::script::Script;
use crate::event::{Event, Stamp};
use crate::ports::{Journal, JournalError};
use async_trait::async_trait;
use std::sync::Arc;

/// Compares every entry with the recorded one at the same place.
pub(super) struct Comparing(pub(super) Arc<Script>);

#[async_trait]
impl Journal for Comparing {
    fn append(&self, event: &Event) -> Result<Stamp, JournalError> {
        self.0.compare(event)
    }

    /// At once, but where the run was ended while it waited for the disk. The beginning of a turn is not ended so.
    async fn sync(&self) -> Result<(), JournalError> {
        let written = self.0.at().checked_sub(1);
        let written = written.and_then(|at| self.0.event(at));
        let begins = matches!(written, Some(Event::TurnStarted { .. }));
        if self.0.is_held() && !begins {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
