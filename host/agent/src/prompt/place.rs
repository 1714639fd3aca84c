//! What the caller knows of the session, for the system prompt.

use std::time::Duration;

/// What the prompt tells about the place. What is left out is not spoken of.
///
/// The prompt is part of every request's prefix, so nothing here may change within a session.
#[derive(Clone, Debug, Default)]
pub struct Place<'a> {
    /// Absolute path of the workspace.
    pub workspace: &'a str,
    /// The day on which the session began, `YYYY-MM-DD`; empty if unknown.
    pub date: &'a str,
    /// Name of the user's account on the Hub.
    pub user: Option<&'a str>,
    /// Nobody can be asked and nobody reads along.
    pub headless: bool,
    /// Wall time that the user set for the work. The agent is told to use it up on an open goal, so a
    /// default that nobody chose does not belong here.
    pub time_limit: Option<Duration>,
    /// What may be spent on model calls and paid compute together, in millionths of a US dollar.
    pub budget_micro_usd: Option<u64>,
    /// Where jobs run; none where no job can run.
    pub job_backend: Option<Backend>,
    /// Folders with a `SKILL.md`, in the order in which the model shall see them.
    pub skills: Vec<Skill>,
    /// The user's own instructions (manifest, `AGENTS.md`); at most 64 KiB are shown.
    pub instructions: &'a str,
}

/// A place where jobs run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// Its name in the run manifest: `local`, `huggingface`, …
    pub name: String,
    /// The hardware on offer, the default first. Empty if it lists none.
    pub flavors: Vec<Flavor>,
}

/// One kind of hardware.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flavor {
    /// What a job asks for.
    pub name: String,
    /// Processors, memory and accelerators in a few words.
    pub description: String,
    /// Number of accelerators.
    pub accelerators: u32,
    /// Memory of each accelerator, in MiB; 0 if unknown.
    pub accelerator_memory_mib: u32,
    /// Price of one hour in US dollars; none if unknown.
    pub usd_per_hour: Option<f64>,
}

/// Instructions for a kind of task, which the model reads when it needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skill {
    /// As its front matter says, see [`crate::skill::parse`].
    pub name: String,
    /// When it is of use; the model decides by this.
    pub description: String,
    /// Path of its `SKILL.md`, such that the session's tools can read it.
    pub path: String,
}
