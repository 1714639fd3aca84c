//! The plugin manifest `plugin.toml`: what an author says of a plugin and asks for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::document;
use crate::error::Error;
use crate::grant::Request;
use crate::limits::{Limits, RequestedLimits};
use crate::plugin_ref::{PluginId, shorten};

/// What a plugin is for, read from what its component exports.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Callable by the model.
    Tool,
    /// Talks to a language model.
    Provider,
    /// Tells a human or a system.
    Notifier,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Tool, Self::Provider, Self::Notifier];

    /// The name, which is also that of the exported interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Provider => "provider",
            Self::Notifier => "notifier",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `major.minor` of the package `ml-intern:plugin` that a component was built against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Abi {
    /// Major version.
    pub major: u32,
    /// Minor version; while the major one is 0, a different minor version is a different ABI.
    pub minor: u32,
}

impl Abi {
    /// The newest version that this host links.
    pub const HOST: Self = Self { major: 0, minor: 2 };
    /// Every version that this host links, oldest first. Older ones are lifted to the newest.
    pub const SUPPORTED: [Self; 2] = [Self { major: 0, minor: 1 }, Self::HOST];
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Abi {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |part: &str| {
            let canonical = part.bytes().all(|byte| byte.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'));
            canonical.then(|| part.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| number(major).zip(number(minor)))
            .map(|(major, minor)| Self { major, minor })
            .ok_or_else(|| {
                Error::value(format!(
                    "not an ABI version: `{}`; write major and minor, such as `{}`",
                    shorten(text),
                    Self::HOST
                ))
            })
    }
}

impl<'de> Deserialize<'de> for Abi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// The whole of a `plugin.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginManifest {
    /// Who and what.
    pub plugin: PluginHeader,
    /// What the plugin asks for; nothing when absent.
    #[serde(default)]
    pub request: Request,
    /// Bounds that differ from the defaults.
    #[serde(default)]
    pub limits: RequestedLimits,
}

/// The `[plugin]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginHeader {
    /// Publisher and name.
    pub id: PluginId,
    /// Semantic version.
    #[serde(deserialize_with = "version")]
    pub version: semver::Version,
    /// One line for lists, at most 512 bytes.
    #[serde(deserialize_with = "description")]
    pub description: String,
    /// SPDX expression, at most 128 bytes.
    #[serde(deserialize_with = "license")]
    pub license: String,
    /// The publisher's `minisign` key, in base64: whoever publishes the plugin signs it with that.
    #[serde(default, rename = "public-key", deserialize_with = "public_key")]
    pub public_key: Option<String>,
    /// The ABI the author built against. The component's exports decide; this must agree.
    pub abi: Abi,
}

impl PluginManifest {
    /// Parses `text`; `file` is the path that errors show.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        document::parse(file, text)
    }

    /// The limits of this plugin when used as `kind`.
    pub fn limits(&self, kind: Kind) -> Limits {
        self.limits.for_kind(kind)
    }
}

pub(crate) fn version<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<semver::Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    // Longer than any real version; the text is shown in lists and kept in the lockfile.
    if text.len() > 64 {
        return Err(de::Error::custom("the version has more than 64 bytes"));
    }
    semver::Version::parse(&text).map_err(|error| {
        de::Error::custom(format!(
            "not a version: `{}` ({error}); write one such as `1.2.0`",
            shorten(&text)
        ))
    })
}

fn description<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    line(deserializer, 512)
}

fn license<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    line(deserializer, 128)
}

fn public_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    line(deserializer, 128).map(Some)
}

/// One line of text that is safe to print: no control character, no bidirectional override.
pub(crate) fn line<'de, D: Deserializer<'de>>(
    deserializer: D,
    max: usize,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let reordering = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.trim().is_empty() || text.len() > max {
        return Err(de::Error::custom(format!(
            "write one line of 1 to {max} bytes"
        )));
    }
    if text.chars().any(|c| c.is_control() || reordering(c)) {
        return Err(de::Error::custom(
            "control and direction-changing characters are not allowed here; write plain text",
        ));
    }
    Ok(text)
}
