//! Carrying a block's real indentation over to the text that replaces it.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Change, Mode};
use crate::text;

/// Widens hits that begin at a line's first character that is no blank to that line's start: its
/// indentation was dropped to find them and is decided anew.
pub(super) fn include(content: &str, hits: &mut [Range<usize>]) {
    for hit in hits {
        let line_start = content[..hit.start].rfind('\n').map_or(0, |at| at + 1);
        let blank_before = content[line_start..hit.start].trim().is_empty();
        if blank_before && !content[hit.start..].starts_with(['\r', '\n']) {
            hit.start = line_start;
        }
    }
}

/// `change.new`, indented as the lines of `content` at `hit` are, judged by how those differ from the
/// lines of `change.old`.
///
/// # Errors
///
/// When no one rule explains the difference: the real lines, to be copied.
pub(super) fn carry_over(
    content: &str,
    hit: &Range<usize>,
    change: &Change,
) -> Result<String, String> {
    let real = &content[hit.clone()];
    let at_line_start = hit.start == 0 || content[..hit.start].ends_with('\n');
    let pairs: Vec<(&str, &str)> = text::lines(change.old)
        .zip(text::lines(real))
        .enumerate()
        .filter(|(index, (old, _))| !old.trim().is_empty() && (*index > 0 || at_line_start))
        .map(|(_, (old, real))| (indentation(old), indentation(real)))
        .collect();
    if pairs.iter().all(|(old, real)| old == real) {
        return Ok(change.new.to_owned());
    }
    let replacing = matches!(change.mode, Mode::Replace | Mode::ReplaceAll);
    let Some(rule) = Rule::explaining(&pairs).filter(|_| replacing) else {
        return Err(refusal(real));
    };
    let mut fresh = String::with_capacity(change.new.len());
    for (index, line) in change.new.split('\n').enumerate() {
        if index > 0 {
            fresh.push('\n');
        }
        // A first line that continues a line of the file stays as it is, like an empty one.
        if line.trim().is_empty() || (index == 0 && !at_line_start) {
            fresh.push_str(line);
            continue;
        }
        let old = indentation(line);
        let Some(indent) = rule.apply(old) else {
            return Err(refusal(real));
        };
        fresh.push_str(&indent);
        fresh.push_str(&line[old.len()..]);
    }
    Ok(fresh)
}

/// How the indentation that the model wrote becomes the real one.
enum Rule<'a> {
    Add(&'a str),
    Remove(&'a str),
    /// Word for word, tabs for blanks for example.
    Translate(Vec<(&'a str, &'a str)>),
}

impl<'a> Rule<'a> {
    fn explaining(pairs: &[(&'a str, &'a str)]) -> Option<Self> {
        let (old, real) = *pairs.first()?;
        if let Some(more) = real.strip_suffix(old)
            && pairs
                .iter()
                .all(|(old, real)| real.strip_prefix(more) == Some(old))
        {
            return Some(Self::Add(more));
        }
        if let Some(more) = old.strip_suffix(real)
            && pairs
                .iter()
                .all(|(old, real)| old.strip_prefix(more) == Some(real))
        {
            return Some(Self::Remove(more));
        }
        let consistent = |(old, real): &(&str, &str)| {
            let mut same = pairs.iter().filter(|(other, _)| other == old);
            same.all(|(_, other)| other == real)
        };
        pairs
            .iter()
            .all(consistent)
            .then(|| Self::Translate(pairs.to_vec()))
    }

    fn apply(&self, old: &str) -> Option<String> {
        match self {
            Self::Add(more) => Some(format!("{more}{old}")),
            Self::Remove(more) => old.strip_prefix(more).map(str::to_owned),
            Self::Translate(pairs) => {
                let found = pairs.iter().find(|(other, _)| *other == old);
                found.map(|(_, real)| (*real).to_owned())
            }
        }
    }
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn refusal(real: &str) -> String {
    const SHOWN: usize = 20;
    let mut reason =
        "old_str matches only without indentation, and how to indent new_str is not clear; \
                      send both with the file's own indentation. The lines are:"
            .to_owned();
    for line in text::lines(real).take(SHOWN) {
        let (line, dots) = text::cut(line, 400);
        write!(reason, "\n{line}{dots}").expect("writing to a string");
    }
    if text::lines(real).count() > SHOWN {
        reason.push_str("\n…");
    }
    reason
}
