//! A tool: the model calls it, and reads what it returns.

use std::fs;

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, arguments};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::json;

struct Plugin;
ml_intern_plugin::export_tool!(Plugin);

/// Counts the words of a file.
#[derive(Deserialize, JsonSchema)]
struct Arguments {
    /// Relative to the workspace.
    path: String,
    /// Count words of at least this many bytes.
    #[serde(default = "one")]
    min_length: usize,
}

fn one() -> usize {
    1
}

impl Tool for Plugin {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        // Description and schema are those of the arguments.
        let tool = Descriptor::of("{{ident}}", schema_for!(Arguments));
        Ok(vec![tool.read_only()])
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        if name != "{{ident}}" {
            return Err(Error::unknown_tool(&name));
        }
        let Arguments { path, min_length } = arguments(&raw)?;
        let text = fs::read_to_string(format!("/workspace/{path}"))
            .map_err(|error| Error::from(error).about(&path))?;
        Output::json(&json!({ "words": count(&text, min_length) }))
    }
}

fn count(text: &str, min_length: usize) -> usize {
    let words = text.split_whitespace();
    words.filter(|word| word.len() >= min_length).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_words_are_left_out() {
        assert_eq!(count(" one  two\nthree ", 4), 1);
        assert_eq!(count("", 1), 0);
    }
}
