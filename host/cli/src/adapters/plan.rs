//! `agent.set-plan` becomes an event.

use ml_intern_agent::plan::{PlanItem, PlanStatus};
use ml_intern_agent::{Event, Session};
use ml_intern_runtime::{agent, types};

pub(super) fn set(session: &Session, items: Vec<agent::PlanItem>) -> Result<(), types::Error> {
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
    session
        .record(event)
        .map_err(|error| types::Error::Internal(error.to_string()))?;
    Ok(())
}
