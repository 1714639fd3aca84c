//! From a model's text to arguments that a tool may get.

use crate::ports::Tool;
use jsonschema::Validator;
use serde_json::{Map, Value};

/// Violations shown to the model at most; more does not help it.
const VIOLATIONS: usize = 8;
/// Bytes of one violation's text: a value quoted in it may be a whole file.
const VIOLATION_BYTES: usize = 300;

/// Checks the arguments of one tool.
pub struct Checker {
    validator: Result<Validator, String>,
    required: bool,
}

impl Checker {
    /// A checker by the tool's own schema.
    pub fn new(tool: &Tool) -> Self {
        let schema = serde_json::from_str::<Value>(&tool.input_schema).map_err(|e| e.to_string());
        let required = schema
            .as_ref()
            .ok()
            .and_then(|s| s.get("required")?.as_array().map(|r| !r.is_empty()));
        let validator =
            schema.and_then(|schema| jsonschema::validator_for(&schema).map_err(|e| e.to_string()));
        Self {
            validator,
            required: required.unwrap_or(false),
        }
    }

    /// The arguments as an object.
    ///
    /// # Errors
    /// What is wrong with them, for a model.
    pub fn check(&self, tool: &str, text: &str) -> Result<Value, String> {
        let value = parse_object(tool, text, !self.required)?;
        let validator = self
            .validator
            .as_ref()
            .map_err(|problem| format!("the schema of `{tool}` is broken: {problem}"))?;
        if validator.is_valid(&value) {
            return Ok(value);
        }
        let violations = validator.iter_errors(&value).take(VIOLATIONS).map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() {
                "the arguments".to_owned()
            } else {
                format!("`{place}`")
            };
            format!(
                "- {place}: {}",
                shorten(&error.to_string(), VIOLATION_BYTES)
            )
        });
        let list = violations.collect::<Vec<_>>().join("\n");
        Err(format!(
            "the arguments of `{tool}` do not match its schema, so it was not executed:\n{list}"
        ))
    }
}

/// Parses arguments into an object. An empty text is `{}` where nothing is required.
pub(crate) fn parse_object(tool: &str, text: &str, empty_is_fine: bool) -> Result<Value, String> {
    if text.trim().is_empty() && empty_is_fine {
        return Ok(Value::Object(Map::new()));
    }
    let problem = match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) => return Ok(value),
        Ok(other) => format!("they are {} where an object is needed", kind(&other)),
        Err(error) => error.to_string(),
    };
    Err(format!(
        "the call of `{tool}` had malformed JSON arguments and was not executed ({problem}); \
         send it again as one JSON object, with smaller content if it was cut"
    ))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// At most `bytes` of `text`, cut at a character.
pub(crate) fn shorten(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Effects, Powers};

    fn tool(schema: &str) -> Tool {
        Tool {
            name: "read".into(),
            description: String::new(),
            input_schema: schema.into(),
            plugin: "p@1".into(),
            effects: Effects::default(),
            operations: None,
            powers: Powers::default(),
            grants: Vec::new(),
        }
    }

    const SCHEMA: &str = r#"{"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer","minimum":1}},
        "required":["path"],"additionalProperties":false}"#;

    #[test]
    fn arguments_that_are_no_object_are_refused() {
        let checker = Checker::new(&tool(SCHEMA));
        for text in [
            "",
            "{",
            "[1]",
            "null",
            "3",
            "\"x\"",
            "{\"path\":\"a\"} trailing",
        ] {
            let problem = checker.check("read", text).unwrap_err();
            assert!(problem.contains("malformed JSON"), "{text}: {problem}");
        }
    }

    #[test]
    fn violations_name_place_and_rule() {
        let checker = Checker::new(&tool(SCHEMA));
        let problem = checker
            .check("read", r#"{"path":1,"limit":0,"extra":true}"#)
            .unwrap_err();
        assert!(
            problem.contains("`/path`")
                && problem.contains("`/limit`")
                && problem.contains("extra"),
            "{problem}"
        );
        assert!(checker.check("read", r#"{"path":"a"}"#).is_ok());
    }

    #[test]
    fn empty_text_is_an_empty_object_where_nothing_is_required() {
        let checker = Checker::new(&tool(r#"{"type":"object"}"#));
        assert_eq!(
            checker.check("list", "").unwrap(),
            Value::Object(Map::new())
        );
    }

    #[test]
    fn a_deep_document_is_an_error_and_not_a_crash() {
        let checker = Checker::new(&tool(SCHEMA));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(checker.check("read", &deep).is_err());
    }

    #[test]
    fn shorten_cuts_at_a_character() {
        assert_eq!(shorten("aéé", 2), "a…");
    }
}
