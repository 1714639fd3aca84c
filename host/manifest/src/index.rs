//! An index: a list of plugins that a search looks through. A plain file of TOML, wherever its maker puts it.

use serde::Deserialize;

use crate::document;
use crate::error::Error;
use crate::plugin_manifest::{Kind, line, version};
use crate::plugin_ref::PluginId;
use crate::source::Source;

/// Bytes of an index: some ten thousand plugins.
const MAX_BYTES: usize = 4 << 20;

/// The whole of an index.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Its plugins, in its order: tables `[[plugin]]`.
    #[serde(default, rename = "plugin")]
    pub plugins: Vec<Listed>,
}

/// A plugin that an index lists. It is a hint where to look: what is true of a plugin says its component.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listed {
    /// Publisher and name.
    pub id: PluginId,
    /// One line, at most 512 bytes.
    #[serde(deserialize_with = "description")]
    pub description: String,
    /// Where it is.
    pub source: Source,
    /// What it is for.
    pub kinds: Vec<Kind>,
    /// Its newest version.
    #[serde(default, deserialize_with = "some_version")]
    pub version: Option<semver::Version>,
    /// SPDX expression.
    #[serde(default)]
    pub license: Option<String>,
    /// Its publisher's `minisign` key.
    #[serde(default)]
    pub public_key: Option<String>,
}

impl Index {
    /// Parses `text`; `file` is the path or source that errors show.
    ///
    /// # Errors
    /// Where it is no index, with the position.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        document::parse_up_to(file, text, MAX_BYTES)
    }
}

impl Listed {
    /// Whether a word, in lower case, is in its name or its description.
    pub fn mentions(&self, word: &str) -> bool {
        let kinds = self.kinds.iter().any(|kind| kind.as_str() == word);
        kinds || self.id.as_str().contains(word) || self.description.to_lowercase().contains(word)
    }
}

fn description<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    line(deserializer, 512)
}

fn some_version<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<semver::Version>, D::Error> {
    version(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[[plugin]]\nid = \"acme/arxiv\"\ndescription = \"Finds papers\"\nsource = \"oci://example.org/acme/arxiv:1.2.0\"\nkinds = [\"tool\"]\nversion = \"1.2.0\"\n";

    #[test]
    fn an_index_lists_plugins_and_words_find_them() {
        let index = Index::parse("index.toml", &ENTRY.repeat(2)).unwrap();
        assert_eq!(index.plugins.len(), 2);
        let one = &index.plugins[0];
        assert!(one.mentions("papers") && one.mentions("arxiv") && one.mentions("tool"));
        assert!(!one.mentions("provider"));
    }

    #[test]
    fn what_is_no_index_is_refused_with_a_position() {
        for (from, to, expected) in [
            ("oci://", "ftp://", "not a source"),
            ("acme/arxiv\"", "acme\"", "not a plugin id"),
            ("Finds papers", "Finds\\u0007", "control"),
            ("kinds", "kind", "did you mean `kinds`?"),
        ] {
            let text = ENTRY.replacen(from, to, 1);
            let error = Index::parse("index.toml", &text).unwrap_err().to_string();
            assert!(
                error.starts_with("index.toml:") && error.contains(expected),
                "{error}"
            );
        }
    }
}
