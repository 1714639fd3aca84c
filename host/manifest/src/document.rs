//! Reading a TOML document into a value, with every error placed: file, line, column, key.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Position};

/// Manifests are written by hand; a larger text is a mistake or an attack on the parser.
const MAX_BYTES: usize = 256 * 1024;

/// Parses `text`; `file` is the path that errors show.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    parse_up_to(file, text, MAX_BYTES)
}

/// As [`parse`], with another limit for the size of the text in bytes.
pub(crate) fn parse_up_to<T: DeserializeOwned>(file: &str, text: &str, max: usize) -> Result<T, Error> {
    if text.len() > max {
        return Err(Error::Document {
            position: position(file, text, 0),
            key: String::new(),
            message: format!("the file has {} bytes; at most {max} are read", text.len()),
        });
    }
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Error::Document {
            position: position(file, text, offset),
            key: key_at(text, offset),
            message: explain(error.message()),
        }
    })
}

fn position(file: &str, text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The dotted key whose value (or name) covers `offset`; empty where the text is not TOML.
fn key_at(text: &str, offset: usize) -> String {
    let Ok(root) = DeTable::parse(text) else { return String::new() };
    let mut path = String::new();
    descend_table(root.get_ref(), offset, &mut path);
    path
}

fn descend_table(table: &DeTable<'_>, offset: usize, path: &mut String) {
    // A `[header]` table's span starts at the header, and a dotted child may lie outside its
    // parent's span, so children are searched for the last one that starts before the offset.
    for (key, value) in table {
        if key.span().contains(&offset) || holds(value, offset) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key.get_ref());
            if !key.span().contains(&offset) {
                descend_value(value, offset, path);
            }
            return;
        }
    }
}

fn descend_value(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut String) {
    match value.get_ref() {
        DeValue::Table(table) => descend_table(table, offset, path),
        DeValue::Array(array) => {
            if let Some(index) = array.iter().position(|item| holds(item, offset)) {
                path.push_str(&format!("[{index}]"));
                descend_value(&array[index], offset, path);
            }
        }
        _ => {}
    }
}

/// Whether the value, or anything in it, covers the offset: the span of `[a]` is its header
/// only, and the keys below it lie outside.
fn holds(value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    if value.span().contains(&offset) {
        return true;
    }
    match value.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .any(|(key, value)| key.span().contains(&offset) || holds(value, offset)),
        DeValue::Array(array) => array.iter().any(|item| holds(item, offset)),
        _ => false,
    }
}

/// Turns serde's wording into ours: `unknown field` gets a suggestion, `missing field` says key.
fn explain(message: &str) -> String {
    let message = message.trim_end();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown("key", rest);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return unknown("value", rest);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("the key {rest} is missing");
    }
    if let Some(rest) = message.strip_prefix("invalid type: ") {
        return rest.replacen(", expected", " where this is expected:", 1);
    }
    message.to_owned()
}

/// `rest` is serde's "`found`, expected one of `a`, `b`", with every name in backticks. The found
/// name may itself hold backticks, so the list is taken from the last "expected".
fn unknown(what: &str, rest: &str) -> String {
    let Some((found, expected)) = rest.rsplit_once(", expected ") else {
        return format!("unknown {what} {rest}");
    };
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match suggestion(found.trim_matches('`'), &names) {
        Some(name) => format!("unknown {what} {found}; did you mean `{name}`?"),
        None => format!("unknown {what} {found}; expected {expected}"),
    }
}

/// The candidate close enough to `found` to be what was meant.
pub(crate) fn suggestion<'a>(found: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|name| (strsim::jaro_winkler(found, name), *name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
