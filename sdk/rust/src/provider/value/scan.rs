//! Reads over JSON text, byte by byte and without panics, whatever it is.

use crate::provider::json::clean_prefix;
use std::borrow::Cow;

/// Lists and objects around a value, at most.
const MAX_DEPTH: usize = 128;

/// A place in a text.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The elements of a list, or the fields of an object with their names as they are written.
    pub(super) fn members(text: &'a str) -> Members<'a> {
        let named = text.starts_with('{');
        Members {
            scan: Self { text, at: 1 },
            end: if named { b'}' } else { b']' },
            first: true,
            ended: false,
        }
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The text of a value that begins here; afterwards the place is behind it.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.pass(MAX_DEPTH)?;
        self.text.get(start..self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Passes over a value with at most `depth` lists and objects in each other.
    fn pass(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.collection(b'}', depth.checked_sub(1)?),
            b'[' => self.collection(b']', depth.checked_sub(1)?),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        word.bytes().try_for_each(|byte| self.expect(byte))
    }

    fn collection(&mut self, end: u8, depth: usize) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.take(end) {
            return Some(());
        }
        loop {
            if end == b'}' {
                self.string()?;
                self.colon()?;
            }
            self.pass(depth)?;
            self.blanks();
            if self.take(end) {
                return Some(());
            }
            self.expect(b',')?;
            self.blanks();
        }
    }

    fn colon(&mut self) -> Option<()> {
        self.blanks();
        self.expect(b':')?;
        self.blanks();
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            self.at += clean_prefix(self.text.as_bytes().get(self.at..)?);
            if self.take(b'"') {
                return Some(());
            }
            // A control character is none that a string may hold as it is.
            self.expect(b'\\')?;
            match self.peek()? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                b'u' => {
                    let digits = self.text.as_bytes().get(self.at + 1..self.at + 5)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    self.at += 5;
                }
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// What stands in a list or an object: names, which are empty in a list, and values. Ends early at what is no JSON.
pub(super) struct Members<'a> {
    scan: Scan<'a>,
    end: u8,
    first: bool,
    ended: bool,
}

impl Members<'_> {
    /// After the last one: whether nothing but blanks follows.
    ///
    /// # Errors
    ///
    /// The place of the first byte that does not belong there.
    pub(super) fn finish(mut self) -> Result<(), usize> {
        if self.ended {
            self.scan.blanks();
        }
        match self.ended && self.scan.is_at_end() {
            true => Ok(()),
            false => Err(self.scan.place()),
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let scan = &mut self.scan;
        scan.blanks();
        let first = std::mem::take(&mut self.first);
        if self.ended || scan.take(self.end) {
            self.ended = true;
            return None;
        }
        if !first {
            scan.expect(b',')?;
            scan.blanks();
        }
        let mut name = "";
        if self.end == b'}' {
            let start = scan.at;
            scan.string()?;
            name = scan.text.get(start..scan.at)?;
            scan.colon()?;
        }
        let start = scan.at;
        // The list or the object is one of those around the value.
        scan.pass(MAX_DEPTH - 1)?;
        Some((name, scan.text.get(start..scan.at)?))
    }
}

/// What a string says; nothing for what is no string. Half a pair of surrogates stands for no character: it becomes
/// the replacement character.
pub(super) fn unescaped(value: &str) -> Cow<'_, str> {
    let inside = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let mut rest = inside.unwrap_or_default();
    if !rest.contains('\\') {
        return Cow::Borrowed(rest);
    }
    let mut out = String::with_capacity(rest.len());
    while let Some((clean, escape)) = rest.split_once('\\') {
        out.push_str(clean);
        let mut letters = escape.chars();
        let letter = letters.next();
        rest = letters.as_str();
        out.push(match letter {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => unicode(&mut rest),
            Some(other) => other,
            None => break,
        });
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character whose digits stand at the front.
fn unicode(rest: &mut &str) -> char {
    let first = unit(rest).unwrap_or(0xfffd);
    let mut code = first;
    if (0xd800..0xdc00).contains(&first) {
        let mut after = rest.strip_prefix("\\u").unwrap_or_default();
        if let Some(second @ 0xdc00..0xe000) = unit(&mut after) {
            code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            *rest = after;
        }
    }
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Takes four digits from the front.
fn unit(rest: &mut &str) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u32::from_str_radix(digits, 16).ok()
}
