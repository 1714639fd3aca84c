//! What a plugin is called and where its component comes from.

use std::fmt;
use std::path::{Path, PathBuf};
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

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `builtin:NAME`: embedded in the binary.
    Builtin(String),
    /// A `.wasm` file, or a folder with a `plugin.toml` beside one.
    Local(PathBuf),
}

impl Source {
    /// Whether the component is part of this program, and so trusted as the program is.
    pub fn is_builtin(&self) -> bool {
        matches!(self, Self::Builtin(_))
    }

    /// Makes a relative path absolute below `folder`, the folder of the file that named it.
    #[must_use]
    pub fn based_at(self, folder: &Path) -> Self {
        match self {
            Self::Local(path) => Self::Local(folder.join(path.strip_prefix(".").unwrap_or(&path))),
            builtin => builtin,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::Local(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    /// A path must start with `./`, `../` or `/`, so that a name is never taken for a folder.
    fn from_str(text: &str) -> Result<Self, Error> {
        let kinds = "write `builtin:NAME` for a plugin that comes with the program, or a path such as `./plugin.wasm`";
        if let Some(name) = text.strip_prefix("builtin:") {
            if is_name(name) {
                return Ok(Self::Builtin(name.to_owned()));
            }
            return Err(Error::value(format!(
                "not the name of a builtin plugin: `{}`; {kinds}",
                shorten(name)
            )));
        }
        if text.chars().any(char::is_control) || text.is_empty() {
            return Err(Error::value(format!(
                "not a source: `{}`; {kinds}",
                shorten(text)
            )));
        }
        if ["./", "../", "/"]
            .iter()
            .any(|start| text.starts_with(start))
            || text == "."
            || text == ".."
        {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        if text.contains(':') {
            return Err(Error::value(format!(
                "plugins are loaded from the program itself and from local files, not from `{}`; {kinds}",
                shorten(text)
            )));
        }
        Err(Error::value(format!(
            "not a source: `{0}`; a path starts with `./`, `../` or `/`, so write `./{0}`, or `builtin:NAME`",
            shorten(text)
        )))
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
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

    #[test]
    fn sources_are_builtin_or_local() {
        assert_eq!(
            "builtin:files".parse::<Source>().unwrap(),
            Source::Builtin("files".into())
        );
        for path in ["./a.wasm", "../a", "/opt/a.wasm", ".", "./a:b.wasm"] {
            assert_eq!(path.parse::<Source>().unwrap(), Source::Local(path.into()));
            assert_eq!(path.parse::<Source>().unwrap().to_string(), path);
        }
        let based = Source::Local("./a.wasm".into()).based_at(Path::new("/home/u"));
        assert_eq!(based, Source::Local("/home/u/a.wasm".into()));
    }

    #[test]
    fn other_kinds_of_source_say_which_ones_exist() {
        for text in [
            "oci://example.org/a:1",
            "hf://a/b/c.wasm",
            "https://example.org/a.wasm#sha256=00",
            "acme:arxiv@1.0.0",
            "file:///a.wasm",
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(
                error.contains("builtin:NAME")
                    && error.contains("./plugin.wasm")
                    && error.contains(text),
                "{error}"
            );
        }
        assert!(
            "plugin.wasm"
                .parse::<Source>()
                .unwrap_err()
                .to_string()
                .contains("`./plugin.wasm`")
        );
        for text in ["", "builtin:", "builtin:../x", "builtin:A", "./a\u{1b}[2J"] {
            assert!(text.parse::<Source>().is_err(), "{text:?}");
        }
    }
}
