//! How many requests a plugin sends: within a minute, and at one time, over all of its calls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ml_intern_manifest::Limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::meter::lock;

const MINUTE: Duration = Duration::from_secs(60);
/// A request waits this long for its turn, within the time of its call. Long enough for the
/// requests before it to end, short enough that a plugin learns that it sends too many.
const PATIENCE: Duration = Duration::from_secs(20);

/// The requests of one plugin.
pub(crate) struct Traffic {
    /// A minute, and how long a turn is waited for; shorter in tests.
    window: Duration,
    patience: Duration,
    per_minute: usize,
    at_once: Arc<Semaphore>,
    places: u32,
    /// When the newest requests were sent, or will be: at most one minute's, oldest first.
    starts: Mutex<VecDeque<Instant>>,
}

/// Why a request has no turn.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The limit's key in `plugin.toml`.
    pub(crate) limit: &'static str,
    pub(crate) text: String,
}

/// A request under way; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _held: OwnedSemaphorePermit,
}

impl Traffic {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            window: MINUTE,
            patience: PATIENCE,
            per_minute: limits.requests_per_minute as usize,
            at_once: Arc::new(Semaphore::new(limits.requests_at_once as usize)),
            places: limits.requests_at_once,
            starts: Mutex::default(),
        }
    }

    /// Waits for a turn, no longer than `left`.
    pub(crate) async fn enter(&self, left: Duration) -> Result<Place, Refused> {
        let deadline = Instant::now() + left.min(self.patience);
        let Some(turn) = self.turn(deadline) else {
            return Err(Refused {
                limit: "limits.requests-per-minute",
                text: format!(
                    "more than {} requests within a minute; raise `limits.requests-per-minute` in its plugin.toml",
                    self.per_minute
                ),
            });
        };
        // A timer takes a millisecond where there is nothing to wait for.
        if turn > Instant::now() {
            tokio::time::sleep_until(turn).await;
        }
        let place = Arc::clone(&self.at_once).acquire_owned();
        match tokio::time::timeout_at(deadline, place).await {
            Ok(Ok(held)) => Ok(Place { _held: held }),
            _ => Err(Refused {
                limit: "limits.requests-at-once",
                text: format!(
                    "more than {} requests at one time; raise `limits.requests-at-once` in its plugin.toml",
                    self.places
                ),
            }),
        }
    }

    /// When the next request may start, if that is before `deadline`.
    fn turn(&self, deadline: Instant) -> Option<Instant> {
        let now = Instant::now();
        let mut starts = lock(&self.starts);
        while starts
            .front()
            .is_some_and(|start| *start + self.window <= now)
        {
            starts.pop_front();
        }
        let turn = match starts.len().checked_sub(self.per_minute) {
            Some(at) => starts[at] + self.window,
            None => now,
        };
        if turn > deadline {
            return None;
        }
        starts.push_back(turn);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(400);
    const LONG: Duration = Duration::from_secs(60);

    fn traffic(per_minute: u32, at_once: u32) -> Traffic {
        Traffic {
            window: WINDOW,
            ..Traffic::new(&Limits {
                requests_per_minute: per_minute,
                requests_at_once: at_once,
                ..Limits::default()
            })
        }
    }

    #[tokio::test]
    async fn no_window_holds_more_requests_than_allowed() {
        let traffic = traffic(10, 64);
        let mut starts = Vec::new();
        for number in 0..35 {
            traffic.enter(LONG).await.unwrap();
            starts.push(Instant::now());
            if number < 10 {
                tokio::time::sleep(WINDOW / 20).await;
            }
        }
        for (first, after) in starts.iter().zip(&starts[10..]) {
            // The start is a little later than the turn that is counted.
            let apart = *after - *first + WINDOW / 10;
            assert!(apart >= WINDOW, "{apart:?}");
        }
    }

    #[tokio::test]
    async fn a_request_that_would_wait_too_long_is_refused_at_once() {
        let traffic = traffic(2, 64);
        for _ in 0..2 {
            traffic.enter(LONG).await.unwrap();
        }
        let soon = WINDOW / 10;
        let began = Instant::now();
        let refused = traffic.enter(soon).await.unwrap_err();
        assert_eq!(refused.limit, "limits.requests-per-minute");
        assert!(refused.text.contains("more than 2 requests"));
        assert!(began.elapsed() < soon);
        traffic.enter(LONG).await.unwrap();
        assert!(began.elapsed() >= WINDOW / 2);
    }

    #[tokio::test]
    async fn a_place_is_waited_for_and_given_back() {
        let traffic = traffic(600, 2);
        let (first, second) = (
            traffic.enter(LONG).await.unwrap(),
            traffic.enter(LONG).await.unwrap(),
        );
        let refused = traffic.enter(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(refused.limit, "limits.requests-at-once");
        let (third, ()) = tokio::join!(traffic.enter(LONG), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(first);
        });
        third.unwrap();
        drop(second);
    }
}
