//! Jobs as plugins, the back end and people see them.

use ml_intern_jobs::{Container, JobError, Mount, Outbound, Script, Spec, State, Workload};
use ml_intern_manifest::JobsRules;
use ml_intern_runtime::{jobs, types};
use serde_json::{Value, json};

pub(super) fn detail(spec: &Spec) -> Value {
    let mut detail = json!({
        "name": spec.name,
        "flavor": spec.flavor,
        "timeout_seconds": spec.timeout_seconds,
        "env": spec.env,
        "credentials": spec.credentials,
        "schedule": spec.schedule,
    });
    match &spec.workload {
        Workload::Script(script) => {
            detail["script"] = json!(script.source);
            detail["arguments"] = json!(script.arguments);
            detail["dependencies"] = json!(script.dependencies);
        }
        Workload::Container(container) => {
            detail["image"] = json!(container.image);
            detail["command"] = json!(container.command);
        }
    }
    detail
}

/// What the job may reach, in the form in which its supervisor reads it.
pub(super) fn outbound(rules: &JobsRules) -> Outbound {
    let network = rules.network();
    Outbound {
        rules: network.to_text(),
        direct: network.own_names(),
        granted: network.is_granted(),
        advice: network.advice("public"),
    }
}

pub(super) fn native(spec: jobs::Spec) -> Spec {
    Spec {
        name: spec.name,
        workload: match spec.workload {
            jobs::Workload::Script(script) => Workload::Script(Script {
                source: script.source,
                arguments: script.arguments,
                dependencies: script.dependencies,
                python: script.python,
            }),
            jobs::Workload::Container(container) => Workload::Container(Container {
                image: container.image,
                command: container.command,
            }),
        },
        flavor: spec.flavor,
        timeout_seconds: spec.timeout_seconds,
        env: spec.env,
        credentials: spec.credentials,
        mounts: spec
            .mounts
            .into_iter()
            .map(|mount| Mount {
                source: mount.source,
                path: mount.path,
                writable: mount.writable,
            })
            .collect(),
        schedule: spec.schedule,
        labels: spec.labels,
        idempotency_key: spec.idempotency_key,
        outbound: None,
    }
}

pub(super) fn guest(job: ml_intern_jobs::Job) -> jobs::Job {
    jobs::Job {
        id: job.id,
        state: match job.state {
            State::Queued => jobs::State::Queued,
            State::Running => jobs::State::Running,
            State::Succeeded => jobs::State::Succeeded,
            State::Failed => jobs::State::Failed,
            State::Cancelled => jobs::State::Cancelled,
            State::TimedOut => jobs::State::TimedOut,
            State::Scheduled => jobs::State::Scheduled,
            State::Suspended => jobs::State::Suspended,
        },
        message: job.message,
        flavor: job.flavor,
        url: job.url,
        created_ms: job.created_ms,
        started_ms: job.started_ms,
        finished_ms: job.finished_ms,
        cost_usd: job.cost_usd,
    }
}

pub(super) fn flavor(flavor: ml_intern_jobs::Flavor) -> jobs::Flavor {
    jobs::Flavor {
        name: flavor.name,
        title: flavor.title,
        cpus: flavor.cpus,
        memory_mib: flavor.memory_mib,
        accelerator: flavor.accelerator,
        accelerators: flavor.accelerators,
        accelerator_memory_mib: flavor.accelerator_memory_mib,
        hourly_usd: flavor.hourly_usd,
    }
}

pub(super) fn text(error: JobError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

pub(super) fn typed(error: JobError) -> types::Error {
    match error {
        JobError::InvalidInput(text) => types::Error::InvalidInput(text),
        JobError::NotFound(text) => types::Error::NotFound(text),
        JobError::Unsupported(text) => types::Error::Unsupported(text),
        JobError::Limit(text) => types::Error::Limit(text),
        JobError::NotGranted(detail) => types::Error::Denied(types::Denial {
            capability: "network".into(),
            detail,
        }),
        JobError::Conflict(text) => types::Error::Conflict(text),
        other => types::Error::Internal(text(other)),
    }
}
