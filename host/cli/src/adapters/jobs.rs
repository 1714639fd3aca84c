//! The `jobs` capability, on a back end of `host/jobs`. A session sees its own jobs and no others.

mod convert;

use super::permission::{Deed, Permissions};
use async_trait::async_trait;
use convert::{detail, flavor, guest, native, outbound, text, typed};
use ml_intern_agent::approval::Effect;
use ml_intern_agent::budget::Budget;
use ml_intern_agent::event::JobNote;
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::{Event, Session};
use ml_intern_jobs::{Backend, JobError, Spec, Workload};
use ml_intern_manifest::JobsRules;
use ml_intern_runtime::{Caller, Jobs, jobs, types};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long one question for a job's end waits before it is asked again.
const WATCH: Duration = Duration::from_secs(600);
/// Time for a list of hardware, before a session begins.
const LOOK: Duration = Duration::from_secs(5);
/// Time for ending the session's jobs after an interrupt.
const CANCEL: Duration = Duration::from_secs(10);

pub(crate) struct SessionJobs {
    backend: Arc<dyn Backend>,
    session: Arc<Session>,
    permissions: Arc<Permissions>,
    budget: Budget,
    watchers: Mutex<JoinSet<()>>,
}

impl SessionJobs {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        session: Arc<Session>,
        permissions: Arc<Permissions>,
        budget: Budget,
    ) -> Self {
        Self {
            backend,
            session,
            permissions,
            budget,
            watchers: Mutex::default(),
        }
    }

    /// Hardware on offer; none where the back end does not say so in time.
    pub(crate) async fn flavors(&self) -> Vec<ml_intern_jobs::Flavor> {
        let asked = tokio::time::timeout(LOOK, self.backend.flavors()).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Watches the jobs that an earlier process of this session left running.
    pub(crate) fn rewatch(&self) {
        for id in self.running() {
            self.watch(id, None);
        }
    }

    /// Ends the session's running jobs; says which could not be ended.
    pub(crate) async fn cancel_running(&self) {
        for id in self.running() {
            let text = match tokio::time::timeout(CANCEL, self.backend.cancel(&id)).await {
                Ok(Ok(job)) => {
                    self.note(&job, Noted::Changed);
                    continue;
                }
                Ok(Err(error)) => format!("job {id} could not be ended: {}", text(error)),
                Err(_) => format!(
                    "job {id} did not end in {} s; `ml-intern jobs cancel {id}` tries again",
                    CANCEL.as_secs()
                ),
            };
            self.tell(Event::Notice {
                code: "job_cancel".into(),
                text,
            });
        }
    }

    /// Says which jobs go on without this process.
    pub(crate) fn tell_running(&self) {
        for id in self.running() {
            let text = format!(
                "job {id} goes on; `ml-intern jobs logs -f {id}` follows it, `ml-intern jobs cancel {id}` ends it"
            );
            self.tell(Event::Notice {
                code: "job_running".into(),
                text,
            });
        }
    }

    fn running(&self) -> Vec<String> {
        self.session.read(|state| {
            state
                .jobs
                .values()
                .filter(|job| !job.is_final())
                .map(|job| job.id.clone())
                .collect()
        })
    }

    fn watch(&self, id: String, name: Option<String>) {
        let (backend, session) = (self.backend.clone(), self.session.clone());
        let watcher = async move {
            loop {
                match backend.wait(&id, WATCH).await {
                    Ok(job) if job.state.is_final() => {
                        return note(&session, &job, name, None, Noted::Changed);
                    }
                    Ok(_) => {}
                    // Without the job there is nothing to tell; whoever asks for it gets the error.
                    Err(_) => return,
                }
            }
        };
        self.watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(watcher);
    }

    fn own(&self, id: &str) -> Result<(), types::Error> {
        let known = self.session.read(|state| state.jobs.contains_key(id));
        if known {
            Ok(())
        } else {
            Err(types::Error::NotFound(format!(
                "this session has no job `{id}`; `job_list` shows its jobs"
            )))
        }
    }

    fn note(&self, job: &ml_intern_jobs::Job, noted: Noted) {
        note(&self.session, job, None, None, noted);
    }

    fn tell(&self, event: Event) {
        // A log that cannot be written stops the turn itself, at its next step.
        let _the_turn_stops = self.session.record(event);
    }

    /// Asks about a job; answers with what it may come to.
    async fn permit(
        &self,
        spec: &mut Spec,
        caller: &Caller,
        rules: &JobsRules,
    ) -> Result<Agreed, types::Error> {
        let price_usd = self.price(spec).await;
        // Jobs that go on have cost little yet, and may still cost what was agreed to.
        let pledged = self.session.read(|state| state.ledger.pledged());
        let together = pledged.plus(price_usd.unwrap_or_default());
        rules.check_cost(together.usd()).map_err(|denial| {
            types::Error::Denied(types::Denial {
                capability: denial.capability.to_owned(),
                detail: denial.detail,
            })
        })?;
        let blocked = self.blocked(spec, price_usd);
        let name = spec.name.clone().unwrap_or_else(|| "a job".into());
        let summary = format!("to submit {name}");
        let deed = Deed {
            effect: Effect::Job,
            summary,
            detail: detail(spec),
            blocked: blocked.clone(),
            price_usd,
            capability: "jobs",
        };
        let edited = self.permissions.ask(caller, deed).await?;
        let hold = self.hold(caller, price_usd, blocked.is_some())?;
        let agreed = Agreed { price_usd, hold };
        let Some(edited) = edited else {
            return Ok(agreed);
        };
        let script = edited.get("script").and_then(Value::as_str);
        let (Some(script), Workload::Script(workload)) = (script, &mut spec.workload) else {
            return Err(types::Error::InvalidInput(
                "the user edited the job, but only `script` can be edited".into(),
            ));
        };
        script.clone_into(&mut workload.source);
        self.permissions.note(
            caller,
            format!("[the user edited the script; what ran is:\n{script}\n]"),
        );
        Ok(agreed)
    }

    /// Why only a person may submit it, if so: what it costs is not known, does not end, or is more than is left.
    fn blocked(&self, spec: &Spec, price_usd: Option<MicroUsd>) -> Option<String> {
        if spec.schedule.is_some() {
            return Some("a job that comes again and again has no highest price".into());
        }
        let left = self.session.read(|state| self.budget.remaining_usd(state));
        match (price_usd, left) {
            (None, _) => {
                let flavor = spec.flavor.as_deref().unwrap_or("the default flavor");
                Some(format!("the price of `{flavor}` is unknown"))
            }
            (Some(price), Some(left)) if price > left => Some(format!(
                "it may cost {price}, and {left} of the budget are left"
            )),
            _ => None,
        }
    }

    /// Holds what a job may cost, until it is one. Other jobs may have been agreed to while a person was asked about
    /// this one; where `agreed`, that person knew that it is more than is left.
    fn hold(
        &self,
        caller: &Caller,
        price_usd: Option<MicroUsd>,
        agreed: bool,
    ) -> Result<Option<String>, types::Error> {
        let Some(usd) = price_usd.filter(|price| *price > MicroUsd::ZERO) else {
            return Ok(None);
        };
        let (left, committed, count) = self.session.read(|state| {
            let left = self.budget.remaining_usd(state);
            (left, state.ledger.committed(), state.jobs.len())
        });
        let more = left.is_some_and(|left| usd > left);
        if more && !agreed {
            return Err(types::Error::Limit(format!(
                "the job may cost {usd}, and another was begun meanwhile: {} of the budget are left",
                left.unwrap_or_default()
            )));
        }
        if more {
            let cap_usd = committed.plus(usd);
            self.tell(Event::BudgetRaised { cap_usd });
        }
        let id = format!("{}-h{}", caller.call, count + 1);
        let reserved = Event::BudgetReserved {
            id: id.clone(),
            kind: "job".into(),
            usd,
        };
        self.session
            .record(reserved)
            .map_err(|error| types::Error::Internal(error.to_string()))?;
        Ok(Some(id))
    }

    async fn permit_change(
        &self,
        caller: &Caller,
        what: &str,
        id: &str,
    ) -> Result<(), types::Error> {
        let deed = Deed {
            effect: Effect::Job,
            summary: format!("to {what} job {id}"),
            detail: json!({ what: id }),
            blocked: None,
            price_usd: None,
            capability: "jobs",
        };
        self.permissions.ask(caller, deed).await.map(|_| ())
    }

    /// Highest price: the flavor's, for the whole time limit.
    async fn price(&self, spec: &Spec) -> Option<MicroUsd> {
        let flavors = self.backend.flavors().await.ok()?;
        let flavor = match &spec.flavor {
            Some(name) => flavors.into_iter().find(|flavor| flavor.name == *name)?,
            None => flavors.into_iter().next()?,
        };
        let hourly = MicroUsd::from_usd(flavor.hourly_usd?);
        Some(hourly.times(spec.timeout_seconds.into(), 3600))
    }
}

/// What was agreed to about a job.
struct Agreed {
    price_usd: Option<MicroUsd>,
    /// What is held for it.
    hold: Option<String>,
}

/// Gives back what was held for a job that never was, also where the call ends while it is submitted.
struct Held<'a> {
    session: &'a Session,
    hold: Option<String>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.hold.take() {
            let settled = Event::BudgetSettled { id, usd: None };
            // A log that cannot be written stops the turn itself, at its next step.
            let _the_turn_stops = self.session.record(settled);
        }
    }
}

#[derive(Clone, Copy)]
enum Noted {
    Submitted,
    Changed,
}

/// Writes down a job's state when it is news.
fn note(
    session: &Session,
    job: &ml_intern_jobs::Job,
    name: Option<String>,
    agreed: Option<Agreed>,
    noted: Noted,
) {
    let agreed = agreed.unwrap_or(Agreed {
        price_usd: None,
        hold: None,
    });
    let known = session.read(|state| state.jobs.get(&job.id).cloned());
    if known
        .as_ref()
        .is_some_and(|known| known.state == job.state.as_str())
    {
        return;
    }
    // A call that is repeated after a crash submits the same job, which began once.
    let new = known.is_none();
    let note = JobNote {
        id: job.id.clone(),
        price_usd: agreed
            .price_usd
            .or(known.as_ref().and_then(|known| known.price_usd)),
        hold: agreed.hold,
        name: name.or_else(|| known.and_then(|known| known.name)),
        state: job.state.as_str().to_owned(),
        message: job.message.clone(),
        cost_usd: job.cost_usd.map(MicroUsd::from_usd),
    };
    if matches!(noted, Noted::Submitted) && new {
        let started = Event::JobStarted { job: note.clone() };
        // A log that cannot be written stops the turn itself, at its next step.
        let _the_turn_stops = session.record(started);
        // One that an earlier host submitted may be over before this one has written that down.
        if !job.state.is_final() {
            return;
        }
    }
    let event = if job.state.is_final() {
        Event::JobFinished { job: note }
    } else {
        Event::JobUpdated { job: note }
    };
    // A log that cannot be written stops the turn itself, at its next step.
    let _the_turn_stops = session.record(event);
}

#[async_trait]
impl Jobs for SessionJobs {
    fn default_flavor(&self) -> Option<String> {
        Some("local".to_owned())
    }

    async fn flavors(&self, _caller: Caller) -> Result<Vec<jobs::Flavor>, types::Error> {
        let flavors = self.backend.flavors().await.map_err(typed)?;
        Ok(flavors.into_iter().map(flavor).collect())
    }

    async fn submit(
        &self,
        spec: jobs::Spec,
        rules: &JobsRules,
        caller: Caller,
    ) -> Result<jobs::Job, types::Error> {
        let mut spec = native(spec);
        spec.outbound = Some(outbound(rules));
        let agreed = self.permit(&mut spec, &caller, rules).await?;
        let name = spec.name.clone();
        let mut held = Held {
            session: &self.session,
            hold: agreed.hold.clone(),
        };
        let job = self.backend.submit(spec).await.map_err(typed)?;
        // The job takes it over.
        held.hold = None;
        let noted = Noted::Submitted;
        note(&self.session, &job, name.clone(), Some(agreed), noted);
        if !job.state.is_final() {
            self.watch(job.id.clone(), name);
        }
        Ok(guest(job))
    }

    async fn get(&self, id: String, _caller: Caller) -> Result<jobs::Job, types::Error> {
        self.own(&id)?;
        let job = self.backend.get(&id).await.map_err(typed)?;
        self.note(&job, Noted::Changed);
        Ok(guest(job))
    }

    async fn list(&self, limit: u32, _caller: Caller) -> Result<Vec<jobs::Job>, types::Error> {
        let ids = self
            .session
            .read(|state| state.jobs.keys().cloned().collect::<Vec<_>>());
        let mut found = Vec::new();
        for id in ids {
            match self.backend.get(&id).await {
                Ok(job) => found.push(job),
                Err(JobError::NotFound(_)) => {}
                Err(error) => return Err(typed(error)),
            }
        }
        found.sort_by(|a, b| {
            b.created_ms
                .cmp(&a.created_ms)
                .then_with(|| b.id.cmp(&a.id))
        });
        found.truncate(limit as usize);
        Ok(found.into_iter().map(guest).collect())
    }

    async fn logs(
        &self,
        id: String,
        after: u32,
        limit: u32,
        wait_ms: u32,
        _caller: Caller,
    ) -> Result<Vec<jobs::LogLine>, types::Error> {
        self.own(&id)?;
        let wait = Duration::from_millis(wait_ms.into());
        let lines = self
            .backend
            .logs(&id, after, limit, wait)
            .await
            .map_err(typed)?;
        Ok(lines
            .into_iter()
            .map(|line| jobs::LogLine {
                cursor: line.cursor,
                at_ms: line.at_ms,
                text: line.text,
            })
            .collect())
    }

    async fn wait(
        &self,
        id: String,
        timeout_ms: u32,
        _caller: Caller,
    ) -> Result<jobs::Job, types::Error> {
        self.own(&id)?;
        let job = self
            .backend
            .wait(&id, Duration::from_millis(timeout_ms.into()))
            .await
            .map_err(typed)?;
        self.note(&job, Noted::Changed);
        Ok(guest(job))
    }

    async fn cancel(&self, id: String, caller: Caller) -> Result<jobs::Job, types::Error> {
        self.own(&id)?;
        self.permit_change(&caller, "end", &id).await?;
        let job = self.backend.cancel(&id).await.map_err(typed)?;
        self.note(&job, Noted::Changed);
        Ok(guest(job))
    }

    async fn suspend(&self, id: String, caller: Caller) -> Result<jobs::Job, types::Error> {
        self.own(&id)?;
        self.permit_change(&caller, "suspend", &id).await?;
        let job = self.backend.suspend(&id).await.map_err(typed)?;
        self.note(&job, Noted::Changed);
        Ok(guest(job))
    }

    async fn resume(&self, id: String, caller: Caller) -> Result<jobs::Job, types::Error> {
        self.own(&id)?;
        self.permit_change(&caller, "resume", &id).await?;
        let job = self.backend.resume(&id).await.map_err(typed)?;
        self.note(&job, Noted::Changed);
        Ok(guest(job))
    }
}
