//! What a server answers, read leniently: servers put `null`, numbers, lists or objects in places
//! where the protocol has a string, and one odd field must not lose a whole reply.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// One streamed chunk, or a whole answer: they differ in `delta` and `message`.
#[derive(Deserialize)]
pub(crate) struct Chunk<'a> {
    #[serde(default, deserialize_with = "text")]
    pub(crate) id: Option<String>,
    #[serde(default, borrow)]
    pub(crate) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    #[serde(default, borrow)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) object: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default, deserialize_with = "number")]
    pub(crate) index: Option<u64>,
    #[serde(default, borrow)]
    pub(crate) delta: Option<Delta<'a>>,
    #[serde(default, borrow)]
    pub(crate) message: Option<Delta<'a>>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Delta<'a> {
    #[serde(default, deserialize_with = "text")]
    pub(crate) content: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) reasoning_content: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) reasoning: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) refusal: Option<String>,
    #[serde(default, borrow)]
    pub(crate) tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
pub(crate) struct CallDelta<'a> {
    #[serde(default, deserialize_with = "number")]
    pub(crate) index: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) id: Option<String>,
    #[serde(default, borrow)]
    pub(crate) function: Option<FunctionDelta<'a>>,
}

#[derive(Default, Deserialize)]
pub(crate) struct FunctionDelta<'a> {
    #[serde(default, deserialize_with = "text")]
    pub(crate) name: Option<String>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

impl FunctionDelta<'_> {
    /// The fragment of the arguments. Some servers send an object instead of its text.
    pub(crate) fn fragment(&self) -> String {
        let raw = self.arguments.map_or("null", RawValue::get);
        match serde_json::from_slice::<String>(raw.as_bytes()) {
            Ok(text) => text,
            Err(_) if raw == "null" => String::new(),
            Err(_) => raw.to_owned(),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Usage {
    #[serde(default, deserialize_with = "number")]
    pub(crate) prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) completion_tokens: Option<u64>,
    /// Where the DeepSeek service reports cached tokens.
    #[serde(default, deserialize_with = "number")]
    pub(crate) prompt_cache_hit_tokens: Option<u64>,
    #[serde(default)]
    pub(crate) prompt_tokens_details: Option<Details>,
    #[serde(default)]
    pub(crate) completion_tokens_details: Option<Details>,
}

/// Details of the prompt or of the completion: either has one of these.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Details {
    #[serde(default, deserialize_with = "number")]
    pub(crate) cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) reasoning_tokens: Option<u64>,
}

/// A string; the texts of a list of parts; nothing for everything else.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(TextVisitor)
}

/// A count, rounded down; nothing for what is no number.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
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
