//! Between the agent's ports, the runtime's services and the crates that do the work. The only place that knows
//! the types of all of them; that is the price of their not knowing each other.

pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod clock;
pub(crate) mod confinement;
pub(crate) mod effects;
pub(crate) mod inbox;
pub(crate) mod jobs;
pub(crate) mod network;
pub(crate) mod notifiers;
pub(crate) mod originals;
pub(crate) mod permission;
mod plan;
pub(crate) mod processes;
pub(crate) mod provider;
pub(crate) mod rules;
pub(crate) mod toolbox;
