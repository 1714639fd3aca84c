//! Secret values: kept out of every text, found in what leaves, replaced in what comes back.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use memchr::memmem;
use zeroize::Zeroizing;

/// A secret value. Shows nothing of itself, and is overwritten when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Keeps `value` without surrounding white space.
    pub fn new(value: &str) -> Self {
        Self(Zeroizing::new(value.trim().as_bytes().to_vec()))
    }

    /// The value itself, for whoever puts it in its place. It must be copied into nothing that is not overwritten.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As it is, and as it may be written elsewhere: in base64 at each offset, hexadecimal, percent-encoded, and
    /// within JSON. Those of fewer than 8 bytes are left out, as they are in ordinary text.
    pub fn spellings(&self) -> Vec<Zeroizing<Vec<u8>>> {
        spellings(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A credential with its value. Where it goes and in which header is in the plugin's effective
/// grant, under the same name.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Name, as in the plugin manifest.
    pub name: String,
    /// The value, which no plugin sees.
    pub value: Secret,
}

/// Values shorter than this are too common in ordinary text to be looked for.
const SHORTEST: usize = 8;

/// The values that no plugin may send or receive.
#[derive(Default)]
pub(crate) struct Secrets {
    /// As they are.
    raw: Vec<Secret>,
    /// As they are, in base64, hexadecimal and percent-encoded.
    encoded: Vec<Secret>,
    longest_encoded: usize,
}

impl Secrets {
    pub(crate) fn new(credentials: &[Credential]) -> Self {
        let mut secrets = Self::default();
        for value in credentials
            .iter()
            .map(|credential| &credential.value)
            .filter(|value| value.0.len() >= SHORTEST)
        {
            secrets
                .encoded
                .extend(value.spellings().into_iter().map(Secret));
            secrets.raw.push(value.clone());
        }
        secrets.longest_encoded = secrets
            .encoded
            .iter()
            .map(|value| value.0.len())
            .max()
            .unwrap_or(0);
        secrets
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether `bytes` hold a secret in any known spelling.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> bool {
        self.encoded
            .iter()
            .any(|value| memmem::find(bytes, &value.0).is_some())
    }

    /// How much of the end of a chunk must be looked at again together with the next one.
    pub(crate) fn overlap(&self) -> usize {
        self.longest_encoded.saturating_sub(1)
    }

    /// `bytes` with every byte of every secret turned into a star. The length stays, and with it
    /// what the service said of it.
    pub(crate) fn replace<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut out = Cow::Borrowed(bytes);
        for value in &self.raw {
            if memmem::find(&out, &value.0).is_some() {
                out = Cow::Owned(replace_one(&out, &value.0));
            }
        }
        out
    }

    /// Length of the longest end of `bytes` with which a secret could begin.
    fn held_back(&self, bytes: &[u8]) -> usize {
        let begins = |value: &Secret| {
            let most = bytes.len().min(value.0.len() - 1);
            (1..=most)
                .rev()
                .find(|length| value.0.starts_with(&bytes[bytes.len() - length..]))
                .unwrap_or(0)
        };
        self.raw.iter().map(begins).max().unwrap_or(0)
    }
}

fn replace_one(bytes: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for at in memmem::find_iter(bytes, value) {
        out[at..at + value.len()].fill(b'*');
    }
    out
}

/// The spellings in which a secret may leave. Base64 of a value inside a longer text depends on
/// where it starts: the digits that its neighbours do not change are looked for, at each offset.
fn spellings(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = vec![
        Zeroizing::new(value.to_vec()),
        each_byte(value, |byte, out| hex(byte, b"0123456789abcdef", out)),
        each_byte(value, |byte, out| hex(byte, b"0123456789ABCDEF", out)),
        each_byte(value, |byte, out| percent(byte, b"0123456789abcdef", out)),
        each_byte(value, |byte, out| percent(byte, b"0123456789ABCDEF", out)),
        each_byte(value, json),
    ];
    for offset in 0..3 {
        let mut padded = Zeroizing::new(vec![0; offset]);
        // Room for all of it at once: a vector that grows leaves a copy behind.
        padded.reserve_exact(value.len());
        padded.extend_from_slice(value);
        // Digits wholly made of the value's own bits: from the first after the offset to the last full one.
        let (first, last) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = Zeroizing::new(engine.encode(&*padded));
            let own = text.as_bytes().get(first..last);
            all.extend(own.map(|own| Zeroizing::new(own.to_vec())));
        }
    }
    all.sort_by(|a, b| (**a).cmp(&**b));
    all.dedup();
    all.retain(|spelling| spelling.len() >= SHORTEST);
    all
}

/// Writes every byte its own way, into room for the longest.
fn each_byte(value: &[u8], write: impl Fn(u8, &mut Vec<u8>)) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 6));
    for byte in value {
        write(*byte, &mut out);
    }
    out
}

fn hex(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.push(digits[usize::from(byte >> 4)]);
    out.push(digits[usize::from(byte & 15)]);
}

fn percent(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        out.push(byte);
    } else {
        out.push(b'%');
        hex(byte, digits, out);
    }
}

/// Secrets hold no control characters.
fn json(byte: u8, out: &mut Vec<u8>) {
    if matches!(byte, b'"' | b'\\') {
        out.push(b'\\');
    }
    out.push(byte);
}

/// Replaces secrets in a stream of chunks. Only an end with which a secret could begin is held
/// back, so that what a model streams is shown when it comes.
#[derive(Default)]
pub(crate) struct Scrubber {
    held: Vec<u8>,
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
        let held = secrets.held_back(&clean);
        self.held = clean.split_off(clean.len() - held);
        clean.into()
    }

    /// What is left at the end.
    pub(crate) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let credential = |value: &&str| Credential {
            name: "x".to_owned(),
            value: Secret::new(value),
        };
        Secrets::new(&values.iter().map(credential).collect::<Vec<_>>())
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
        assert!(!scrub(&secrets, &["longersecre", "t-more longersecret"]).contains("longersecret"));
    }

    #[test]
    fn every_spelling_is_found_in_what_leaves() {
        let value = "sk-Te/st+0123";
        let secrets = secrets(&[value]);
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut texts = vec![
            value.to_owned(),
            hex.clone(),
            hex.to_uppercase(),
            "sk-Te%2Fst%2B0123".to_owned(),
            "sk-Te%2fst%2b0123".to_owned(),
        ];
        for before in ["", "a", "ab", "user:"] {
            for after in ["", "z", "zz"] {
                texts.push(STANDARD_NO_PAD.encode(format!("{before}{value}{after}")));
                texts.push(URL_SAFE_NO_PAD.encode(format!("{before}{value}{after}")));
            }
        }
        for text in texts {
            assert!(secrets.found_in(format!("x={text}&y").as_bytes()), "{text}");
        }
        assert!(!secrets.found_in(b"sk-Te/st+012 and other text"));
    }

    #[test]
    fn short_values_and_debug_output_reveal_nothing() {
        assert!(secrets(&["", "short"]).is_empty());
        let credential = Credential {
            name: "hf".to_owned(),
            value: Secret::new(" token-value\n"),
        };
        assert!(!format!("{credential:?}").contains("token-value"));
        assert_eq!(credential.value.expose(), "token-value");
    }
}
