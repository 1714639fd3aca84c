//! Writes JSON text straight into one buffer.
//!
//! A request of 400 messages is built in a fresh instance for every model call, so there is no
//! tree of values in between: strings are escaped on their way into the buffer.
//!
//! Where a service caches by prefix, write what grows (the conversation) last, so that the body of
//! one call starts with the bytes of the one before.

use crate::Error;
use crate::chat::{Blob, Part, Reasoning, Request};
use crate::provider::value;
use std::borrow::Cow;

/// JSON text under construction. The caller is responsible for its structure.
#[derive(Debug, Default)]
pub struct Json {
    out: Vec<u8>,
}

impl Json {
    /// An empty document with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
        }
    }

    /// The text written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// The same as text.
    pub fn into_text(self) -> String {
        // Only text and ASCII were written.
        String::from_utf8(self.out).unwrap_or_default()
    }

    /// Appends text that is JSON already.
    pub fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Appends a number.
    pub fn number(&mut self, number: u32) {
        self.raw(&number.to_string());
    }

    /// Appends a string with its quotes.
    pub fn string(&mut self, text: &str) {
        self.out.push(b'"');
        self.escaped(text);
        self.out.push(b'"');
    }

    /// Appends the inside of a string: escaped, without quotes.
    pub fn escaped(&mut self, text: &str) {
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
    pub fn base64(&mut self, bytes: &[u8]) {
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

    /// Appends a comma, a name and its colon.
    pub fn field(&mut self, name: &str) {
        self.raw(",");
        self.string(name);
        self.raw(":");
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

/// Room for the whole body in one allocation, except for texts full of characters to escape.
pub fn room(request: &Request) -> usize {
    const PER_PART: usize = 128;
    let image = |image: &Blob| image.data.len() / 3 * 4 + PER_PART;
    let mut room = 0;
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        room += PER_PART;
        room += match part {
            Part::Text(text) => text.len(),
            Part::Image(blob) => image(blob),
            Part::Reasoning(Reasoning { text, .. }) => text.len(),
            Part::Call(call) => call.id.len() + call.name.len() + call.arguments.len() * 5 / 4,
            Part::Result(result) => {
                let images = result.images.iter().map(image).sum::<usize>();
                result.call_id.len() + result.content.len() + images
            }
        };
    }
    for tool in &request.tools {
        room += tool.name.len() + tool.description.len() + tool.input_schema.len() + PER_PART;
    }
    let rest = request.extra.as_ref().map_or(0, String::len)
        + request.response_schema.as_ref().map_or(0, String::len);
    // A newline in a twentieth of all places is usual for code and logs.
    room * 21 / 20 + rest + 1024
}

/// Fields of a request's `extra`, as JSON text, in their order.
#[derive(Debug, Default)]
pub struct Extra<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Extra<'a> {
    /// Whether there is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| *value)
    }

    /// Appends every field but this one: the first field of a body, which has no comma before it, is written apart.
    pub fn write_but(&self, name: &str, json: &mut Json) {
        for (own, value) in &self.0 {
            if own != name {
                json.field(own);
                json.raw(value);
            }
        }
    }

    /// Appends every field.
    pub fn write(&self, json: &mut Json) {
        for (name, value) in &self.0 {
            json.field(name);
            json.raw(value);
        }
    }
}

/// The extra fields of a request, which win over what a plugin would send by itself; but none of
/// `fixed`, which are those that carry the conversation and that the reader of the answer relies on.
///
/// # Errors
///
/// `invalid-input`: they are no JSON object, or name a field of `fixed`.
pub fn extra<'a>(request: &'a Request, fixed: &[&str]) -> Result<Extra<'a>, Error> {
    let mut extra = Extra::default();
    let Some(text) = &request.extra else {
        return Ok(extra);
    };
    let document = value::parse(text.as_bytes()).map_err(|error| {
        Error::InvalidInput(format!("extra parameters must be a JSON object: {error}"))
    })?;
    if !document.is_object() {
        return Err(Error::InvalidInput(
            "extra parameters must be a JSON object".to_owned(),
        ));
    }
    for (name, value) in document.fields() {
        // Of several with one name the last one counts.
        extra.0.retain(|(own, _)| *own != name);
        extra.0.push((name, value.raw()));
    }
    match fixed.iter().find(|name| extra.contains(name)) {
        Some(name) => Err(Error::InvalidInput(format!(
            "extra parameters cannot replace `{name}`"
        ))),
        None => Ok(extra),
    }
}

/// A JSON object as it came, without blanks around it. The host has parsed it already: only its
/// ends are looked at here, because all schemas together are most of a short request.
///
/// # Errors
///
/// `invalid-input`, with `what` it is, where it is no object.
pub fn object<'a>(what: &str, text: &'a str) -> Result<&'a str, Error> {
    let text = text.trim_ascii();
    match text.starts_with('{') && text.ends_with('}') {
        true => Ok(text),
        false => Err(Error::InvalidInput(format!("{what} is not a JSON object"))),
    }
}

/// A call's arguments as they can be sent back: what is no JSON object is sent as `{}`. Some services
/// parse them to fill a template and answer 500 for other text, on this and every later request.
pub fn arguments(arguments: &str) -> &str {
    let sendable = value::parse(arguments.as_bytes()).is_ok_and(value::Value::is_object);
    if sendable { arguments } else { "{}" }
}

/// Length of the prefix that a JSON string may hold as it is. Looks at eight bytes at a time.
pub(super) fn clean_prefix(bytes: &[u8]) -> usize {
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
