//! Dialects of JSON Schema that services take.

use super::value::{self, Value};

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
    value::parse(schema.as_bytes())
        .is_ok_and(|schema| schema.get("type").is("object") && fits(schema, 0))
}

fn fits(schema: Value<'_>, depth: usize) -> bool {
    if !schema.is_object() || depth > DEPTH {
        return false;
    }
    let all_fit = |mut inner: &mut dyn Iterator<Item = Value<'_>>| {
        Iterator::all(&mut inner, |schema| fits(schema, depth + 1))
    };
    let [properties, definitions, any_of, items] =
        schema.pick(["properties", "$defs", "anyOf", "items"]);
    schema.fields().all(|(key, _)| KNOWN.contains(&&*key))
        && is_closed(schema)
        && all_fit(&mut properties.fields().map(|(_, schema)| schema))
        && all_fit(&mut definitions.fields().map(|(_, schema)| schema))
        && all_fit(&mut any_of.elements())
        && (items.is_null() || fits(items, depth + 1))
}

/// Whether an object says all that may stand in it.
fn is_closed(schema: Value<'_>) -> bool {
    let [kind, required, properties, additional] =
        schema.pick(["type", "required", "properties", "additionalProperties"]);
    let is_object = kind.is("object") || kind.contains("object") == Some(true);
    let is_required = |name: &str| required.contains(name) == Some(true);
    !is_object
        || additional.raw() == "false"
            && properties.is_object()
            && properties.fields().all(|(name, _)| is_required(&name))
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
