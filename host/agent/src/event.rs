//! Everything that happens in a session, one entry each.
//!
//! The same values are the lines of the session log, the lines of `stream-json` and what the terminal draws.
//! [`Event::is_durable`] tells which are kept; the others are for display only.

use crate::message::{Image, Message};
use crate::money::MicroUsd;
use crate::plan::PlanItem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Place and time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Position in the log, from 1, without gaps. A display-only event carries the position of the event before it.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
}

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

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum Event {
    /// First entry of every log.
    #[serde(rename = "session.started")]
    SessionStarted {
        /// `provider/model`.
        model: String,
        /// Absolute path.
        workspace: String,
        /// Version of the host that wrote the log.
        host: String,
        /// Names of the tools offered.
        tools: Vec<String>,
        /// What the process that writes from here on holds the session to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limits: Option<Limits>,
    },
    /// The log was opened again by a new process.
    #[serde(rename = "session.resumed")]
    SessionResumed {
        /// `provider/model` from here on.
        model: String,
        /// Version of the host.
        host: String,
        /// What the process that writes from here on holds the session to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limits: Option<Limits>,
    },
    /// The entries before this one are those of another session.
    #[serde(rename = "session.forked")]
    SessionForked {
        /// Id of the other session.
        from: String,
        /// Place of the last entry that was taken from it.
        at: u64,
    },
    /// A person gave the session another title.
    #[serde(rename = "session.renamed")]
    SessionRenamed {
        /// The title.
        title: String,
    },
    /// A person spoke.
    #[serde(rename = "turn.started")]
    TurnStarted {
        /// From 1.
        turn: u32,
        /// Their words.
        input: String,
    },
    /// A person spoke while a turn was under way. Their words wait for the end of its current round.
    #[serde(rename = "input.queued")]
    InputQueued {
        /// Their words.
        text: String,
    },
    /// The words that waited entered the conversation.
    #[serde(rename = "input.taken")]
    InputTaken {},
    /// The newest turn was taken back: the conversation, the plan and the files are as before it.
    #[serde(rename = "turn.undone")]
    TurnUndone {
        /// [`Event::TurnStarted::turn`].
        turn: u32,
        /// Paths of the files that are again what they were, below the workspace.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        restored: Vec<String>,
        /// Files that stay as they are, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<KeptFile>,
    },
    /// A call is about to change a file of the workspace, or has done so.
    #[serde(rename = "file.changed")]
    FileChanged {
        /// What is known of it.
        #[serde(flatten)]
        change: FileChange,
    },
    /// A message entered the conversation. Tool results come as `tool.finished`.
    #[serde(rename = "message")]
    Message {
        /// The message.
        #[serde(flatten)]
        message: Message,
    },
    /// A call is about to run.
    #[serde(rename = "tool.started")]
    ToolStarted {
        /// Unique in the session, and the same when a call runs again after a crash.
        call: String,
        /// Position among the calls of its message.
        index: u32,
        /// Name of the tool.
        tool: String,
        /// Plugin and version.
        plugin: String,
        /// The object that the tool gets.
        arguments: Value,
        /// Running it twice is harmless: it only reads, or is idempotent.
        repeatable: bool,
    },
    /// Progress of a call. Display only.
    #[serde(rename = "tool.log")]
    ToolLog {
        /// [`Event::ToolStarted::call`].
        call: String,
        /// One line.
        text: String,
        /// Within 0..=1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fraction: Option<f32>,
    },
    /// A call goes on. Display only.
    #[serde(rename = "tool.waiting")]
    ToolWaiting {
        /// [`Event::ToolStarted::call`].
        call: String,
        /// Name of the tool.
        tool: String,
        /// Since it began, in milliseconds.
        ms: u64,
    },
    /// A call ended. What the model sees.
    #[serde(rename = "tool.finished")]
    ToolFinished {
        /// [`Event::ToolStarted::call`].
        call: String,
        /// Position among the calls of its message.
        index: u32,
        /// Name of the tool.
        tool: String,
        /// How it ended.
        status: CallStatus,
        /// Text for the model.
        content: String,
        /// Pictures for the model.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<Image>,
        /// Wall time, approvals included.
        ms: u64,
    },
    /// Somebody has to decide.
    #[serde(rename = "permission.requested")]
    PermissionRequested {
        /// What is asked.
        #[serde(flatten)]
        request: PermissionRequest,
    },
    /// Somebody or a rule decided.
    #[serde(rename = "permission.resolved")]
    PermissionResolved {
        /// [`PermissionRequest::id`].
        id: String,
        /// The decision.
        decision: crate::approval::Decision,
        /// `user`, `rule` or `nobody`.
        by: String,
        /// The person's words to the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feedback: Option<String>,
        /// Remembered for the rest of the session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remembered: Option<crate::approval::Rule>,
        /// What happens instead, shaped like [`PermissionRequest::detail`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edited: Option<Value>,
    },
    /// The host decided what a plugin may do.
    #[serde(rename = "audit")]
    Audit {
        /// The decision.
        #[serde(flatten)]
        audit: Audit,
    },
    /// The host noticed that the model goes round in circles.
    #[serde(rename = "repetition")]
    Repetition {
        /// Which calls, and what is done about them.
        #[serde(flatten)]
        repetition: Repetition,
    },
    /// The plan was replaced.
    #[serde(rename = "plan")]
    Plan {
        /// The whole plan.
        items: Vec<PlanItem>,
    },
    /// A job was submitted.
    #[serde(rename = "job.started")]
    JobStarted {
        /// The job.
        job: JobNote,
    },
    /// A job changed state.
    #[serde(rename = "job.updated")]
    JobUpdated {
        /// The job.
        job: JobNote,
    },
    /// A job ended.
    #[serde(rename = "job.finished")]
    JobFinished {
        /// The job.
        job: JobNote,
    },
    /// Tokens of a model call.
    #[serde(rename = "usage")]
    Usage {
        /// The numbers.
        #[serde(flatten)]
        usage: Usage,
    },
    /// Money is held for something that is about to begin.
    #[serde(rename = "budget.reserved")]
    BudgetReserved {
        /// Unique in the session.
        id: String,
        /// `job` or `sandbox`.
        kind: String,
        /// US dollars at most.
        usd: MicroUsd,
    },
    /// What money was held for is over.
    #[serde(rename = "budget.settled")]
    BudgetSettled {
        /// [`Event::BudgetReserved::id`].
        id: String,
        /// US dollars that it cost; absent where nothing came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usd: Option<MicroUsd>,
    },
    /// A person is told what was spent.
    #[serde(rename = "budget.warned")]
    BudgetWarned {
        /// US dollars until now.
        spent_usd: MicroUsd,
        /// The amount that was passed; absent where the cap is near.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        threshold_usd: Option<MicroUsd>,
        /// The cap in US dollars, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cap_usd: Option<MicroUsd>,
    },
    /// A person agreed to more.
    #[serde(rename = "budget.raised")]
    BudgetRaised {
        /// The new cap in US dollars.
        cap_usd: MicroUsd,
    },
    /// Older messages were left out of the conversation, to make room in the model's context. The log keeps them.
    #[serde(rename = "compacted")]
    Compacted {
        /// The first message that stays, counted in the conversation as it was from 0; the system prompt and the first
        /// words of the person stay as well. None where only results were shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
        /// Results of more bytes were shortened to these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        longest: Option<u64>,
        /// What stands for the messages.
        summary: String,
        /// Tokens of the conversation before, more or less.
        before: u64,
        /// Tokens after.
        after: u64,
    },
    /// Something a person should know; nothing failed.
    #[serde(rename = "notice")]
    Notice {
        /// Stable word, for example `retry`.
        code: String,
        /// In words.
        text: String,
    },
    /// Something failed.
    #[serde(rename = "error")]
    Error {
        /// Stable word, see [`crate::ProviderError::kind`].
        kind: String,
        /// In words.
        message: String,
    },
    /// A turn ended.
    #[serde(rename = "turn.finished")]
    TurnFinished {
        /// Why.
        reason: TurnEnd,
        /// The final answer, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Model calls of the turn.
        iterations: u32,
        /// A permission was denied because nobody was there to ask.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        blocked: bool,
    },
    /// Text as it comes. Display only.
    #[serde(rename = "text.delta")]
    TextDelta {
        /// A fragment.
        text: String,
    },
    /// Reasoning as it comes. Display only.
    #[serde(rename = "reasoning.delta")]
    ReasoningDelta {
        /// A fragment.
        text: String,
    },
}

impl Event {
    /// Whether the log keeps it.
    pub fn is_durable(&self) -> bool {
        !matches!(
            self,
            Self::ToolLog { .. }
                | Self::ToolWaiting { .. }
                | Self::TextDelta { .. }
                | Self::ReasoningDelta { .. }
        )
    }
}
