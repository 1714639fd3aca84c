//! Jobs that go as they are recorded.

use super::{SHOWN, lock, problem};
use async_trait::async_trait;
use ml_intern_manifest::{JobRecording, JobState, JobsRules, toml_string};
use ml_intern_runtime::{Caller, Jobs, jobs, types};
use std::sync::Mutex;

/// Jobs that never run.
pub(in crate::commands::plugin::test) struct RecordedJobs {
    all: Vec<JobRecording>,
    seen: Mutex<SeenJobs>,
}

#[derive(Default)]
struct SeenJobs {
    submitted: Vec<Submitted>,
    problems: Vec<String>,
}

/// A job that was taken.
struct Submitted {
    recording: usize,
    flavor: Option<String>,
    key: Option<String>,
    /// How many of its states have been shown.
    looks: usize,
    /// Set by `cancel`, `suspend` and `resume`.
    state: Option<JobState>,
}

impl RecordedJobs {
    pub(in crate::commands::plugin::test) fn new(all: &[JobRecording]) -> Self {
        Self {
            all: all.to_vec(),
            seen: Mutex::default(),
        }
    }

    /// Jobs without a recording, and recordings of jobs that were not submitted.
    pub(in crate::commands::plugin::test) fn problems(&self) -> Vec<String> {
        let seen = lock(&self.seen);
        let mut problems = seen.problems.clone();
        for (number, one) in self.all.iter().enumerate() {
            let used = seen.submitted.iter().any(|job| job.recording == number);
            if !used && !one.optional {
                problems.push(format!(
                    "`jobs[{number}]` was not submitted; take it away, or write `optional = true`"
                ));
            }
        }
        problems
    }

    fn job(&self, submitted: &Submitted) -> jobs::Job {
        let one = &self.all[submitted.recording];
        let last = one.states.last().copied();
        let at = one.states.get(submitted.looks).copied().or(last);
        let state = submitted.state.or(at).unwrap_or(JobState::Succeeded);
        let ended = is_final(state);
        jobs::Job {
            id: one.id.clone(),
            state: guest(state),
            message: one.message.clone(),
            flavor: submitted.flavor.clone(),
            url: None,
            created_ms: 0,
            started_ms: (state != JobState::Queued).then_some(0),
            finished_ms: ended.then_some(0),
            cost_usd: one.cost_usd,
        }
    }

    /// What becomes of the job of this id.
    fn with<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Submitted, &JobRecording) -> T,
    ) -> Result<T, types::Error> {
        let mut seen = lock(&self.seen);
        let found = seen
            .submitted
            .iter_mut()
            .find(|job| self.all[job.recording].id == id);
        let found =
            found.ok_or_else(|| types::Error::NotFound(format!("there is no job `{id}`")))?;
        let recording = &self.all[found.recording];
        Ok(work(found, recording))
    }

    fn set(&self, id: &str, state: JobState) -> Result<jobs::Job, types::Error> {
        self.with(id, |job, _| {
            job.state = Some(state);
            self.job(job)
        })
    }
}

fn is_final(state: JobState) -> bool {
    matches!(
        state,
        JobState::Succeeded | JobState::Failed | JobState::Cancelled | JobState::TimedOut
    )
}

fn guest(state: JobState) -> jobs::State {
    match state {
        JobState::Queued => jobs::State::Queued,
        JobState::Running => jobs::State::Running,
        JobState::Succeeded => jobs::State::Succeeded,
        JobState::Failed => jobs::State::Failed,
        JobState::Cancelled => jobs::State::Cancelled,
        JobState::TimedOut => jobs::State::TimedOut,
        JobState::Scheduled => jobs::State::Scheduled,
        JobState::Suspended => jobs::State::Suspended,
    }
}

fn words(spec: &jobs::Spec) -> String {
    match &spec.workload {
        jobs::Workload::Script(script) => script.source.clone(),
        jobs::Workload::Container(container) => {
            format!("{} {}", container.image, container.command.join(" "))
        }
    }
}

#[async_trait]
impl Jobs for RecordedJobs {
    fn default_flavor(&self) -> Option<String> {
        let flavor = self.all.iter().find_map(|one| one.flavor.clone());
        flavor.or_else(|| Some("cpu-basic".to_owned()))
    }

    async fn flavors(&self, _caller: Caller) -> Result<Vec<jobs::Flavor>, types::Error> {
        let named = self.all.iter().filter_map(|one| one.flavor.clone());
        let mut names = named.chain(self.default_flavor()).collect::<Vec<_>>();
        names.sort();
        names.dedup();
        let flavors = names.into_iter().map(|name| jobs::Flavor {
            title: format!("{name}, as recorded"),
            name,
            cpus: 2,
            memory_mib: 16 << 10,
            accelerator: None,
            accelerators: 0,
            accelerator_memory_mib: 0,
            hourly_usd: None,
        });
        Ok(flavors.collect())
    }

    async fn submit(
        &self,
        spec: jobs::Spec,
        rules: &JobsRules,
        _caller: Caller,
    ) -> Result<jobs::Job, types::Error> {
        let mut seen = lock(&self.seen);
        let known = |job: &&Submitted| job.key.is_some() && job.key == spec.idempotency_key;
        if let Some(same) = seen.submitted.iter().find(known) {
            return Ok(self.job(same));
        }
        let text = words(&spec);
        let free = |(number, one): &(usize, &JobRecording)| {
            let flavor = one.flavor.is_none() || one.flavor == spec.flavor;
            let contains = one.contains.0.iter().all(|part| text.contains(part));
            flavor && contains && !seen.submitted.iter().any(|job| job.recording == *number)
        };
        let Some((number, one)) = self.all.iter().enumerate().find(free) else {
            let flavor = toml_string(spec.flavor.as_deref().unwrap_or("cpu-basic"));
            let beginning = text.chars().take(SHOWN).collect::<String>();
            problem(
                &mut seen.problems,
                format!(
                    "the tool submitted a job without a recording; add to `jobs` of the case:\n{{ flavor = {flavor}, contains = {}, states = [\"succeeded\"], logs = [] }}",
                    toml_string(&beginning)
                ),
            );
            return Err(types::Error::Internal(
                "there is no recording of this job".to_owned(),
            ));
        };
        rules
            .check_cost(one.cost_usd.unwrap_or_default())
            .map_err(|denial| {
                types::Error::Denied(types::Denial {
                    capability: denial.capability.to_owned(),
                    detail: denial.detail,
                })
            })?;
        let submitted = Submitted {
            recording: number,
            flavor: spec.flavor,
            key: spec.idempotency_key,
            looks: 0,
            state: None,
        };
        let answer = match &one.refused {
            Some(text) => Err(types::Error::Limit(text.clone())),
            None => Ok(self.job(&submitted)),
        };
        seen.submitted.push(submitted);
        answer
    }

    async fn get(&self, id: String, _caller: Caller) -> Result<jobs::Job, types::Error> {
        self.with(&id, |job, _| {
            job.looks += 1;
            self.job(job)
        })
    }

    async fn list(&self, limit: u32, _caller: Caller) -> Result<Vec<jobs::Job>, types::Error> {
        let seen = lock(&self.seen);
        let newest = seen.submitted.iter().rev().take(limit as usize);
        Ok(newest.map(|job| self.job(job)).collect())
    }

    async fn logs(
        &self,
        id: String,
        after: u32,
        limit: u32,
        _wait_ms: u32,
        _caller: Caller,
    ) -> Result<Vec<jobs::LogLine>, types::Error> {
        self.with(&id, |_, one| {
            let lines = one.logs.iter().zip(1_u32..);
            let lines = lines.filter(|(_, cursor)| *cursor > after);
            let lines = lines
                .take(limit as usize)
                .map(|(text, cursor)| jobs::LogLine {
                    cursor,
                    at_ms: 0,
                    text: text.clone(),
                });
            lines.collect()
        })
    }

    async fn wait(
        &self,
        id: String,
        _timeout_ms: u32,
        _caller: Caller,
    ) -> Result<jobs::Job, types::Error> {
        self.with(&id, |job, one| {
            job.looks = one.states.len();
            self.job(job)
        })
    }

    async fn cancel(&self, id: String, _caller: Caller) -> Result<jobs::Job, types::Error> {
        self.set(&id, JobState::Cancelled)
    }

    async fn suspend(&self, id: String, _caller: Caller) -> Result<jobs::Job, types::Error> {
        self.set(&id, JobState::Suspended)
    }

    async fn resume(&self, id: String, _caller: Caller) -> Result<jobs::Job, types::Error> {
        self.set(&id, JobState::Running)
    }
}
