//! What answers in the place of the network, of programs and of compute.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::cases::{expect::Texts, is_below, json};
use crate::pattern::Method;

/// The content of a file: a text, or `{ base64 = "…" }`, or `{ copy = "fixtures/a.png" }`, a file beside the cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// UTF-8.
    Text(String),
    /// Any bytes.
    Base64(String),
    /// A path relative to the folder of the cases, without `..`.
    Copy(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContent {
    base64: Option<String>,
    copy: Option<String>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, `{ base64 = \"…\" }` or `{ copy = \"…\" }`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Content, A::Error> {
                let raw = RawContent::deserialize(MapAccessDeserializer::new(map))?;
                match (raw.base64, raw.copy) {
                    (Some(text), None) => Ok(Content::Base64(text)),
                    (None, Some(path)) if is_below(&path) => Ok(Content::Copy(path)),
                    (None, Some(_)) => Err(de::Error::custom(
                        "`copy` is a path below the folder of the cases, without `..`",
                    )),
                    _ => Err(de::Error::custom(
                        "write `base64` or `copy`, one of the two",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A request that the tool makes, and what answers it. Answers once, unless `repeated`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "RawHttp")]
pub struct HttpRecording {
    /// Upper case.
    pub method: Method,
    /// Whole, with its query.
    pub url: String,
    /// What the request's body has to be; none = anything.
    pub request: Option<RecordedBody>,
    /// Status of the answer.
    pub status: u16,
    /// Headers of the answer.
    pub headers: BTreeMap<String, String>,
    /// Body of the answer.
    pub body: RecordedBody,
    /// In place of an answer: why there is none.
    pub lost: Option<Lost>,
    /// Answers any number of requests.
    pub repeated: bool,
    /// The case passes also when nothing asks for it.
    pub optional: bool,
}

/// A body.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordedBody {
    /// These bytes.
    Content(Content),
    /// JSON of this value; of a request, however it is written.
    Json(Value),
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lost {
    /// The name leads nowhere.
    Lookup,
    /// Nobody listens there.
    Refused,
    /// The service takes too long.
    Timeout,
    /// The connection breaks off.
    Broken,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawHttp {
    method: Option<Method>,
    url: String,
    request_body: Option<Content>,
    #[serde(default, deserialize_with = "some_json")]
    request_json: Option<Value>,
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Content>,
    #[serde(default, deserialize_with = "some_json")]
    json: Option<Value>,
    lost: Option<Lost>,
    #[serde(default)]
    repeated: bool,
    #[serde(default)]
    optional: bool,
}

fn some_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    json(deserializer).map(Some)
}

impl TryFrom<RawHttp> for HttpRecording {
    type Error = String;

    fn try_from(raw: RawHttp) -> Result<Self, String> {
        let answered = raw.status.is_some() || raw.body.is_some() || raw.json.is_some();
        if raw.lost.is_some() && (answered || !raw.headers.is_empty()) {
            return Err(
                "`lost` stands in the place of an answer; take away `status`, `headers`, `body` and `json`"
                    .to_owned(),
            );
        }
        let request = match (raw.request_body, raw.request_json) {
            (Some(_), Some(_)) => {
                return Err("write `request-body` or `request-json`, one of the two".to_owned());
            }
            (Some(content), None) => Some(RecordedBody::Content(content)),
            (None, json) => json.map(RecordedBody::Json),
        };
        let body = match (raw.body, raw.json) {
            (Some(_), Some(_)) => return Err("write `body` or `json`, one of the two".to_owned()),
            (Some(content), None) => RecordedBody::Content(content),
            (None, Some(value)) => RecordedBody::Json(value),
            (None, None) => RecordedBody::Content(Content::Text(String::new())),
        };
        Ok(Self {
            method: raw.method.unwrap_or(Method::Get),
            url: raw.url,
            request,
            status: raw.status.unwrap_or(200),
            headers: raw.headers,
            body,
            lost: raw.lost,
            repeated: raw.repeated,
            optional: raw.optional,
        })
    }
}

/// A job that the tool submits, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobRecording {
    /// The flavor that is asked for; none = any.
    pub flavor: Option<String>,
    /// What its script, command or image has to contain.
    #[serde(default)]
    pub contains: Texts,
    /// Its id.
    #[serde(default = "job_id")]
    pub id: String,
    /// How far it is, one state a look; the last one stays. `wait` goes to the last.
    #[serde(default = "succeeded")]
    pub states: Vec<JobState>,
    /// What the back end says of it.
    pub message: Option<String>,
    /// Lines of its log.
    #[serde(default)]
    pub logs: Vec<String>,
    /// What it costs, in US dollars.
    pub cost_usd: Option<f64>,
    /// In place of a job: the back end says that it can take none, in these words.
    pub refused: Option<String>,
    /// The case passes also when nothing submits it.
    #[serde(default)]
    pub optional: bool,
}

fn job_id() -> String {
    "job-1".to_owned()
}

fn succeeded() -> Vec<JobState> {
    vec![JobState::Succeeded]
}

/// How far a job is; the names are those of `jobs.state` in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the contract says it")]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    TimedOut,
    Scheduled,
    Suspended,
}

/// A program that the tool runs, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProgramRecording {
    /// Its name.
    pub program: String,
    /// Its arguments, all of them; none = any.
    pub args: Option<Vec<String>>,
    /// What it reads has to be this; none = anything.
    pub stdin: Option<String>,
    /// Its exit code.
    #[serde(default)]
    pub exit: i32,
    /// What it writes.
    #[serde(default)]
    pub stdout: String,
    /// What it writes to standard error.
    #[serde(default)]
    pub stderr: String,
    /// It took too long: it was ended, and has no exit code.
    #[serde(default)]
    pub timed_out: bool,
    /// The case passes also when nothing runs it.
    #[serde(default)]
    pub optional: bool,
}

/// A question to the session's model, or a task of an agent, and what it answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelRecording {
    /// What the prompt has to contain.
    #[serde(default)]
    pub contains: Texts,
    /// The answer.
    pub answer: String,
    /// The case passes also when nothing asks.
    #[serde(default)]
    pub optional: bool,
}

/// A call of another tool of the session, and what it answers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CallRecording {
    /// Its name in the session.
    pub tool: String,
    /// Its arguments, all of them; none = any.
    #[serde(default, deserialize_with = "some_json")]
    pub args: Option<Value>,
    /// What it answers.
    #[serde(default)]
    pub text: String,
    /// It says that it failed.
    #[serde(default)]
    pub failed: bool,
    /// The case passes also when nothing calls it.
    #[serde(default)]
    pub optional: bool,
}
