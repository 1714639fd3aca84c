//! Edits of `ml-intern.toml` that leave the user's comments and order alone.

use toml_edit::{DocumentMut, Item, Table};

use crate::error::Error;
use crate::grant::Grant;
use crate::plugin_ref::Source;
use crate::run_manifest::{EntryName, RunManifest, Section};

/// The text with one more entry at its end. `file` is the path that errors show; `source` is
/// written as it is, so a relative path must be relative to the folder of the file.
///
/// # Errors
/// When the text does not parse, the name cannot be one, or an entry of that name exists.
pub fn add_entry(
    file: &str,
    text: &str,
    section: Section,
    name: &str,
    source: &Source,
    grant: &Grant,
) -> Result<String, Error> {
    let EntryName(name) = EntryName::parse(name)?;
    let mut document = open(file, text)?;
    let entries = document.entry(section.as_str()).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let Some(entries) = entries.as_table_like_mut() else {
        return Err(Error::value(format!("{file}: `{}` is not a table; write [{}]", section.as_str(), section.path(&name))));
    };
    if entries.contains_key(&name) {
        return Err(Error::value(format!("{file} already has [{}]; remove it first, or choose another name", section.path(&name))));
    }
    let mut entry = Table::new();
    entry.insert("source", Item::Value(source.to_string().into()));
    let lines = grant.toml_lines();
    if !lines.is_empty() {
        let grant: DocumentMut = lines.join("\n").parse().expect("a grant is written as TOML");
        entry.insert("grant", Item::Table(grant.as_table().clone()));
    }
    entries.insert(&name, Item::Table(entry));
    finish(file, &document)
}

/// The text without the entry, and whether there was one.
///
/// # Errors
/// When the text does not parse.
pub fn remove_entry(file: &str, text: &str, section: Section, name: &str) -> Result<(String, bool), Error> {
    let mut document = open(file, text)?;
    let entries = document.get_mut(section.as_str()).and_then(Item::as_table_like_mut);
    let Some(entries) = entries.filter(|entries| entries.contains_key(name)) else {
        return Ok((text.to_owned(), false));
    };
    entries.remove(name);
    if entries.is_empty() {
        document.remove(section.as_str());
    }
    finish(file, &document).map(|text| (text, true))
}

/// Reads the text twice: once as a run manifest, because its errors are the better ones and
/// nothing is edited that would not load, and once for editing.
fn open(file: &str, text: &str) -> Result<DocumentMut, Error> {
    RunManifest::parse(file, text)?;
    text.parse().map_err(|error: toml_edit::TomlError| Error::value(format!("{file}: {}", error.message())))
}

/// What was written must load again.
fn finish(file: &str, document: &DocumentMut) -> Result<String, Error> {
    let text = document.to_string();
    RunManifest::parse(file, &text)?;
    Ok(text)
}
