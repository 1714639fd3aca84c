//! The plugin manifest `plugin.toml`: what an author says of a plugin and asks for it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::document;
use crate::error::Error;
use crate::grant::{Request, is_tool_name};
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

/// What a component speaks, read from the names of its exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abi {
    /// None of our interfaces: it exports plain functions, and each of them is a tool.
    Foreign,
    /// The version of the package `ml-intern:plugin` that it was built against.
    Contract {
        /// Major version.
        major: u32,
        /// Minor version; while the major one is 0, a different minor version is a different ABI.
        minor: u32,
    },
}

impl Abi {
    /// The newest version that this host links.
    pub const HOST: Self = Self::Contract { major: 0, minor: 2 };
    /// Every version that this host links, oldest first. Older ones are lifted to the newest.
    pub const SUPPORTED: [Self; 2] = [Self::Contract { major: 0, minor: 1 }, Self::HOST];

    /// The word for [`Self::Foreign`].
    const FOREIGN: &str = "foreign";
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str(Self::FOREIGN),
            Self::Contract { major, minor } => write!(f, "{major}.{minor}"),
        }
    }
}

impl FromStr for Abi {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == Self::FOREIGN {
            return Ok(Self::Foreign);
        }
        let number = |part: &str| {
            let canonical = part.bytes().all(|byte| byte.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'));
            canonical.then(|| part.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| number(major).zip(number(minor)))
            .map(|(major, minor)| Self::Contract { major, minor })
            .ok_or_else(|| {
                Error::value(format!(
                    "not an ABI version: `{}`; write major and minor, such as `{}`, or `{}` for a component of plain functions",
                    shorten(text),
                    Self::HOST,
                    Self::FOREIGN
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
#[serde(try_from = "RawManifest")]
pub struct PluginManifest {
    /// Who and what.
    pub plugin: PluginHeader,
    /// What the plugin asks for; nothing when absent.
    pub request: Request,
    /// Bounds that differ from the defaults.
    pub limits: RequestedLimits,
    /// What is said of the tools of a component of plain functions, by the tool's name. Empty for
    /// every other: those describe themselves.
    pub tools: BTreeMap<String, ToolWords>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    plugin: PluginHeader,
    #[serde(default)]
    request: Request,
    #[serde(default)]
    limits: RequestedLimits,
    #[serde(default)]
    tools: BTreeMap<String, ToolWords>,
}

impl TryFrom<RawManifest> for PluginManifest {
    type Error = String;

    fn try_from(raw: RawManifest) -> Result<Self, String> {
        if !raw.tools.is_empty() && raw.plugin.abi != Abi::Foreign {
            return Err(format!(
                "[tools] is for components of plain functions (`abi = \"{}\"`); this one describes its tools itself",
                Abi::FOREIGN
            ));
        }
        if let Some(name) = raw.tools.keys().find(|name| !is_tool_name(name)) {
            return Err(format!(
                "`{}` is not the name of a tool; write it as `ml-intern plugin info` shows it, without prefix",
                shorten(name)
            ));
        }
        Ok(Self {
            plugin: raw.plugin,
            request: raw.request,
            limits: raw.limits,
            tools: raw.tools,
        })
    }
}

/// What an author says of one function: a component of plain functions cannot say it itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ToolWords {
    /// Read by the model, at most 8 KiB.
    #[serde(deserialize_with = "words")]
    pub description: Option<String>,
    /// Changes nothing; the host holds the call to it.
    pub read_only: bool,
    /// May destroy what cannot be brought back.
    pub destructive: bool,
    /// Twice is the same as once.
    pub idempotent: bool,
    /// Reaches beyond the session's own world.
    pub open_world: bool,
}

/// As much as a description may have by the contract.
const MAX_WORDS: usize = 8 << 10;

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() || text.len() > MAX_WORDS {
        return Err(de::Error::custom(format!(
            "write 1 to {MAX_WORDS} bytes, or remove the key"
        )));
    }
    Ok(Some(text))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(abi: &str, rest: &str) -> Result<PluginManifest, String> {
        let text = format!(
            "[plugin]\nid = \"acme/clock\"\nversion = \"1.0.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"{abi}\"\n{rest}"
        );
        PluginManifest::parse("plugin.toml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_taken_for_the_tools_of_plain_functions_only() {
        let words = "[tools.now]\ndescription = \"The time.\"\nread-only = true\n";
        let read_words = read("foreign", words).unwrap().tools;
        let expected = ToolWords {
            description: Some("The time.".to_owned()),
            read_only: true,
            ..ToolWords::default()
        };
        assert_eq!(read_words["now"], expected);
        let error = read("0.2", words).unwrap_err();
        assert!(error.contains("describes its tools itself"), "{error}");
        for (rest, said) in [
            ("[tools.time-zone]", "`time-zone` is not the name of a tool"),
            ("[tools.now]\nread-write = true", "read-write"),
            ("[tools.now]\ndescription = \" \"", "write 1 to 8192 bytes"),
            ("[tools]\nnow = 1", "now"),
        ] {
            let error = read("foreign", rest).unwrap_err();
            assert!(error.contains(said), "{rest}: {error}");
        }
        let long = format!("[tools.now]\ndescription = \"{}\"", "x".repeat(8193));
        assert!(read("foreign", &long).is_err());
    }

    #[test]
    fn an_abi_is_a_version_or_foreign_and_is_written_as_it_is_read() {
        for text in ["0.1", "0.2", "12.34", "foreign"] {
            assert_eq!(text.parse::<Abi>().unwrap().to_string(), text);
        }
        for text in ["", "Foreign", "foreign ", "0", "0.1.0", "v0.1"] {
            assert!(text.parse::<Abi>().is_err(), "{text}");
        }
        // Nothing of ours is older than what has no version.
        assert!(Abi::Foreign < Abi::SUPPORTED[0]);
    }
}
