//! How much a turn may take: model calls, time, dollars.

use crate::event::TurnEnd;
use crate::state::State;
use std::time::Duration;

/// Model calls of one turn unless the user says otherwise.
pub const ITERATIONS: u32 = 300;
/// Time of one turn unless the user says otherwise.
pub const TIME: Duration = Duration::from_secs(24 * 3600);

/// Limits of a turn. Always finite, but for the dollars: without a figure nothing is counted against them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Model calls a turn.
    pub iterations: u32,
    /// Wall time a turn.
    pub time: Duration,
    /// US dollars a session.
    pub usd: Option<f64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            iterations: ITERATIONS,
            time: TIME,
            usd: None,
        }
    }
}

impl Budget {
    /// Which limit the session has reached, if any.
    pub fn reached(&self, state: &State, now_ms: u64) -> Option<TurnEnd> {
        if state.iterations >= self.iterations {
            return Some(TurnEnd::Iterations);
        }
        self.spent(state, now_ms)
    }

    /// Which limit other than the number of model calls the session has reached, if any.
    pub fn spent(&self, state: &State, now_ms: u64) -> Option<TurnEnd> {
        if self.remaining_time(state, now_ms).is_zero() {
            return Some(TurnEnd::Time);
        }
        let spent = self.usd.is_some_and(|cap| state.spent_usd() >= cap);
        spent.then_some(TurnEnd::Budget)
    }

    /// US dollars left in the session; none where they are not counted.
    pub fn remaining_usd(&self, state: &State) -> Option<f64> {
        self.usd.map(|cap| (cap - state.spent_usd()).max(0.0))
    }

    /// Time left in the turn.
    pub fn remaining_time(&self, state: &State, now_ms: u64) -> Duration {
        let passed = Duration::from_millis(now_ms.saturating_sub(state.turn_started_ms));
        self.time.saturating_sub(passed)
    }
}
