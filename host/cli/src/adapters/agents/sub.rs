//! An agent that a tool starts: a conversation of its own, with the session's model, gate, log and budget.

use super::super::provider::PluginProvider;
use super::super::toolbox::bounded;
use super::{Bench, not_written, spent};
use crate::ui;
use async_trait::async_trait;
use ml_intern_agent::advice;
use ml_intern_agent::approval::Gate;
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::{Purpose, TurnEnd, Usage};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::{
    Clock, Deltas, Journal, JournalError, Provider, Reply, Request, Toolbox,
};
use ml_intern_agent::tools::cancelled;
use ml_intern_agent::turn::{self, Agent};
use ml_intern_agent::{Event, Message, ProviderError, Role, Session, Stamp, State};
use ml_intern_runtime::{Caller, agent, types};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of an agent's report.
const REPORT_BYTES: usize = 64 << 10;
/// Characters of what an agent says on its way.
const SHOWN: usize = 400;

pub(super) struct SubAgent {
    /// `c5.0/1`: what the ids of its calls begin with.
    pub(super) id: String,
    pub(super) parent: Arc<Session>,
    pub(super) bench: Bench,
    pub(super) tools: Arc<dyn Toolbox>,
    pub(super) gate: Arc<Gate>,
    pub(super) caller: Caller,
}

impl SubAgent {
    pub(super) async fn run(self, task: agent::Task) -> Result<agent::Report, types::Error> {
        let session = Arc::new(self.session());
        let _whatever_happens = CloseOpen(session.clone());
        let budget = budget(&self.parent, &self.bench, &task);
        let message = Message::text(Role::System, task.instructions);
        session
            .record(Event::Message { message })
            .map_err(not_written)?;
        let agent = Agent {
            session: session.clone(),
            provider: Arc::new(Shared {
                provider: self.bench.provider.another(),
                parent: self.parent.clone(),
                bench: self.bench.clone(),
            }),
            model: self.bench.model.clone(),
            toolbox: self.tools,
            gate: self.gate,
            clock: self.bench.clock.clone(),
            budget,
            stream: self.bench.stream,
            window: self.bench.window,
        };
        let end = turn::run(&agent, Some(&task.prompt), &self.caller.cancel)
            .await
            .map_err(not_written)?;
        let over = spent(&self.parent, &self.bench).is_some();
        Ok(session.read(|state| report(state, end, over)))
    }

    /// Nothing of it is kept but what the session's own log keeps.
    fn session(&self) -> Session {
        let state = State {
            within: format!("{}/", self.id),
            ..State::default()
        };
        let journal = Relay {
            parent: self.parent.clone(),
            call: self.caller.call.clone(),
            clock: self.bench.clock.clone(),
            entries: AtomicU64::new(0),
        };
        let nothing = Stamp { seq: 0, ms: 0 };
        let id = self.parent.id().to_owned();
        let redactor = self.parent.redactor();
        Session::new(id, state, nothing, Arc::new(journal), Vec::new(), redactor)
    }
}

/// The task's limits, and never more than what is left of the session's.
fn budget(parent: &Session, bench: &Bench, task: &agent::Task) -> Budget {
    let now = bench.clock.now_ms();
    let (time, left) = parent.read(|state| {
        let time = bench.budget.remaining_time(state, now);
        (time, bench.budget.remaining_usd(state))
    });
    Budget {
        iterations: task.max_iterations,
        time,
        usd: task
            .budget_usd
            .map(MicroUsd::from_usd)
            .into_iter()
            .chain(left)
            .min(),
        assumed: bench.budget.assumed,
        fixed: true,
    }
}

fn report(state: &State, end: TurnEnd, over: bool) -> agent::Report {
    let stopped = match end {
        TurnEnd::Done => None,
        TurnEnd::Iterations => Some("iterations".to_owned()),
        TurnEnd::Time => Some("time".to_owned()),
        TurnEnd::Budget => Some("budget".to_owned()),
        TurnEnd::Repetition => Some("repetition".to_owned()),
        TurnEnd::Interrupted => Some("cancelled".to_owned()),
        TurnEnd::Error if over => Some("budget".to_owned()),
        TurnEnd::Error => {
            let message = state.error.as_ref().map(|(_, message)| message.as_str());
            Some(format!("error: {}", message.unwrap_or_default()))
        }
    };
    let text = state.answer.clone().unwrap_or_default();
    agent::Report {
        text: bounded(ui::for_model(&text), REPORT_BYTES),
        iterations: state.iterations,
        cost_usd: state.usage.cost_usd.map(MicroUsd::usd),
        stopped,
    }
}

/// The session's model, which answers as long as the session has something left: other agents may spend it meanwhile.
struct Shared {
    provider: PluginProvider,
    parent: Arc<Session>,
    bench: Bench,
}

#[async_trait]
impl Provider for Shared {
    async fn complete(
        &self,
        request: Request<'_>,
        deltas: Arc<dyn Deltas>,
    ) -> Result<Reply, ProviderError> {
        if spent(&self.parent, &self.bench).is_some() {
            let text = "the session's budget is spent";
            return Err(ProviderError::Other(text.to_owned()));
        }
        self.provider.complete(request, deltas).await
    }

    async fn window(&self, model: &str) -> Option<u64> {
        self.provider.window(model).await
    }
}

/// Where an agent's events go: its calls and its costs into the session's log, its words to whoever watches the call
/// that started it. They never enter the session's conversation.
struct Relay {
    parent: Arc<Session>,
    call: String,
    clock: Arc<dyn Clock>,
    entries: AtomicU64,
}

impl Relay {
    fn show(&self, text: &str) {
        self.parent.show(&Event::ToolLog {
            call: self.call.clone(),
            text: ui::one_line(text, SHOWN),
            fraction: None,
        });
    }
}

#[async_trait]
impl Journal for Relay {
    fn append(&self, event: &Event) -> Result<Stamp, JournalError> {
        match event {
            Event::Usage { usage } => {
                let usage = Usage {
                    purpose: Purpose::Agent,
                    ..*usage
                };
                self.parent.record(Event::Usage { usage })?;
            }
            Event::Notice { code, text } if advice::OWN_NOTICES.contains(&code.as_str()) => {
                self.show(text);
            }
            Event::ToolStarted { .. } | Event::ToolFinished { .. } | Event::Notice { .. } => {
                self.parent.record(event.clone())?;
            }
            Event::Message { message } if message.role == Role::Assistant => {
                let text = message.plain_text();
                if !text.is_empty() {
                    self.show(&text);
                }
            }
            Event::Error { message, .. } => self.show(message),
            Event::TurnFinished { reason, .. } if *reason != TurnEnd::Done => {
                self.show(&format!("the agent was stopped: {reason:?}").to_lowercase());
            }
            _ => {}
        }
        Ok(Stamp {
            seq: self.entries.fetch_add(1, Ordering::Relaxed) + 1,
            ms: self.clock.now_ms(),
        })
    }

    async fn sync(&self) -> Result<(), JournalError> {
        self.parent.sync().await
    }
}

/// Gives the calls of an agent that was dropped their results.
struct CloseOpen(Arc<Session>);

impl Drop for CloseOpen {
    fn drop(&mut self) {
        let open = self.0.read(|state| state.open.clone());
        let open = open.into_iter().enumerate();
        for (index, call) in
            open.filter(|(_, open)| open.started.is_some() && open.result.is_none())
        {
            let event = cancelled(call.id, index as u32, call.call.name);
            // A log that cannot be written stops the turn itself, at its next step.
            let _the_turn_stops = self.0.record(event);
        }
    }
}
