//! Other readings of a text: percent-decoded, and with the escapes of JSON undone, each once and twice, as another
//! program may read it. Each byte knows where it stood.

use std::ops::Range;

/// The text as somebody else may read it.
pub(super) struct Reading {
    pub(super) bytes: Vec<u8>,
    /// Where in the text each byte begins, and where the last one ends.
    places: Vec<usize>,
    /// Index of the byte with which an escape begins whose rest is still to come.
    open: usize,
}

/// Every reading that differs from the text, or may when it goes on.
pub(super) fn readings(text: &str) -> Vec<Reading> {
    let mut all = Vec::new();
    for escape in [Escape::Percent, Escape::Json] {
        let Some(once) = Reading::of(escape, text.as_bytes(), |at| at) else {
            continue;
        };
        let twice = Reading::of(escape, &once.bytes, |at| once.places[at]);
        all.push(once);
        all.extend(twice);
    }
    all
}

impl Reading {
    /// `None` where there is no escape.
    fn of(escape: Escape, bytes: &[u8], place: impl Fn(usize) -> usize) -> Option<Self> {
        let mark = escape.mark();
        if !bytes.contains(&mark) {
            return None;
        }
        let mut reading = Self {
            bytes: Vec::with_capacity(bytes.len()),
            places: Vec::with_capacity(bytes.len() + 1),
            open: usize::MAX,
        };
        let (mut at, mut differs) = (0, false);
        while let Some(byte) = bytes.get(at) {
            reading.places.push(place(at));
            let found = match *byte == mark {
                true => escape.read(&bytes[at..]),
                false => Found::Nothing,
            };
            let (byte, length) = match found {
                Found::Byte(byte, length) => {
                    differs = true;
                    (byte, length)
                }
                Found::Nothing => (*byte, 1),
                Found::Unfinished => {
                    reading.open = reading.open.min(reading.bytes.len());
                    (*byte, 1)
                }
            };
            reading.bytes.push(byte);
            at += length;
        }
        reading.places.push(place(bytes.len()));
        reading.open = reading.open.min(reading.bytes.len());
        (differs || reading.open < reading.bytes.len()).then_some(reading)
    }

    /// What stands in the text for these bytes.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        self.places[range.start]..self.places[range.end]
    }

    /// The bytes before an escape that is not finished.
    pub(super) fn closed(&self) -> &[u8] {
        &self.bytes[..self.open]
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
    Nothing,
    /// The text ends within what may be one.
    Unfinished,
}

impl Escape {
    fn mark(self) -> u8 {
        match self {
            Self::Percent => b'%',
            Self::Json => b'\\',
        }
    }

    fn read(self, text: &[u8]) -> Found {
        match (self, text.get(1)) {
            (_, None) => Found::Unfinished,
            (Self::Percent, Some(_)) => hex(text, 1, 2),
            (Self::Json, Some(b'u' | b'U')) => hex(text, 2, 4),
            (Self::Json, Some(byte @ (b'/' | b'"' | b'\\'))) => Found::Byte(*byte, 2),
            (Self::Json, Some(_)) => Found::Nothing,
        }
    }
}

/// The byte that `count` hexadecimal digits from `from` on stand for. What is no ASCII is in no credential.
fn hex(text: &[u8], from: usize, count: usize) -> Found {
    let mut value = 0_u32;
    for at in from..from + count {
        let Some(byte) = text.get(at) else {
            return Found::Unfinished;
        };
        let Some(digit) = char::from(*byte).to_digit(16) else {
            return Found::Nothing;
        };
        value = value * 16 + digit;
    }
    match u8::try_from(value) {
        Ok(byte) if byte.is_ascii() => Found::Byte(byte, from + count),
        _ => Found::Nothing,
    }
}
