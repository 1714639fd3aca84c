//! What a session costs: model calls, jobs and whatever else has a price, in one sum.

use crate::event::{JobNote, Usage};
use crate::money::MicroUsd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first amount that a person is told of when it is spent; then twice as much each time.
pub const FIRST_WARNING: MicroUsd = MicroUsd::new(5_000_000);

/// The session's money, as a fold over its events. Nothing here is ever negative, and what is spent never grows less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Model calls whose price is known.
    models: MicroUsd,
    /// Model calls of unknown price, as they are counted.
    assumed: MicroUsd,
    /// What has ended and is no job, at its real price.
    settled: MicroUsd,
    /// What is about to begin, or goes on, by id: at most this much.
    held: BTreeMap<String, MicroUsd>,
    /// Jobs by id: what each has cost, and what it may still come to.
    jobs: BTreeMap<String, Job>,
    /// A person raised the cap to this.
    raised: Option<MicroUsd>,
    /// The next amount that a person is told of.
    warning: Option<MicroUsd>,
    /// Whether a person was told that the cap is near.
    near: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Job {
    cost: MicroUsd,
    pledged: MicroUsd,
}

impl Ledger {
    /// What was spent until now.
    pub fn spent(&self) -> MicroUsd {
        let jobs = self.jobs.values().map(|job| job.cost).sum();
        self.models.plus(self.assumed).plus(self.settled).plus(jobs)
    }

    /// What was spent, and what may still come of that which goes on or is about to begin.
    pub fn committed(&self) -> MicroUsd {
        self.models
            .plus(self.assumed)
            .plus(self.settled)
            .plus(self.held.values().copied().sum())
            .plus(self.pledged())
    }

    /// What the session's jobs have cost, and may still come to where they go on.
    pub fn pledged(&self) -> MicroUsd {
        self.jobs.values().map(|job| job.pledged).sum()
    }

    /// The cap that a person agreed to, where it is higher than `configured`.
    pub fn cap(&self, configured: Option<MicroUsd>) -> Option<MicroUsd> {
        configured.map(|cap| cap.max(self.raised.unwrap_or_default()))
    }

    /// The amount that a person has to be told of, once it is spent.
    pub fn warning(&self) -> Option<MicroUsd> {
        let next = self.warning.unwrap_or(FIRST_WARNING);
        (self.spent() >= next).then_some(next)
    }

    /// Whether four fifths of `cap` are committed, and nobody was told.
    pub fn is_near(&self, cap: MicroUsd) -> bool {
        !self.near && self.committed() >= cap.times(4, 5)
    }

    pub(crate) fn model_call(&mut self, usage: &Usage) {
        let price = usage.cost_usd.unwrap_or_default();
        let assumed = usage.assumed_usd.unwrap_or_default();
        self.models = self.models.plus(price);
        self.assumed = self.assumed.plus(assumed);
    }

    pub(crate) fn job(&mut self, note: &JobNote) {
        if let Some(hold) = &note.hold {
            self.held.remove(hold);
        }
        let known = self.jobs.get(&note.id).copied().unwrap_or_default();
        // A back end that forgets a cost has not given it back.
        let cost = note.cost_usd.unwrap_or(known.cost).max(known.cost);
        let open = !note.is_final() || note.cost_usd.is_none();
        let pledged = note.price_usd.filter(|_| open).unwrap_or_default();
        let job = Job {
            cost: if note.is_final() && note.cost_usd.is_none() {
                pledged.max(cost)
            } else {
                cost
            },
            pledged: pledged.max(cost),
        };
        self.jobs.insert(note.id.clone(), job);
    }

    pub(crate) fn reserve(&mut self, id: &str, usd: MicroUsd) {
        self.held.insert(id.to_owned(), usd);
    }

    /// Ends a hold; without an amount nothing came of it.
    pub(crate) fn settle(&mut self, id: &str, usd: Option<MicroUsd>) {
        if self.held.remove(id).is_some() {
            self.settled = self.settled.plus(usd.unwrap_or_default());
        }
    }

    pub(crate) fn warned(&mut self, threshold: MicroUsd) {
        self.warning = Some(next_warning(self.spent(), threshold));
    }

    pub(crate) fn warned_of_cap(&mut self) {
        self.near = true;
    }

    pub(crate) fn raise(&mut self, cap: MicroUsd) {
        self.raised = Some(cap);
        self.near = false;
    }

    /// A new process has its own cap.
    pub(crate) fn resume(&mut self) {
        self.raised = None;
        self.near = false;
        // What was held by a process that is gone never began, or is a job that was written down.
        self.held.clear();
    }
}

/// What model calls cost, to know what the next one will.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// The newest model call of anybody in the session: its price and its tokens.
    newest: (MicroUsd, u64),
    /// The newest of the conversation itself.
    own: (MicroUsd, u64),
}

impl Rate {
    /// What a model call of so many tokens will cost, judging by the last one of the conversation.
    pub fn of(&self, tokens: u64) -> MicroUsd {
        match self.own {
            (_, 0) => MicroUsd::ZERO,
            (price, last) => price.times(tokens.max(last), last),
        }
    }

    pub(crate) fn model_call(&mut self, usage: &Usage) {
        let price = usage.cost_usd.or(usage.assumed_usd).unwrap_or_default();
        self.newest = (price, usage.input.saturating_add(usage.output));
    }

    /// The newest model call was the conversation's own, and its answer is there.
    pub(crate) fn answered(&mut self) {
        self.own = self.newest;
    }
}

/// The next amount to tell of: `threshold` doubled until it is more than what is spent.
fn next_warning(spent: MicroUsd, threshold: MicroUsd) -> MicroUsd {
    let mut next = match threshold {
        MicroUsd::ZERO => FIRST_WARNING,
        threshold => threshold,
    };
    while next <= spent && next.plus(next) > next {
        next = next.plus(next);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(usd: f64) -> MicroUsd {
        MicroUsd::from_usd(usd)
    }

    #[test]
    fn a_person_is_told_each_time_that_twice_as_much_is_spent() {
        for (spent, threshold, next) in [
            (0.0, 5.0, 5.0),
            (9.99, 5.0, 10.0),
            (10.0, 5.0, 20.0),
            (100.0, 5.0, 160.0),
            (7.0, -3.0, 10.0),
            (33.3, 7.0, 56.0),
        ] {
            assert_eq!(
                next_warning(usd(spent), usd(threshold)),
                usd(next),
                "{spent}"
            );
        }
        let most = MicroUsd::new(u64::MAX);
        assert_eq!(next_warning(most, usd(5.0)), most);
    }

    fn note(id: &str, state: &str, cost: Option<f64>, price: Option<f64>) -> JobNote {
        JobNote {
            id: id.into(),
            name: None,
            state: state.into(),
            message: None,
            cost_usd: cost.map(usd),
            price_usd: price.map(usd),
            hold: None,
        }
    }

    #[test]
    fn a_job_that_goes_on_is_pledged_at_what_it_may_come_to() {
        let mut ledger = Ledger::default();
        let mut pledged = |job| {
            ledger.job(&job);
            ledger.pledged().usd()
        };
        assert_eq!(pledged(note("a", "running", Some(0.0), Some(2.0))), 2.0);
        assert_eq!(pledged(note("b", "queued", None, Some(3.0))), 5.0);
        assert_eq!(pledged(note("a", "running", Some(2.5), Some(2.0))), 5.5);
        assert_eq!(pledged(note("a", "succeeded", Some(2.5), Some(2.0))), 5.5);
        assert_eq!(pledged(note("b", "failed", None, Some(3.0))), 5.5);
        assert_eq!(pledged(note("c", "running", None, None)), 5.5);
        assert_eq!(ledger.spent(), usd(5.5));
    }

    #[test]
    fn a_job_that_cost_less_gives_the_rest_back_and_one_without_a_cost_counts_whole() {
        let mut ledger = Ledger::default();
        ledger.job(&note("a", "running", None, Some(4.0)));
        assert_eq!((ledger.spent(), ledger.committed()), (usd(0.0), usd(4.0)));
        ledger.job(&note("a", "succeeded", Some(1.0), Some(4.0)));
        assert_eq!((ledger.spent(), ledger.committed()), (usd(1.0), usd(1.0)));
        ledger.job(&note("b", "succeeded", None, Some(4.0)));
        assert_eq!(ledger.spent(), usd(5.0));
    }

    #[test]
    fn what_is_held_is_settled_once_and_given_back_where_nothing_came_of_it() {
        let mut ledger = Ledger::default();
        ledger.reserve("h1", usd(1.0));
        ledger.reserve("h2", usd(0.5));
        assert_eq!((ledger.spent(), ledger.committed()), (usd(0.0), usd(1.5)));
        ledger.settle("h1", Some(usd(3.0)));
        ledger.settle("h1", Some(usd(3.0)));
        ledger.settle("unknown", Some(usd(3.0)));
        assert_eq!(ledger.committed(), usd(3.5));
        ledger.settle("h2", None);
        assert_eq!((ledger.spent(), ledger.committed()), (usd(3.0), usd(3.0)));
    }

    #[test]
    fn a_job_takes_over_what_was_held_for_it() {
        let mut ledger = Ledger::default();
        ledger.reserve("h1", usd(2.0));
        let started = JobNote {
            hold: Some("h1".into()),
            ..note("a", "queued", None, Some(2.0))
        };
        ledger.job(&started);
        assert_eq!(ledger.committed(), usd(2.0));
    }

    #[test]
    fn the_next_call_costs_as_much_as_the_last_for_each_token() {
        let mut rate = Rate::default();
        assert_eq!(rate.of(1_000), MicroUsd::ZERO);
        let usage = Usage {
            input: 900,
            output: 100,
            cost_usd: Some(usd(0.01)),
            ..Usage::default()
        };
        rate.model_call(&usage);
        rate.answered();
        // Somebody else's calls say nothing about it.
        rate.model_call(&Usage {
            cost_usd: Some(usd(7.0)),
            ..usage
        });
        assert_eq!(rate.of(2_000), usd(0.02));
        assert_eq!(rate.of(1), usd(0.01));
    }
}
