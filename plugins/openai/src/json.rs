//! Writes JSON text straight into one buffer.
//!
//! A request of 400 messages is built in a fresh instance for every model call, so there is no
//! tree of values in between: strings are escaped on their way into the buffer.

/// JSON text under construction. The caller is responsible for its structure.
#[derive(Default)]
pub(crate) struct Json {
    out: Vec<u8>,
}

impl Json {
    /// An empty document with room for `bytes` bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
        }
    }

    /// The text written so far.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Appends text that is JSON already.
    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Appends a number.
    pub(crate) fn number(&mut self, number: u32) {
        self.raw(&number.to_string());
    }

    /// Appends a string with its quotes.
    pub(crate) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        self.escaped(text);
        self.out.push(b'"');
    }

    /// Appends the inside of a string: escaped, without quotes.
    pub(crate) fn escaped(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        loop {
            let clean = clean_prefix(rest);
            self.out.extend_from_slice(&rest[..clean]);
            let Some((&byte, after)) = rest[clean..].split_first() else {
                return;
            };
            self.escape(byte);
            rest = after;
        }
    }

    /// Appends the inside of a string: bytes in standard base64, which needs no escaping.
    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        self.out.reserve(bytes.len().div_ceil(3) * 4);
        for group in bytes.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for digit in 0..4 {
                let letter = ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63];
                self.out
                    .push(if digit <= group.len() { letter } else { b'=' });
            }
        }
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                return self
                    .out
                    .extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }
}

/// Length of the prefix that a JSON string may hold as it is. Looks at eight bytes at a time.
fn clean_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of each byte below `limit`; exact up to and including the lowest such byte.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let dirty = below(word, 0x20) | quote | backslash;
        if dirty != 0 {
            return index * 8 + dirty.trailing_zeros() as usize / 8;
        }
    }
    let dirty = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    words.len() * 8 + tail.iter().position(dirty).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut json = Json::default();
        json.string(text);
        String::from_utf8(json.into_bytes()).unwrap()
    }

    #[test]
    fn every_character_reads_back_at_every_place_of_a_word() {
        for character in (0..=0x17f_u32)
            .chain([0x2028, 0xfffd, 0x1f600])
            .filter_map(char::from_u32)
        {
            for before in 0..10 {
                let text = format!("{}{character}{}", "x".repeat(before), "y".repeat(9));
                assert_eq!(
                    serde_json::from_str::<String>(&written(&text)).unwrap(),
                    text,
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn neighbours_of_a_borrow_are_not_lost() {
        // A byte below the limit borrows from the next one: `\x1f` then a space and a quote.
        for text in [
            "\u{1f} \"",
            "\u{1}!\\\"#",
            "\"\"\"\"\"\"\"\"\"",
            "aaaaaaa\u{0}\u{20}\u{21}",
            "é\u{1f}é\"ü\\",
        ] {
            assert_eq!(
                serde_json::from_str::<String>(&written(text)).unwrap(),
                text
            );
        }
    }

    #[test]
    fn base64_pads() {
        // Test vectors of RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut json = Json::default();
            json.base64(bytes.as_bytes());
            assert_eq!(json.into_bytes(), text.as_bytes());
        }
        let mut json = Json::default();
        json.base64(&[0xfb, 0xff]);
        assert_eq!(json.into_bytes(), b"+/8=");
    }
}
