//! Building what a tool plugin returns, and reading what it is called with.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Content, Descriptor, Effects, Error, Operation, Output};

/// Parses the arguments of a call.
///
/// # Errors
///
/// `invalid-input` with the place and the reason, for the model to correct. The host has already
/// held the arguments to the tool's schema, so this happens for rules that a schema cannot say.
pub fn arguments<T: DeserializeOwned>(raw: &str) -> Result<T, Error> {
    serde_json::from_str(raw).map_err(|error| Error::InvalidInput(format!("arguments: {error}")))
}

impl Effects {
    /// Nothing promised: the call may change things, but destroys nothing and stays in the session's
    /// own world.
    pub const NONE: Self = Self {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: false,
    };

    /// Changes nothing, and may therefore be repeated. The host holds the call to it.
    pub const READ_ONLY: Self = Self {
        read_only: true,
        idempotent: true,
        ..Self::NONE
    };
}

impl Descriptor {
    /// A tool with `name` (`^[a-z][a-z0-9_]{0,63}$`), a description for the model (at most 8 KiB)
    /// and the JSON Schema of its arguments, an object. Effects start as [`Effects::NONE`].
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: &Value,
    ) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: description.into(),
            input_schema: input_schema.to_string(),
            output_schema: None,
            effects: Effects::NONE,
            operations: None,
        }
    }

    /// A tool whose arguments are a type, by the JSON Schema that the crate `schemars` makes of it:
    /// `Descriptor::of("roll", schema_for!(Roll))`. The description is the type's documentation;
    /// arguments that the type does not have are refused.
    pub fn of(name: impl Into<String>, schema: impl Into<Value>) -> Self {
        let mut schema = schema.into();
        let mut description = String::new();
        if let Value::Object(members) = &mut schema {
            // Of no use to a model, and its context has an end.
            for key in ["$schema", "title"] {
                members.shift_remove(key);
            }
            if let Some(Value::String(text)) = members.shift_remove("description") {
                description = text;
            }
            members
                .entry("additionalProperties")
                .or_insert(Value::Bool(false));
        }
        Self::new(name, description, &schema)
    }

    /// A name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The JSON Schema of the tool's `json` content.
    pub fn output_schema(mut self, schema: &Value) -> Self {
        self.output_schema = Some(schema.to_string());
        self
    }

    /// A call changes nothing; implies [`idempotent`](Self::idempotent). The host enforces it:
    /// file mounts become read-only, only GET and HEAD leave, programs and jobs are refused.
    pub fn read_only(mut self) -> Self {
        self.effects.read_only = true;
        self.effects.idempotent = true;
        self
    }

    /// The same call again changes nothing more, so it may be repeated after a crash.
    pub fn idempotent(mut self) -> Self {
        self.effects.idempotent = true;
        self
    }

    /// A call may destroy what was there.
    pub fn destructive(mut self) -> Self {
        self.effects.destructive = true;
        self
    }

    /// A call reaches beyond the session's own world: the network, other programs.
    pub fn open_world(mut self) -> Self {
        self.effects.open_world = true;
        self
    }

    /// The argument that selects an operation, with each value's effects.
    pub fn operations<'a>(
        mut self,
        argument: impl Into<String>,
        effects: impl IntoIterator<Item = (&'a str, Effects)>,
    ) -> Self {
        let operations = effects
            .into_iter()
            .map(|(name, effects)| Operation {
                name: name.to_owned(),
                effects,
            })
            .collect();
        self.operations = Some((argument.into(), operations));
        self
    }
}

impl Output {
    /// One text for the model.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: vec![Content::Text(text.into())],
            is_error: false,
        }
    }

    /// One JSON document for the model.
    ///
    /// # Errors
    ///
    /// `internal` when `value` is none that JSON can hold, such as a map with keys that are no text.
    pub fn json(value: &impl Serialize) -> Result<Self, Error> {
        Ok(Self {
            content: vec![Content::Json(serde_json::to_string(value)?)],
            is_error: false,
        })
    }

    /// A failure that the model sees and may correct; the turn goes on.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }

    /// Adds one piece of content.
    pub fn and(mut self, content: Content) -> Self {
        self.content.push(content);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_say_what_is_wrong_and_where() {
        #[derive(serde::Deserialize, Debug)]
        struct Wanted {
            #[expect(dead_code, reason = "only parsed")]
            count: u32,
        }
        let error = arguments::<Wanted>(r#"{"count":"x"}"#).unwrap_err();
        let Error::InvalidInput(text) = error else {
            panic!("wrong case: {error:?}");
        };
        assert!(text.contains("expected u32"), "{text}");
        assert!(text.contains("column"), "{text}");
    }

    #[test]
    fn descriptor_carries_effects_and_operations() {
        let tool = Descriptor::new("repo", "Repositories.", &json!({"type": "object"}))
            .open_world()
            .operations(
                "operation",
                [("list", Effects::READ_ONLY), ("add", Effects::NONE)],
            );
        assert!(tool.effects.open_world && !tool.effects.read_only);
        let (argument, operations) = tool.operations.unwrap();
        assert_eq!(argument, "operation");
        assert!(operations[0].effects.read_only && operations[0].effects.idempotent);
        assert!(!operations[1].effects.read_only);
        assert_eq!(tool.input_schema, r#"{"type":"object"}"#);
    }

    #[test]
    fn a_type_describes_the_tool_that_takes_it() {
        let tool = Descriptor::of(
            "roll",
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "Roll",
                "description": "Rolls one die.",
                "type": "object",
                "properties": { "sides": { "type": "integer" } }
            }),
        );
        assert_eq!(tool.description, "Rolls one die.");
        assert_eq!(
            tool.input_schema,
            r#"{"type":"object","properties":{"sides":{"type":"integer"}},"additionalProperties":false}"#
        );
    }

    #[test]
    fn output_marks_errors() {
        assert!(!Output::text("a").is_error);
        assert!(Output::error("a").is_error);
        let both = Output::text("a").and(Content::File("b.png".to_owned()));
        assert_eq!(both.content.len(), 2);
    }
}
