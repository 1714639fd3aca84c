//! Time and people, from the recording.

use super::script::Script;
use super::section::Cut;
use crate::approval::{Answer, Rule};
use crate::event::{Event, PermissionRequest};
use crate::ports::{Approver, Clock};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The words before the reason for which an answer was not kept.
const NOT_KEPT: &str = "the answer holds for this session only: ";
/// Longer than a turn may take.
const NEVER_MS: u64 = u64::MAX / 2;

/// The time of the last entry. Nobody waits.
pub(super) struct Recorded {
    script: Arc<Script>,
    /// The first thing that a turn waits for is its end.
    limited: AtomicBool,
}

impl Recorded {
    /// A clock for one run.
    pub(super) fn new(script: Arc<Script>) -> Self {
        Self {
            script,
            limited: AtomicBool::new(false),
        }
    }

    /// Time of a turn that ends only where the recording says so.
    pub(super) fn limit() -> Duration {
        Duration::from_millis(NEVER_MS / 2)
    }
}

#[async_trait]
impl Clock for Recorded {
    fn now_ms(&self) -> u64 {
        if self.script.is_held() && self.script.due() == Some(Cut::Time) {
            return NEVER_MS;
        }
        let last = self.script.at().checked_sub(1);
        let last = last.and_then(|at| self.script.events.get(at));
        last.map_or(0, |(stamp, _)| stamp.ms)
    }

    async fn sleep(&self, _duration: Duration) {
        if !self.limited.swap(true, Ordering::Relaxed) {
            return self.script.time().cancelled().await;
        }
        if self.script.is_held() || self.script.is_over() {
            std::future::pending::<()>().await;
        }
    }
}

/// Answers as the person did.
pub(super) struct Answers {
    pub(super) script: Arc<Script>,
    /// Asked where the recording has no answer, with real tools.
    pub(super) otherwise: Option<Arc<dyn Approver>>,
}

#[async_trait]
impl Approver for Answers {
    async fn ask(&self, request: &PermissionRequest) -> Option<Answer> {
        if let Some(live) = self.script.comparison() {
            return match live.answer(&self.script, request) {
                Some(answer) => answer,
                None => match &self.otherwise {
                    Some(approver) => approver.ask(request).await,
                    None => None,
                },
            };
        }
        let section = self.script.section();
        let resolved = section.own(self.script.at()).find(|at| {
            matches!(self.script.event(*at), Some(Event::PermissionResolved { id, .. }) if *id == request.id)
        });
        let Some(at) = resolved else {
            return std::future::pending().await;
        };
        self.script.reach(at).await;
        let Some(Event::PermissionResolved {
            decision,
            by,
            feedback,
            edited,
            remembered,
            ..
        }) = self.script.event(at)
        else {
            return None;
        };
        match by.as_str() {
            "nobody" => None,
            "input" => {
                if let Some(gate) = self.script.gate() {
                    gate.abandon();
                }
                std::future::pending().await
            }
            _ => Some(Answer {
                decision: *decision,
                feedback: feedback.clone(),
                // What came of it says more than the answer: a tool's schema is not in the log.
                edited: self
                    .script
                    .calls()
                    .get(&request.call)
                    .and_then(|call| call.edited.clone())
                    .or_else(|| edited.clone()),
                pattern: remembered.as_ref().and_then(|rule| rule.pattern.clone()),
            }),
        }
    }

    fn remember(&self, _rule: &Rule) -> Result<(), String> {
        match self.script.event(self.script.at()) {
            Some(Event::Notice { code, text }) if code == "approval_not_kept" => {
                Err(text.strip_prefix(NOT_KEPT).unwrap_or(text).to_owned())
            }
            _ => Ok(()),
        }
    }
}
