//! Readers of single values. Each checks where it reads, so that the error has a position.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::grant::WORKSPACE_MOUNT;
use crate::limits::within;
use crate::pattern::FlavorPattern;
use crate::plugin_manifest::line;
use crate::plugin_ref::{is_name, shorten};
use crate::size::Size;

/// More rules than any plugin needs; the rules are searched for every request.
const MAX_RULES: usize = 64;

pub(crate) fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::deserialize(deserializer)?;
    if items.len() > MAX_RULES {
        return Err(de::Error::custom(format!(
            "{} tables; write at most {MAX_RULES}",
            items.len()
        )));
    }
    Ok(items)
}

pub(crate) fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    ok: fn(&str) -> bool,
    advice: &str,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if ok(&text) {
        Ok(text)
    } else {
        Err(de::Error::custom(format!(
            "`{}` does not fit; {advice}",
            shorten(&text)
        )))
    }
}

pub(crate) fn distinct<T: Ord + AsRef<str>>(
    what: &str,
    names: impl Iterator<Item = T>,
) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!(
                "the {what} `{}` is written twice; remove one",
                shorten(name.as_ref())
            ));
        }
        seen.insert(name);
    }
    Ok(())
}

/// A list that says something: not empty, nothing twice, at most [`MAX_RULES`] items.
pub(crate) fn set<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de> + PartialEq,
{
    let items: Vec<T> = few(deserializer)?;
    if items.is_empty() {
        return Err(de::Error::custom(
            "the list is empty; write at least one item, or remove the key",
        ));
    }
    if let Some(index) = (1..items.len()).find(|index| items[..*index].contains(&items[*index])) {
        return Err(de::Error::custom(format!(
            "item {} of the list is written twice; remove one",
            index + 1
        )));
    }
    Ok(Some(items))
}

pub(crate) fn strings<'de, D: Deserializer<'de>>(
    deserializer: D,
    ok: fn(&str) -> bool,
    advice: &str,
) -> Result<Vec<String>, D::Error> {
    let items: Vec<String> = set(deserializer)?.unwrap_or_default();
    match items.iter().find(|item| !ok(item)) {
        Some(item) => Err(de::Error::custom(format!(
            "`{}` does not fit; {advice}",
            shorten(item)
        ))),
        None => Ok(items),
    }
}

pub(crate) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(
        deserializer,
        is_name,
        "write lower-case letters, digits and dashes, at most 64",
    )
}

pub(crate) fn optional_key<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    checked(
        deserializer,
        is_name,
        "write the name of a configuration key, such as `base-url`",
    )
    .map(Some)
}

pub(crate) fn optional_line<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    line(deserializer, 512).map(Some)
}

pub(crate) fn is_variable(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

pub(crate) fn variables<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    strings(
        deserializer,
        is_variable,
        "write names such as `OPENAI_API_KEY`",
    )
}

/// More names than one value has.
const MAX_PUBLIC_VARIABLES: usize = 8;

/// One or several: a service's own client often reads two.
pub(crate) fn public_variables<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let names = deserializer.deserialize_any(OneOrMany)?;
    if names.is_empty() || names.len() > MAX_PUBLIC_VARIABLES {
        return Err(de::Error::custom(format!(
            "{} variables; write one to {MAX_PUBLIC_VARIABLES}, or remove the key",
            names.len()
        )));
    }
    distinct("variable", names.iter()).map_err(de::Error::custom)?;
    match names.iter().find(|name| !is_public_variable(name)) {
        Some(name) => Err(de::Error::custom(format!(
            "`{}` does not fit; write a variable such as `OPENAI_BASE_URL`; a plugin reads its configuration, so secrets belong under [[request.credential]]",
            shorten(name)
        ))),
        None => Ok(names),
    }
}

struct OneOrMany;

impl<'de> de::Visitor<'de> for OneOrMany {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![text.to_owned()])
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Vec<String>, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(list))
    }
}

fn is_public_variable(text: &str) -> bool {
    is_variable(text) && !names_secret(text)
}

/// Whether an environment variable is named like one that holds a secret, such as `HF_TOKEN`.
pub fn names_secret(variable: &str) -> bool {
    let secret = |word| {
        matches!(
            word,
            "TOKEN"
                | "KEY"
                | "APIKEY"
                | "SECRET"
                | "PASSWORD"
                | "PASS"
                | "PAT"
                | "CREDENTIAL"
                | "CREDENTIALS"
                | "AUTH"
        )
    };
    variable.split('_').any(secret)
}

pub(crate) fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    within(deserializer, 1, u16::MAX).map(Some)
}

pub(crate) fn max_response<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(1024), Size(1 << 30)).map(Some)
}

pub(crate) fn header<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let ok = |text: &str| {
        // These frame or route the message; a secret in them would change where it goes.
        let reserved = [
            "host",
            "connection",
            "content-length",
            "transfer-encoding",
            "te",
            "trailer",
            "upgrade",
            "keep-alive",
            "expect",
        ];
        let token = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (1..=64).contains(&text.len())
            && token
            && !reserved.contains(&text)
            && !text.starts_with("proxy-")
    };
    checked(
        deserializer,
        ok,
        "write a header in lower case, such as `authorization` or `x-api-key`",
    )
    .map(Some)
}

pub(crate) fn format<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let ok = |text: &str| {
        text.len() <= 128
            && text.matches("{}").count() == 1
            && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
    };
    checked(
        deserializer,
        ok,
        "write printable text with `{}` once, such as `Bearer {}`",
    )
    .map(Some)
}

/// A service of AWS, as its signatures name it.
pub(crate) fn service<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    // S3 alone has its paths signed as they are.
    let ok = |text: &str| is_name(text) && text != "s3";
    checked(
        deserializer,
        ok,
        "write the service as its signatures name it, such as `bedrock`; S3 is not among them",
    )
    .map(Some)
}

pub(crate) fn mount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(
        deserializer,
        |text| text == WORKSPACE_MOUNT,
        "the only mount is `/workspace`",
    )
}

pub(crate) fn programs<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    strings(
        deserializer,
        is_program,
        "write the names of programs without folder, such as `git`; there is no `*`",
    )
}

pub(crate) fn tools<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    strings(
        deserializer,
        is_tool_name,
        "write names of tools, such as `bash`; there is no `*`",
    )
}

/// As the contract has it: `^[a-z][a-z0-9_]{0,63}$`.
pub(crate) fn is_tool_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The name of a program, as opposed to a path, an option or nothing.
pub(crate) fn is_program(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

pub(crate) fn flavors<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<FlavorPattern>, D::Error> {
    Ok(set(deserializer)?.unwrap_or_default())
}

pub(crate) fn optional_usd<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    usd(deserializer).map(Some)
}

/// Small enough that sums stay exact to the cent.
pub(crate) const MAX_USD: f64 = 1e6;

/// US dollars: finite, not negative, at most [`MAX_USD`].
pub(crate) fn usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if !(0.0..=MAX_USD).contains(&value) {
        return Err(de::Error::custom(format!(
            "`{value}` is out of bounds; write US dollars from 0 to {MAX_USD}"
        )));
    }
    Ok(value)
}
