//! Final answers that have to be JSON of a given shape.

use crate::advice::inject;
use crate::arguments::shorten;
use crate::ports::JournalError;
use crate::prompt;
use crate::turn::Agent;
use jsonschema::Validator;
use serde_json::Value;
use std::fmt;

/// Code of the notice that the model was sent back because of the shape of its answer.
pub(crate) const REPAIR: &str = "answer_repair";
/// How often a model is sent back; after that the turn fails.
const REPAIRS: u32 = 2;
/// Violations told at most, and bytes of each.
const VIOLATIONS: usize = 8;
const VIOLATION_BYTES: usize = 300;

/// What final answers have to satisfy.
pub struct Expected {
    /// The schema as JSON text.
    pub schema: String,
    /// Or why it is none.
    validator: Result<Validator, String>,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expected").field(&self.schema).finish()
    }
}

impl Expected {
    /// By this JSON Schema.
    pub fn new(schema: &Value) -> Self {
        Self {
            schema: schema.to_string(),
            validator: jsonschema::validator_for(schema).map_err(|error| error.to_string()),
        }
    }

    /// What is wrong with the schema itself.
    ///
    /// # Errors
    /// In words.
    pub fn usable(&self) -> Result<(), String> {
        self.validator.as_ref().map(drop).map_err(Clone::clone)
    }

    /// The answer as JSON text and nothing around it, or what is wrong with it.
    fn check(&self, answer: &str) -> Result<String, String> {
        let text = unfenced(answer);
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("- it is not JSON and nothing else: {error}"))?;
        let validator = self.validator.as_ref().map_err(Clone::clone)?;
        if validator.is_valid(&value) {
            return Ok(text.to_owned());
        }
        let violations = validator.iter_errors(&value).take(VIOLATIONS).map(|error| {
            let place = error.instance_path().to_string();
            let error = shorten(&error.to_string(), VIOLATION_BYTES);
            match place.as_str() {
                "" => format!("- {error}"),
                place => format!("- at `{place}`: {error}"),
            }
        });
        Err(violations.collect::<Vec<_>>().join("\n"))
    }
}

/// Models like to put JSON into a fenced block.
fn unfenced(answer: &str) -> &str {
    let text = answer.trim();
    let inner = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .and_then(|inner| inner.split_once('\n'));
    match inner {
        Some((language, inner)) if matches!(language.trim(), "" | "json") => inner.trim(),
        _ => text,
    }
}

/// What becomes of an answer that ends a turn.
pub(crate) enum Judged {
    /// It is the answer.
    Taken(Option<String>),
    /// The model is told what is wrong with it.
    SentBack,
    /// It was told often enough.
    Failed(String),
}

/// Judges an answer by what the session expects.
pub(crate) fn judge(agent: &Agent, answer: Option<String>) -> Result<Judged, JournalError> {
    let (expected, repaired) = agent
        .session
        .read(|state| (state.answers.clone(), state.repaired));
    let Some(expected) = expected else {
        return Ok(Judged::Taken(answer));
    };
    let problem = match expected.check(answer.as_deref().unwrap_or_default()) {
        Ok(text) => return Ok(Judged::Taken(Some(text))),
        Err(problem) => problem,
    };
    if repaired >= REPAIRS {
        return Ok(Judged::Failed(format!(
            "the model's answer does not satisfy the output schema, {} times in a row:\n{problem}",
            repaired + 1
        )));
    }
    let notice =
        "the answer does not satisfy the output schema; the model is told what is wrong with it";
    let advice = prompt::answer_repair(&problem, &expected.schema);
    inject(agent, REPAIR, notice, advice)?;
    Ok(Judged::SentBack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_the_json_alone() {
        let expected = Expected::new(
            &json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}),
        );
        for (answer, taken) in [
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("  {\"a\":1}\n", "{\"a\":1}"),
            ("```json\n{\"a\":1}\n```", "{\"a\":1}"),
            ("```\n{\"a\":1}\n```", "{\"a\":1}"),
        ] {
            assert_eq!(expected.check(answer).as_deref(), Ok(taken));
        }
        for (answer, words) in [
            ("", "not JSON"),
            ("Here it is: {\"a\":1}", "not JSON"),
            ("```rust\n{}\n```", "not JSON"),
            ("{}", "\"a\""),
            ("{\"a\":\"1\"}", "`/a`"),
        ] {
            let problem = expected.check(answer).unwrap_err();
            assert!(problem.contains(words), "{answer}: {problem}");
        }
        let broken = Expected::new(&json!({"type": 7}));
        assert!(broken.usable().is_err() && broken.check("{}").is_err());
    }
}
