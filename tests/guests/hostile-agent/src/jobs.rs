//! Jobs without number, and other people's jobs.

use ml_intern_plugin::{Error, Output, jobs};

use crate::Told;

fn spec(flavor: &str) -> jobs::Spec {
    jobs::Spec {
        name: None,
        workload: jobs::Workload::Script(jobs::Script {
            source: "import time\ntime.sleep(30)\n".to_owned(),
            arguments: Vec::new(),
            dependencies: Vec::new(),
            python: None,
        }),
        flavor: Some(flavor.to_owned()),
        timeout_seconds: 40,
        env: Vec::new(),
        credentials: Vec::new(),
        mounts: Vec::new(),
        schedule: None,
        labels: Vec::new(),
        idempotency_key: None,
    }
}

/// Submits as many as it may up to `amount`, ends all but the job that `job` says to leave, and tells
/// how far it came.
pub(crate) fn submit(told: Told) -> Result<Output, Error> {
    let flavor = if told.name.is_empty() {
        "local"
    } else {
        &told.name
    };
    let mut ids = Vec::new();
    let mut refused = None;
    for _ in 0..told.amount {
        match jobs::submit(&spec(flavor)) {
            Ok(job) => ids.push(job.id),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    if told.job != "stay" {
        for id in &ids {
            jobs::cancel(id)?;
        }
    }
    match refused {
        Some(Error::Limit(text)) => Err(Error::Limit(format!("{} jobs: {text}", ids.len()))),
        Some(error) => Err(error),
        None => Ok(Output::text(format!(
            "{} jobs: {}",
            ids.len(),
            ids.join(" ")
        ))),
    }
}

pub(crate) fn job(told: Told) -> Result<Output, Error> {
    let id = &told.job;
    match told.name.as_str() {
        "get" => jobs::get(id).map(drop)?,
        "logs" => jobs::logs(id, 0, 10, 0).map(drop)?,
        "wait" => jobs::wait(id, 10).map(drop)?,
        "cancel" => jobs::cancel(id).map(drop)?,
        "list" => {
            let listed = jobs::list(100)?;
            return Ok(Output::text(format!("{} jobs", listed.len())));
        }
        other => return Err(Error::InvalidInput(other.to_owned())),
    }
    Ok(Output::text("done"))
}
