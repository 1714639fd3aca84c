//! Looks for secrets in what leaves, a chunk at a time, in every reading that the other side may
//! make of it: as it is, percent-decoded, and with the escapes of JSON undone, each once
//! and twice.

use std::mem;

use crate::egress::secret::Secrets;

/// A text on its way out.
pub(crate) struct Scan {
    plain: Reading,
    /// Each with the reading that it is made from: 0 is the plain one.
    decoded: [(usize, Decoded); 4],
}

impl Scan {
    pub(crate) fn new() -> Self {
        let of = |escape| Decoded {
            escape,
            pending: Vec::new(),
            reading: None,
            out: Vec::new(),
        };
        Self {
            plain: Reading::default(),
            decoded: [
                (0, of(Escape::Percent)),
                (1, of(Escape::Percent)),
                (0, of(Escape::Json)),
                // JSON text is often a string within JSON.
                (3, of(Escape::Json)),
            ],
        }
    }

    /// Whether a whole text holds a secret.
    pub(crate) fn finds(secrets: &Secrets, text: &[u8]) -> bool {
        let mut scan = Self::new();
        scan.push(secrets, text) || scan.end(secrets)
    }

    /// Whether this chunk ends or holds a secret.
    pub(crate) fn push(&mut self, secrets: &Secrets, chunk: &[u8]) -> bool {
        for index in 0..self.decoded.len() {
            let (before, rest) = self.decoded.split_at_mut(index);
            let Some((source, decoded)) = rest.first_mut() else {
                break;
            };
            match source.checked_sub(1).and_then(|source| before.get(source)) {
                // What has no escapes reads the same a second time.
                Some((_, source)) => {
                    if let Some(reading) = &source.reading {
                        decoded.read(&source.out, &reading.tail);
                    }
                }
                None => decoded.read(chunk, &self.plain.tail),
            }
        }
        self.holds(secrets, chunk)
    }

    /// Whether what was held back as the beginning of an escape ends a secret.
    fn end(&mut self, secrets: &Secrets) -> bool {
        for (_, decoded) in &mut self.decoded {
            decoded.out.clear();
            if decoded.reading.is_some() {
                decoded.out = mem::take(&mut decoded.pending);
            }
        }
        self.holds(secrets, &[])
    }

    fn holds(&mut self, secrets: &Secrets, chunk: &[u8]) -> bool {
        let mut found = self.plain.holds(secrets, chunk);
        for (_, decoded) in &mut self.decoded {
            if let Some(reading) = &mut decoded.reading {
                found |= reading.holds(secrets, &decoded.out);
            }
        }
        found
    }
}

/// One reading of a text.
#[derive(Default)]
struct Reading {
    /// The end of what has passed, where a secret may have begun.
    tail: Vec<u8>,
}

impl Reading {
    fn holds(&mut self, secrets: &Secrets, chunk: &[u8]) -> bool {
        let overlap = secrets.overlap();
        self.tail
            .extend_from_slice(chunk.get(..overlap).unwrap_or(chunk));
        if secrets.found_in(&self.tail) || secrets.found_in(chunk) {
            return true;
        }
        match chunk.len().checked_sub(overlap) {
            Some(from) => self.tail = chunk[from..].to_vec(),
            None => {
                let excess = self.tail.len().saturating_sub(overlap);
                self.tail.drain(..excess);
            }
        }
        false
    }
}

/// A reading that undoes escapes. It begins with the first escape: until then it is the same as
/// the one that it is made from.
struct Decoded {
    escape: Escape,
    /// The beginning of an escape whose rest is still to come.
    pending: Vec<u8>,
    reading: Option<Reading>,
    /// What the last chunk became.
    out: Vec<u8>,
}

impl Decoded {
    /// Reads a chunk; `tail` is the end of what came before it.
    fn read(&mut self, chunk: &[u8], tail: &[u8]) {
        self.out.clear();
        if self.reading.is_none() {
            if !chunk.contains(&self.escape.mark()) {
                return;
            }
            self.reading = Some(Reading {
                tail: tail.to_vec(),
            });
        }
        let joined;
        let mut rest = if self.pending.is_empty() {
            chunk
        } else {
            joined = [mem::take(&mut self.pending).as_slice(), chunk].concat();
            &joined
        };
        while let Some(at) = memchr::memchr(self.escape.mark(), rest) {
            self.out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            match self.escape.read(rest) {
                Found::Byte(byte, length) => {
                    self.out.push(byte);
                    rest = &rest[length..];
                }
                Found::None => {
                    self.out.push(rest[0]);
                    rest = &rest[1..];
                }
                Found::Unfinished => {
                    self.pending = rest.to_vec();
                    return;
                }
            }
        }
        self.out.extend_from_slice(rest);
    }
}

#[derive(Clone, Copy)]
enum Escape {
    /// `%41`
    Percent,
    /// `\u0041`, `\/`
    Json,
}

/// What stands where an escape may begin.
enum Found {
    /// A byte, and the length of its escape.
    Byte(u8, usize),
    None,
    /// Perhaps an escape: the chunk ends within it.
    Unfinished,
}

impl Escape {
    fn mark(self) -> u8 {
        match self {
            Self::Percent => b'%',
            Self::Json => b'\\',
        }
    }

    /// `text` begins with the mark.
    fn read(self, text: &[u8]) -> Found {
        match (self, text.get(1)) {
            (_, None) => Found::Unfinished,
            (Self::Percent, Some(_)) => hex(text, 1, 2),
            (Self::Json, Some(b'u' | b'U')) => hex(text, 2, 4),
            (Self::Json, Some(byte @ (b'/' | b'"' | b'\\'))) => Found::Byte(*byte, 2),
            (Self::Json, Some(_)) => Found::None,
        }
    }
}

/// The byte that `count` hexadecimal digits from `from` on stand for. What is no ASCII is not part
/// of any secret that a header can carry.
fn hex(text: &[u8], from: usize, count: usize) -> Found {
    let mut value = 0_u32;
    for at in from..from + count {
        let Some(byte) = text.get(at) else {
            return Found::Unfinished;
        };
        let Some(digit) = char::from(*byte).to_digit(16) else {
            return Found::None;
        };
        value = value * 16 + digit;
    }
    u8::try_from(value).map_or(Found::None, |byte| Found::Byte(byte, from + count))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

    use super::*;
    use crate::egress::secret::Secret;

    const VALUE: &str = "sk-Te/st+0123";

    fn secrets() -> Secrets {
        Secrets::new(&[Secret::new(VALUE)])
    }

    fn escaped(escape: impl Fn(usize, u8) -> String) -> String {
        let bytes = VALUE.bytes().enumerate();
        bytes.map(|(at, byte)| escape(at, byte)).collect()
    }

    fn spellings() -> Vec<String> {
        let hex = escaped(|_, byte| format!("{byte:02x}"));
        let mixed = escaped(|at, byte| match at % 2 {
            0 => format!("{byte:02X}"),
            _ => format!("{byte:02x}"),
        });
        let mut all = vec![VALUE.to_owned(), hex.to_uppercase(), mixed, hex];
        for every in 1..4 {
            let some = |at: usize, byte: u8, escaped: String| match at % every {
                0 => escaped,
                _ => char::from(byte).to_string(),
            };
            all.push(escaped(|at, byte| some(at, byte, format!("%{byte:02x}"))));
            all.push(escaped(|at, byte| some(at, byte, format!("%25{byte:02X}"))));
            all.push(escaped(|at, byte| {
                some(at, byte, format!("\\u00{byte:02x}"))
            }));
            all.push(escaped(|at, byte| {
                some(at, byte, format!("\\\\u00{byte:02X}"))
            }));
        }
        all.push(VALUE.replace('/', "\\/"));
        for before in ["", "a", "ab", "user:"] {
            for after in ["", "z", "zz"] {
                all.push(STANDARD_NO_PAD.encode(format!("{before}{VALUE}{after}")));
                all.push(URL_SAFE_NO_PAD.encode(format!("{before}{VALUE}{after}")));
            }
        }
        all
    }

    #[test]
    fn every_spelling_is_found_in_what_leaves() {
        for text in spellings() {
            for text in [
                text.clone(),
                format!("x={text}&y"),
                format!("100% {{\"x\": \"\\n{text}\"}}"),
            ] {
                assert!(Scan::finds(&secrets(), text.as_bytes()), "{text}");
            }
        }
        for text in [
            "sk-Te/st+012 and other text",
            "",
            "%",
            "\\",
            "%2",
            "\\u00",
            "100%\\n",
        ] {
            assert!(!Scan::finds(&secrets(), text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_spelling_is_found_wherever_the_chunks_split_it() {
        let secrets = secrets();
        for text in spellings() {
            let text = format!("%20\\n{text}.");
            for at in 0..text.len() {
                let (one, two) = text.as_bytes().split_at(at);
                let mut scan = Scan::new();
                assert!(
                    scan.push(&secrets, one) || scan.push(&secrets, two),
                    "{text} {at}"
                );
            }
            let mut scan = Scan::new();
            assert!(
                text.bytes().any(|byte| scan.push(&secrets, &[byte])),
                "{text}"
            );
        }
    }
}
