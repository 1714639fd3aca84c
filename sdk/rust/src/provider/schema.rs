//! Dialects of JSON Schema that services take.

use serde_json::{Map, Value};

/// Keywords that constrained generation of the hosted services knows, beside those for structure.
const KNOWN: [&str; 17] = [
    "type",
    "description",
    "title",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "$defs",
    "$ref",
    "minimum",
    "maximum",
    "pattern",
    "minItems",
    "maxItems",
];

/// Deepest nesting that they take.
const DEPTH: usize = 5;

/// Whether a schema can be sent as strict, so that the service makes sure that arguments satisfy it: every object
/// lists all its properties as required and allows no others, and nothing stands in it that the services would
/// refuse. A schema that is not is sent as it is, without that promise; the host checks arguments in any case.
pub fn is_strict(schema: &str) -> bool {
    serde_json::from_str::<Value>(schema)
        .is_ok_and(|schema| schema["type"] == "object" && fits(&schema, 0))
}

fn fits(schema: &Value, depth: usize) -> bool {
    let Some(fields) = schema.as_object().filter(|_| depth <= DEPTH) else {
        return false;
    };
    fields.keys().all(|key| KNOWN.contains(&key.as_str()))
        && is_closed(fields)
        && inner(fields).all(|schema| fits(schema, depth + 1))
}

/// Whether an object says all that may stand in it.
fn is_closed(fields: &Map<String, Value>) -> bool {
    let names_object = |kind: &Value| {
        kind == "object"
            || kind
                .as_array()
                .is_some_and(|kinds| kinds.contains(&"object".into()))
    };
    if !fields.get("type").is_some_and(names_object) {
        return true;
    }
    let required = fields.get("required").and_then(Value::as_array);
    let is_required =
        |name: &String| required.is_some_and(|names| names.contains(&Value::from(name.as_str())));
    let properties = fields.get("properties").and_then(Value::as_object);
    fields.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_some_and(|properties| properties.keys().all(is_required))
}

fn inner(fields: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let named = ["properties", "$defs"]
        .into_iter()
        .filter_map(|key| fields.get(key)?.as_object());
    let listed = fields.get("anyOf").and_then(Value::as_array);
    named
        .flat_map(Map::values)
        .chain(listed.into_iter().flatten())
        .chain(fields.get("items"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_objects_are_strict() {
        let closed = r#"{"type":"object","properties":{"a":{"type":"string","enum":["x"]},"b":{"type":["object","null"],"properties":{},"required":[],"additionalProperties":false}},"required":["a","b"],"additionalProperties":false}"#;
        assert!(is_strict(closed));
        for open in [
            r#"{"type":"object"}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
            r#"{"type":"object","properties":{"a":{"type":"object"}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","format":"uri"}},"required":["a"],"additionalProperties":false}"#,
            r#"{"type":"string"}"#,
            "true",
            "{",
        ] {
            assert!(!is_strict(open), "{open}");
        }
    }
}
