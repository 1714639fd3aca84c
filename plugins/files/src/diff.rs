//! What changed, bounded, for the model and the person alike.

use std::fmt::Write as _;

use similar::algorithms::{Capture, Replace, myers};
use similar::{DiffOp, DiffTag};

use crate::text;

const MAX_LINES: usize = 200;
const MAX_CHARACTERS: usize = 8000;
const MAX_LINE: usize = 400;
/// Comparing costs lines times changes: past this many differing lines on a side only the
/// numbers are said.
const MAX_COMPARED: usize = 3000;

/// A unified diff of two versions, cut at a bound, or one line when there is nothing to show.
pub(crate) fn render(name: &str, old: &str, new: &str) -> String {
    if old == new {
        return "(no change)".to_owned();
    }
    let (removed, added) = differing(old, new);
    if removed.max(added) > MAX_COMPARED {
        return format!("(diff left out: {removed} lines replaced by {added})");
    }
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    // One algorithm on one type: the crate's convenient entry would bring in half a megabyte of them.
    let mut capture = Replace::new(Capture::new());
    let found = myers::diff_deadline_raw(
        &mut capture,
        &old[..],
        0..old.len(),
        &new[..],
        0..new.len(),
        None,
    );
    let Ok(()) = found;
    let mut text = format!("--- a/{name}\n+++ b/{name}");
    for group in capture.into_inner().into_grouped_ops(3) {
        hunk(&group, &old, &new, &mut text);
    }
    bounded(&text)
}

/// One group of changes with its surroundings.
fn hunk(group: &[DiffOp], old: &[&str], new: &[&str], text: &mut String) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return;
    };
    let before = first.old_range().start..last.old_range().end;
    let after = first.new_range().start..last.new_range().end;
    // An empty side is named by the line in front of it.
    let start = |range: &std::ops::Range<usize>| range.start + usize::from(!range.is_empty());
    write!(
        text,
        "\n@@ -{},{} +{},{} @@",
        start(&before),
        before.len(),
        start(&after),
        after.len()
    )
    .expect("writing to a string");
    for op in group {
        let mut push = |mark: char, line: &str| {
            let line = line.trim_end_matches(['\n', '\r']);
            write!(text, "\n{mark}{line}").expect("writing to a string");
        };
        match op.tag() {
            DiffTag::Equal => old[op.old_range()].iter().for_each(|line| push(' ', line)),
            _ => {
                old[op.old_range()].iter().for_each(|line| push('-', line));
                new[op.new_range()].iter().for_each(|line| push('+', line));
            }
        }
    }
}

/// Lines of each version between their common start and common end.
fn differing(old: &str, new: &str) -> (usize, usize) {
    let old: Vec<&str> = old.split('\n').collect();
    let new: Vec<&str> = new.split('\n').collect();
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[start..], &new[start..]);
    let pairs = old.iter().rev().zip(new.iter().rev());
    let end = pairs.take_while(|(a, b)| a == b).count();
    (old.len() - end, new.len() - end)
}

fn bounded(diff: &str) -> String {
    let total = diff.lines().count();
    let mut kept = String::new();
    let mut characters = 0;
    for (index, line) in diff.lines().enumerate() {
        let (line, dots) = text::cut(line, MAX_LINE);
        characters += line.chars().count() + 1;
        if index == MAX_LINES || characters > MAX_CHARACTERS {
            let left = total - index;
            return format!("{kept}\n[diff cut: {left} more lines]");
        }
        if index > 0 {
            kept.push('\n');
        }
        kept.push_str(line);
        kept.push_str(dots);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_change_with_its_surroundings() {
        let text = render("f", "a\nb\nc\n", "a\nB\nc\n");
        assert_eq!(text, "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c");
        assert_eq!(render("f", "a", "a"), "(no change)");
    }

    #[test]
    fn is_bounded() {
        let lines = |word: &str| {
            (0..1000)
                .map(|n| format!("{word}{n}\n"))
                .collect::<String>()
        };
        let text = render("f", &lines("a"), &lines("b"));
        assert!(text.ends_with("more lines]"), "{text}");
        assert!(text.lines().count() <= MAX_LINES + 1);
        let wide = render("f", &"x".repeat(100_000), &"y".repeat(100_000));
        assert!(wide.chars().count() < 2000);
        let many = |word: &str| format!("{word}\n").repeat(MAX_COMPARED + 1);
        assert!(render("f", &many("a"), &many("b")).contains("diff left out"));
    }

    #[test]
    fn a_small_change_in_a_large_file_is_shown() {
        let old = "line\n".repeat(100_000);
        let new = format!("{old}more\n");
        assert!(render("f", &old, &new).ends_with("+more"));
    }
}
