//! Dialects of JSON Schema that services take.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

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
    read::<Fields<'_>>(schema).is_some_and(|fields| names_object(&fields)) && fits(schema, 0)
}

/// A schema's keywords. Reading one level at a time is all that is needed, and there is no tree of values to build.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_slice(json.as_bytes()).ok()
}

fn fits(schema: &str, depth: usize) -> bool {
    let Some(fields) = read::<Fields<'_>>(schema).filter(|_| depth <= DEPTH) else {
        return false;
    };
    fields.keys().all(|key| KNOWN.contains(&key.as_str()))
        && is_closed(&fields)
        && inner(&fields).all(|schema| fits(schema.get(), depth + 1))
}

/// Whether it is an object and nothing else.
fn names_object(fields: &Fields<'_>) -> bool {
    fields
        .get("type")
        .is_some_and(|kind| kind.get() == "\"object\"")
}

/// Whether an object says all that may stand in it.
fn is_closed(fields: &Fields<'_>) -> bool {
    let list = |key: &str| {
        let list = fields.get(key).map(|list| list.get());
        list.and_then(read::<Vec<&RawValue>>).unwrap_or_default()
    };
    let among = list("type");
    if !names_object(fields) && !among.iter().any(|kind| kind.get() == "\"object\"") {
        return true;
    }
    let required: Vec<String> = list("required")
        .iter()
        .filter_map(|name| read(name.get()))
        .collect();
    let properties = fields.get("properties").map(|all| all.get());
    fields
        .get("additionalProperties")
        .is_some_and(|additional| additional.get() == "false")
        && properties
            .and_then(read::<Fields<'_>>)
            .is_some_and(|properties| properties.keys().all(|name| required.contains(name)))
}

fn inner<'a>(fields: &Fields<'a>) -> impl Iterator<Item = &'a RawValue> {
    let own = |key: &str| fields.get(key).map(|value| value.get());
    let named = ["properties", "$defs"]
        .into_iter()
        .filter_map(|key| own(key).and_then(read::<Fields<'_>>));
    let listed = own("anyOf").and_then(read::<Vec<&RawValue>>);
    named
        .flat_map(BTreeMap::into_values)
        .chain(listed.into_iter().flatten())
        .chain(fields.get("items").copied())
        .collect::<Vec<_>>()
        .into_iter()
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
