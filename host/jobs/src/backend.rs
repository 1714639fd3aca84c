//! What every place where jobs run can do.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Flavor, Job, JobError, LogLine, Spec};

/// A place where jobs run. Each wait ends early, without harm to the job, when its future is
/// dropped.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The hardware on offer, the default first.
    async fn flavors(&self) -> Result<Vec<Flavor>, JobError>;

    /// Starts a job, or returns the one that was started with the same idempotency key.
    async fn submit(&self, spec: Spec) -> Result<Job, JobError>;

    async fn get(&self, id: &str) -> Result<Job, JobError>;

    /// At most `limit` jobs, newest first.
    async fn list(&self, limit: u32) -> Result<Vec<Job>, JobError>;

    /// At most `limit` lines after the cursor `after` (0 = from the start). Waits up to
    /// `wait` for a first one; an empty answer means that none came, or that the job ended.
    async fn logs(
        &self,
        id: &str,
        after: u32,
        limit: u32,
        wait: Duration,
    ) -> Result<Vec<LogLine>, JobError>;

    /// Returns when the job ended, or after `timeout` with the state it has then.
    async fn wait(&self, id: &str, timeout: Duration) -> Result<Job, JobError>;

    /// Ends a job and returns it; a job that ended already is returned as it is.
    async fn cancel(&self, id: &str) -> Result<Job, JobError>;

    async fn suspend(&self, id: &str) -> Result<Job, JobError>;

    async fn resume(&self, id: &str) -> Result<Job, JobError>;
}
