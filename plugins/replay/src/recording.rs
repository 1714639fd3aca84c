//! A recording: what a model answers, step by step, as a TOML file of format version 1.

use crate::template::{self, Template};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The format that this plugin reads.
const VERSION: u32 = 1;

/// Steps of one recording: more than any session has iterations.
const MAX_STEPS: usize = 10_000;

/// A recording whose references were checked.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The model id that plays it.
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// One model call.
#[derive(Debug)]
pub(crate) struct Step {
    /// The last message must be a user's and contain this.
    pub(crate) user: Option<String>,
    /// Conditions on the results that came since the last reply.
    pub(crate) results: Vec<ExpectedResult>,
    pub(crate) text: Template,
    pub(crate) reasoning: Template,
    pub(crate) calls: Vec<RecordedCall>,
}

/// A call of a reply.
#[derive(Debug)]
pub(crate) struct RecordedCall {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Strings inside may hold references.
    pub(crate) arguments: Map<String, Value>,
}

/// What the result of a call has to be for the play to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectedResult {
    pub(crate) call: String,
    pub(crate) is_error: Option<bool>,
    #[serde(default)]
    pub(crate) contains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    version: u32,
    name: String,
    #[serde(default)]
    step: Vec<FileStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    #[serde(default)]
    expect: FileExpect,
    reply: FileReply,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileExpect {
    user: Option<String>,
    #[serde(default)]
    result: Vec<ExpectedResult>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileReply {
    #[serde(default)]
    text: String,
    #[serde(default)]
    reasoning: String,
    #[serde(default)]
    call: Vec<FileCall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCall {
    id: String,
    name: String,
    #[serde(default)]
    arguments: toml::Table,
}

impl Recording {
    /// Reads and checks the text of a recording.
    ///
    /// # Errors
    /// A sentence that names the step and what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: FileText = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.version != VERSION {
            return Err(format!(
                "format version {} is not known; this plugin reads version {VERSION}",
                file.version
            ));
        }
        if file.name.is_empty() {
            return Err("`name` is empty".to_owned());
        }
        if file.step.is_empty() || file.step.len() > MAX_STEPS {
            return Err(format!(
                "it has {} steps; it must have 1 to {MAX_STEPS}",
                file.step.len()
            ));
        }
        let mut steps = Vec::with_capacity(file.step.len());
        // Ids of all calls so far: what a reference may name.
        let mut calls = HashSet::new();
        for (index, step) in file.step.into_iter().enumerate() {
            let step = step.check(&calls, steps.last());
            let step = step.map_err(|reason| format!("step {}: {reason}", index + 1))?;
            for call in &step.calls {
                if !calls.insert(call.id.clone()) {
                    return Err(format!(
                        "step {}: call id `{}` is used twice",
                        index + 1,
                        call.id
                    ));
                }
            }
            steps.push(step);
        }
        Ok(Self {
            name: file.name,
            steps,
        })
    }
}

impl FileStep {
    fn check(self, known: &HashSet<String>, before: Option<&Step>) -> Result<Step, String> {
        let reply = self.reply;
        if reply.text.is_empty() && reply.call.is_empty() {
            return Err("the reply has neither text nor calls".to_owned());
        }
        for expected in &self.expect.result {
            let made =
                before.is_some_and(|step| step.calls.iter().any(|call| call.id == expected.call));
            if !made {
                return Err(format!(
                    "it expects a result of `{}`, which is no call of the step before",
                    expected.call
                ));
            }
        }
        let template = |text: &str| {
            let template = Template::parse(text)?;
            template.check(known)?;
            Ok::<_, String>(template)
        };
        let calls = reply.call.into_iter().map(|call| call.check(known));
        Ok(Step {
            user: self.expect.user,
            results: self.expect.result,
            text: template(&reply.text)?,
            reasoning: template(&reply.reasoning)?,
            calls: calls.collect::<Result<_, String>>()?,
        })
    }
}

impl FileCall {
    fn check(self, known: &HashSet<String>) -> Result<RecordedCall, String> {
        if !template::is_call_id(&self.id) {
            return Err(format!(
                "call id `{}` must be 1 to 64 letters, digits, `_` or `-`",
                self.id
            ));
        }
        if self.name.is_empty() {
            return Err(format!("call `{}` names no tool", self.id));
        }
        let mut arguments = Map::new();
        for (key, value) in self.arguments {
            let value = json(value).map_err(|reason| format!("call `{}`: {reason}", self.id))?;
            check_strings(&value, known)
                .map_err(|reason| format!("call `{}`: {reason}", self.id))?;
            arguments.insert(key, value);
        }
        Ok(RecordedCall {
            id: self.id,
            name: self.name,
            arguments,
        })
    }
}

/// A TOML value as JSON; dates become text. JSON has no other numbers than finite ones.
fn json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => {
            let number = serde_json::Number::from_f64(number);
            Value::Number(number.ok_or("an argument is not a finite number")?)
        }
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(list) => {
            Value::Array(list.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => {
            let pairs = table
                .into_iter()
                .map(|(key, value)| Ok((key, json(value)?)));
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
    })
}

fn check_strings(value: &Value, known: &HashSet<String>) -> Result<(), String> {
    match value {
        Value::String(text) => Template::parse(text)?.check(known),
        Value::Array(list) => list
            .iter()
            .try_for_each(|value| check_strings(value, known)),
        Value::Object(map) => map
            .values()
            .try_for_each(|value| check_strings(value, known)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, words: &str) {
        let reason = Recording::parse(text).unwrap_err();
        assert!(reason.contains(words), "`{reason}` does not say `{words}`");
    }

    /// A recording of these `[[step]]` bodies.
    fn steps(bodies: &[&str]) -> String {
        let steps = bodies.iter().map(|body| format!("[[step]]\n{body}\n"));
        format!("version = 1\nname = \"x\"\n{}", steps.collect::<String>())
    }

    #[test]
    fn arguments_become_json_in_order() {
        let text = steps(&[
            "[[step.reply.call]]\nid = \"c1\"\nname = \"t\"\narguments = { z = 1, a = 1.5, m = [true, { d = 2026-01-02 }], s = \"é\" }",
        ]);
        let recording = Recording::parse(&text).unwrap();
        let arguments = serde_json::to_string(&recording.steps[0].calls[0].arguments).unwrap();
        assert_eq!(
            arguments,
            r#"{"z":1,"a":1.5,"m":[true,{"d":"2026-01-02"}],"s":"é"}"#
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        refused("version = 2\nname = \"x\"", "version 2");
        refused("name = \"x\"", "version");
        refused("version = 1\nname = \"\"\n", "`name` is empty");
        refused("version = 1\nname = \"x\"\n", "0 steps");
        refused("version = 1\nname = \"x\"\nextra = 1", "extra");
        refused(
            &steps(&["reply.text = \"\""]),
            "step 1: the reply has neither",
        );
        refused(&steps(&["reply.text = \"a\"\nreply.txt = \"b\""]), "txt");
        refused(
            &steps(&["reply.text = \"{{c9}}\""]),
            "step 1: `{{c9}}` names a call",
        );
        refused(
            &steps(&["reply.text = \"a\"\n[[step.expect.result]]\ncall = \"c1\""]),
            "no call of the step before",
        );
        let call = |id: &str, arguments: &str| {
            format!("[[step.reply.call]]\nid = \"{id}\"\nname = \"t\"\narguments = {arguments}")
        };
        refused(&steps(&[&call("a b", "{}")]), "`a b`");
        refused(&steps(&[&call("a", "{ x = nan }")]), "finite");
        refused(
            &steps(&[&call("a", "{ x = [\"{{b}}\"] }")]),
            "call `a`: `{{b}}`",
        );
        refused(
            &steps(&[&call("a", "{ x = \"{{a}}\" }")]),
            "call `a`: `{{a}}`",
        );
        refused(
            &steps(&[&call("a", "{}"), &call("a", "{}")]),
            "step 2: call id `a` is used twice",
        );
        refused(
            &steps(&[&call("a", "{}"), "reply.text = \"{{a~(}}\""]),
            "step 2: `{{a~(}}`",
        );
        refused(
            &steps(&[&call("a", "{}"), "reply.text = \"{{a\""]),
            "no end",
        );
    }
}
