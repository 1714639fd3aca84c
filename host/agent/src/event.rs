//! Everything that happens in a session, one entry each.
//!
//! The same values are the lines of the session log, the lines of `stream-json` and what the terminal draws.
//! [`Event::is_durable`] tells which are kept; the others are for display only.

mod parts;

pub use parts::*;

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
    /// Pictures that belong to the person's next words.
    #[serde(rename = "input.attached")]
    InputAttached {
        /// In order.
        images: Vec<Image>,
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
    /// A person said how hard the model is to think, from here on.
    #[serde(rename = "effort.wanted")]
    EffortWanted {
        /// The level; none = as the service does by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effort: Option<String>,
    },
    /// The model does not take the effort that was asked of it. The call is made again with less.
    #[serde(rename = "effort.refused")]
    EffortRefused {
        /// `provider/model`.
        model: String,
        /// What was asked.
        effort: String,
        /// What is asked of this model from here on; none = nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead: Option<String>,
        /// The service's words.
        why: String,
    },
    /// The service does not know the reasoning that it was given back. It is left out of the conversation from here on,
    /// and the call is made again.
    #[serde(rename = "reasoning.dropped")]
    ReasoningDropped {
        /// Pieces of it.
        pieces: u64,
        /// The service's words.
        why: String,
    },
    /// The final answers of the session have to satisfy this schema, or none from here on.
    #[serde(rename = "answer.expected")]
    AnswerExpected {
        /// JSON Schema.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<Value>,
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
    /// A call that the model is writing. Display only: what runs is in `tool.started`.
    #[serde(rename = "call.delta")]
    CallDelta {
        /// Position among the calls of the reply.
        index: u32,
        /// Name of the tool, with the first fragment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// A fragment of its arguments.
        arguments: String,
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
                | Self::CallDelta { .. }
                | Self::ReasoningDelta { .. }
        )
    }
}
