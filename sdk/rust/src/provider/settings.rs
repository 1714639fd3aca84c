//! What the user configured, checked.

use super::value::{self, Value};
use crate::{Error, Price, config};

/// Reads configuration: [`config::get`] in a plugin, something else in its tests.
pub type Get<'a> = &'a dyn Fn(&str) -> Result<Option<String>, Error>;

/// The plugin's configuration as the host has it.
///
/// # Errors
///
/// As [`config::get`].
pub fn from_host(key: &str) -> Result<Option<String>, Error> {
    config::get(key)
}

/// A value without blanks around it; nothing where it is empty.
///
/// # Errors
///
/// As `get`.
pub fn text(get: Get<'_>, key: &str) -> Result<Option<String>, Error> {
    let value = get(key)?.map(|value| value.trim().to_owned());
    Ok(value.filter(|value| !value.is_empty()))
}

/// A URL without a slash at its end.
///
/// # Errors
///
/// As `get`.
pub fn url(get: Get<'_>, key: &str, default: &str) -> Result<String, Error> {
    let url = text(get, key)?.unwrap_or_else(|| default.to_owned());
    Ok(url.trim_end_matches('/').to_owned())
}

/// Whether a URL leads to this host, whatever its scheme, port and path.
pub fn is_at(url: &str, host: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.eq_ignore_ascii_case(host)
}

/// `true` or `false`.
///
/// # Errors
///
/// `invalid-input` naming the key.
pub fn flag(get: Get<'_>, key: &str) -> Result<Option<bool>, Error> {
    parsed(get, key, "`true` or `false`")
}

/// A number of tokens.
///
/// # Errors
///
/// `invalid-input` naming the key.
pub fn tokens(get: Get<'_>, key: &str) -> Result<Option<u32>, Error> {
    parsed(get, key, "a number of tokens")
}

fn parsed<T: std::str::FromStr>(get: Get<'_>, key: &str, what: &str) -> Result<Option<T>, Error> {
    let parse = |value: String| {
        let bad =
            |_| Error::InvalidInput(format!("config `{key}` is `{value}`: it must be {what}"));
        value.parse().map_err(bad)
    };
    text(get, key)?.map(parse).transpose()
}

/// The prices in `input-price`, `output-price` and `cache-read-price`, in US dollars for a million tokens. A price
/// needs both main rates: with one of them a budget would see half of what is spent.
///
/// # Errors
///
/// `invalid-input` naming the key.
pub fn price(get: Get<'_>) -> Result<Option<Price>, Error> {
    let read = |key: &str| {
        let Some(value) = text(get, key)? else {
            return Ok(None);
        };
        // A number as JSON writes it: the reader is there anyway.
        let number = value::parse(value.as_bytes()).ok().and_then(Value::float);
        match number {
            Some(price) if price.is_finite() && price >= 0.0 => Ok(Some(price)),
            _ => Err(Error::InvalidInput(format!(
                "config `{key}` is `{value}`: it must be a number of US dollars"
            ))),
        }
    };
    match (
        read("input-price")?,
        read("output-price")?,
        read("cache-read-price")?,
    ) {
        (Some(input), Some(output), cached) => Ok(Some(Price {
            input,
            output,
            cache_read: cached.unwrap_or(input),
            cache_write: input,
        })),
        (None, None, None) => Ok(None),
        _ => Err(Error::InvalidInput(
            "config `input-price` and `output-price` must be set together".to_owned(),
        )),
    }
}
