//! One call of one tool, how it ended and what it touched.

mod touched;

pub(super) use touched::{Touched, Watch};

use crate::adapters::toolbox::offered;
use crate::compose::Loaded;
use crate::error::{Failure, Result};
use crate::ui;
use ml_intern_agent::arguments::Checker;
use ml_intern_agent::event::AuditVerdict;
use ml_intern_agent::ports::{Powers, Tool};
use ml_intern_manifest::{Kind, suggestion};
use ml_intern_runtime::{CallContext, CallError, CancellationToken, Contents, Plugin, tool, types};
use serde_json::{Value, json};
use std::sync::Arc;

/// How a call ended.
pub(super) enum Ended {
    /// The tool answered.
    Output(tool::Output),
    /// The tool, or the host before it, returned an error.
    Error {
        kind: &'static str,
        text: String,
    },
    /// It trapped or broke a limit: which one.
    Fault {
        limit: Option<&'static str>,
        text: String,
    },
    Cancelled,
}

/// A call that is over.
pub(super) struct Called {
    pub(super) ended: Ended,
    pub(super) touched: Touched,
    /// What was kept before, and after.
    pub(super) kept: (Contents, Contents),
}

/// The tool of this name; the only one where none is named.
pub(super) fn tool_of(
    loaded: &Loaded,
    descriptors: &[tool::Descriptor],
    name: Option<&str>,
) -> Result<Tool> {
    let names = || {
        let names = descriptors.iter().map(|tool| tool.name.as_str());
        names.collect::<Vec<_>>()
    };
    let title = loaded.title();
    let found = match (name, descriptors) {
        (None, [only]) => only,
        (None, _) => {
            let names = names().join(", ");
            let text = format!("{title} has several tools; name one of {names}");
            return Err(Failure::usage(text));
        }
        (Some(name), all) => match all.iter().find(|tool| tool.name == name) {
            Some(found) => found,
            None => {
                let failure =
                    Failure::usage(format!("{title} has no tool `{}`", ui::one_line(name, 64)));
                return Err(match suggestion(name, &names()) {
                    Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                    None => failure.hint(format!("it has {}", names().join(", "))),
                });
            }
        },
    };
    Ok(offered(
        found.clone(),
        &title,
        Powers::default(),
        &loaded.effective.describe(),
    ))
}

/// Calls a tool as a session would: held to its schema and to what it says of its effects.
pub(super) async fn call(
    plugin: &Plugin,
    loaded: &Loaded,
    tool: &Tool,
    arguments: &Value,
    watch: Arc<Watch>,
    context: CallContext,
    cancel: &CancellationToken,
) -> Called {
    let store = plugin.store();
    // What cannot be read is told by whoever writes to it.
    let before = store.contents().unwrap_or_default();
    let ended = match Checker::new(tool).check(&tool.name, &arguments.to_string()) {
        Err(text) => Ended::Error {
            kind: "invalid-input",
            text,
        },
        Ok(arguments) => {
            let own = tool.name.strip_prefix(&loaded.prefix).unwrap_or(&tool.name);
            let context = CallContext {
                read_only: tool.effects_of(&arguments).read_only,
                ..context
            };
            let arguments = arguments.to_string();
            let called = plugin.call_tool(own, &arguments, context, watch.clone(), cancel);
            ended(called.await)
        }
    };
    Called {
        ended,
        touched: watch.take(),
        kept: (before, store.contents().unwrap_or_default()),
    }
}

fn ended(called: std::result::Result<tool::Output, CallError>) -> Ended {
    match called {
        Ok(output) => Ended::Output(output),
        Err(CallError::Guest(error)) => Ended::Error {
            kind: kind_of(&error.error),
            text: error.to_string(),
        },
        Err(CallError::Fault(fault)) => Ended::Fault {
            limit: fault.cause.limit(),
            text: fault.to_string(),
        },
        Err(CallError::Cancelled) => Ended::Cancelled,
        Err(other) => Ended::Error {
            kind: "internal",
            text: other.to_string(),
        },
    }
}

/// As the contract spells it.
pub(super) fn kind_of(error: &types::Error) -> &'static str {
    match error {
        types::Error::InvalidInput(_) => "invalid-input",
        types::Error::Denied(_) => "denied",
        types::Error::AuthRequired(_) => "auth-required",
        types::Error::NotFound(_) => "not-found",
        types::Error::Conflict(_) => "conflict",
        types::Error::Limit(_) => "limit",
        types::Error::Timeout => "timeout",
        types::Error::Cancelled => "cancelled",
        types::Error::ContextOverflow(_) => "context-overflow",
        types::Error::Upstream(_) => "upstream",
        types::Error::Unsupported(_) => "unsupported",
        types::Error::Internal(_) => "internal",
    }
}

impl Called {
    /// Whether the host or a person denied something.
    pub(super) fn was_denied(&self) -> bool {
        let audits = self.touched.audits.iter();
        matches!(self.ended, Ended::Error { kind: "denied", .. })
            || audits
                .into_iter()
                .any(|audit| audit.verdict == AuditVerdict::Denied)
    }

    /// All text of the output, or the words of the error.
    pub(super) fn text(&self) -> String {
        match &self.ended {
            Ended::Output(output) => text_of(output),
            Ended::Error { text, .. } | Ended::Fault { text, .. } => text.clone(),
            Ended::Cancelled => "cancelled".to_owned(),
        }
    }

    /// In JSON, for programs.
    pub(super) fn as_json(&self) -> Value {
        let (outcome, rest) = match &self.ended {
            Ended::Output(output) => (
                "output",
                json!({ "content": content(output), "is_error": output.is_error }),
            ),
            Ended::Error { kind, text } => ("error", json!({ "kind": kind, "message": text })),
            Ended::Fault { limit, text } => ("fault", json!({ "limit": limit, "message": text })),
            Ended::Cancelled => ("cancelled", json!({})),
        };
        let mut all = json!({ "outcome": outcome, "denied": self.was_denied() });
        if let (Some(all), Value::Object(rest)) = (all.as_object_mut(), rest) {
            all.extend(rest);
            all.insert("touched".to_owned(), self.touched.as_json(&self.kept));
        }
        all
    }
}

pub(super) fn text_of(output: &tool::Output) -> String {
    let texts = output.content.iter().filter_map(|content| match content {
        tool::Content::Text(text) | tool::Content::Json(text) => Some(text.clone()),
        tool::Content::File(path) => Some(format!("[file: {path}]")),
        tool::Content::Image(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// The documents of JSON in an output: the only one, or a list; none where there is none.
pub(super) fn json_of(output: &tool::Output) -> Option<Value> {
    let documents = output.content.iter().filter_map(|content| match content {
        tool::Content::Json(text) => serde_json::from_str::<Value>(text).ok(),
        _ => None,
    });
    let mut documents = documents.collect::<Vec<_>>();
    match documents.len() {
        0 => None,
        1 => documents.pop(),
        _ => Some(Value::Array(documents)),
    }
}

fn content(output: &tool::Output) -> Vec<Value> {
    let content = output.content.iter().map(|content| match content {
        tool::Content::Text(text) => json!({ "text": text }),
        tool::Content::Json(text) => match serde_json::from_str::<Value>(text) {
            Ok(value) => json!({ "json": value }),
            Err(_) => json!({ "json_text": text }),
        },
        tool::Content::Image(blob) => {
            json!({ "image": blob.media_type, "bytes": blob.data.len() })
        }
        tool::Content::File(path) => json!({ "file": path }),
    });
    content.collect()
}

/// What plugins of other kinds have in the place of tools.
pub(super) fn only_tools(loaded: &Loaded) -> Result<()> {
    match loaded.kind() {
        Kind::Tool => Ok(()),
        other => Err(Failure::usage(format!(
            "{} is a {other} plugin; only tools can be called this way",
            loaded.title()
        ))),
    }
}
