//! Finding the text that an edit means, and replacing exactly that.
//!
//! An exact hit counts first. Otherwise both texts are simplified, in steps from careful to
//! generous, and a hit in the simplified content is mapped back to the original character by
//! character: nothing outside the hit changes. Ambiguity is counted in the same simplified text.

mod indent;
mod simplify;

use std::fmt::Write as _;
use std::ops::Range;

use serde::Deserialize;

use crate::text;
use simplify::{Level, Simplified};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    #[default]
    Replace,
    AppendAfter,
    PrependBefore,
    /// The same as `replace` with `replace_all`.
    ReplaceAll,
}

#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) old: &'a str,
    pub(crate) new: &'a str,
    pub(crate) mode: Mode,
    pub(crate) all: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edited {
    pub(crate) text: String,
    pub(crate) count: usize,
    /// How the hit was found, when it was not exact.
    pub(crate) note: Option<&'static str>,
}

/// Applies a change to a text.
///
/// # Errors
///
/// In words for the model: not found, ambiguous, or indentation that cannot be carried over.
pub(crate) fn apply(content: &str, change: &Change) -> Result<Edited, String> {
    if change.old.is_empty() {
        return fill_empty(content, change);
    }
    // The model sees lines without their `\r`; what it sends back is put into the file's own style.
    let new = with_line_ends(change.new, content);
    let exact = occurrences(content, change.old);
    if !exact.is_empty() {
        return replace(content, change, &exact, None, |_| Ok(new.clone()));
    }
    for level in Level::ALL {
        let simple = Simplified::of(content, level);
        let Some(old) = simplify::needle(change.old, level) else {
            continue;
        };
        let mut hits = simple.find(&old);
        if hits.is_empty() {
            continue;
        }
        if level.drops_indentation() {
            indent::include(content, &mut hits);
        }
        let places = numbered(content, &hits);
        if hits.len() > 1 && !change.all && change.mode != Mode::ReplaceAll {
            return Err(ambiguous(hits.len(), &places));
        }
        return replace(content, change, &hits, level.note(), |hit| {
            let fresh = match level.drops_indentation() {
                true => indent::carry_over(content, hit, change)?,
                false => change.new.to_owned(),
            };
            Ok(with_line_ends(&fresh, content))
        });
    }
    Err(not_found(content, change.old))
}

fn fill_empty(content: &str, change: &Change) -> Result<Edited, String> {
    if !content.is_empty() {
        return Err(
            "old_str is empty, which only fits an empty file; give the text to replace".to_owned(),
        );
    }
    Ok(Edited {
        text: change.new.to_owned(),
        count: 1,
        note: None,
    })
}

/// Puts `fresh(hit)` in place of, after or before each hit.
fn replace(
    content: &str,
    change: &Change,
    hits: &[Range<usize>],
    note: Option<&'static str>,
    fresh: impl Fn(&Range<usize>) -> Result<String, String>,
) -> Result<Edited, String> {
    let all = change.all || change.mode == Mode::ReplaceAll;
    let replacing = matches!(change.mode, Mode::Replace | Mode::ReplaceAll);
    if hits.len() > 1 && !all && replacing {
        return Err(ambiguous(hits.len(), &numbered(content, hits)));
    }
    let hits = if all { hits } else { &hits[..1] };
    let mut text = String::with_capacity(content.len() + hits.len() * change.new.len());
    let mut end = 0;
    for hit in hits {
        text.push_str(&content[end..hit.start]);
        let (old, new) = (&content[hit.clone()], fresh(hit)?);
        match change.mode {
            Mode::Replace | Mode::ReplaceAll => text.push_str(&new),
            Mode::AppendAfter => text.extend([old, &new]),
            Mode::PrependBefore => text.extend([new.as_str(), old]),
        }
        end = hit.end;
    }
    text.push_str(&content[end..]);
    Ok(Edited {
        text,
        count: hits.len(),
        note,
    })
}

fn occurrences(content: &str, old: &str) -> Vec<Range<usize>> {
    let starts = content.match_indices(old);
    starts.map(|(start, _)| start..start + old.len()).collect()
}

/// `new` with the line ends that most lines of `content` have.
fn with_line_ends(new: &str, content: &str) -> String {
    let pairs = content.matches("\r\n").count();
    let bare = content.matches('\n').count() - pairs;
    if pairs <= bare {
        return new.to_owned();
    }
    new.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// Line numbers of the first hits.
fn numbered(content: &str, hits: &[Range<usize>]) -> String {
    const NAMED: usize = 5;
    let mut text = String::new();
    for hit in hits.iter().take(NAMED) {
        let line = content[..hit.start].matches('\n').count() + 1;
        let comma = if text.is_empty() { "" } else { ", " };
        write!(text, "{comma}{line}").expect("writing to a string");
    }
    if hits.len() > NAMED {
        text.push_str(", …");
    }
    text
}

fn ambiguous(count: usize, lines: &str) -> String {
    format!(
        "old_str matches {count} places (lines {lines}); add surrounding lines until it is unique, \
         or set replace_all"
    )
}

/// Points to the line that the first line of `old` nearly is.
fn not_found(content: &str, old: &str) -> String {
    let mut reason = "old_str was not found; it must match the file including whitespace. \
                      Read the file again and copy the text without line numbers"
        .to_owned();
    let first = text::lines(old)
        .map(str::trim)
        .find(|line| !line.is_empty());
    if let Some(first) = first
        && let Some(index) = text::lines(content).position(|line| line.trim() == first)
    {
        let line = index + 1;
        write!(
            reason,
            " (its first line is like line {line}, what follows differs)"
        )
        .expect("writing to a string");
    }
    reason
}

#[cfg(test)]
mod tests;
