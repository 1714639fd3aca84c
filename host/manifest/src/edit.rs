//! Edits of `ml-intern.toml` that leave the user's comments and order alone.

use toml_edit::{DocumentMut, Item, Table};

use crate::error::Error;
use crate::grant::Grant;
use crate::run_manifest::{EntryName, RunManifest, Section};
use crate::source::Source;

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
        return Err(Error::value(format!(
            "{file}: `{}` is not a table; write [{}]",
            section.as_str(),
            section.path(&name)
        )));
    };
    if entries.contains_key(&name) {
        return Err(Error::value(format!(
            "{file} already has [{}]; remove it first, or choose another name",
            section.path(&name)
        )));
    }
    let mut entry = Table::new();
    entry.insert("source", Item::Value(source.to_string().into()));
    let lines = grant.toml_lines();
    if !lines.is_empty() {
        let grant: DocumentMut = lines
            .join("\n")
            .parse()
            .expect("a grant is written as TOML");
        entry.insert("grant", Item::Table(grant.as_table().clone()));
    }
    entries.insert(&name, Item::Table(entry));
    finish(file, &document)
}

/// The text with the grant of an entry replaced. A builtin plugin that the file does not list gets
/// an entry. An empty grant is written too: it allows nothing, where none at all would leave a
/// builtin plugin what it asks for.
///
/// # Errors
/// When the text does not parse, or the name cannot be one.
pub fn set_grant(
    file: &str,
    text: &str,
    section: Section,
    name: &str,
    grant: &Grant,
) -> Result<String, Error> {
    let EntryName(name) = EntryName::parse(name)?;
    let mut document = open(file, text)?;
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let entries = document
        .entry(section.as_str())
        .or_insert_with(implicit)
        .as_table_like_mut();
    let entry = entries.and_then(|entries| {
        entries
            .entry(&name)
            .or_insert_with(implicit)
            .as_table_like_mut()
    });
    let Some(entry) = entry else {
        return Err(Error::value(format!(
            "{file}: write [{}] as a table",
            section.path(&name)
        )));
    };
    let lines: DocumentMut = grant
        .toml_lines()
        .join("\n")
        .parse()
        .expect("a grant is written as TOML");
    entry.insert("grant", Item::Table(lines.as_table().clone()));
    finish(file, &document)
}

/// The text without the entry, and whether there was one.
///
/// # Errors
/// When the text does not parse.
pub fn remove_entry(
    file: &str,
    text: &str,
    section: Section,
    name: &str,
) -> Result<(String, bool), Error> {
    let mut document = open(file, text)?;
    let entries = document
        .get_mut(section.as_str())
        .and_then(Item::as_table_like_mut);
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
    text.parse()
        .map_err(|error: toml_edit::TomlError| Error::value(format!("{file}: {}", error.message())))
}

/// What was written must load again.
fn finish(file: &str, document: &DocumentMut) -> Result<String, Error> {
    let text = document.to_string();
    RunManifest::parse(file, &text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# my plugins\n[agent]\nmodel = \"a/b\" # the good one\n\n[plugins.files]\nsource = \"builtin:files\"\n\n[plugins.old] # gone soon\nsource = \"./old.wasm\"\n[plugins.old.grant]\ncredentials = [\"hf\"]\n\n[jobs]\nbackend = \"local\" # for now\n";

    fn grant() -> Grant {
        let text = "[plugins.a.grant]\nhttp = [{ host = \"a.org\", paths = [\"/x\"] }]\nprocess = { programs = [\"git\"] }\n";
        RunManifest::parse("x", text).unwrap().plugins[0]
            .grant
            .clone()
            .unwrap()
    }

    fn add(text: &str, name: &str, grant: &Grant) -> Result<String, Error> {
        add_entry(
            "ml-intern.toml",
            text,
            Section::Plugins,
            name,
            &Source::Local("./a.wasm".into()),
            grant,
        )
    }

    #[test]
    fn an_added_entry_loads_and_the_rest_stays() {
        let text = add(TEXT, "arxiv", &grant()).unwrap();
        for line in TEXT.lines() {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let run = RunManifest::parse("x", &text).unwrap();
        let entry = run
            .plugins
            .iter()
            .find(|entry| entry.name == "arxiv")
            .unwrap();
        assert_eq!(
            (entry.source(), entry.grant.clone()),
            (Source::Local("./a.wasm".into()), Some(grant()))
        );
        assert_eq!(run.plugins.len(), 3);
    }

    #[test]
    fn an_entry_is_added_to_an_empty_file() {
        let text = add("", "arxiv", &Grant::default()).unwrap();
        assert_eq!(text, "[plugins.arxiv]\nsource = \"./a.wasm\"\n");
        let inline = add(
            "plugins = { b = { source = \"builtin:b\" } }\n",
            "arxiv",
            &grant(),
        )
        .unwrap();
        assert_eq!(
            RunManifest::parse("x", &inline).unwrap().plugins.len(),
            2,
            "{inline}"
        );
    }

    #[test]
    fn a_removed_entry_takes_its_tables_along() {
        let (text, removed) = remove_entry("x", TEXT, Section::Plugins, "old").unwrap();
        assert!(
            removed
                && !text.contains("old")
                && text.contains("# for now")
                && text.contains("# my plugins"),
            "{text}"
        );
        assert_eq!(
            remove_entry("x", TEXT, Section::Providers, "old").unwrap(),
            (TEXT.to_owned(), false)
        );
        let added = add("", "arxiv", &grant()).unwrap();
        let (text, _) = remove_entry("x", &added, Section::Plugins, "arxiv").unwrap();
        assert_eq!(
            RunManifest::parse("x", &text).unwrap(),
            RunManifest::default()
        );
    }

    #[test]
    fn a_grant_is_replaced_where_it_stands_and_made_where_it_is_missing() {
        let set = |text: &str, name: &str, grant: &Grant| {
            set_grant("ml-intern.toml", text, Section::Plugins, name, grant).unwrap()
        };
        let text = set(TEXT, "old", &grant());
        let run = RunManifest::parse("x", &text).unwrap();
        assert_eq!(run.plugins[1].grant, Some(grant()));
        assert!(text.contains("# gone soon") && text.contains("# for now"));
        let text = set(&text, "files", &Grant::default());
        let run = RunManifest::parse("x", &text).unwrap();
        assert_eq!(run.plugins[0].grant, Some(Grant::default()), "{text}");
        let text = set("", "shell", &grant());
        let run = RunManifest::parse("x", &text).unwrap();
        assert_eq!(run.plugins[0].grant, Some(grant()), "{text}");
    }

    #[test]
    fn edits_that_cannot_load_are_refused() {
        assert!(
            add(TEXT, "files", &grant())
                .unwrap_err()
                .to_string()
                .contains("already has [plugins.files]")
        );
        assert!(
            add(TEXT, "../x", &grant())
                .unwrap_err()
                .to_string()
                .contains("cannot name a plugin")
        );
        assert!(
            add("x = 1", "a", &grant())
                .unwrap_err()
                .to_string()
                .contains("unknown key")
        );
    }
}
