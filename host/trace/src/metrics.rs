//! What a session took, summed up from its log: model calls, tokens, money, calls of tools, jobs.

use ml_intern_agent::event::{CallStatus, Purpose, TurnEnd};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::{Event, Stamp, State};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the fields below.
const VERSION: u32 = 1;

/// How often each thing was there, by its name.
pub type Counts = BTreeMap<String, u64>;

/// The sums of one session.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// Of these fields.
    pub version: u32,
    /// The session's id.
    pub session_id: String,
    /// US dollars of everything whose price is known, and of what the user wants counted.
    pub total_usd: MicroUsd,
    /// Model calls.
    pub llm: ModelCalls,
    /// Turns, by how they ended.
    pub turns: Counts,
    /// Calls of tools.
    pub tools: ToolCalls,
    /// Jobs.
    pub jobs: Jobs,
    /// How much can be relied on.
    pub data_quality: Quality,
}

/// Model calls, tokens and their price.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelCalls {
    /// All of them.
    pub calls: u64,
    /// By what they were for.
    pub calls_by_purpose: Counts,
    /// By model.
    pub calls_by_model: Counts,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Input tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to a cache.
    pub cache_write_tokens: u64,
    /// Output tokens spent on reasoning.
    pub reasoning_tokens: u64,
    /// Input and output together.
    pub total_tokens: u64,
    /// US dollars of the calls whose price is known.
    pub usd: MicroUsd,
}

/// Calls of tools that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ToolCalls {
    /// All of them, those that tools made included.
    pub calls: u64,
    /// By tool.
    pub by_name: Counts,
    /// By how they ended.
    pub by_status: Counts,
    /// Wall time, approvals included, in milliseconds.
    pub ms: u64,
}

/// Jobs and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Jobs {
    /// Submitted ones.
    pub submitted: u64,
    /// By their newest state.
    pub by_state: Counts,
    /// US dollars.
    pub usd: MicroUsd,
}

/// What the sums leave out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Entries of the log.
    pub events: u64,
    /// Model calls whose price is known.
    pub llm_calls_with_cost: u64,
    /// Those among them that cost something.
    pub llm_calls_with_nonzero_cost: u64,
    /// Jobs whose back end said what they cost.
    pub jobs_with_cost: u64,
}

/// Sums a session up.
pub fn metrics(id: &str, events: &[(Stamp, Event)]) -> Metrics {
    let mut sums = Metrics {
        version: VERSION,
        session_id: id.to_owned(),
        ..Metrics::default()
    };
    let mut state = State::default();
    let mut submitted = BTreeSet::new();
    for (stamp, event) in events {
        state.apply(event, *stamp);
        sums.add(event, &state.model);
        if let Event::JobStarted { job } = event {
            submitted.insert(job.id.clone());
        }
    }
    sums.data_quality.events = events.len() as u64;
    sums.jobs.submitted = submitted.len() as u64;
    for job in state.jobs.values() {
        count(&mut sums.jobs.by_state, &job.state);
        sums.jobs.usd = sums.jobs.usd.plus(job.cost_usd.unwrap_or_default());
        sums.data_quality.jobs_with_cost += u64::from(job.cost_usd.is_some());
    }
    sums.total_usd = state.ledger.spent();
    sums
}

impl Metrics {
    fn add(&mut self, event: &Event, model: &str) {
        match event {
            Event::Usage { usage } => {
                let llm = &mut self.llm;
                llm.calls += 1;
                count(&mut llm.calls_by_purpose, purpose(usage.purpose));
                count(&mut llm.calls_by_model, model);
                let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
                add(&mut llm.input_tokens, usage.input);
                add(&mut llm.output_tokens, usage.output);
                add(&mut llm.cache_read_tokens, usage.cache_read);
                add(&mut llm.cache_write_tokens, usage.cache_write);
                add(&mut llm.reasoning_tokens, usage.reasoning);
                add(
                    &mut llm.total_tokens,
                    usage.input.saturating_add(usage.output),
                );
                if let Some(cost) = usage.cost_usd {
                    llm.usd = llm.usd.plus(cost);
                    self.data_quality.llm_calls_with_cost += 1;
                    let nonzero = u64::from(cost > MicroUsd::ZERO);
                    self.data_quality.llm_calls_with_nonzero_cost += nonzero;
                }
            }
            Event::TurnFinished { reason, .. } => count(&mut self.turns, end(*reason)),
            Event::ToolFinished {
                tool, status, ms, ..
            } => {
                self.tools.calls += 1;
                self.tools.ms = self.tools.ms.saturating_add(*ms);
                count(&mut self.tools.by_name, tool);
                count(&mut self.tools.by_status, status_name(*status));
            }
            _ => {}
        }
    }
}

fn count(counts: &mut Counts, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Conversation => "conversation",
        Purpose::Summary => "summary",
        Purpose::Agent => "agent",
        Purpose::Question => "question",
    }
}

fn end(end: TurnEnd) -> &'static str {
    match end {
        TurnEnd::Done => "done",
        TurnEnd::Iterations => "iterations",
        TurnEnd::Time => "time",
        TurnEnd::Budget => "budget",
        TurnEnd::Repetition => "repetition",
        TurnEnd::Interrupted => "interrupted",
        TurnEnd::Error => "error",
    }
}

fn status_name(status: CallStatus) -> &'static str {
    match status {
        CallStatus::Ok => "ok",
        CallStatus::Error => "error",
        CallStatus::Malformed => "malformed",
        CallStatus::Denied => "denied",
        CallStatus::Fault => "fault",
        CallStatus::Cancelled => "cancelled",
        CallStatus::Interrupted => "interrupted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ml_intern_agent::event::{JobNote, Usage};

    fn sums(events: Vec<Event>) -> Metrics {
        let events = events.into_iter().zip(1..);
        let events = events.map(|(event, seq)| (Stamp { seq, ms: seq }, event));
        metrics("s", &events.collect::<Vec<_>>())
    }

    fn usage(input: u64, cost: Option<u64>, purpose: Purpose) -> Event {
        Event::Usage {
            usage: Usage {
                input,
                output: 2,
                cache_read: 3,
                cost_usd: cost.map(MicroUsd::new),
                purpose,
                ..Usage::default()
            },
        }
    }

    #[test]
    fn tokens_and_money_are_summed_by_model_and_purpose() {
        let started = |model: &str| Event::SessionResumed {
            model: model.into(),
            host: "0".into(),
            limits: None,
        };
        let sums = sums(vec![
            started("a/one"),
            usage(5, Some(500_000), Purpose::Conversation),
            usage(7, None, Purpose::Summary),
            started("b/two"),
            usage(9, Some(0), Purpose::Conversation),
        ]);
        assert_eq!((sums.llm.calls, sums.llm.total_tokens), (3, 27));
        assert_eq!(sums.llm.cache_read_tokens, 9);
        assert_eq!(sums.llm.calls_by_model["a/one"], 2);
        assert_eq!(sums.llm.calls_by_purpose["conversation"], 2);
        assert_eq!(sums.total_usd.usd(), 0.5);
        let quality = sums.data_quality;
        assert_eq!(
            (
                quality.llm_calls_with_cost,
                quality.llm_calls_with_nonzero_cost
            ),
            (2, 1)
        );
    }

    #[test]
    fn a_job_counts_once_in_its_newest_state() {
        let job = |state: &str, cost: Option<u64>| JobNote {
            id: "j".into(),
            name: None,
            state: state.into(),
            message: None,
            cost_usd: cost.map(MicroUsd::new),
            price_usd: Some(MicroUsd::new(9)),
            hold: None,
        };
        let sums = sums(vec![
            Event::JobStarted {
                job: job("queued", None),
            },
            Event::JobUpdated {
                job: job("running", None),
            },
            Event::JobFinished {
                job: job("succeeded", Some(4)),
            },
        ]);
        assert_eq!(sums.jobs.submitted, 1);
        assert_eq!(sums.jobs.by_state, Counts::from([("succeeded".into(), 1)]));
        assert_eq!(
            (sums.jobs.usd, sums.total_usd),
            (MicroUsd::new(4), MicroUsd::new(4))
        );
        assert_eq!(sums.data_quality.jobs_with_cost, 1);
    }
}
