//! What the host's other parts do for plugins: run programs, run jobs, keep the session's plan.
//! The runtime asks the grants; these traits do the work, ask a person where one must be asked,
//! and are filled in by whoever composes the program.

use std::sync::Arc;

use async_trait::async_trait;
use ml_intern_manifest::JobsRules;
use tokio_util::sync::CancellationToken;

use crate::call::Observer;
use crate::capability::fs::KeepsOriginals;
use crate::meter::CallClock;
use crate::policy::Policy;
use crate::{agent, jobs, process, types};

/// The call on whose behalf the host is asked.
#[derive(Clone)]
pub struct Caller {
    /// Plugin id.
    pub plugin: String,
    /// Session id.
    pub session: String,
    /// Call id.
    pub call: String,
    /// Stop it while a person is asked.
    pub clock: Arc<CallClock>,
    /// What the plugin may do now: programs ask while they run.
    pub policy: Policy,
    /// Whether the call is held to reading, and with it everything that it asks for.
    pub read_only: bool,
    /// Set when the call is cancelled; its future is dropped soon after.
    pub cancel: CancellationToken,
    /// Where the output of a program is shown while it runs.
    pub observer: Arc<dyn Observer>,
}

/// Native programs. Dropping the future kills the program and all its children.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Runs a granted program. `cwd` is relative, without `..`; `timeout_ms` is not longer than
    /// what is left of the call.
    async fn run(
        &self,
        command: process::Command,
        caller: Caller,
    ) -> Result<process::Outcome, types::Error>;
}

/// Long-running compute. Ids belong to the plugin and session that submitted them; another's are
/// answered with `not-found`.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// The flavor of a job that names none.
    fn default_flavor(&self) -> Option<String>;
    /// Hardware on offer, before the grant is applied.
    async fn flavors(&self, caller: Caller) -> Result<Vec<jobs::Flavor>, types::Error>;
    /// Submits a job whose flavor and credentials are granted. `rules` says what the jobs of a
    /// session may cost together ([`JobsRules::check_cost`]).
    async fn submit(
        &self,
        spec: jobs::Spec,
        rules: &JobsRules,
        caller: Caller,
    ) -> Result<jobs::Job, types::Error>;
    /// The job of this id.
    async fn get(&self, id: String, caller: Caller) -> Result<jobs::Job, types::Error>;
    /// Newest first.
    async fn list(&self, limit: u32, caller: Caller) -> Result<Vec<jobs::Job>, types::Error>;
    /// Lines after `after`, waiting up to `wait_ms` for a first one.
    async fn logs(
        &self,
        id: String,
        after: u32,
        limit: u32,
        wait_ms: u32,
        caller: Caller,
    ) -> Result<Vec<jobs::LogLine>, types::Error>;
    /// The job once it ended, or as it is after `timeout_ms`.
    async fn wait(
        &self,
        id: String,
        timeout_ms: u32,
        caller: Caller,
    ) -> Result<jobs::Job, types::Error>;
    /// Ends a job.
    async fn cancel(&self, id: String, caller: Caller) -> Result<jobs::Job, types::Error>;
    /// Suspends a scheduled job.
    async fn suspend(&self, id: String, caller: Caller) -> Result<jobs::Job, types::Error>;
    /// Resumes a suspended job.
    async fn resume(&self, id: String, caller: Caller) -> Result<jobs::Job, types::Error>;
}

/// The session that called the tool.
#[async_trait]
pub trait SessionHost: Send + Sync {
    /// Asks the session's model; granted, and its sizes checked.
    async fn complete(&self, ask: agent::Ask, caller: Caller) -> Result<String, types::Error>;
    /// Calls another tool, which is granted.
    async fn call_tool(
        &self,
        name: String,
        arguments: String,
        caller: Caller,
    ) -> Result<agent::Answer, types::Error>;
    /// Runs an agent of the plugin's own; model and tools are granted, and sizes checked.
    async fn run(&self, task: agent::Task, caller: Caller) -> Result<agent::Report, types::Error>;
    /// Replaces the session's plan; the items have been checked.
    async fn set_plan(
        &self,
        items: Vec<agent::PlanItem>,
        caller: Caller,
    ) -> Result<(), types::Error>;
}

/// What is there to ask. An absent service answers `unsupported`.
#[derive(Clone, Default)]
pub struct Services {
    /// Native programs.
    pub processes: Option<Arc<dyn Processes>>,
    /// Jobs.
    pub jobs: Option<Arc<dyn Jobs>>,
    /// The session.
    pub session: Option<Arc<dyn SessionHost>>,
    /// What files were before a call changes them; absent: nobody keeps it.
    pub originals: Option<Arc<dyn KeepsOriginals>>,
}
