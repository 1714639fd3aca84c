//! What entries are about: calls, jobs, questions, decisions, files.

use crate::money::MicroUsd;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// The tool answered.
    Ok,
    /// The tool answered with an error that the model may correct.
    Error,
    /// The arguments did not parse or broke the tool's schema; nothing ran.
    Malformed,
    /// A permission was denied.
    Denied,
    /// The plugin trapped or broke a limit.
    Fault,
    /// The user or a limit ended the call.
    Cancelled,
    /// The host died during the call; what it did is unknown.
    Interrupted,
}

/// Tokens of one model call, and their price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from the provider's cache.
    #[serde(default)]
    pub cache_read: u64,
    /// Input tokens written to the provider's cache.
    #[serde(default)]
    pub cache_write: u64,
    /// Output tokens spent on reasoning.
    #[serde(default)]
    pub reasoning: u64,
    /// US dollars; absent where the price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<MicroUsd>,
    /// US dollars that a call of unknown price is counted at, where the user wants it counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_usd: Option<MicroUsd>,
    /// What it was for.
    #[serde(default, skip_serializing_if = "Purpose::is_conversation")]
    pub purpose: Purpose,
}

/// What a model call was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The conversation itself.
    #[default]
    Conversation,
    /// A summary of what is left out of it.
    Summary,
    /// The conversation of an agent that a tool started.
    Agent,
    /// A question of a tool.
    Question,
}

impl Purpose {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_conversation(&self) -> bool {
        *self == Self::Conversation
    }
}

/// What a process holds a session to: a session that is run again has to be held to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Model calls of a turn.
    pub iterations: u32,
    /// US dollars of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<MicroUsd>,
    /// US dollars for a million tokens of unknown price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_usd_per_million_tokens: Option<MicroUsd>,
    /// Tokens of the model's context, where the user said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// Whether somebody could be asked.
    #[serde(default)]
    pub asks: bool,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnEnd {
    /// The model gave its final answer.
    Done,
    /// The iteration cap was reached.
    Iterations,
    /// The time limit was reached.
    Time,
    /// The budget in dollars is spent.
    Budget,
    /// The model went round in circles, and did not stop when it was told.
    Repetition,
    /// The user ended it.
    Interrupted,
    /// It failed; an `error` event says how.
    Error,
}

/// What the host does about a model that goes round in circles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is told.
    Warned,
    /// The calls are not run any more until it makes another one.
    Barred,
    /// The turn ends.
    Stopped,
}

/// Calls that a model makes again and again, with the same results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetition {
    /// Names of the tools, in the order of the calls.
    pub tools: Vec<String>,
    /// What is done about it.
    pub step: Step,
}

/// A file that a call of a tool changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// [`Event::ToolStarted::call`].
    pub call: String,
    /// Below the workspace.
    pub path: String,
    /// What it was before the call.
    pub before: FileState,
    /// What the call left of it; none while the call is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FileState>,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// There is none.
    Absent,
    /// SHA-256 of its bytes, in hexadecimal digits. The session's folder holds the bytes of what was before.
    Sha256(String),
    /// Nobody looked: it was too large to keep, or no regular file.
    Unknown,
}

/// A file that undo left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Below the workspace.
    pub path: String,
    /// Why.
    pub why: String,
}

/// State of a job as the log keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobNote {
    /// The back end's id.
    pub id: String,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `queued`, `running`, `succeeded`, `failed`, `cancelled`, `timed-out`, `suspended`.
    pub state: String,
    /// What the back end says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// US dollars so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<MicroUsd>,
    /// US dollars that it may come to, as was agreed when it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_usd: Option<MicroUsd>,
    /// [`Event::BudgetReserved::id`] of what was held for it until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
}

impl JobNote {
    /// Whether it has ended.
    pub fn is_final(&self) -> bool {
        matches!(
            self.state.as_str(),
            "succeeded" | "failed" | "cancelled" | "timed-out"
        )
    }
}

/// What a person is asked, with everything that the terminal shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermissionRequest {
    /// Answers name it.
    pub id: String,
    /// The host's id of the call.
    pub call: String,
    /// Name of the tool.
    pub tool: String,
    /// Plugin and version.
    pub plugin: String,
    /// `edit`, `process`, `job`, `network` or `budget`.
    pub effect: crate::approval::Effect,
    /// One line.
    pub summary: String,
    /// Arguments of the call, the command, or the job's specification.
    pub detail: Value,
    /// The operation of the tool, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// It may destroy what cannot be brought back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destructive: bool,
    /// Why only a person may allow it, whatever mode and rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// Highest price in US dollars, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_usd: Option<MicroUsd>,
    /// What the plugin may reach, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
}

/// How a decision about what a plugin may do came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditVerdict {
    /// Allowed by a rule.
    Allowed,
    /// Refused: no rule allows it, or a person said no.
    Denied,
    /// A resource limit was reached.
    Limited,
    /// Allowed, and failed on the way; or the plugin itself failed.
    Failed,
}

/// One decision about what a plugin may do: who asked for what, which rule decided, and what moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// [`Event::ToolStarted::call`], or `model-N` for the Nth model call of the process.
    pub call: String,
    /// Plugin and version.
    pub plugin: String,
    /// Dotted capability, for example `http` or `fs.write`.
    pub capability: String,
    /// What was asked for, without query and without secrets.
    pub target: String,
    /// The rule that allowed it, in the words in which it was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How it came out.
    pub verdict: AuditVerdict,
    /// Why it was refused, limited or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// HTTP status, where a service answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Bytes that left, bodies only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sent_bytes: u64,
    /// Bytes that came back, bodies only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub received_bytes: u64,
}

impl Audit {
    /// Whether something happened that may have changed anything anywhere: more than reading files and fetching.
    pub(crate) fn may_have_changed_something(&self) -> bool {
        let happened = !matches!(self.verdict, AuditVerdict::Denied);
        let reads = match self.capability.as_str() {
            // What is written to files is told by `file.changed`.
            "fs.read" | "fs.write" => true,
            "http" => self.target.starts_with("GET ") || self.target.starts_with("HEAD "),
            _ => false,
        };
        happened && !reads
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}
