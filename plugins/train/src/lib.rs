//! The tools `job_run`, `job_status`, `job_logs`, `job_cancel` and `job_list` over the host's jobs.

mod follow;
mod request;
mod schema;

use std::time::Instant;

use ml_intern_plugin::{
    Context, Control, Descriptor, Error, Output, Tool, arguments, config, jobs, log,
};
use serde_json::{Value, json};

use follow::{Follow, Source};
use request::{Cancel, List, Logs, One, Run};

struct Train;

ml_intern_plugin::export_tool!(Train);

impl Tool for Train {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        Ok(schema::descriptors())
    }

    fn call(name: String, raw: String, context: Context) -> Result<Output, Error> {
        let outcome = match name.as_str() {
            "job_run" => run(&raw, &context),
            "job_status" => status(&raw, &context),
            "job_logs" => logs(&raw, &context),
            "job_cancel" => arguments::<Cancel>(&raw)
                .and_then(|call| jobs::cancel(&call.id))
                .and_then(|job| Output::json(&record(&job))),
            "job_list" => list(&raw),
            _ => return Err(Error::unknown_tool(&name)),
        };
        outcome.or_else(|error| match error {
            Error::InvalidInput(text)
            | Error::NotFound(text)
            | Error::Conflict(text)
            | Error::Limit(text)
            | Error::Unsupported(text) => Ok(Output::error(text)),
            other => Err(other),
        })
    }
}

fn run(raw: &str, context: &Context) -> Result<Output, Error> {
    let call: Run = arguments(raw)?;
    let real = config::get("workspace")?;
    let source = request::source(&call.script, "/workspace", real.as_deref())
        .map_err(Error::InvalidInput)?;
    let timeout_seconds = call.timeout_seconds().map_err(Error::InvalidInput)?;
    let wait = call.wait_seconds();
    let job = jobs::submit(&jobs::Spec {
        name: call.name,
        workload: jobs::Workload::Script(jobs::Script {
            source,
            arguments: call.arguments,
            dependencies: call.dependencies,
            python: None,
        }),
        flavor: call.flavor,
        timeout_seconds,
        env: call.env.into_iter().collect(),
        credentials: Vec::new(),
        mounts: Vec::new(),
        schedule: None,
        labels: Vec::new(),
        // A call that is repeated after a crash finds its job again.
        idempotency_key: Some(format!("{}/{}", context.session, context.call)),
    })?;
    follow(job, 0, wait, context)
}

fn status(raw: &str, context: &Context) -> Result<Output, Error> {
    let call: One = arguments(raw)?;
    let wait = follow::within(call.wait.unwrap_or(0), context.deadline_ms);
    let job = match wait {
        0 => jobs::get(&call.id)?,
        wait => jobs::wait(&call.id, wait)?,
    };
    Output::json(&record(&job))
}

fn logs(raw: &str, context: &Context) -> Result<Output, Error> {
    let call: Logs = arguments(raw)?;
    let wait = follow::within(call.wait.unwrap_or(0), context.deadline_ms);
    let lines = jobs::logs(&call.id, call.after, call.limit(), wait)?;
    let lines = lines.into_iter().map(|line| (line.cursor, line.text));
    let (page, cursor, cut) = follow::page(lines, call.after);
    Output::json(&json!({ "id": call.id, "log": page, "cursor": cursor, "cut": cut }))
}

fn list(raw: &str) -> Result<Output, Error> {
    let call: List = arguments(raw)?;
    let all = jobs::list(call.limit())?;
    let all: Vec<Value> = all.iter().map(record).collect();
    Output::json(&json!({ "jobs": all }))
}

/// Waits for a job and shows its log on the way.
fn follow(job: jobs::Job, after: u32, wait: u32, context: &Context) -> Result<Output, Error> {
    let source = HostJob {
        id: job.id.clone(),
        started: Instant::now(),
    };
    let wait = follow::within(wait, context.deadline_ms);
    let followed = Follow::new(after).run(&source, job, wait)?;
    let mut answer = record(&followed.job);
    answer["log"] = followed.tail.into();
    answer["log_cut"] = followed.cut.into();
    answer["cursor"] = followed.cursor.into();
    if !follow::is_final(followed.job.state) {
        answer["next"] =
            "the job goes on; follow it with job_logs (after = cursor) or job_status".into();
    }
    let mut output = Output::json(&answer)?;
    output.is_error = follow::has_failed(followed.job.state);
    Ok(output)
}

struct HostJob {
    id: String,
    started: Instant,
}

impl Source for HostJob {
    fn logs(&self, after: u32, wait_ms: u32) -> Result<Vec<jobs::LogLine>, Error> {
        jobs::logs(&self.id, after, 200, wait_ms)
    }

    fn get(&self) -> Result<jobs::Job, Error> {
        jobs::get(&self.id)
    }

    fn elapsed_ms(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    fn show(&self, line: &str) -> bool {
        log::progress(line, None) == Control::Proceed
    }
}

fn record(job: &jobs::Job) -> Value {
    json!({
        "id": job.id,
        "state": follow::word(job.state),
        "message": job.message,
        "flavor": job.flavor,
        "url": job.url,
        "created_ms": job.created_ms,
        "started_ms": job.started_ms,
        "finished_ms": job.finished_ms,
        "cost_usd": job.cost_usd,
    })
}
