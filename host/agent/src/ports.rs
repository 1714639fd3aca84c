//! What the loop asks of the world. The binary fills these; tests script them.

use crate::approval::{Answer, Effect};
use crate::error::ProviderError;
use crate::event::{CallStatus, Event, PermissionRequest, Stamp, Usage};
use crate::message::{Image, Message, Part};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A language model.
#[async_trait]
pub trait Provider: Send + Sync {
    /// One model call. Deltas are for display; only the answer counts. Dropping the future cancels the call.
    async fn complete(
        &self,
        request: Request<'_>,
        deltas: Arc<dyn Deltas>,
    ) -> Result<Reply, ProviderError>;

    /// Tokens of input and output together that the model takes; none where the service does not say.
    async fn window(&self, _model: &str) -> Option<u64> {
        None
    }
}

/// Where a provider sends what it has so far.
pub trait Deltas: Send + Sync {
    /// A fragment of the answer.
    fn text(&self, fragment: &str);
    /// A fragment of the reasoning.
    fn reasoning(&self, fragment: &str);
    /// A fragment of the arguments of a call; `tool` comes with the first one.
    fn call(&self, _index: u32, _tool: Option<&str>, _fragment: &str) {}
    /// What came so far counts no more: the call is made again. Whether there was anything.
    fn discard(&self) -> bool {
        false
    }
}

/// One model call.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The model, without the provider's name.
    pub model: &'a str,
    /// Stable for a session: cache key and routing affinity.
    pub session: &'a str,
    /// Changes when earlier messages were rewritten; while it stays, `messages` only grows.
    pub generation: u64,
    /// The conversation.
    pub messages: &'a [Arc<Message>],
    /// What the model may call.
    pub tools: &'a [Tool],
    /// Tokens of the answer at most; none = as the provider is set.
    pub max_tokens: Option<u32>,
    /// Whether deltas are wanted.
    pub stream: bool,
    /// How hard the model is asked to think; none = as the service does by itself.
    pub effort: Option<&'a str>,
    /// JSON Schema that the final text must satisfy.
    pub answer_schema: Option<&'a str>,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was done.
    EndTurn,
    /// It wants tools to run.
    ToolUse,
    /// It ran into its output limit: the last part is cut.
    MaxTokens,
    /// The service refused to answer.
    Refusal,
    /// Anything else.
    Other,
}

/// A model's answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Text, reasoning and calls.
    pub parts: Vec<Part>,
    /// Why it stopped.
    pub stop: Stop,
    /// What it took.
    pub usage: Usage,
}

/// What a tool's author says that a call does at most; the host holds a call to `read_only`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Changes nothing.
    pub read_only: bool,
    /// May destroy what cannot be brought back.
    pub destructive: bool,
    /// Twice is the same as once.
    pub idempotent: bool,
}

/// What the plugin behind a tool was granted, as far as approval is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Powers {
    /// May write files of the workspace.
    pub writes_files: bool,
    /// May send requests that change something elsewhere.
    pub sends_requests: bool,
}

/// A tool that the model may call.
#[derive(Clone, Debug)]
pub struct Tool {
    /// `^[a-z][a-z0-9_]{0,63}$`, unique in the session.
    pub name: String,
    /// For the model.
    pub description: String,
    /// JSON Schema of an object, as text.
    pub input_schema: String,
    /// Plugin and version, for people.
    pub plugin: String,
    /// Effects of a call.
    pub effects: Effects,
    /// Name of the argument that selects the operation, and the effects of each.
    pub operations: Option<(String, Vec<(String, Effects)>)>,
    /// What its plugin was granted.
    pub powers: Powers,
    /// The plugin's grants in words.
    pub grants: Vec<String>,
}

impl Tool {
    /// Effects of a call with these arguments.
    pub fn effects_of(&self, arguments: &Value) -> Effects {
        let Some((argument, operations)) = &self.operations else {
            return self.effects;
        };
        let chosen = arguments.get(argument).and_then(Value::as_str);
        let found = operations
            .iter()
            .find(|(name, _)| Some(name.as_str()) == chosen);
        found.map_or(self.effects, |(_, effects)| *effects)
    }

    /// The operation that these arguments select, where the tool has several. What the model made up is none: it would
    /// get into rules that a person agrees to.
    pub fn operation_of(&self, arguments: &Value) -> Option<String> {
        let (argument, operations) = self.operations.as_ref()?;
        let chosen = arguments.get(argument)?.as_str()?;
        let declared = operations.iter().any(|(name, _)| name == chosen);
        declared.then(|| chosen.to_owned())
    }

    /// What has to be allowed before a call with these effects starts; `None` when nothing has to.
    /// Programs and jobs are asked for when they happen, with what they really are.
    pub fn gate(&self, effects: Effects) -> Option<Effect> {
        match (effects.read_only, self.powers) {
            (true, _) => None,
            (
                _,
                Powers {
                    sends_requests: true,
                    ..
                },
            ) => Some(Effect::Network),
            (
                _,
                Powers {
                    writes_files: true, ..
                },
            ) => Some(Effect::Edit),
            _ => None,
        }
    }
}

/// A call that passed every check.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The host's id, see [`Event::ToolStarted`].
    pub call: String,
    /// Name of the tool.
    pub tool: String,
    /// A JSON object.
    pub arguments: Value,
    /// Hold the call to reading.
    pub read_only: bool,
}

/// How a call ended; never one turned into another.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The tool answered.
    Output {
        /// Text for the model.
        content: String,
        /// Pictures for the model.
        images: Vec<Image>,
        /// The model may correct itself.
        is_error: bool,
    },
    /// A typed error: a denial, a bad argument, a failed service.
    Error(String),
    /// A permission was denied during the call.
    Denied(String),
    /// The plugin trapped or broke a limit.
    Fault(String),
}

/// The tools of the session.
#[async_trait]
pub trait Toolbox: Send + Sync {
    /// All of them; the order is what the model sees and stays for the session.
    fn tools(&self) -> &[Tool];
    /// Runs one call. Dropping the future cancels it.
    async fn call(&self, invocation: Invocation) -> Outcome;

    /// The tool of this name for one call, by the host's id of it.
    fn tool_of(&self, _call: &str, name: &str) -> Option<&Tool> {
        self.tools().iter().find(|tool| tool.name == name)
    }

    /// The result of a call that is refused without a look at its arguments. Tools that are there refuse nothing.
    fn refused(&self, _call: &str) -> Option<(CallStatus, String)> {
        None
    }
}

/// A person who can be asked.
#[async_trait]
pub trait Approver: Send + Sync {
    /// Waits for the answer; `None` when nobody is there (any more).
    async fn ask(&self, request: &PermissionRequest) -> Option<Answer>;
    /// Keeps a rule beyond the session.
    fn remember(&self, rule: &crate::approval::Rule) -> Result<(), String>;
}

/// The session log.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Writes one entry at once. Called under the session's lock, in order.
    fn append(&self, event: &Event) -> Result<Stamp, JournalError>;
    /// Returns when everything appended so far is on the disk.
    async fn sync(&self) -> Result<(), JournalError>;
}

/// The log could not be written, so the session must stop: nothing may happen that the log does not know.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot write the session log: {0}")]
pub struct JournalError(pub String);

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// Watches a session. Must return at once.
pub trait Observer: Send + Sync {
    /// An event happened; the log has it if it is durable.
    fn event(&self, stamp: Stamp, event: &Event);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_operation_is_one_that_the_tool_has() {
        let tool = Tool {
            name: "repo".into(),
            description: String::new(),
            input_schema: "{}".into(),
            plugin: "p@1".into(),
            effects: Effects::default(),
            operations: Some(("op".into(), vec![("upload".into(), Effects::default())])),
            powers: Powers::default(),
            grants: Vec::new(),
        };
        let of = |arguments| tool.operation_of(&arguments);
        assert_eq!(of(json!({"op": "upload"})).as_deref(), Some("upload"));
        for other in [
            json!({"op": "*"}),
            json!({"op": "up*"}),
            json!({"op": 1}),
            json!({}),
        ] {
            assert_eq!(of(other), None);
        }
    }
}
