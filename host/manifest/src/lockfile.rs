//! The lockfile `ml-intern.lock`: what was resolved and approved, by digest.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::digest::Digest;
use crate::document;
use crate::error::Error;
use crate::grant::toml_string;
use crate::plugin_manifest::{Abi, Kind};
use crate::plugin_ref::{PluginId, printable};
use crate::run_manifest::{EntryName, Section};
use crate::source::Source;

/// The format written and read by this program.
const VERSION: u32 = 1;

/// Larger than a run manifest: it lists every grant in words.
const MAX_BYTES: usize = 1 << 20;

/// Characters of a value in the words for a change.
const MAX_SHOWN: usize = 500;

/// Resolved plugins by section and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lockfile {
    entries: BTreeMap<(Section, String), LockEntry>,
}

/// What one name of the run manifest resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockEntry {
    /// The plugin's own id.
    pub id: PluginId,
    /// Its version.
    pub version: semver::Version,
    /// The source as the run manifest writes it.
    pub source: String,
    /// Where that led to when it was looked up: an address whose content does not change; none = a local file.
    pub resolved: Option<Source>,
    /// Digest of the component.
    pub sha256: Digest,
    /// The `minisign` public key, in base64, that its signature was checked with; none = it is not signed.
    pub signed_by: Option<String>,
    /// ABI its exports speak.
    pub abi: Abi,
    /// What it exports.
    pub kinds: Vec<Kind>,
    /// Digest of the answer to `describe`, where it has been asked.
    pub describe: Option<Digest>,
    /// What it may do, in words, as approved: [`crate::Effective::describe`].
    pub grants: Vec<String>,
}

impl Lockfile {
    /// Parses `text`; `file` is the path that errors show.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let raw: Raw = document::parse_up_to(file, text, MAX_BYTES)?;
        let sections = [
            (Section::Plugins, raw.plugins),
            (Section::Providers, raw.providers),
            (Section::Notifiers, raw.notifiers),
        ];
        let mut lockfile = Self::default();
        for (section, entries) in sections {
            for (name, entry) in entries {
                lockfile.insert(section, &name.0, entry.into());
            }
        }
        Ok(lockfile)
    }

    /// The text of the file: sorted by section and name, the same for the same content.
    pub fn render(&self) -> String {
        let mut text = format!(
            "# Written by ml-intern. Change ml-intern.toml instead.\nversion = {VERSION}\n"
        );
        for ((section, name), entry) in &self.entries {
            text.push_str(&format!("\n[{}]\n", section.path(name)));
            for (key, value) in entry.lines() {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        text
    }

    /// What is locked under this name.
    pub fn get(&self, section: Section, name: &str) -> Option<&LockEntry> {
        self.entries.get(&(section, name.to_owned()))
    }

    /// Takes an entry out; false when there was none.
    pub fn remove(&mut self, section: Section, name: &str) -> bool {
        self.entries.remove(&(section, name.to_owned())).is_some()
    }

    /// Locks an entry, in place of one of the same name.
    pub fn insert(&mut self, section: Section, name: &str, entry: LockEntry) {
        self.entries.insert((section, name.to_owned()), entry);
    }

    /// Every entry, by section and name.
    pub fn iter(&self) -> impl Iterator<Item = (Section, &str, &LockEntry)> {
        self.entries
            .iter()
            .map(|((section, name), entry)| (*section, name.as_str(), entry))
    }

    /// What is different in `other`, by section and name. Empty when nothing is.
    pub fn diff(&self, other: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (at, old) in &self.entries {
            match other.entries.get(at) {
                Some(new) => changes.extend(old.diff(at.0, &at.1, new)),
                None => changes.push(Change::new(
                    at.0,
                    &at.1,
                    "plugin",
                    Some(old.summary()),
                    None,
                )),
            }
        }
        for (at, new) in &other.entries {
            if !self.entries.contains_key(at) {
                changes.push(Change::new(
                    at.0,
                    &at.1,
                    "plugin",
                    None,
                    Some(new.summary()),
                ));
            }
        }
        changes.sort_by(|a, b| (a.section, &a.name).cmp(&(b.section, &b.name)));
        changes
    }
}

/// One difference between two lockfiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Section of the entry.
    pub section: Section,
    /// Name of the entry.
    pub name: String,
    /// The key that differs, or `plugin` for the entry as a whole.
    pub key: &'static str,
    /// What was locked; none = nothing.
    pub old: Option<String>,
    /// What is there instead; none = nothing.
    pub new: Option<String>,
}

impl Change {
    fn new(
        section: Section,
        name: &str,
        key: &'static str,
        old: Option<String>,
        new: Option<String>,
    ) -> Self {
        Self {
            section,
            name: name.to_owned(),
            key,
            old,
            new,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ", self.section.path(&self.name), self.key)?;
        // A lockfile may come with somebody else's project.
        let shown = |value: &Option<String>| value.as_ref().map(|text| printable(text, MAX_SHOWN));
        match (shown(&self.old), shown(&self.new)) {
            (Some(old), Some(new)) => write!(f, "was {old}, is {new}"),
            (None, Some(new)) => write!(f, "added: {new}"),
            (Some(old), None) => write!(f, "removed: {old}"),
            (None, None) => f.write_str("unchanged"),
        }
    }
}

impl LockEntry {
    /// Keys and their TOML values, in the order of the file.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let list = |items: Vec<String>| match items.len() {
            0 | 1 => format!("[{}]", items.concat()),
            _ => format!(
                "[\n{}]",
                items
                    .iter()
                    .map(|item| format!("    {item},\n"))
                    .collect::<String>()
            ),
        };
        let kinds: Vec<String> = self
            .kinds
            .iter()
            .map(|kind| format!("\"{kind}\""))
            .collect();
        let mut lines = vec![
            ("id", format!("\"{}\"", self.id)),
            ("version", format!("\"{}\"", self.version)),
            ("source", toml_string(&self.source)),
        ];
        let resolved = self.resolved.as_ref();
        lines.extend(resolved.map(|source| ("resolved", toml_string(&source.to_string()))));
        lines.push(("sha256", format!("\"{}\"", self.sha256)));
        let signed_by = self.signed_by.as_ref();
        lines.extend(signed_by.map(|key| ("signed-by", toml_string(key))));
        lines.extend([
            ("abi", format!("\"{}\"", self.abi)),
            ("kinds", format!("[{}]", kinds.join(", "))),
        ]);
        lines.extend(
            self.describe
                .map(|digest| ("describe", format!("\"{digest}\""))),
        );
        lines.push((
            "grants",
            list(self.grants.iter().map(|grant| toml_string(grant)).collect()),
        ));
        lines
    }

    fn summary(&self) -> String {
        format!("{} {} from {}", self.id, self.version, self.source)
    }

    fn diff(&self, section: Section, name: &str, new: &Self) -> Vec<Change> {
        let old_lines = self.lines();
        let new_lines = new.lines();
        let value = |lines: &[(&str, String)], key: &str| {
            lines
                .iter()
                .find(|(own, _)| *own == key)
                .map(|(_, value)| value.replace('"', ""))
        };
        let keys = [
            "id",
            "version",
            "source",
            "resolved",
            "sha256",
            "signed-by",
            "abi",
            "kinds",
            "describe",
        ];
        let mut changes: Vec<Change> = keys
            .into_iter()
            .map(|key| {
                Change::new(
                    section,
                    name,
                    key,
                    value(&old_lines, key),
                    value(&new_lines, key),
                )
            })
            .filter(|change| change.old != change.new)
            .collect();
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these
                .iter()
                .filter(|grant| !those.contains(grant))
                .cloned()
                .collect()
        };
        let gone = only(&self.grants, &new.grants).into_iter();
        changes.extend(gone.map(|grant| Change::new(section, name, "grant", Some(grant), None)));
        let come = only(&new.grants, &self.grants).into_iter();
        changes.extend(come.map(|grant| Change::new(section, name, "grant", None, Some(grant))));
        changes
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "version", deserialize_with = "format_version")]
    _version: (),
    #[serde(default)]
    plugins: BTreeMap<EntryName, RawEntry>,
    #[serde(default)]
    providers: BTreeMap<EntryName, RawEntry>,
    #[serde(default)]
    notifiers: BTreeMap<EntryName, RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawEntry {
    id: PluginId,
    #[serde(deserialize_with = "crate::plugin_manifest::version")]
    version: semver::Version,
    source: String,
    resolved: Option<Source>,
    sha256: Digest,
    signed_by: Option<String>,
    abi: Abi,
    kinds: Vec<Kind>,
    describe: Option<Digest>,
    grants: Vec<String>,
}

impl From<RawEntry> for LockEntry {
    fn from(raw: RawEntry) -> Self {
        Self {
            id: raw.id,
            version: raw.version,
            source: raw.source,
            resolved: raw.resolved,
            signed_by: raw.signed_by,
            sha256: raw.sha256,
            abi: raw.abi,
            kinds: raw.kinds,
            describe: raw.describe,
            grants: raw.grants,
        }
    }
}

fn format_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match i64::deserialize(deserializer)? {
        1 => Ok(()),
        other => Err(de::Error::custom(format!(
            "this program reads lockfiles of version {VERSION}, not {other}; use the program that wrote it, or delete the file to lock anew"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> LockEntry {
        LockEntry {
            id: "acme/arxiv".parse().unwrap(),
            version: semver::Version::new(1, 2, 0),
            source: "./a \"b\"\\c.wasm".to_owned(),
            resolved: None,
            sha256: Digest::of(b"component"),
            signed_by: None,
            abi: Abi::HOST,
            kinds: vec![Kind::Tool, Kind::Notifier],
            describe: None,
            grants: vec![
                "runs programs: git".to_owned(),
                "reads files below the workspace".to_owned(),
            ],
        }
    }

    fn lockfile() -> Lockfile {
        let mut lockfile = Lockfile::default();
        lockfile.insert(
            Section::Providers,
            "openai",
            LockEntry {
                describe: Some(Digest::of(b"d")),
                grants: vec![],
                ..entry()
            },
        );
        lockfile.insert(Section::Plugins, "b", entry());
        lockfile.insert(Section::Plugins, "a_1", entry());
        lockfile
    }

    #[test]
    fn the_text_is_sorted_and_reads_back_the_same() {
        let text = lockfile().render();
        assert_eq!(
            Lockfile::parse("ml-intern.lock", &text).unwrap(),
            lockfile()
        );
        assert_eq!(
            Lockfile::parse("ml-intern.lock", &text).unwrap().render(),
            text
        );
        let tables: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(
            tables,
            ["[plugins.a_1]", "[plugins.b]", "[providers.openai]"]
        );
        assert!(
            text.contains("\ngrants = [\n    \"runs programs: git\",\n"),
            "{text}"
        );
    }

    #[test]
    fn differences_are_named() {
        let old = lockfile();
        assert_eq!(old.diff(&old), []);
        let mut new = Lockfile::default();
        new.insert(
            Section::Plugins,
            "b",
            LockEntry {
                sha256: Digest::of(b"other"),
                describe: Some(Digest::of(b"d")),
                grants: vec![
                    "runs programs: git".to_owned(),
                    "runs programs: sh".to_owned(),
                ],
                ..entry()
            },
        );
        new.insert(
            Section::Providers,
            "openai",
            old.get(Section::Providers, "openai").unwrap().clone(),
        );
        new.insert(Section::Notifiers, "n", entry());
        let lines: Vec<String> = old.diff(&new).iter().map(Change::to_string).collect();
        let (was, is) = (Digest::of(b"component"), Digest::of(b"other"));
        assert_eq!(
            lines,
            [
                "plugins.a_1: plugin removed: acme/arxiv 1.2.0 from ./a \"b\"\\c.wasm".to_owned(),
                format!("plugins.b: sha256 was {was}, is {is}"),
                format!("plugins.b: describe added: {}", Digest::of(b"d")),
                "plugins.b: grant removed: reads files below the workspace".to_owned(),
                "plugins.b: grant added: runs programs: sh".to_owned(),
                "notifiers.n: plugin added: acme/arxiv 1.2.0 from ./a \"b\"\\c.wasm".to_owned(),
            ]
        );
    }

    #[test]
    fn a_difference_shows_nothing_that_commands_a_terminal() {
        let mut new = Lockfile::default();
        let source = "./a\u{1b}]0;x\u{7}\u{202e}.wasm".to_owned();
        new.insert(Section::Plugins, "a", LockEntry { source, ..entry() });
        let line = Lockfile::default().diff(&new)[0].to_string();
        assert_eq!(
            line,
            "plugins.a: plugin added: acme/arxiv 1.2.0 from ./a\\u{1b}]0;x\\u{7}\\u{202e}.wasm"
        );
    }

    #[test]
    fn other_versions_and_unknown_keys_are_refused() {
        let text = lockfile().render();
        for (from, to, expected) in [
            (
                "version = 1",
                "version = 2",
                "ml-intern.lock:2:11: `version`: this program reads lockfiles of version 1, not 2",
            ),
            ("version = 1\n", "", "the key `version` is missing"),
            ("abi = ", "api = ", "did you mean `abi`?"),
            ("sha256:", "md5:", "not a digest"),
            ("[plugins.b]", "[plugins.\"../b\"]", "cannot name a plugin"),
            ("\"tool\"", "\"too\"", "did you mean `tool`?"),
        ] {
            let error = Lockfile::parse("ml-intern.lock", &text.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
    }
}
