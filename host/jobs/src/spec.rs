//! The words of the job capability, as in `wit/jobs.wit`, in native form.

use serde::{Deserialize, Serialize};

/// A single-file Python program. Its PEP 723 metadata counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    pub source: String,
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Requirements as pip writes them (PEP 508), in addition to those in the source.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// A Python version such as `3.12`.
    #[serde(default)]
    pub python: Option<String>,
}

/// A container image and what to run in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub image: String,
    pub command: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    Script(Script),
    Container(Container),
}

/// A dataset, model or bucket that the back end mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub source: String,
    pub path: String,
    pub writable: bool,
}

/// What to run, where, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    #[serde(default)]
    pub name: Option<String>,
    pub workload: Workload,
    /// None = the back end's default.
    #[serde(default)]
    pub flavor: Option<String>,
    /// From the start of the job's work, not from its submission.
    pub timeout_seconds: u32,
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Names of credentials that the back end places in the job's environment; never values.
    #[serde(default)]
    pub credentials: Vec<String>,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Five-field cron expression.
    #[serde(default)]
    pub schedule: Option<String>,
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// The same key submits once, also after a restart.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// What the job may reach on the network; without it nothing, where jobs are isolated.
    #[serde(default)]
    pub outbound: Option<Outbound>,
}

/// The network of an isolated job, as its caller granted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// Rules for whoever serves the job's proxy; a back end does not read them.
    pub rules: String,
    /// Names of the job's own loopback address, which do not go to the proxy.
    pub direct: Vec<String>,
    /// Whether anything is granted at all.
    pub granted: bool,
    /// How the user grants the places that packages come from.
    pub advice: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    TimedOut,
    Scheduled,
    Suspended,
}

impl State {
    /// Whether the job is over for good.
    pub fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::TimedOut => true,
            Self::Queued | Self::Running | Self::Scheduled | Self::Suspended => false,
        }
    }

    /// The word users and files see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed-out",
            Self::Scheduled => "scheduled",
            Self::Suspended => "suspended",
        }
    }
}

/// A submitted job as it stands now. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    pub state: State,
    pub message: Option<String>,
    pub flavor: Option<String>,
    pub url: Option<String>,
    pub created_ms: u64,
    pub started_ms: Option<u64>,
    pub finished_ms: Option<u64>,
    /// Spent so far, in US dollars; none where the back end has no price.
    pub cost_usd: Option<f64>,
}

/// One line of a job's output. Cursors rise from 1; dropped lines leave gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub cursor: u32,
    pub at_ms: u64,
    pub text: String,
}

/// One kind of hardware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    pub name: String,
    pub title: String,
    pub cpus: u32,
    pub memory_mib: u32,
    pub accelerator: Option<String>,
    pub accelerators: u32,
    pub accelerator_memory_mib: u32,
    /// Price of one hour in US dollars.
    pub hourly_usd: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_specification_gets_defaults_and_survives_a_round_trip() {
        let text = r#"{"workload": {"script": {"source": "print(1)"}}, "timeout_seconds": 5}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        assert!(spec.env.is_empty() && spec.idempotency_key.is_none());
        let again = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(spec, again);
    }

    #[test]
    fn the_word_of_a_state_is_the_one_in_files() {
        for state in [
            State::Queued,
            State::Running,
            State::Succeeded,
            State::Failed,
            State::Cancelled,
            State::TimedOut,
            State::Scheduled,
            State::Suspended,
        ] {
            let written = serde_json::to_string(&state).unwrap();
            assert_eq!(written, format!("\"{}\"", state.as_str()));
        }
    }
}
