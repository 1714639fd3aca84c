//! The session's plan: what the agent means to do and how far it is.

use serde::{Deserialize, Serialize};

/// How far an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    Pending,
    /// Being worked on.
    InProgress,
    /// Done.
    Completed,
}

/// One step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItem {
    /// Unique in the plan.
    pub id: String,
    /// What is to be done.
    pub content: String,
    /// How far it is.
    pub status: PlanStatus,
}
