//! What has to come of a case.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::cases::{State, json, paths};

/// What has to come of a case: everything that is said has to hold. Without `error`, `denied` and `fault` the call has
/// to succeed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "RawExpect")]
pub struct Expect {
    /// The JSON of the output: objects may have more keys than these, all else is equal.
    pub output: Option<Value>,
    /// The whole text of the output.
    pub text: Option<String>,
    /// Texts within the output, the error or the fault.
    pub contains: Texts,
    /// The tool itself says that it failed (`is-error`).
    pub failed: bool,
    /// The error that the tool returns.
    pub error: Option<ErrorKind>,
    /// The capability that the host denies: `http`, `fs.read`, or the beginning of one, `fs`.
    pub denied: Option<String>,
    /// The fault: `trap`, or the limit that is reached, such as `limits.cpu`.
    pub fault: Option<String>,
    /// Files of the workspace afterwards.
    pub files: BTreeMap<String, FileAfter>,
    /// Messages of progress, in this order; there may be others between.
    pub progress: Vec<String>,
    /// What the plugin has kept afterwards; other keys may be there.
    pub state: State,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawExpect {
    #[serde(default, deserialize_with = "some_json")]
    output: Option<Value>,
    text: Option<String>,
    #[serde(default)]
    contains: Texts,
    #[serde(default)]
    failed: bool,
    error: Option<ErrorKind>,
    denied: Option<String>,
    fault: Option<String>,
    #[serde(default, deserialize_with = "paths")]
    files: BTreeMap<String, FileAfter>,
    #[serde(default)]
    progress: Vec<String>,
    #[serde(default)]
    state: State,
}

fn some_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    json(deserializer).map(Some)
}

impl TryFrom<RawExpect> for Expect {
    type Error = String;

    fn try_from(raw: RawExpect) -> Result<Self, String> {
        let ends = [
            raw.error.is_some(),
            raw.fault.is_some(),
            raw.failed,
            raw.output.is_some() || raw.text.is_some(),
        ];
        let bad = ends[..2].iter().filter(|end| **end).count();
        if bad > 1 || (bad == 1 && (ends[2] || ends[3])) {
            return Err("a call ends in one way: with an output (`output`, `text`, `failed`), an `error` or a `fault`".to_owned());
        }
        let expect = Self {
            output: raw.output,
            text: raw.text,
            contains: raw.contains,
            failed: raw.failed,
            error: raw.error,
            denied: raw.denied,
            fault: raw.fault,
            files: raw.files,
            progress: raw.progress,
            state: raw.state,
        };
        if expect == Self::default() {
            return Err("expects nothing; say at least one of `output`, `text`, `contains`, `failed`, `error`, `denied`, `fault`, `files`, `progress`, `state`".to_owned());
        }
        Ok(expect)
    }
}

/// The kind of an error; the names are those of `types.error` in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the contract says it")]
pub enum ErrorKind {
    InvalidInput,
    Denied,
    AuthRequired,
    NotFound,
    Conflict,
    Limit,
    Timeout,
    Cancelled,
    ContextOverflow,
    Upstream,
    Unsupported,
    Internal,
}

impl ErrorKind {
    /// As the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::Denied => "denied",
            Self::AuthRequired => "auth-required",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::ContextOverflow => "context-overflow",
            Self::Upstream => "upstream",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

/// One text or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Texts, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Texts)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What a file has to be afterwards: a text, the whole of it; `{ contains = "…" }`; or `false`, there must be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAfter {
    /// There is none.
    Absent,
    /// All of it.
    Text(String),
    /// Parts of it.
    Contains(Texts),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    contains: Texts,
}

impl<'de> Deserialize<'de> for FileAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FileAfter;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, `{ contains = \"…\" }`, or `false` for no such file")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<FileAfter, E> {
                Ok(FileAfter::Text(text.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, there: bool) -> Result<FileAfter, E> {
                match there {
                    false => Ok(FileAfter::Absent),
                    true => Err(E::custom(
                        "`true` says nothing of its content; write `{ contains = \"\" }`",
                    )),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<FileAfter, A::Error> {
                let raw = RawFile::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FileAfter::Contains(raw.contains))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A value of JSON in TOML; none where it holds a `null`.
pub(super) fn toml_of(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(toml_of).collect();
            items?.into_iter().collect::<toml_edit::Array>().into()
        }
        Value::Object(map) => {
            let mut table = toml_edit::InlineTable::new();
            for (key, value) in map {
                table.insert(key, toml_of(value)?);
            }
            table.into()
        }
    })
}
