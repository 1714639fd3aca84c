//! The binary event stream of Amazon's services (`application/vnd.amazon.eventstream`), out of bytes that are cut
//! anywhere.
//!
//! A frame is: its length, the length of its headers, a CRC-32 of these two; headers; payload; a CRC-32 of all that
//! stands before it. Numbers are big-endian. The format is that small, and stable; the vendor's crate for it brings
//! in its own types for requests, time and buffers, which would be most of this component.
//!
//! Source: Amazon Transcribe's developer guide, event stream encoding, as its Python client reads it too.

use ml_intern_plugin::Error;
use ml_intern_plugin::provider::errors;

/// Bytes of a frame at most: what the vendor's clients allow too.
const MAX_FRAME: usize = 16 << 20;

/// Lengths and their checksum.
const PRELUDE: usize = 12;

/// A checksum.
const CHECK: usize = 4;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame<'a> {
    headers: &'a [u8],
    /// Its content.
    pub(crate) payload: &'a [u8],
}

/// The reader: bytes in with [`Frames::feed`], frames out with [`Frames::next`].
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed out.
    read: usize,
}

impl Frames {
    /// Takes the next bytes of the stream.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// `upstream` (retryable) where the bytes are no frame, or were changed on their way; `limit` for a frame of more
    /// than 16 MiB.
    #[allow(
        clippy::should_implement_trait,
        reason = "a frame borrows from the reader, which no iterator can lend"
    )]
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let bytes = &self.buffer[self.read..];
        let (Some(total), Some(headers)) = (number(bytes, 0), number(bytes, 4)) else {
            return Ok(None);
        };
        let Some(check) = number(bytes, 8) else {
            return Ok(None);
        };
        if checksum(&bytes[..8]) != check {
            return Err(changed());
        }
        let (total, headers) = (total as usize, headers as usize);
        if total > MAX_FRAME {
            return Err(Error::Limit(
                "the server sent a frame of more than 16 MiB".to_owned(),
            ));
        }
        let content = total.checked_sub(PRELUDE + CHECK);
        if content.is_none_or(|content| headers > content) {
            return Err(changed());
        }
        if bytes.len() < total {
            return Ok(None);
        }
        let body = total - CHECK;
        if number(bytes, body) != Some(checksum(&bytes[..body])) {
            return Err(changed());
        }
        self.read += total;
        Ok(Some(Frame {
            headers: &bytes[PRELUDE..PRELUDE + headers],
            payload: &bytes[PRELUDE + headers..body],
        }))
    }
}

impl<'a> Frame<'a> {
    /// A header that is text; none where the frame has none of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        while !rest.is_empty() {
            let (own, value) = header(&mut rest)?;
            if own == name.as_bytes() {
                return std::str::from_utf8(value).ok();
            }
        }
        None
    }
}

/// Takes a header from the front: its name, and its value as bytes.
fn header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    /// The type of texts.
    const TEXT: u8 = 7;
    let length = take(rest, 1)?[0];
    let name = take(rest, usize::from(length))?;
    let kind = take(rest, 1)?[0];
    let length = match kind {
        // True and false.
        0 | 1 => 0,
        // Numbers of one to eight bytes, and a time.
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        // Bytes and text, which have their length before them.
        6 | TEXT => take(rest, 2)?
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
        // A UUID.
        9 => 16,
        _ => return None,
    };
    take(rest, length).map(|value| (name, value))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn changed() -> Error {
    errors::broken("the server's stream is no event stream, or was changed on its way")
}

/// CRC-32 as of gzip and PNG.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)]
    })
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame with headers of text.
    pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        for (name, value) in headers {
            lines.push(name.len() as u8);
            lines.extend(name.as_bytes());
            lines.push(7);
            lines.extend((value.len() as u16).to_be_bytes());
            lines.extend(value.as_bytes());
        }
        raw(&lines, payload)
    }

    fn raw(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let total = (PRELUDE + headers.len() + payload.len() + CHECK) as u32;
        let mut out = total.to_be_bytes().to_vec();
        out.extend((headers.len() as u32).to_be_bytes());
        out.extend(checksum(&out).to_be_bytes());
        out.extend(headers);
        out.extend(payload);
        out.extend(checksum(&out).to_be_bytes());
        out
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standards() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum(b""), 0);
    }

    /// The example `empty_message` of the vendor's own tests of the format.
    #[test]
    fn a_known_frame() {
        let bytes = [
            0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
        ];
        assert_eq!(raw(b"", b""), bytes);
    }

    #[test]
    fn pieces_may_end_anywhere() {
        let mut stream = frame(&[(":event-type", "a"), (":message-type", "event")], b"{}");
        stream.extend(frame(&[], b""));
        stream.extend(frame(&[(":event-type", "b")], &[7; 300]));
        for size in 1..stream.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                frames.feed(piece);
                while let Some(frame) = frames.next().unwrap() {
                    let name = frame.header(":event-type").map(str::to_owned);
                    seen.push((name, frame.payload.len()));
                }
            }
            let expected = [(Some("a".into()), 2), (None, 0), (Some("b".into()), 300)];
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn headers_of_every_type_are_passed_over() {
        let mut lines = Vec::new();
        for (kind, length) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 4),
            (5, 8),
            (8, 8),
            (9, 16),
        ] {
            lines.extend([1, b'x', kind]);
            lines.extend(vec![0xff; length]);
        }
        lines.extend([1, b'b', 6, 0, 2, 0xff, 0xff]);
        lines.extend([1, b'n', 7, 0, 1, b'v']);
        let bytes = raw(&lines, b"");
        let mut frames = Frames::default();
        frames.feed(&bytes);
        let frame = frames.next().unwrap().unwrap();
        assert_eq!(frame.header("n"), Some("v"));
        assert_eq!((frame.header("b"), frame.header("none")), (None, None));
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let good = frame(&[(":event-type", "a")], b"payload");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let mut frames = Frames::default();
            frames.feed(&bad);
            assert!(
                matches!(frames.next(), Err(Error::Upstream(upstream)) if upstream.retryable),
                "byte {at}"
            );
        }
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_kept() {
        let start = |total: u32, headers: u32| {
            let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
            bytes.extend(checksum(&bytes).to_be_bytes());
            let mut frames = Frames::default();
            frames.feed(&bytes);
            frames.next().map(|frame| frame.is_some())
        };
        assert!(matches!(start(u32::MAX, 0), Err(Error::Limit(_))));
        assert!(matches!(start((16 << 20) + 1, 0), Err(Error::Limit(_))));
        assert!(!start(16 << 20, 0).unwrap());
        for (total, headers) in [(0, 0), (15, 0), (16, 1), (100, u32::MAX)] {
            assert!(
                matches!(start(total, headers), Err(Error::Upstream(_))),
                "{total} {headers}"
            );
        }
        // Headers that lie about their length are no headers.
        let bytes = raw(&[200, b'x'], b"");
        let mut frames = Frames::default();
        frames.feed(&bytes);
        assert_eq!(frames.next().unwrap().unwrap().header("x"), None);
    }
}
