//! What a plugin is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::error::Error;

/// `<publisher>/<name>`: lower-case letters, digits and dashes, at most 64 bytes each, neither
/// part starting with a dash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId(String);

impl PluginId {
    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    pub fn publisher(&self) -> &str {
        self.0
            .split_once('/')
            .map_or("", |(publisher, _)| publisher)
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PluginId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once('/') {
            Some((publisher, name)) if is_name(publisher) && is_name(name) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Error::value(format!(
                "not a plugin id: `{}`; write `publisher/name` with lower-case letters, digits and dashes, at most 64 each",
                shorten(text)
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for PluginId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Lower-case letters, digits and dashes, not starting with a dash, 1 to 64 bytes.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Offending values are shown, but never more of them than helps, and nothing that moves a cursor.
pub fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

/// Text of others as part of a message: at most `most` characters on one line, and nothing in it
/// that moves a cursor or reorders what follows.
pub fn printable(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(4 * most));
    for c in text.chars().take(most) {
        match c {
            '"' | '\'' | '\\' => line.push(c),
            _ => line.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_publisher_and_a_name() {
        let id: PluginId = "acme/arxiv-2".parse().unwrap();
        assert_eq!(
            (id.publisher(), id.name(), id.to_string().as_str()),
            ("acme", "arxiv-2", "acme/arxiv-2")
        );
        let long = "a".repeat(64);
        assert!(format!("{long}/{long}").parse::<PluginId>().is_ok());
    }

    #[test]
    fn other_ids_are_refused() {
        let long = "a".repeat(65);
        for text in [
            "",
            "/",
            "a",
            "a/",
            "/a",
            "a/b/c",
            "A/b",
            "a/-b",
            "-a/b",
            "a/b ",
            "a/../b",
            "a\n/b",
            "а/b",
            &format!("{long}/a"),
            &format!("a/{long}"),
        ] {
            let error = text.parse::<PluginId>().unwrap_err().to_string();
            assert!(error.contains("publisher/name"), "{text}: {error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }
}
