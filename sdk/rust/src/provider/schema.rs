//! Dialects of JSON Schema that services take.

use crate::provider::json::Json;
use crate::provider::lenient::Fields;

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
    Fields::read(schema.as_bytes()).is_ok_and(|fields| fields.raw("type") == Some(OBJECT))
        && fits(schema, 0)
}

/// The type of objects, as JSON.
const OBJECT: &str = "\"object\"";

fn fits(schema: &str, depth: usize) -> bool {
    let Ok(fields) = Fields::read(schema.as_bytes()) else {
        return false;
    };
    depth <= DEPTH
        && fields.names().all(|key| KNOWN.contains(&key))
        && is_closed(&fields)
        && inner(&fields).iter().all(|schema| fits(schema, depth + 1))
}

/// Whether an object says all that may stand in it.
fn is_closed(fields: &Fields<'_>) -> bool {
    let kinds = fields.list("type").unwrap_or_default();
    if fields.raw("type") != Some(OBJECT) && !kinds.contains(&OBJECT) {
        return true;
    }
    let required = fields.list("required").unwrap_or_default();
    let is_required = |name: &str| {
        let mut json = Json::default();
        json.string(name);
        required.contains(&json.into_text().as_str())
    };
    let properties = fields.object("properties");
    fields.raw("additionalProperties") == Some("false")
        && properties.is_some_and(|properties| properties.names().all(is_required))
}

fn inner<'a>(fields: &Fields<'a>) -> Vec<&'a str> {
    let mut all = fields.list("anyOf").unwrap_or_default();
    for named in ["properties", "$defs"] {
        if let Some(named) = fields.object(named) {
            all.extend(named.values());
        }
    }
    all.extend(fields.raw("items"));
    all
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
