//! A session whose model and tools answer as they are recorded.

use super::{SHOWN, lock, problem};
use async_trait::async_trait;
use ml_intern_manifest::{CallRecording, Case, ModelRecording, toml_string};
use ml_intern_runtime::{Caller, SessionHost, agent, types};
use serde_json::Value;
use std::sync::Mutex;

/// Recordings of the model and of tools, each answering once.
pub(in crate::commands::plugin::test) struct RecordedSession {
    model: Vec<ModelRecording>,
    calls: Vec<CallRecording>,
    seen: Mutex<Seen>,
}

struct Seen {
    asked: Vec<bool>,
    called: Vec<bool>,
    problems: Vec<String>,
}

/// Takes the first that is free and fits.
fn take<T>(all: &[T], used: &mut [bool], fits: impl Fn(&T) -> bool) -> Option<usize> {
    let mut free = used.iter().zip(all).enumerate();
    let (number, _) = free.find(|(_, (used, one))| !**used && fits(one))?;
    if let Some(used) = used.get_mut(number) {
        *used = true;
    }
    Some(number)
}

impl RecordedSession {
    pub(in crate::commands::plugin::test) fn new(case: &Case) -> Self {
        Self {
            model: case.model.clone(),
            calls: case.calls.clone(),
            seen: Mutex::new(Seen {
                asked: vec![false; case.model.len()],
                called: vec![false; case.calls.len()],
                problems: Vec::new(),
            }),
        }
    }

    /// What had no recording, and recordings that were not asked for.
    pub(in crate::commands::plugin::test) fn problems(&self) -> Vec<String> {
        let seen = lock(&self.seen);
        let mut problems = seen.problems.clone();
        let unasked = |key: &str, number: usize| {
            format!("`{key}[{number}]` was not asked for; take it away, or write `optional = true`")
        };
        for (number, (one, used)) in self.model.iter().zip(&seen.asked).enumerate() {
            if !used && !one.optional {
                problems.push(unasked("model", number));
            }
        }
        for (number, (one, used)) in self.calls.iter().zip(&seen.called).enumerate() {
            if !used && !one.optional {
                problems.push(unasked("calls", number));
            }
        }
        problems
    }

    fn answer(&self, prompt: &str) -> Result<String, types::Error> {
        let mut seen = lock(&self.seen);
        let fits = |one: &ModelRecording| one.contains.0.iter().all(|part| prompt.contains(part));
        if let Some(number) = take(&self.model, &mut seen.asked, fits) {
            return Ok(self.model[number].answer.clone());
        }
        let beginning = prompt.chars().take(SHOWN).collect::<String>();
        problem(
            &mut seen.problems,
            format!(
                "the tool asked the model without a recording; add to `model` of the case:\n{{ contains = {}, answer = \"\" }}",
                toml_string(&beginning)
            ),
        );
        Err(types::Error::Internal(
            "there is no recording of the model".to_owned(),
        ))
    }
}

#[async_trait]
impl SessionHost for RecordedSession {
    async fn complete(&self, ask: agent::Ask, _caller: Caller) -> Result<String, types::Error> {
        self.answer(&ask.prompt)
    }

    async fn call_tool(
        &self,
        name: String,
        arguments: String,
        _caller: Caller,
    ) -> Result<agent::Answer, types::Error> {
        let mut seen = lock(&self.seen);
        let given = serde_json::from_str::<Value>(&arguments).unwrap_or_default();
        let fits = |one: &CallRecording| {
            one.tool == name && one.args.as_ref().is_none_or(|args| *args == given)
        };
        if let Some(number) = take(&self.calls, &mut seen.called, fits) {
            let one = &self.calls[number];
            return Ok(agent::Answer {
                text: one.text.clone(),
                is_error: one.failed,
            });
        }
        let tool = toml_string(&name);
        let arguments = arguments.chars().take(SHOWN).collect::<String>();
        problem(
            &mut seen.problems,
            format!(
                "the tool called another without a recording; add to `calls` of the case:\n{{ tool = {tool}, text = \"\" }} # with {arguments}"
            ),
        );
        Err(types::Error::Internal(format!(
            "there is no recording of the tool `{name}`"
        )))
    }

    async fn run(&self, task: agent::Task, _caller: Caller) -> Result<agent::Report, types::Error> {
        let text = self.answer(&task.prompt)?;
        Ok(agent::Report {
            text,
            iterations: 1,
            cost_usd: None,
            stopped: None,
        })
    }

    /// The items have been checked; a case has no plan to show.
    async fn set_plan(
        &self,
        _items: Vec<agent::PlanItem>,
        _caller: Caller,
    ) -> Result<(), types::Error> {
        Ok(())
    }
}
