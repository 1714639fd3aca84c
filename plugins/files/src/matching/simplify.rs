//! A text without the differences that an edit may overlook, and the way back to the original.

use std::ops::Range;

/// How much is overlooked, from careful to generous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// `\r\n` is `\n`.
    LineEnds,
    /// Also blanks at the end of a line.
    TrailingBlanks,
    /// Also typographic characters for their plain ones.
    Typography,
    /// Also blanks at the start of a line, but not typography.
    Indentation,
    IndentationAndTypography,
}

impl Level {
    pub(super) const ALL: [Self; 5] = [
        Self::LineEnds,
        Self::TrailingBlanks,
        Self::Typography,
        Self::Indentation,
        Self::IndentationAndTypography,
    ];

    /// What the model is told about a hit; nothing about line ends, which it never sees.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::LineEnds => None,
            Self::TrailingBlanks => Some("matched without trailing whitespace"),
            Self::Typography => Some("matched with unicode punctuation and blanks as plain ones"),
            Self::Indentation => Some("matched without indentation, which was carried over"),
            Self::IndentationAndTypography => Some(
                "matched with unicode punctuation as plain and without indentation, which was carried over",
            ),
        }
    }

    pub(super) fn drops_indentation(self) -> bool {
        matches!(self, Self::Indentation | Self::IndentationAndTypography)
    }

    fn drops_trailing(self) -> bool {
        self != Self::LineEnds
    }

    fn maps_typography(self) -> bool {
        matches!(self, Self::Typography | Self::IndentationAndTypography)
    }
}

/// What is looked for: the simplified text, and whether blanks were dropped at its edges. Such an edge
/// must lie at the edge of a line: `x = 1 ` is not the start of `x = 10`.
pub(super) struct Needle {
    text: String,
    at_line_start: bool,
    at_line_end: bool,
}

/// None when nothing but blanks would be left.
pub(super) fn needle(old: &str, level: Level) -> Option<Needle> {
    let simple = Simplified::of(old, level);
    if simple.text.trim().is_empty() {
        return None;
    }
    let first = old.chars().next().is_some_and(is_blank);
    let last = old.chars().next_back().is_some_and(is_blank);
    Some(Needle {
        at_line_start: first && level.drops_indentation(),
        at_line_end: last && level.drops_trailing(),
        text: simple.text,
    })
}

/// A simplified text and, for each of its bytes, where the character it belongs to lies in
/// the original.
pub(super) struct Simplified {
    text: String,
    origin: Vec<Range<u32>>,
}

impl Simplified {
    /// `original` is below 4 GiB: files are limited far lower.
    pub(super) fn of(original: &str, level: Level) -> Self {
        let mut simple = Self {
            text: String::with_capacity(original.len()),
            origin: Vec::with_capacity(original.len()),
        };
        let mut start = 0;
        for line in original.split_inclusive('\n') {
            simple.push_line(line, start, level);
            start += line.len();
        }
        simple
    }

    fn push_line(&mut self, line: &str, start: usize, level: Level) {
        let body = line.strip_suffix('\n').unwrap_or(line);
        let ended = body.len() < line.len();
        let bare = match ended {
            true => body.strip_suffix('\r').unwrap_or(body),
            false => body,
        };
        let kept = match level.drops_trailing() {
            true => bare.trim_end_matches(is_blank),
            false => bare,
        };
        let from = match level.drops_indentation() {
            true => kept.len() - kept.trim_start_matches(is_blank).len(),
            false => 0,
        };
        for (offset, character) in kept[from..].char_indices() {
            let at = start + from + offset;
            let plain = match level.maps_typography() {
                true => plain(character),
                false => Some(character),
            };
            if let Some(plain) = plain {
                self.push(plain, at..at + character.len_utf8());
            }
        }
        if ended {
            // The newline stands for all that was dropped before it as well only when it is itself
            // within a hit; its own place is what counts at a hit's edge.
            self.push('\n', start + bare.len()..start + line.len());
        }
    }

    fn push(&mut self, character: char, place: Range<usize>) {
        let place = place.start as u32..place.end as u32;
        self.text.push(character);
        for _ in 0..character.len_utf8() {
            self.origin.push(place.clone());
        }
    }

    /// Hits that do not overlap, as ranges of the original.
    pub(super) fn find(&self, needle: &Needle) -> Vec<Range<usize>> {
        let bytes = self.text.as_bytes();
        let edge = |at: Option<&u8>| at.is_none_or(|byte| *byte == b'\n');
        let hits = self
            .text
            .match_indices(&needle.text)
            .filter(|(start, hit)| {
                let end = start + hit.len();
                let starts =
                    !needle.at_line_start || edge(start.checked_sub(1).map(|at| &bytes[at]));
                let ends = !needle.at_line_end || edge(bytes.get(end));
                starts && ends
            });
        hits.map(|(start, hit)| {
            let last = start + hit.len() - 1;
            self.origin[start].start as usize..self.origin[last].end as usize
        })
        .collect()
    }
}

/// Whitespace that does not end a line.
fn is_blank(character: char) -> bool {
    character.is_whitespace() && character != '\n'
}

/// The plain character for a typographic one; none for those without width.
fn plain(character: char) -> Option<char> {
    match character {
        '\u{2013}' | '\u{2014}' | '\u{2212}' => Some('-'),
        '\u{2018}' | '\u{2019}' => Some('\''),
        '\u{201c}' | '\u{201d}' => Some('"'),
        '\u{a0}' | '\u{2002}' | '\u{2003}' => Some(' '),
        '\u{200b}' | '\u{feff}' => None,
        other => Some(other),
    }
}
