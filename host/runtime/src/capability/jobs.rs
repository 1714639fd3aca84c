//! Long-running compute. The grant is asked here: which flavors, and for how much; a call that is
//! held to reading can look and not touch.

use std::sync::Arc;

use ml_intern_manifest::{Denial, JobsRules};
use wasmtime::component::{HasData, Linker};

use crate::call::{AuditRecord, Call, Verdict};
use crate::jobs::{Flavor, Host, Job, LogLine, Spec};
use crate::services::Jobs;
use crate::state::PluginState;
use crate::types::Error;

/// Bounds on what one question may ask for.
const MAX_LIST: u32 = 1000;
const MAX_LOG_LINES: u32 = 10_000;
/// Characters of an id or flavor in an audit record.
const MAX_SHOWN: usize = 64;

pub(crate) struct View<'a> {
    rules: Arc<JobsRules>,
    call: &'a Call,
}

struct JobsData;

impl HasData for JobsData {
    type Data<'a> = View<'a>;
}

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    crate::jobs::add_to_linker::<_, JobsData>(linker, |state| View::of(state))
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl<'a> View<'a> {
    pub(crate) fn of(state: &'a mut PluginState) -> Self {
        let call = state.call();
        Self {
            rules: Arc::clone(&call.effective().jobs),
            call,
        }
    }

    /// The service, if the plugin may look at jobs at all. `target` says what at.
    fn reader(&self, target: String) -> Result<&dyn Jobs, Error> {
        self.decide(self.rules.check_use(), target)
    }

    /// The service, if the plugin may change a job that exists.
    fn writer(&self, verb: &str, id: &str) -> Result<&dyn Jobs, Error> {
        self.decide(self.rules.check_change(), of(verb, id))
    }

    fn decide(&self, checked: Result<(), Denial>, target: String) -> Result<&dyn Jobs, Error> {
        match checked {
            Ok(()) => self.call.allowed("jobs", target, self.rules.describe()),
            Err(denial) => return Err(self.call.refuse(denial, target)),
        }
        self.service()
    }

    fn service(&self) -> Result<&dyn Jobs, Error> {
        self.call
            .setup
            .services
            .jobs
            .as_deref()
            .ok_or_else(|| Error::Unsupported("this host runs no jobs".to_owned()))
    }

    fn left_ms(&self, asked: u32) -> u32 {
        asked.min(u32::try_from(self.call.clock.left().as_millis()).unwrap_or(u32::MAX))
    }

    async fn submit_checked(&self, mut spec: Spec) -> Result<Job, Error> {
        let jobs = self.service()?;
        if spec.flavor.is_none() {
            spec.flavor = jobs.default_flavor();
        }
        let flavor = spec.flavor.as_deref().unwrap_or_default();
        let target = of("submit to", flavor);
        self.rules
            .check_flavor(flavor)
            .map_err(|denial| self.call.refuse(denial, target.clone()))?;
        let effective = self.call.effective();
        let granted = |name: &&String| effective.credentials.allows(name);
        if let Some(name) = spec.credentials.iter().find(|name| !granted(name)) {
            let denial = Denial {
                capability: "jobs",
                detail: ungranted(name),
            };
            return Err(self.call.refuse(denial, target));
        }
        let submitted = jobs.submit(spec, &self.rules, self.call.caller()).await;
        match &submitted {
            Err(Error::Denied(denial)) => self.call.audit(&AuditRecord::new(
                "jobs",
                target,
                Verdict::Denied(denial.detail.clone()),
            )),
            Err(Error::Limit(_) | Error::NotFound(_)) => return self.noted(submitted, target),
            Err(_) | Ok(_) => self.call.allowed("jobs", target, self.rules.describe()),
        }
        submitted
    }

    /// Writes down that what the grant allows was refused by a limit, or is not this session's.
    fn noted<T>(&self, done: Result<T, Error>, target: String) -> Result<T, Error> {
        let verdict = match &done {
            Err(Error::Limit(text)) => Verdict::Limited(text.clone()),
            Err(Error::NotFound(text)) => Verdict::Failed(text.clone()),
            _ => return done,
        };
        self.call.audit(&AuditRecord::new("jobs", target, verdict));
        done
    }
}

/// `cancel job-1`, with what a guest says cut short.
fn of(verb: &str, what: &str) -> String {
    let what: String = what.chars().take(MAX_SHOWN).collect();
    format!("{verb} {what}")
}

fn ungranted(name: &str) -> String {
    format!(
        "the credential `{name}` is not granted to this plugin, so its jobs cannot have it; the plugin must ask for it and the user add it to `credentials` of the plugin's grant"
    )
}

impl Host for View<'_> {
    async fn flavors(&mut self) -> Answer<Vec<Flavor>> {
        Ok(match self.reader("flavors".to_owned()) {
            Ok(jobs) => jobs.flavors(self.call.caller()).await,
            Err(error) => Err(error),
        })
    }

    async fn submit(&mut self, spec: Spec) -> Answer<Job> {
        Ok(self.submit_checked(spec).await)
    }

    async fn get(&mut self, id: String) -> Answer<Job> {
        let target = of("get", &id);
        Ok(match self.reader(target.clone()) {
            Ok(jobs) => {
                let done = jobs.get(id, self.call.caller()).await;
                self.noted(done, target)
            }
            Err(error) => Err(error),
        })
    }

    async fn list(&mut self, limit: u32) -> Answer<Vec<Job>> {
        Ok(match self.reader("list".to_owned()) {
            Ok(jobs) => jobs.list(limit.min(MAX_LIST), self.call.caller()).await,
            Err(error) => Err(error),
        })
    }

    async fn logs(
        &mut self,
        id: String,
        after: u32,
        limit: u32,
        wait_ms: u32,
    ) -> Answer<Vec<LogLine>> {
        let wait_ms = self.left_ms(wait_ms);
        let target = of("logs of", &id);
        Ok(match self.reader(target.clone()) {
            Ok(jobs) => {
                let limit = limit.min(MAX_LOG_LINES);
                let done = jobs.logs(id, after, limit, wait_ms, self.call.caller());
                self.noted(done.await, target)
            }
            Err(error) => Err(error),
        })
    }

    async fn wait(&mut self, id: String, timeout_ms: u32) -> Answer<Job> {
        let timeout_ms = self.left_ms(timeout_ms);
        let target = of("wait for", &id);
        Ok(match self.reader(target.clone()) {
            Ok(jobs) => {
                let done = jobs.wait(id, timeout_ms, self.call.caller()).await;
                self.noted(done, target)
            }
            Err(error) => Err(error),
        })
    }

    async fn cancel(&mut self, id: String) -> Answer<Job> {
        let target = of("cancel", &id);
        Ok(match self.writer("cancel", &id) {
            Ok(jobs) => {
                let done = jobs.cancel(id, self.call.caller()).await;
                self.noted(done, target)
            }
            Err(error) => Err(error),
        })
    }

    async fn suspend(&mut self, id: String) -> Answer<Job> {
        let target = of("suspend", &id);
        Ok(match self.writer("suspend", &id) {
            Ok(jobs) => {
                let done = jobs.suspend(id, self.call.caller()).await;
                self.noted(done, target)
            }
            Err(error) => Err(error),
        })
    }

    async fn resume(&mut self, id: String) -> Answer<Job> {
        let target = of("resume", &id);
        Ok(match self.writer("resume", &id) {
            Ok(jobs) => {
                let done = jobs.resume(id, self.call.caller()).await;
                self.noted(done, target)
            }
            Err(error) => Err(error),
        })
    }
}
