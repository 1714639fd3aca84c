use std::io::ErrorKind;

use ml_intern_plugin::keyvalue::Bucket;
use ml_intern_plugin::{Context, Control, Descriptor, Error, Output, Tool, arguments, http, log};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::json;

const MAX_BYTES: usize = 1 << 20;

struct WordCount;
ml_intern_plugin::export_tool!(WordCount);

/// Counts the words of a file or of a page.
#[derive(Deserialize, JsonSchema)]
struct Arguments {
    /// A file of the workspace, or a URL.
    source: String,
    /// Count words of at least this many bytes.
    #[serde(default = "one")]
    min_length: usize,
}

fn one() -> usize {
    1
}

impl Tool for WordCount {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let tool = Descriptor::of("word_count", schema_for!(Arguments));
        Ok(vec![tool.read_only().open_world()])
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        if name != "word_count" {
            return Err(Error::unknown_tool(&name));
        }
        let Arguments { source, min_length } = arguments(&raw)?;
        if source.is_empty() {
            return Err(Error::InvalidInput("source: must not be empty".to_owned()));
        }
        let session = Bucket::session()?;
        let calls = session.get("calls")?.unwrap_or_default();
        let calls = String::from_utf8_lossy(&calls).parse().unwrap_or(0) + 1;
        session.set("calls", calls.to_string().as_bytes())?;

        if log::progress(&format!("reading {source}"), Some(0.0)) == Control::Stop {
            return Err(Error::Cancelled);
        }
        let text = read(&source)?;
        let words = text.split(u8::is_ascii_whitespace);
        let words = words.filter(|word| !word.is_empty() && word.len() >= min_length);
        let words = words.count();
        log::progress("counted", Some(1.0));
        Output::json(&json!({ "source": source, "words": words, "bytes": text.len(), "calls": calls }))
    }
}

fn read(source: &str) -> Result<Vec<u8>, Error> {
    if !source.starts_with("http://") && !source.starts_with("https://") {
        let missing = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Error::NotFound(format!("no file `{source}`")),
            _ => error.into(),
        };
        return std::fs::read(format!("/workspace/{source}")).map_err(missing);
    }
    let response = http::Request::get(source).send()?;
    match response.status() {
        200 => Ok(response.bytes(MAX_BYTES)?),
        404 => Err(Error::NotFound(format!("no page `{source}`"))),
        status => Err(Error::unreachable(format!("`{source}` answers {status}"))),
    }
}
