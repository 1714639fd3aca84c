//! Readers of single fields that take what services really send: they put `null`, numbers, lists or
//! objects in places where a protocol has a string, and one odd field must not lose a whole reply.
//! For `#[serde(deserialize_with = …)]`.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// JSON that some servers send as it is and others as a string that holds it; nothing where there is none.
pub fn json_text(field: Option<&RawValue>) -> String {
    let raw = field.map_or("null", RawValue::get);
    match serde_json::from_slice::<String>(raw.as_bytes()) {
        Ok(text) => text,
        Err(_) if raw == "null" => String::new(),
        Err(_) => raw.to_owned(),
    }
}

/// A string; the texts of a list of parts; nothing for everything else.
///
/// # Errors
///
/// Only where the document itself is no JSON.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(TextVisitor)
}

/// An amount, in whatever way it is written; nothing for what is none. Negative ones and infinities are none.
///
/// # Errors
///
/// Only where the document itself is no JSON.
pub fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(AmountVisitor)
}

/// A count, rounded down; nothing for what is no number.
///
/// # Errors
///
/// Only where the document itself is no JSON.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
}

/// A price as text, as in `"$0.40/h"` or `"1,250.5"`, begins with its number.
pub(crate) fn written_amount(text: &str) -> Option<f64> {
    let text = text.trim().trim_start_matches('$').replace(',', "");
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | 'e' | '-'));
    // The reader of JSON is there anyway, and that of the standard library brings tables of its own.
    let number = serde_json::from_slice::<f64>(&text.as_bytes()[..end.unwrap_or(text.len())]);
    number
        .ok()
        .filter(|number| number.is_finite() && *number >= 0.0)
}

struct TextVisitor;

#[derive(Deserialize)]
struct TextPart {
    #[serde(default, deserialize_with = "text")]
    text: Option<String>,
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut all = String::new();
        while let Some(part) = parts.next_element::<TextPart>()? {
            all.push_str(part.text.as_deref().unwrap_or_default());
        }
        Ok(Some(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Option<u64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a count")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).ok())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        // The conversion saturates, and takes negative numbers and NaN for zero.
        Ok(Some(number as u64))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.trim().parse().ok())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

struct AmountVisitor;

impl<'de> Visitor<'de> for AmountVisitor {
    type Value = Option<f64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an amount")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number).filter(|number| number.is_finite() && *number >= 0.0))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).ok().map(|number| number as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(written_amount(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Price(#[serde(deserialize_with = "amount")] Option<f64>);

    #[test]
    fn json_may_be_a_string_that_holds_it() {
        for (field, expected) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (r#""{\"a\":1}""#, r#"{"a":1}"#),
            (r#""{\"a""#, r#"{"a"#),
            ("null", ""),
        ] {
            let raw: &RawValue = serde_json::from_str(field).unwrap();
            assert_eq!(json_text(Some(raw)), expected);
        }
        assert_eq!(json_text(None), "");
    }

    #[test]
    fn amounts_in_every_spelling() {
        for (text, expected) in [
            ("0.40", Some(0.4)),
            ("3", Some(3.0)),
            ("\"0.0000012\"", Some(0.000_001_2)),
            ("\"1.2e-6\"", Some(0.000_001_2)),
            ("\"$0.40/h\"", Some(0.4)),
            ("\"1,250.5\"", Some(1250.5)),
            ("-1", None),
            ("\"-1\"", None),
            ("true", None),
            ("null", None),
            ("{\"a\":1}", None),
            ("\"free\"", None),
        ] {
            let price: Price = serde_json::from_str(text).unwrap();
            assert_eq!(price.0, expected, "{text}");
        }
    }
}
