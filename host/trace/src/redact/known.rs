//! Values that the host knows, in every spelling that it was told.

use std::borrow::Cow;
use std::collections::BTreeMap;
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
        let mut clean = String::new();
        let mut done = 0;
        while let Some((at, needle)) = self.find(text.as_bytes(), done) {
            clean.push_str(&text[done..at]);
            clean.push_str(&needle.placeholder);
            done = at + needle.bytes.len();
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        clean.push_str(&text[done..]);
        Cow::Owned(clean)
    }

    /// Length of the longest end of `text` with which a secret could begin.
    pub(super) fn open_end(&self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let begins = |needle: &Needle| {
            let most = bytes.len().min(needle.bytes.len() - 1);
            let fits = |length: &usize| needle.bytes.starts_with(&bytes[bytes.len() - length..]);
            (1..=most).rev().find(fits).unwrap_or(0)
        };
        self.needles.iter().map(begins).max().unwrap_or(0)
    }

    /// The first secret from byte `from` on. Secrets are UTF-8, so that both ends are borders of characters.
    fn find(&self, text: &[u8], from: usize) -> Option<(usize, &Needle)> {
        if self.needles.is_empty() {
            return None;
        }
        let windows = text.get(from..)?.windows(SHORTEST).enumerate();
        for (offset, window) in windows {
            let head = head(window);
            let (word, bit) = place(head);
            if self.filter[word] & bit == 0 {
                continue;
            }
            let at = from + offset;
            let candidates = self.by_head.get(&head).into_iter().flatten();
            let mut candidates = candidates.map(|index| &self.needles[*index]);
            if let Some(needle) = candidates.find(|needle| text[at..].starts_with(&needle.bytes)) {
                return Some((at, needle));
            }
        }
        None
    }
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
    fn an_end_that_a_secret_could_begin_with_is_known() {
        let known = known(&["aa-secret-1"]);
        assert_eq!(known.open_end("text aa-secret-"), 10);
        assert_eq!(known.open_end("text a"), 1);
        assert_eq!(known.open_end("aa-secret-1"), 0);
        assert_eq!(known.open_end(""), 0);
    }
}
