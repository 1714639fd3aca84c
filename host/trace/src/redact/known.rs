//! Values that the host knows, in every spelling that it was told.

use super::escaped;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use zeroize::Zeroizing;

/// Shorter ones are too common in ordinary text; as many bytes are looked at in one step.
pub(super) const SHORTEST: usize = 8;
/// Bits of the filter: 8 KiB, so that it stays in the processor's first cache, and at a hundred spellings lets one
/// place in 600 through.
const BITS: u64 = 16;

/// A secret that the host knows.
pub struct KnownSecret {
    /// What the user calls it; stands in the placeholder.
    pub name: String,
    /// As it is, and encoded in the ways in which it may turn up. Those of fewer than 8 bytes are not looked for.
    pub spellings: Vec<Zeroizing<Vec<u8>>>,
}

struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    placeholder: String,
}

/// Finds all spellings of all secrets in one pass, whose cost does not grow with their number.
///
/// Not one of the usual automata: those copy what they look for into tables that nobody overwrites.
#[derive(Default)]
pub(super) struct Known {
    /// Longest first, so that the first that fits is the one to take.
    needles: Vec<Needle>,
    /// Needles by their first eight bytes.
    by_head: BTreeMap<u64, Vec<usize>>,
    /// A bit for the hash of each head.
    filter: Vec<u64>,
}

impl Known {
    pub(super) fn new(secrets: impl IntoIterator<Item = KnownSecret>) -> Self {
        let mut known = Self::default();
        for secret in secrets {
            let placeholder = format!("[REDACTED:{}]", secret.name);
            for bytes in secret.spellings {
                if bytes.len() >= SHORTEST && std::str::from_utf8(&bytes).is_ok() {
                    let placeholder = placeholder.clone();
                    known.needles.push(Needle { bytes, placeholder });
                }
            }
        }
        known
            .needles
            .sort_by_key(|needle| std::cmp::Reverse(needle.bytes.len()));
        known.filter = vec![0; 1 << (BITS - 6)];
        for (index, needle) in known.needles.iter().enumerate() {
            let head = head(&needle.bytes);
            let (word, bit) = place(head);
            known.filter[word] |= bit;
            known.by_head.entry(head).or_default().push(index);
        }
        known
    }

    /// The text without the secrets; borrowed where it holds none.
    pub(super) fn replace<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.found(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for Found { range, placeholder } in found {
            clean.push_str(&text[done..range.start]);
            clean.push_str(placeholder);
            done = range.end;
        }
        clean.push_str(&text[done..]);
        Cow::Owned(clean)
    }

    /// Where the text has to be cut so that no secret begins before and ends after it, whatever follows.
    pub(super) fn safe_end(&self, text: &str) -> usize {
        if self.needles.is_empty() {
            return text.len();
        }
        let mut end = text.len() - self.open_end(text.as_bytes());
        for reading in escaped::readings(text) {
            let closed = reading.closed();
            let open = closed.len() - self.open_end(closed);
            end = end.min(reading.source(open..open).start);
        }
        // One that is complete may share its end with the next.
        let found = self.found(text).into_iter();
        let mut across = found.filter(|found| found.range.start < end && end < found.range.end);
        across.next().map_or(end, |found| found.range.start)
    }

    /// Length of the longest end of `text` with which a secret could begin.
    fn open_end(&self, text: &[u8]) -> usize {
        let begins = |needle: &Needle| {
            let most = text.len().min(needle.bytes.len() - 1);
            let fits = |length: &usize| needle.bytes.starts_with(&text[text.len() - length..]);
            (1..=most).rev().find(fits).unwrap_or(0)
        };
        self.needles.iter().map(begins).max().unwrap_or(0)
    }

    /// What stands for secrets in any reading of the text, in order; what overlaps is one.
    fn found(&self, text: &str) -> Vec<Found<'_>> {
        if self.needles.is_empty() {
            return Vec::new();
        }
        let mut all = self.within(text.as_bytes());
        for reading in escaped::readings(text) {
            let within = self.within(&reading.bytes).into_iter();
            all.extend(within.map(|found| Found {
                range: reading.source(found.range),
                ..found
            }));
        }
        all.sort_by_key(|found| found.range.start);
        all.dedup_by(|next, before| {
            let same = next.range.start < before.range.end;
            if same {
                before.range.end = before.range.end.max(next.range.end);
            }
            same
        });
        all
    }

    /// The secrets in these bytes, at each place the longest. They are UTF-8, so that their ends are borders of
    /// characters.
    fn within(&self, bytes: &[u8]) -> Vec<Found<'_>> {
        let mut all = Vec::new();
        for (at, window) in bytes.windows(SHORTEST).enumerate() {
            let head = head(window);
            let (word, bit) = place(head);
            if self.filter[word] & bit == 0 {
                continue;
            }
            let candidates = self.by_head.get(&head).into_iter().flatten();
            let mut candidates = candidates.map(|index| &self.needles[*index]);
            if let Some(needle) = candidates.find(|needle| bytes[at..].starts_with(&needle.bytes)) {
                all.push(Found {
                    range: at..at + needle.bytes.len(),
                    placeholder: &needle.placeholder,
                });
            }
        }
        all
    }
}

/// Where a secret stands, and what takes its place.
struct Found<'a> {
    range: Range<usize>,
    placeholder: &'a str,
}

/// The first eight bytes, as a number.
fn head(bytes: &[u8]) -> u64 {
    let first = bytes.first_chunk::<SHORTEST>();
    u64::from_le_bytes(*first.expect("only as many bytes or more are asked about"))
}

/// Word and bit of the filter. Multiplying by 2^64 divided by the golden ratio spreads what text has in common.
fn place(head: u64) -> (usize, u64) {
    let hash = head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(values: &[&str]) -> Known {
        Known::new(values.iter().map(|value| KnownSecret {
            name: value[..2].to_owned(),
            spellings: vec![Zeroizing::new(value.as_bytes().to_vec())],
        }))
    }

    #[test]
    fn every_occurrence_is_replaced_and_nothing_else() {
        let known = known(&["aa-secret-1", "bb-ünïcode-geheim", "shorter"]);
        for (text, clean) in [
            ("", ""),
            ("aa-secret-", "aa-secret-"),
            ("aa-secret-1", "[REDACTED:aa]"),
            ("xaa-secret-1aa-secret-1é", "x[REDACTED:aa][REDACTED:aa]é"),
            ("ébb-ünïcode-geheim!", "é[REDACTED:bb]!"),
            ("aa-secraa-secret-1", "aa-secr[REDACTED:aa]"),
            ("shorter", "shorter"),
        ] {
            assert_eq!(known.replace(text), clean);
        }
    }

    #[test]
    fn of_secrets_that_begin_alike_the_longest_is_taken() {
        let known = known(&["aalonger-secret", "aalonger-secret-and-more"]);
        assert_eq!(known.replace("aalonger-secret-and-more."), "[REDACTED:aa].");
        assert_eq!(known.replace("aalonger-secret-and"), "[REDACTED:aa]-and");
    }

    #[test]
    fn secrets_that_overlap_are_gone_to_the_end_of_the_last() {
        let known = known(&["aa-secret-bb-key", "bb-key-geheim", "geheim-cc"]);
        assert_eq!(
            known.replace("aa-secret-bb-key-geheim-cc-dd"),
            "[REDACTED:aa]-dd"
        );
    }

    /// The text with every `every`th byte escaped.
    fn escaped(text: &str, every: usize, escape: impl Fn(u8) -> String) -> String {
        let bytes = text.bytes().enumerate();
        let each = bytes.map(|(at, byte)| match at % every {
            0 => escape(byte),
            _ => char::from(byte).to_string(),
        });
        each.collect()
    }

    #[test]
    fn escapes_hide_nothing() {
        let known = known(&["aa-se/cret-1"]);
        let spellings: [fn(u8) -> String; 6] = [
            |byte| format!("%{byte:02x}"),
            |byte| format!("%25{byte:02X}"),
            |byte| format!("\\u00{byte:02x}"),
            |byte| format!("\\\\u00{byte:02X}"),
            |byte| format!("\\u{byte:04x}"),
            |byte| char::from(byte).to_string().replace('/', "\\/"),
        ];
        for (number, spelling) in spellings.into_iter().enumerate() {
            for every in 1..4 {
                let text = escaped("aa-se/cret-1", every, spelling);
                for (before, after) in [("", ""), ("é=", "ü"), ("100%\\n", "%\\"), ("%41\\n", "%4")]
                {
                    let clean = known
                        .replace(&format!("{before}{text}{after}"))
                        .into_owned();
                    assert_eq!(
                        clean,
                        format!("{before}[REDACTED:aa]{after}"),
                        "{number}: {text}"
                    );
                }
            }
        }
        for text in [
            "%",
            "\\",
            "%4",
            "\\u00",
            "aa%2dsecret",
            "%c3%a9 \\u00e9",
            "100% \\n",
        ] {
            assert!(matches!(known.replace(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_text_is_cut_where_no_secret_can_be() {
        let known = known(&["aa-secret-aa", "aa-secret-1"]);
        for (text, safe) in [
            ("text aa-secret-", "text "),
            ("text a", "text "),
            ("aa-secret-1", "aa-secret-1"),
            ("", ""),
            // The end may be the beginning of another.
            ("text aa-secret-aa", "text "),
            ("text aa%2", "text "),
            ("text aa%2dsec", "text "),
            ("text %252", "text "),
            ("text aa\\u002dsec\\", "text "),
            ("100%.", "100%."),
        ] {
            assert_eq!(&text[..known.safe_end(text)], safe, "{text}");
        }
    }
}
