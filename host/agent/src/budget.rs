//! How much a turn may take: model calls, time, dollars.

use crate::approval::{Effect, Verdict};
use crate::event::{Event, Limits, PermissionRequest, TurnEnd, Usage};
use crate::money::MicroUsd;
use crate::ports::JournalError;
use crate::state::State;
use crate::turn::Agent;
use serde_json::json;
use std::time::Duration;

/// Model calls of one turn unless the user says otherwise.
pub const ITERATIONS: u32 = 300;
/// Time of one turn unless the user says otherwise.
pub const TIME: Duration = Duration::from_secs(24 * 3600);
/// Tokens of a million.
const MILLION: u64 = 1_000_000;

/// Limits of a turn. Always finite, but for the dollars: without a figure nothing is stopped for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Model calls a turn.
    pub iterations: u32,
    /// Wall time a turn.
    pub time: Duration,
    /// US dollars a session.
    pub usd: Option<MicroUsd>,
    /// US dollars for a million tokens of a model whose price is unknown; nothing where there is none.
    pub assumed: Option<MicroUsd>,
    /// Nobody is asked for more: whoever gave it knows how much it is.
    pub fixed: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            iterations: ITERATIONS,
            time: TIME,
            usd: None,
            assumed: None,
            fixed: false,
        }
    }
}

impl Budget {
    /// Which limit the session has reached, if any. One that the next model call would pass is reached.
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
        let left = self.remaining_usd(state)?;
        let next = state.rate.of(state.context.tokens());
        (left == MicroUsd::ZERO || next > left).then_some(TurnEnd::Budget)
    }

    /// US dollars that may be committed still; none where they are not counted.
    pub fn remaining_usd(&self, state: &State) -> Option<MicroUsd> {
        let cap = state.ledger.cap(self.usd)?;
        Some(cap.minus(state.ledger.committed()))
    }

    /// Time left in the turn.
    pub fn remaining_time(&self, state: &State, now_ms: u64) -> Duration {
        let passed = Duration::from_millis(now_ms.saturating_sub(state.turn_started_ms));
        self.time.saturating_sub(passed)
    }

    /// What the log says of it.
    pub fn limits(&self, window: Option<u64>, asks: bool) -> Limits {
        Limits {
            iterations: self.iterations,
            usd: self.usd,
            assumed_usd_per_million_tokens: self.assumed,
            window,
            asks,
        }
    }

    /// The usage with what a call of unknown price is counted at.
    pub(crate) fn assume(&self, mut usage: Usage) -> Usage {
        if usage.cost_usd.is_none() && usage.assumed_usd.is_none() {
            let tokens = usage.input.saturating_add(usage.output);
            usage.assumed_usd = self.assumed.map(|price| price.times(tokens, MILLION));
        }
        usage
    }
}

/// Tells a person what was spent, each time that twice as much was, and once when the cap is near.
pub(crate) fn warn(agent: &Agent) -> Result<(), JournalError> {
    let (threshold, near, spent_usd, cap_usd) = agent.session.read(|state| {
        let ledger = &state.ledger;
        let cap = ledger.cap(agent.budget.usd);
        let near = cap.is_some_and(|cap| ledger.is_near(cap));
        (ledger.warning(), near, ledger.spent(), cap)
    });
    let due = threshold.map(Some).into_iter().chain(near.then_some(None));
    for threshold_usd in due {
        agent.session.record(Event::BudgetWarned {
            spent_usd,
            threshold_usd,
            cap_usd,
        })?;
    }
    Ok(())
}

/// Asks a person for more than the session may spend: as much again, or what they write. Whether they agree.
pub(crate) async fn ask_for_more(agent: &Agent) -> Result<bool, JournalError> {
    let Some(usd) = agent
        .budget
        .usd
        .filter(|_| !agent.budget.fixed && agent.gate.can_ask())
    else {
        return Ok(false);
    };
    let (turn, committed, cap) = agent.session.read(|state| {
        let cap = state.ledger.cap(Some(usd)).unwrap_or(usd);
        (state.turn, state.ledger.committed(), cap)
    });
    let next = cap.max(committed).plus(usd.max(MicroUsd::new(1)));
    let request = PermissionRequest {
        id: String::new(),
        call: format!("turn-{turn}"),
        tool: "the session".into(),
        plugin: "ml-intern".into(),
        effect: Effect::Budget,
        summary: format!("to go on beyond its budget: {committed} of {cap} are spent or promised"),
        detail: json!({ "cap_usd": cap, "committed_usd": committed, "next_cap_usd": next }),
        operation: None,
        destructive: false,
        blocked: Some(format!("the budget of {cap} is spent")),
        price_usd: Some(next.minus(committed)),
        grants: Vec::new(),
    };
    let Verdict::Allowed { edited } = agent.gate.permit(request).await? else {
        return Ok(false);
    };
    let wanted = edited.and_then(|edited| edited.get("next_cap_usd")?.as_f64());
    let cap_usd = wanted.map_or(next, MicroUsd::from_usd);
    agent.session.record(Event::BudgetRaised { cap_usd })?;
    Ok(cap_usd > committed)
}
