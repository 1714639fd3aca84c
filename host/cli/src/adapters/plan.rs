//! `agent.set-plan` becomes an event.

use async_trait::async_trait;
use ml_intern_agent::plan::{PlanItem, PlanStatus};
use ml_intern_agent::{Event, Session};
use ml_intern_runtime::{Caller, SessionHost, agent, types};
use std::sync::Arc;

pub(crate) struct PlanKeeper {
    pub(crate) session: Arc<Session>,
}

#[async_trait]
impl SessionHost for PlanKeeper {
    async fn complete(&self, _: agent::Ask, _: Caller) -> Result<String, types::Error> {
        Err(types::Error::Unsupported("later".into()))
    }

    async fn call_tool(
        &self,
        _: String,
        _: String,
        _: Caller,
    ) -> Result<agent::Answer, types::Error> {
        Err(types::Error::Unsupported("later".into()))
    }

    async fn run(&self, _: agent::Task, _: Caller) -> Result<agent::Report, types::Error> {
        Err(types::Error::Unsupported("later".into()))
    }

    async fn set_plan(
        &self,
        items: Vec<agent::PlanItem>,
        _caller: Caller,
    ) -> Result<(), types::Error> {
        let items = items.into_iter().map(|item| PlanItem {
            id: item.id,
            content: item.content,
            status: match item.status {
                agent::PlanStatus::Pending => PlanStatus::Pending,
                agent::PlanStatus::InProgress => PlanStatus::InProgress,
                agent::PlanStatus::Completed => PlanStatus::Completed,
            },
        });
        let event = Event::Plan {
            items: items.collect(),
        };
        self.session
            .record(event)
            .map_err(|error| types::Error::Internal(error.to_string()))?;
        Ok(())
    }
}
