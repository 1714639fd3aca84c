//! `credentials.toml`: where the user keeps which credential. Never a value.
//!
//! ```toml
//! [openai]
//! env = "WORK_OPENAI_KEY"
//!
//! [hf]
//! store = "keyring"
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};
use toml_edit::{DocumentMut, Item, Table};

use crate::document;
use crate::error::Error;
use crate::grant::is_variable;
use crate::plugin_ref::{is_name, shorten};

/// The first line of a file that the host begins.
const HEADING: &str = "# Where credentials are kept; no values. `ml-intern login NAME` adds one.\n";

/// Where one credential is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawOrigin")]
pub enum CredentialOrigin {
    /// In this environment variable.
    Variable(String),
    /// In this file of the user's; an absolute path.
    File(PathBuf),
    /// In the key store of the operating system.
    KeyStore,
    /// In the host's own folder of credentials.
    OwnFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOrigin {
    env: Option<String>,
    file: Option<PathBuf>,
    store: Option<Store>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Store {
    Keyring,
    File,
}

impl TryFrom<RawOrigin> for CredentialOrigin {
    type Error = String;

    fn try_from(raw: RawOrigin) -> Result<Self, String> {
        match (raw.env, raw.file, raw.store) {
            (Some(name), None, None) if is_variable(&name) => Ok(Self::Variable(name)),
            // Not shown: somebody may have written the value itself.
            (Some(_), None, None) => Err(
                "not the name of an environment variable; write its name, such as OPENAI_API_KEY, and not its value"
                    .to_owned(),
            ),
            (None, Some(path), None) if path.is_absolute() => Ok(Self::File(path)),
            (None, Some(path), None) => Err(format!(
                "`{}` is a relative path; write an absolute one",
                shorten(&path.to_string_lossy())
            )),
            (None, None, Some(Store::Keyring)) => Ok(Self::KeyStore),
            (None, None, Some(Store::File)) => Ok(Self::OwnFile),
            (None, None, None) => {
                Err("no place is named; write one of `env`, `file` and `store`".to_owned())
            }
            _ => Err("more than one of `env`, `file` and `store` is given; keep one".to_owned()),
        }
    }
}

impl CredentialOrigin {
    fn key(&self) -> (&'static str, String) {
        match self {
            Self::Variable(name) => ("env", name.clone()),
            Self::File(path) => ("file", path.display().to_string()),
            Self::KeyStore => ("store", "keyring".to_owned()),
            Self::OwnFile => ("store", "file".to_owned()),
        }
    }
}

impl fmt::Display for CredentialOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::KeyStore => f.write_str("key store"),
            Self::OwnFile => f.write_str("file store"),
        }
    }
}

/// The whole of a `credentials.toml`: a table for each credential, named as in plugin manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialMap(BTreeMap<String, CredentialOrigin>);

impl<'de> Deserialize<'de> for CredentialMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, CredentialOrigin>::deserialize(deserializer)?;
        match map.keys().find(|name| !is_name(name)) {
            Some(name) => Err(de::Error::custom(bad_name(name))),
            None => Ok(Self(map)),
        }
    }
}

fn bad_name(name: &str) -> String {
    format!(
        "`{}` cannot name a credential; write lower-case letters, digits and dashes, at most 64, as in the plugin's manifest",
        shorten(name)
    )
}

impl CredentialMap {
    /// Reads a `credentials.toml`; `file` is the path that errors show.
    ///
    /// # Errors
    /// When the text is no TOML, or says something else than where credentials are.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        document::parse(file, text)
    }

    /// Where the credential is kept, if the user said so.
    pub fn get(&self, name: &str) -> Option<&CredentialOrigin> {
        self.0.get(name)
    }

    /// All that are kept somewhere, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &CredentialOrigin)> {
        self.0.iter().map(|(name, origin)| (name.as_str(), origin))
    }
}

/// Checks what a user types as the name of a credential.
///
/// # Errors
/// When no plugin manifest could name a credential so.
pub fn check_credential_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        Ok(())
    } else {
        Err(Error::value(bad_name(name)))
    }
}

/// The text of a `credentials.toml` that also says where `name` is kept; everything else in it stays.
///
/// # Errors
/// When the text does not parse, or would not any more.
pub fn set_credential(
    file: &str,
    text: &str,
    name: &str,
    origin: &CredentialOrigin,
) -> Result<String, Error> {
    check_credential_name(name)?;
    let mut document = open(file, text)?;
    let (key, value) = origin.key();
    let mut table = Table::new();
    table.insert(key, Item::Value(value.into()));
    document.insert(name, Item::Table(table));
    let written = document.to_string();
    CredentialMap::parse(file, &written)?;
    Ok(if text.trim().is_empty() {
        format!("{HEADING}\n{written}")
    } else {
        written
    })
}

/// The text without the credential, and whether it was there.
///
/// # Errors
/// When the text does not parse.
pub fn remove_credential(file: &str, text: &str, name: &str) -> Result<(String, bool), Error> {
    let mut document = open(file, text)?;
    let removed = document.remove(name).is_some();
    Ok((document.to_string(), removed))
}

/// Read as what it is first: those errors have places.
fn open(file: &str, text: &str) -> Result<DocumentMut, Error> {
    CredentialMap::parse(file, text)?;
    text.parse()
        .map_err(|error: toml_edit::TomlError| Error::value(format!("{file}: {}", error.message())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CredentialMap, String> {
        CredentialMap::parse("credentials.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_credential_has_one_place() {
        let map = parse(
            "[openai]\nenv = \"KEY\"\n[hf]\nstore = \"keyring\"\n[a-1]\nstore = \"file\"\n[b]\nfile = \"/run/b\"\n",
        )
        .unwrap();
        assert_eq!(
            map.get("openai"),
            Some(&CredentialOrigin::Variable("KEY".into()))
        );
        assert_eq!(map.get("hf"), Some(&CredentialOrigin::KeyStore));
        assert_eq!(map.get("a-1"), Some(&CredentialOrigin::OwnFile));
        assert_eq!(map.get("b"), Some(&CredentialOrigin::File("/run/b".into())));
        assert_eq!(map.get("c"), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, says) in [
            ("[hf]\nvalue = \"x\"\n", "unknown key `value`"),
            ("[hf]\n", "no place is named"),
            ("[hf]\nenv = \"A\"\nstore = \"file\"\n", "keep one"),
            (
                "[hf]\nenv = \"A-B\"\n",
                "not the name of an environment variable",
            ),
            ("[hf]\nfile = \"token\"\n", "a relative path"),
            (
                "[hf]\nstore = \"clip-board\"\n",
                "unknown value `clip-board`",
            ),
            ("[HF]\nenv = \"A\"\n", "cannot name a credential"),
            ("hf = 1\n", "credentials.toml:1:"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains(says) && error.contains("credentials.toml:"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn an_edit_changes_one_credential_only() {
        let first = set_credential("f", "", "hf", &CredentialOrigin::KeyStore).unwrap();
        assert!(first.starts_with("# Where credentials"), "{first}");
        let text = format!("{first}\n# mine\n[other] # keep\nenv = \"X\"\n");
        let text =
            set_credential("f", &text, "hf", &CredentialOrigin::File("/a b".into())).unwrap();
        assert_eq!(
            parse(&text).unwrap().get("hf"),
            Some(&CredentialOrigin::File("/a b".into()))
        );
        assert!(text.contains("# mine\n[other] # keep"), "{text}");
        let (text, removed) = remove_credential("f", &text, "hf").unwrap();
        assert!(removed && text.contains("[other] # keep"), "{text}");
        assert_eq!(parse(&text).unwrap().iter().count(), 1);
        assert!(!remove_credential("f", &text, "hf").unwrap().1);
        assert!(set_credential("f", "x = 1", "hf", &CredentialOrigin::KeyStore).is_err());
        assert!(set_credential("f", "", "../hf", &CredentialOrigin::KeyStore).is_err());
    }
}
