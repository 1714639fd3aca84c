//! Secret values: kept out of every text, found in what leaves, replaced in what comes back.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::meter::lock;

/// A secret value. Shows nothing of itself, and is overwritten when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Keeps `value` without surrounding white space.
    pub fn new(value: &str) -> Self {
        Self::from_bytes(value.trim().as_bytes().to_vec())
    }

    fn from_bytes(value: Vec<u8>) -> Self {
        Self(Zeroizing::new(value))
    }

    /// As it is, and as it may be written elsewhere: in base64 at each offset, hexadecimal,
    /// percent-encoded, and within JSON. Those of fewer than 8 bytes are left out, as they are in
    /// ordinary text.
    pub fn spellings(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let mut all = returned_spellings(&self.0);
        all.retain(|spelling| spelling.len() >= SHORTEST);
        all.into_iter().map(Zeroizing::new).collect()
    }

    /// The value itself, for whoever puts it in its place. It must be copied into nothing that is
    /// not overwritten.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Values shorter than this are too common in ordinary text to be looked for.
const SHORTEST: usize = 8;
/// Stands for a byte of a secret.
const STAR: u8 = b'*';

/// The values that no plugin may send or receive.
#[derive(Default)]
pub(crate) struct Secrets {
    values: Vec<Secret>,
    /// Finds them in what leaves. Escapes are undone before
    /// ([`crate::egress::scan::Scan`]), so that only spellings
    /// without escapes are looked for.
    leaving: Option<Leaving>,
    /// Every spelling that is replaced in what comes back.
    returned: Vec<Secret>,
    returning: Option<AhoCorasick>,
    /// Whether a spelling in `returned` begins with this byte.
    begins: Box<[bool]>,
    longest_returned: usize,
}

struct Leaving {
    exact: AhoCorasick,
    /// Hexadecimal, in which upper and lower case may be mixed.
    hex: AhoCorasick,
    longest: usize,
}

impl Secrets {
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut all: Vec<Secret> = Vec::new();
        for value in values {
            if value.0.len() >= SHORTEST && !all.iter().any(|known| known.0 == value.0) {
                all.push(value.clone());
            }
        }
        if all.is_empty() {
            return Self::default();
        }
        let bytes = || all.iter().map(|value| value.0.as_slice());
        let mut returned: Vec<Secret> = bytes()
            .flat_map(returned_spellings)
            .map(Secret::from_bytes)
            .collect();
        returned.sort_by(|a, b| a.0.cmp(&b.0));
        returned.dedup_by(|a, b| a.0 == b.0);
        let mut begins = vec![false; 256];
        for spelling in &returned {
            begins[usize::from(spelling.0[0])] = true;
        }
        Self {
            leaving: Leaving::new(bytes()),
            returning: AhoCorasick::new(returned.iter().map(|spelling| &spelling.0)).ok(),
            begins: begins.into(),
            longest_returned: longest(&returned),
            returned,
            values: all,
        }
    }

    /// These values and further ones; none where all of them are known.
    fn with(&self, values: &[&Secret]) -> Option<Self> {
        let known = |value: &Secret| self.values.iter().any(|known| known.0 == value.0);
        let fresh = |value: &Secret| value.0.len() >= SHORTEST && !known(value);
        let any = values.iter().any(|value| fresh(value));
        any.then(|| Self::new(self.values.iter().chain(values.iter().copied())))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether `bytes` hold a secret as it is, in base64 or in hexadecimal.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> bool {
        self.leaving
            .as_ref()
            .is_some_and(|find| find.exact.is_match(bytes) || find.hex.is_match(bytes))
    }

    /// How much of the end of a chunk must be looked at again together with the next one.
    pub(crate) fn overlap(&self) -> usize {
        let longest = self.leaving.as_ref().map_or(0, |find| find.longest);
        longest.saturating_sub(1)
    }

    /// `bytes` with every byte of every secret turned into a star. The length stays, and with it
    /// what the service said of it.
    pub(crate) fn replace<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(find) = self.returning.as_ref().filter(|find| find.is_match(bytes)) else {
            return Cow::Borrowed(bytes);
        };
        let mut out = bytes.to_vec();
        for found in find.find_overlapping_iter(bytes) {
            out[found.range()].fill(STAR);
        }
        Cow::Owned(out)
    }

    /// The same of text.
    pub(crate) fn replace_in(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.replace(text.as_bytes())).into_owned()
    }

    /// Length of the longest end of `bytes` with which a secret could begin.
    fn held_back(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.longest_returned - 1);
        let begins = |at: &usize| {
            let rest = &bytes[*at..];
            self.begins[usize::from(rest[0])]
                && self
                    .returned
                    .iter()
                    .any(|spelling| spelling.0.len() > rest.len() && spelling.0.starts_with(rest))
        };
        (from..bytes.len())
            .find(begins)
            .map_or(0, |at| bytes.len() - at)
    }
}

impl Leaving {
    fn new<'a>(values: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Self> {
        let exact: Vec<Vec<u8>> = values
            .clone()
            .flat_map(|value| std::iter::once(value.to_vec()).chain(base64(value)))
            .collect();
        let hex: Vec<Vec<u8>> = values.map(|value| hex(value, false)).collect();
        let longest = exact.iter().chain(&hex).map(Vec::len).max().unwrap_or(0);
        // Nothing but patterns of gigabytes makes these fail.
        Some(Self {
            exact: AhoCorasick::new(&exact).ok()?,
            hex: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(&hex)
                .ok()?,
            longest,
        })
    }
}

fn longest(spellings: &[Secret]) -> usize {
    let lengths = spellings.iter().map(|spelling| spelling.0.len());
    lengths.max().unwrap_or(0)
}

/// The spellings in which services write a value back: as it is, in base64, in hexadecimal,
/// percent-encoded, and in JSON with the characters that some writers escape.
fn returned_spellings(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![
        value.to_vec(),
        hex(value, false),
        hex(value, true),
        percent(value, false),
        percent(value, true),
        json(value, |byte| (byte == b'/').then(|| "\\/".to_owned())),
        json(value, |byte| {
            b"+/<>&'".contains(&byte).then(|| format!("\\u{byte:04x}"))
        }),
        json(value, |byte| {
            b"+/<>&'".contains(&byte).then(|| format!("\\u{byte:04X}"))
        }),
    ];
    all.extend(base64(value));
    all
}

fn hex(value: &[u8], upper: bool) -> Vec<u8> {
    let pair = |byte: &u8| match upper {
        true => format!("{byte:02X}"),
        false => format!("{byte:02x}"),
    };
    value.iter().map(pair).collect::<String>().into_bytes()
}

fn percent(value: &[u8], upper: bool) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => vec![*byte],
        _ if upper => format!("%{byte:02X}").into_bytes(),
        _ => format!("%{byte:02x}").into_bytes(),
    };
    value.iter().flat_map(escape).collect()
}

fn json(value: &[u8], escape: impl Fn(u8) -> Option<String>) -> Vec<u8> {
    let escape = |byte: &u8| match escape(*byte) {
        Some(escaped) => escaped.into_bytes(),
        None if b"\"\\".contains(byte) => vec![b'\\', *byte],
        None => vec![*byte],
    };
    value.iter().flat_map(escape).collect()
}

/// Base64 of a value inside a longer text depends on where it starts: the digits that its
/// neighbours do not change, at each offset and in both alphabets.
fn base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for offset in 0..3 {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset)
            .chain(value.iter().copied())
            .collect();
        // Digits wholly made of the value's own bits: from the first after the offset to the last full one.
        let (first, last) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            all.extend(text.as_bytes().get(first..last).map(<[u8]>::to_vec));
        }
    }
    all.retain(|spelling| spelling.len() >= SHORTEST);
    all
}

/// The secrets of a process, which grow when plugins and credentials are added.
#[derive(Default)]
pub(crate) struct Known(Mutex<Arc<Secrets>>);

impl Known {
    pub(crate) fn learn<'a>(&self, values: impl IntoIterator<Item = &'a Secret>) {
        let values: Vec<&Secret> = values.into_iter().collect();
        let mut known = lock(&self.0);
        if let Some(more) = known.with(&values) {
            *known = Arc::new(more);
        }
    }

    pub(crate) fn current(&self) -> Arc<Secrets> {
        Arc::clone(&lock(&self.0))
    }
}

/// Replaces secrets in a stream of chunks. Only an end with which a secret could begin is held
/// back, so that what a model streams is shown when it comes.
#[derive(Default)]
pub(crate) struct Scrubber {
    /// As it came: two secrets may overlap.
    held: Vec<u8>,
    /// The same, with stars for what is already known to be of a secret.
    clean: Vec<u8>,
}

impl Scrubber {
    /// The bytes that may pass now.
    pub(crate) fn push(&mut self, secrets: &Secrets, chunk: Bytes) -> Bytes {
        if secrets.is_empty() {
            return chunk;
        }
        if self.held.is_empty() && secrets.held_back(&chunk) == 0 {
            return match secrets.replace(&chunk) {
                Cow::Borrowed(_) => chunk,
                Cow::Owned(clean) => clean.into(),
            };
        }
        self.held.extend_from_slice(&chunk);
        let mut clean = secrets.replace(&self.held).into_owned();
        for (new, old) in clean.iter_mut().zip(&self.clean) {
            if *old == STAR {
                *new = STAR;
            }
        }
        let passed = self.held.len() - secrets.held_back(&self.held);
        self.held.drain(..passed);
        self.clean = clean.split_off(passed);
        clean.into()
    }

    /// What is left at the end.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.held.clear();
        std::mem::take(&mut self.clean).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let values: Vec<Secret> = values.iter().map(|value| Secret::new(value)).collect();
        Secrets::new(&values)
    }

    fn scrub(secrets: &Secrets, chunks: &[&str]) -> String {
        let mut scrubber = Scrubber::default();
        let mut out: Vec<u8> = Vec::new();
        for chunk in chunks {
            out.extend(scrubber.push(secrets, Bytes::copy_from_slice(chunk.as_bytes())));
        }
        out.extend(scrubber.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_replaced_wherever_the_chunks_split_it() {
        let secrets = secrets(&["hf_abcabcabd"]);
        let text = "a hf_abcabcabd, hf_abcabcabdhf_abcabcabd hf_abcabcabc";
        let clean = "a ************, ************************ hf_abcabcabc";
        assert_eq!(scrub(&secrets, &[text]), clean);
        for at in 0..=text.len() {
            for to in at..=text.len() {
                assert_eq!(
                    scrub(&secrets, &[&text[..at], &text[at..to], &text[to..]]),
                    clean
                );
            }
        }
        let bytes: Vec<&str> = text.split_inclusive(|_| true).collect();
        assert_eq!(scrub(&secrets, &bytes), clean);
    }

    #[test]
    fn ordinary_text_is_not_held_back() {
        let secrets = secrets(&["hf_abcabcabd"]);
        let mut scrubber = Scrubber::default();
        assert_eq!(
            scrubber.push(&secrets, "data: token\n\n".into()),
            "data: token\n\n"
        );
        assert_eq!(scrubber.push(&secrets, "the h".into()), "the ");
        assert_eq!(scrubber.push(&secrets, "at".into()), "hat");
    }

    #[test]
    fn secrets_that_contain_one_another_are_all_replaced() {
        let secrets = secrets(&["longersecret", "longersecret-more"]);
        assert_eq!(
            scrub(&secrets, &["longersecre", "t-more longersecret-mor"]),
            "***************** ************-mor"
        );
    }

    #[test]
    fn secrets_that_overlap_are_replaced_wherever_the_chunks_split_them() {
        let secrets = secrets(&["secret-abc-key", "key-secret-two"]);
        let text = "a secret-abc-key-secret-two-b";
        for at in 0..=text.len() {
            let clean = scrub(&secrets, &[&text[..at], &text[at..]]);
            assert_eq!(clean, "a *************************-b", "{at}");
        }
        let bytes: Vec<&str> = text.split_inclusive(|_| true).collect();
        assert_eq!(scrub(&secrets, &bytes), "a *************************-b");
    }

    #[test]
    fn a_service_may_write_a_secret_back_in_other_spellings() {
        let value = "sk-Te/st+0123";
        let secrets = secrets(&[value]);
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        for text in [
            value,
            &hex,
            &hex.to_uppercase(),
            "sk-Te%2Fst%2B0123",
            "sk-Te%2fst%2b0123",
            r"sk-Te\/st+0123",
            r"sk-Te\u002fst\u002b0123",
            &STANDARD_NO_PAD.encode(value),
        ] {
            for at in 0..text.len() {
                let clean = scrub(&secrets, &["x=", &text[..at], &text[at..], "&y"]);
                let stars = clean.trim_start_matches("x=").trim_end_matches("&y");
                let plain = stars.trim_matches('*');
                assert!(
                    plain.len() < 3 && stars.len() == text.len(),
                    "{text}: {clean}"
                );
            }
        }
    }

    #[test]
    fn secrets_are_learned_once_and_for_all() {
        let known = Known::default();
        assert!(known.current().is_empty());
        known.learn(&[Secret::new("longersecret"), Secret::new("short")]);
        let first = known.current();
        known.learn(&[Secret::new("longersecret")]);
        assert!(Arc::ptr_eq(&first, &known.current()));
        known.learn(&[Secret::new("another-one")]);
        for value in [&b"longersecret"[..], b"another-one"] {
            assert!(known.current().found_in(value));
        }
    }

    #[test]
    fn short_values_and_debug_output_reveal_nothing() {
        assert!(secrets(&["", "short"]).is_empty());
        let secret = Secret::new(" token-value\n");
        assert!(!format!("{secret:?}").contains("token-value"));
        assert_eq!(secret.expose(), "token-value");
    }
}
