//! What the host's other parts do for plugins: run programs, run jobs, keep the session's plan.
//! The runtime asks the grants; these traits do the work, ask a person where one must be asked,
//! and are filled in by whoever composes the program.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use ml_intern_manifest::JobsRules;
use tokio_util::sync::CancellationToken;

use crate::call::Observer;
use crate::capability::fs::KeepsOriginals;
use crate::effects::{Effect, EffectScripts};
use crate::egress::recordings::Recordings;
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

/// Keeps what enters calls from outside, so that they can be replayed.
///
/// That is what WASI gives a guest by chance: answers to its requests, readings of clocks, random
/// bytes, which of several things was ready. What comes from the session is not among it and is
/// had again from whoever composes the program: files, values of the key-value store, programs,
/// jobs, answers of agents and of other tools, whether to go on (progress, deltas), cancellation,
/// and the configuration, grant, limits and arguments of the call. A call whose outcome hangs on one
/// of these is replayed by its outcome as a whole.
pub trait RecordsEffects: Send + Sync {
    /// Keeps an effect of the call with this id. Called when the guest gets it, or a little later
    /// for what is small and frequent, in the guest's way and from several threads: it should take no
    /// longer than writing to a buffer. Not called after the call has returned. Ids of calls that run
    /// at one time must differ.
    ///
    /// # Errors
    /// End the call, with [`FaultCause::Host`](crate::FaultCause::Host): what was not kept could not
    /// be replayed.
    fn record(&self, call: &str, effect: Effect) -> io::Result<()>;
}

/// What happens to that which enters calls from outside.
#[derive(Clone)]
pub enum Effects {
    /// It is kept.
    Record(Arc<dyn RecordsEffects>),
    /// It comes from a recording. Nothing else enters: such a call never reaches the network, whatever
    /// is granted, and leaves no audit record of a request. Where it asks for what the recording does
    /// not hold next it ends with [`FaultCause::Diverged`](crate::FaultCause::Diverged).
    ///
    /// Timers end at once, and what was ready first is ready first again. Not exact: what a guest
    /// finds by looking at a stream or an answer without having waited for it, which may be there
    /// earlier than it was; a comparison of a request's body that went on after its answer, which may
    /// come too late to end the call; and processor time.
    Replay(Arc<EffectScripts>),
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
    /// What enters calls from outside, recorded or replayed; absent: neither.
    pub effects: Option<Effects>,
    /// Answers in the network's place; absent: requests go to the network.
    pub recordings: Option<Arc<Recordings>>,
}
