//! The folder of a new plugin.

use std::fs;
use std::path::{Path, PathBuf};

use ml_intern_manifest::{Kind, PluginId};

use crate::error::Error;
use crate::language::Language;
use crate::sdk::{self, write_file};

/// The publisher of a plugin whose author named none.
const PUBLISHER: &str = "local";

/// Writes a plugin that builds, tests and runs as it is, with the SDK of its language, into
/// `folder`, which is new or empty. `name` is `NAME` or `PUBLISHER/NAME`. The answer is the files
/// of the author's own, by path below the folder.
///
/// # Errors
/// [`Error::Name`], [`Error::Exists`], or a file that cannot be written.
pub fn scaffold(
    folder: &Path,
    name: &str,
    language: Language,
    kind: Kind,
) -> Result<Vec<PathBuf>, Error> {
    let id = id(name)?;
    let template = sdk::template(language, kind.as_str());
    if template.is_empty() {
        return Err(Error::Name(format!(
            "there is no template of a {kind} in {language}"
        )));
    }
    if folder.exists() {
        let mut entries = fs::read_dir(folder).map_err(Error::file("read", folder))?;
        if entries.next().is_some() {
            return Err(Error::Exists {
                folder: folder.to_owned(),
            });
        }
    }
    let mut written = Vec::new();
    for (path, content) in template {
        let content = filled(content, &id);
        write_file(&folder.join(path), &content)?;
        written.push(PathBuf::from(path));
    }
    write_file(&folder.join(".gitignore"), b"/build/\n")?;
    sdk::write(folder, language)?;
    Ok(written)
}

fn id(name: &str) -> Result<PluginId, Error> {
    let full = match name.contains('/') {
        true => name.to_owned(),
        false => format!("{PUBLISHER}/{name}"),
    };
    full.parse().map_err(|_| {
        Error::Name(format!(
            "a plugin's name has lower-case letters, digits and dashes, as `csv-tools` or \
             `acme/csv-tools`, not `{name}`"
        ))
    })
}

/// A template with what is the plugin's own in the place of `{{id}}`, `{{name}}` (`word-count`),
/// `{{ident}}` (`word_count`) and `{{Type}}` (`WordCount`).
fn filled(content: &[u8], id: &PluginId) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(content) else {
        return content.to_owned();
    };
    let name = id.name();
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{rest}", first.to_uppercase())
    };
    let camel: String = name.split('-').map(capital).collect();
    // A name may begin with a digit, and nothing in a language may.
    let ident = match name.as_bytes().first() {
        Some(b'0'..=b'9') => format!("p_{}", name.replace('-', "_")),
        _ => name.replace('-', "_"),
    };
    let camel = match camel.as_bytes().first() {
        Some(b'0'..=b'9') => format!("P{camel}"),
        _ => camel,
    };
    text.replace("{{id}}", &id.to_string())
        .replace("{{name}}", name)
        .replace("{{ident}}", &ident)
        .replace("{{Type}}", &camel)
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_where_it_belongs() {
        let id: PluginId = "acme/word-count".parse().unwrap();
        let text = filled(b"{{id}} {{name}} {{ident}} {{Type}} {{{other}}}", &id);
        let expected = b"acme/word-count word-count word_count WordCount {{{other}}}";
        assert_eq!(text, expected);
        let id: PluginId = "acme/2-words".parse().unwrap();
        assert_eq!(filled(b"{{ident}} {{Type}}", &id), b"p_2_words P2Words");
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.md"), "mine").unwrap();
        let error = scaffold(folder.path(), "x", Language::Rust, Kind::Tool).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "Word", "a b", "../x", "a/b/c", "ä"] {
            let error = scaffold(folder.path(), name, Language::Rust, Kind::Tool).unwrap_err();
            assert!(matches!(error, Error::Name(_)), "{name}: {error}");
        }
    }
}
