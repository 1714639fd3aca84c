//! Readers of single values for documents that are read once in a while, such as a list of models: a
//! tree of values takes less code in a component than a type for every shape. They take what services
//! really send, as [`lenient`](super::lenient) does; a field that is missing is `null`, since
//! `document["a"]["b"]` is.

use super::lenient::written_amount;
use serde_json::Value;

/// A string, or a number as one; the texts of a list of parts.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            Some(texts.collect()).filter(|all: &String| !all.is_empty())
        }
        _ => None,
    }
}

/// The strings of a list.
pub fn texts(value: &Value) -> Vec<String> {
    elements(value).iter().filter_map(text).collect()
}

/// The elements of a list; none of what is no list.
pub fn elements(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether a list of strings has this one; none for what is no list.
pub fn contains(value: &Value, word: &str) -> Option<bool> {
    let all = value.as_array()?;
    Some(all.iter().any(|one| one == word))
}

/// A count, rounded down, in whatever way it is written.
pub fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        _ => value.as_u64().or_else(|| {
            value
                .as_f64()
                .filter(|number| *number >= 0.0)
                .map(|number| number as u64)
        }),
    }
}

/// A count of tokens, at most what one can be told of.
pub fn tokens(value: &Value) -> Option<u32> {
    number(value).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// An amount, in whatever way it is written. Negative ones are none.
pub fn amount(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => written_amount(text),
        _ => value.as_f64().filter(|number| *number >= 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_taken_in_every_spelling_and_others_are_none() {
        assert_eq!(text(&json!("a")).as_deref(), Some("a"));
        assert_eq!(text(&json!(429)).as_deref(), Some("429"));
        assert_eq!(
            text(&json!([{"text": "a"}, 1, {"text": "b"}])).as_deref(),
            Some("ab")
        );
        assert_eq!(texts(&json!(["a", null, ["x"], "b"])), ["a", "b"]);
        assert_eq!(
            (number(&json!("5000 ")), number(&json!(2000.9))),
            (Some(5000), Some(2000))
        );
        assert_eq!(tokens(&json!(99_999_999_999_u64)), Some(u32::MAX));
        assert_eq!(
            (amount(&json!("0.000003")), amount(&json!(2))),
            (Some(0.000_003), Some(2.0))
        );
        assert_eq!(contains(&json!(["a"]), "a"), Some(true));
        for odd in [
            json!(null),
            json!(true),
            json!({"a": 1}),
            json!([]),
            json!(-1),
            json!("-1"),
        ] {
            assert_eq!((number(&odd), amount(&odd)), (None, None), "{odd}");
        }
        assert_eq!((text(&json!({})), text(&json!([]))), (None, None));
        assert_eq!(
            (contains(&json!("a"), "a"), contains(&json!([]), "a")),
            (None, Some(false))
        );
        assert!(elements(&json!({"a": []})["b"]).is_empty());
    }
}
