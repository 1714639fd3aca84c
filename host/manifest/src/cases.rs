//! `cases.toml`: what an author's plugin is tried with, and what has to come of it.

mod expect;
mod recording;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::document;
use crate::error::{Error, Position};
use crate::grant::Grant;
use crate::plugin_ref::shorten;

pub use expect::{ErrorKind, Expect, FileAfter, Texts};
pub use recording::{
    CallRecording, Content, HttpRecording, JobRecording, JobState, Lost, ModelRecording,
    ProgramRecording, RecordedBody,
};

/// Recordings are kept in the file, so that it may be longer than a manifest.
const MAX_BYTES: usize = 4 << 20;
/// Cases of one file.
const MAX_CASES: usize = 1000;
/// Characters of a case's name: a line of a report.
const MAX_NAME: usize = 120;

/// The whole of a `cases.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// In their order; at least one.
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// One call of one tool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// What it shows, in a sentence; unique in the file, at most 120 characters.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// The tool; may be left out where the plugin has one.
    pub tool: Option<String>,
    /// The arguments: a table, or JSON in a text where TOML has no word for it (`null`).
    #[serde(default, deserialize_with = "arguments")]
    pub args: Map<String, Value>,
    /// The workspace of the case, by relative path.
    #[serde(default, deserialize_with = "paths")]
    pub files: BTreeMap<String, Content>,
    /// Configuration, as a user would set it.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Names of credentials that are set; the value of each is `NAME-of-the-case`.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// What is granted; what the plugin asks for where there is none.
    pub grant: Option<Grant>,
    /// What the plugin has kept before, as texts by key.
    #[serde(default)]
    pub state: State,
    /// What answers its requests. A request without a recording is an error: nothing reaches the network.
    #[serde(default)]
    pub http: Vec<HttpRecording>,
    /// What becomes of its jobs. None runs.
    #[serde(default)]
    pub jobs: Vec<JobRecording>,
    /// What answers for its programs. None runs.
    #[serde(default)]
    pub programs: Vec<ProgramRecording>,
    /// What answers for the session's model.
    #[serde(default)]
    pub model: Vec<ModelRecording>,
    /// What answers for the session's other tools.
    #[serde(default)]
    pub calls: Vec<CallRecording>,
    /// What has to come of it.
    pub expect: Option<Expect>,
}

/// The buckets of `wasi:keyvalue`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Kept as long as the session.
    pub session: BTreeMap<String, String>,
    /// Kept as long as the project.
    pub project: BTreeMap<String, String>,
}

impl State {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.session.is_empty() && self.project.is_empty()
    }
}

impl Cases {
    /// Parses `text`; `file` is the path that errors show.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let cases: Self = document::parse_up_to(file, text, MAX_BYTES)?;
        let wrong = |key: String, message: String| Error::Document {
            position: Position {
                file: file.to_owned(),
                line: 1,
                column: 1,
            },
            key,
            message,
        };
        if cases.cases.is_empty() || cases.cases.len() > MAX_CASES {
            let count = cases.cases.len();
            let text = format!("the file has {count} cases; write 1 to {MAX_CASES}");
            return Err(wrong("case".to_owned(), text));
        }
        let mut names = BTreeSet::new();
        for (number, case) in cases.cases.iter().enumerate() {
            if !names.insert(&case.name) {
                let text = format!(
                    "there is another case `{}`; give each its own name",
                    case.name
                );
                return Err(wrong(format!("case[{number}].name"), text));
            }
        }
        Ok(cases)
    }
}

/// Adds `expect = …` behind the case number `number` (from 0) of the file `text`, which has none.
///
/// # Errors
/// The text is no such file.
pub fn set_expectation(
    file: &str,
    text: &str,
    number: usize,
    expect: &Map<String, Value>,
) -> Result<String, Error> {
    let broken = |message: String| Error::Value(format!("{file}: {message}"));
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| broken(error.to_string()))?;
    let cases = document.get_mut("case");
    let case = match cases {
        Some(toml_edit::Item::ArrayOfTables(cases)) => cases
            .get_mut(number)
            .map(|case| case as &mut dyn toml_edit::TableLike),
        Some(toml_edit::Item::Value(toml_edit::Value::Array(cases))) => cases
            .get_mut(number)
            .and_then(|case| case.as_inline_table_mut())
            .map(|case| case as &mut dyn toml_edit::TableLike),
        _ => None,
    };
    let case = case.ok_or_else(|| broken(format!("there is no case number {}", number + 1)))?;
    let value = expect::toml_of(&Value::Object(expect.clone()))
        .ok_or_else(|| broken("a `null` cannot be written in TOML".to_owned()))?;
    case.insert("expect", toml_edit::Item::Value(value));
    Ok(document.to_string())
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME || name.chars().any(char::is_control) {
        let text = format!("a name is one line of 1 to {MAX_NAME} characters, not {length}");
        return Err(de::Error::custom(text));
    }
    Ok(name)
}

/// JSON of a value of TOML, or of a text that holds JSON.
fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if let Some(key) = date(&value) {
        let text = format!("a date has no place in JSON{key}; write it as a text in quotes");
        return Err(de::Error::custom(text));
    }
    Ok(value)
}

fn arguments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let value = match json(deserializer)? {
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| de::Error::custom(format!("not JSON: {error}")))?,
        value => value,
    };
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(de::Error::custom(
            "arguments are an object: write a table, or a text of JSON that begins with `{`",
        )),
    }
}

/// The parser hands a date on as an object with one key of its own.
fn date(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            if key.starts_with("$__toml_private") {
                Some(String::new())
            } else {
                date(value).map(|below| format!(" (`{}`){below}", shorten(key)))
            }
        }),
        Value::Array(items) => items.iter().find_map(date),
        _ => None,
    }
}

/// Files below the workspace: relative, without `..`, so that a case writes nothing outside of its own.
fn paths<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let files = BTreeMap::<String, T>::deserialize(deserializer)?;
    match files.keys().find(|path| !is_below(path)) {
        None => Ok(files),
        Some(path) => Err(de::Error::custom(format!(
            "`{}` is no file below the workspace; write a relative path without `..`",
            shorten(path)
        ))),
    }
}

fn is_below(path: &str) -> bool {
    !path.contains(['\0', '\\'])
        && path.len() <= 512
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests;
