//! `jobs`: what runs and what ran, over all sessions.

use crate::adapters::confinement::Confinement;
use crate::args::JobsCommand;
use crate::commands::sessions::when;
use crate::compose::workbench::backend;
use crate::config::Config;
use crate::error::{Failure, Kind, Result};
use crate::ui::{self, Style, Table};
use ml_intern_agent::event::Audit;
use ml_intern_agent::money::MicroUsd;
use ml_intern_jobs::{Backend, Job, JobError, State};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;

/// Lines fetched at a time.
const LINES: u32 = 1000;
/// How long a follower waits for a line before it looks whether the job has ended.
const FOLLOW: Duration = Duration::from_secs(1);
/// Bytes and lines of what a job asked of the network.
const MOST_READ: u64 = 1 << 20;
const MOST_SHOWN: usize = 100;
/// A job that failed, for scripts that follow one.
const JOB_FAILED: u8 = 8;

pub(crate) async fn jobs(directory: Option<&Path>, command: JobsCommand) -> Result<u8> {
    let config = Config::load(directory, None)?;
    let backend = backend(&config, &Confinement::new(&config), BTreeMap::new())?;
    match command {
        JobsCommand::List { json, limit } => list(&backend, json, limit).await,
        JobsCommand::Show { id, json } => show(&config, &backend, &id, json).await,
        JobsCommand::Logs { id, follow } => logs(&backend, &id, follow).await,
        JobsCommand::Cancel { id } => {
            let job = backend.cancel(&id).await.map_err(failed)?;
            ui::out(&format!("job {id} {}", job.state.as_str()));
            Ok(0)
        }
    }
}

async fn list(backend: &dyn Backend, json: bool, limit: u32) -> Result<u8> {
    let jobs = backend.list(limit).await.map_err(failed)?;
    if json {
        ui::out(&json!(jobs).to_string());
        return Ok(0);
    }
    let mut table = Table::new(&[
        "ID", "STATE", "CREATED", "TIME", "COST", "FLAVOR", "MESSAGE",
    ]);
    for job in jobs {
        table.row([
            job.id.clone(),
            job.state.as_str().to_owned(),
            when(job.created_ms),
            took(&job),
            ui::cost(job.cost_usd.map(MicroUsd::from_usd)),
            job.flavor.clone().unwrap_or_default(),
            job.message.clone().unwrap_or_default(),
        ]);
    }
    if table.is_empty() {
        ui::err("there are no jobs");
    } else {
        ui::out(&table.render(Style::stdout()));
    }
    Ok(0)
}

async fn show(config: &Config, backend: &dyn Backend, id: &str, json: bool) -> Result<u8> {
    let job = backend.get(id).await.map_err(failed)?;
    let reached = reached(&config.paths.jobs().join(&job.id));
    if json {
        let mut shown = json!(job);
        shown["network"] = json!(reached);
        ui::out(&shown.to_string());
        return Ok(0);
    }
    let mut table = Table::new(&["JOB", &job.id]);
    table.row(["state".into(), job.state.as_str().into()]);
    if let Some(message) = &job.message {
        table.row(["message".into(), message.clone()]);
    }
    table.row(["created".into(), when(job.created_ms)]);
    if let Some(started) = job.started_ms {
        table.row(["started".into(), when(started)]);
    }
    if let Some(finished) = job.finished_ms {
        table.row(["finished".into(), when(finished)]);
    }
    table.row(["time".into(), took(&job)]);
    table.row([
        "cost".into(),
        ui::cost(job.cost_usd.map(MicroUsd::from_usd)),
    ]);
    for audit in &reached {
        table.row(["network".into(), ui::audit_line(audit)]);
    }
    ui::out(&table.render(Style::stdout()));
    Ok(0)
}

/// What the job asked of the network, and which rule decided.
fn reached(folder: &Path) -> Vec<Audit> {
    let file = File::open(folder.join(crate::adapters::network::OF_JOB));
    let lines = file.map(|file| BufReader::new(file.take(MOST_READ)).lines());
    let lines = lines.into_iter().flatten().map_while(io::Result::ok);
    // The supervisor may be writing the last one.
    lines
        .filter_map(|line| serde_json::from_str(&line).ok())
        .take(MOST_SHOWN)
        .collect()
}

async fn logs(backend: &dyn Backend, id: &str, follow: bool) -> Result<u8> {
    let mut after = 0;
    loop {
        // Asked before the lines: what a job wrote before it ended is in the lines that follow.
        let job = backend.get(id).await.map_err(failed)?;
        let wait = if follow { FOLLOW } else { Duration::ZERO };
        let lines = backend.logs(id, after, LINES, wait).await.map_err(failed)?;
        for line in &lines {
            ui::out(&ui::clean(&line.text));
            after = line.cursor;
        }
        let over = !follow || job.state.is_final();
        if lines.is_empty() && over {
            let failed = matches!(
                job.state,
                State::Failed | State::TimedOut | State::Cancelled
            );
            return Ok(if follow && failed { JOB_FAILED } else { 0 });
        }
    }
}

fn took(job: &Job) -> String {
    match (job.started_ms, job.finished_ms) {
        (Some(started), Some(finished)) => ui::duration(finished.saturating_sub(started)),
        _ => String::new(),
    }
}

fn failed(error: JobError) -> Failure {
    match error {
        error @ JobError::NotFound(_) => {
            Failure::new(Kind::Usage, error).hint("`ml-intern jobs list` shows all jobs")
        }
        error => Failure::new(Kind::Failed, error),
    }
}
