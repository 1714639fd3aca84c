//! The limits that a process ran with, which the log does not have: those that lead to what happened.

use super::ports::Recorded;
use super::section::is_nested;
use crate::budget::{Budget, ITERATIONS};
use crate::context;
use crate::event::{self, Event, Stamp, TurnEnd};
use crate::message::Role;
use crate::money::MicroUsd;
use crate::state::State;

/// Tokens of the conversation, at most, in a model of whatever size.
const MOST: u64 = 170_000;
/// Parts of the limit that stay in the first attempt, see [`crate::compaction`].
const KEPT: u64 = 4;

/// What the runs of one process are given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) budget: Budget,
    pub(super) window: Option<u64>,
}

/// Whether another process writes from here on, with limits of its own.
pub(super) fn begins_process(event: &Event) -> bool {
    matches!(
        event,
        Event::SessionStarted { .. } | Event::SessionResumed { .. }
    )
}

/// The limits of the process that wrote the entries from `start` on; `state` is what was before.
pub(super) fn conclude(events: &[(Stamp, Event)], start: usize, state: State) -> Limits {
    let rest = events.get(start..).unwrap_or_default();
    let own = rest.iter().position(|(_, event)| begins_process(event));
    let own = rest.get(..own.unwrap_or(rest.len())).unwrap_or_default();
    if let Some(limits) = state.limits {
        return told(&limits);
    }
    let mut seen = Seen::new(state);
    for (stamp, event) in own {
        seen.look(event);
        seen.state.apply(event, *stamp);
    }
    Limits {
        budget: Budget {
            time: Recorded::limit(),
            ..seen.budget()
        },
        window: seen.window(),
    }
}

/// The process wrote them down.
fn told(limits: &event::Limits) -> Limits {
    Limits {
        budget: Budget {
            iterations: limits.iterations,
            time: Recorded::limit(),
            usd: limits.usd,
            assumed: limits.assumed_usd_per_million_tokens,
            fixed: !limits.asks,
        },
        window: limits.window,
    }
}

/// What the entries tell of the limits.
struct Seen {
    state: State,
    /// Model calls of a turn that ended because of their number, or of the longest one.
    capped: Option<u32>,
    most: u32,
    /// Dollars that were spent where that ended a turn.
    spent: Option<MicroUsd>,
    counts_dollars: bool,
    room: Room,
}

impl Seen {
    fn new(state: State) -> Self {
        Self {
            state,
            capped: None,
            most: 0,
            spent: None,
            counts_dollars: false,
            room: Room::default(),
        }
    }

    fn look(&mut self, event: &Event) {
        match event {
            Event::Message { message } if message.role == Role::Assistant => {
                self.most = self.most.max(self.state.iterations + 1);
                self.room.enough();
            }
            Event::TurnStarted { .. } => self.room.enough(),
            Event::Usage { .. } if !in_call(&self.state) => self.room.asked(&self.state),
            Event::Compacted { at, .. } => self.room.compacted(&self.state, *at),
            Event::Notice { code, .. } => self.counts_dollars |= code == "price_unknown",
            Event::TurnFinished {
                reason, iterations, ..
            } => match reason {
                TurnEnd::Iterations => {
                    self.capped.get_or_insert(*iterations);
                }
                TurnEnd::Budget => {
                    self.spent.get_or_insert(self.state.ledger.committed());
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn budget(&self) -> Budget {
        let usual = if self.most <= ITERATIONS {
            ITERATIONS
        } else {
            u32::MAX
        };
        let endless = self.counts_dollars.then_some(MicroUsd::new(u64::MAX));
        Budget {
            iterations: self.capped.unwrap_or(usual),
            usd: self.spent.or(endless),
            ..Budget::default()
        }
    }

    fn window(&self) -> Option<u64> {
        self.room.window()
    }
}

fn in_call(state: &State) -> bool {
    let mut open = state.open.iter();
    open.any(|open| !is_nested(&open.id) && open.started.is_some() && open.result.is_none())
}

/// What is known of the limit of the conversation: it lies within all that is sure, and as much of the rest as fits.
#[derive(Default)]
struct Room {
    /// Compactions since a request last went through.
    attempts: u32,
    sure: Vec<(u64, u64)>,
    likely: Vec<(u64, u64)>,
    /// What the last request says, sure only once it is known that it was not the one for a summary.
    last: Option<(u64, u64)>,
}

impl Room {
    fn enough(&mut self) {
        self.attempts = 0;
        self.sure.extend(self.last.take());
    }

    /// A request was made: the conversation was not too long, unless it was the one for a summary.
    fn asked(&mut self, state: &State) {
        let short = lowest(|limit| !state.context.is_over(limit));
        self.last = Some((short, MOST));
    }

    fn compacted(&mut self, state: &State, at: Option<u64>) {
        self.last = None;
        // The service may have refused it before that.
        let short = lowest(|limit| !state.context.is_over(limit));
        self.likely
            .extend(short.checked_sub(1).map(|most| (0, most)));
        let at = at.and_then(|at| usize::try_from(at).ok());
        if let Some(at) = at {
            let cut = |limit: u64| {
                let keep = (limit / KEPT).checked_shr(self.attempts).unwrap_or(0);
                context::cut(&state.messages, keep)
            };
            // The more may stay, the earlier is the cut.
            let first = lowest(|limit| cut(limit).is_none_or(|cut| cut <= at));
            let behind = lowest(|limit| cut(limit).is_none_or(|cut| cut < at));
            // Where no limit leads to this cut, the log was written by another loop, and nothing follows from it.
            let most = behind.checked_sub(1).map(|most| most.min(MOST));
            self.sure.extend(most.map(|most| (first, most)));
        }
        self.attempts += 1;
    }

    /// A window that leads to such a limit; none where the usual one does.
    fn window(&self) -> Option<u64> {
        let mut within = (0, MOST);
        let all = self.sure.iter().chain(&self.last).chain(&self.likely);
        for (low, high) in all {
            let both = (within.0.max(*low), within.1.min(*high));
            // What contradicts the rest came about in another way.
            if both.0 <= both.1 {
                within = both;
            }
        }
        let (low, high) = within;
        let usual = context::limit(None);
        if (low..=high).contains(&usual) {
            return None;
        }
        let whole = high / 9 * 9;
        Some(if whole >= low {
            whole / 9 * 10
        } else {
            high.div_ceil(9) * 10
        })
    }
}

/// The lowest limit of which something is true that is true of all above; one more than the highest where of none.
fn lowest(is_true: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, MOST + 1);
    while low < high {
        let middle = low.midpoint(high);
        if is_true(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
