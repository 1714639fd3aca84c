//! Server-sent events out of a byte stream that is cut anywhere.
//!
//! Follows the event stream interpretation of the HTML standard (section 9.2.6): LF, CR and CRLF
//! end a line, a byte-order mark at the start is skipped, `data` lines of an event are joined
//! with LF. Different from it: an event that the stream's end cut off is still handed out, since
//! several servers leave out the last blank line.

/// Bytes of one line, and of the data of one event. The largest events seen hold the arguments
/// of one tool call, sent in one piece.
const MAX_EVENT: usize = 4 << 20;

/// A line or an event is longer than [`MAX_EVENT`].
#[derive(Debug, PartialEq)]
pub struct TooLong;

/// One event.
#[derive(Debug, PartialEq)]
pub struct Event<'a> {
    /// Its type; empty when the stream names none.
    pub name: &'a str,
    /// Its data, not checked to be UTF-8.
    pub data: &'a [u8],
}

/// The parser: bytes in with [`Events::feed`], events out with [`Events::next`].
#[derive(Debug, Default)]
pub struct Events {
    buffer: Vec<u8>,
    /// Start of the first line that has not been read.
    line: usize,
    /// Bytes before this place hold no end of that line.
    seen: usize,
    /// The last line ended in CR: an LF right after it belongs to it.
    after_cr: bool,
    started: bool,
    name: String,
    data: Vec<u8>,
    /// The event under construction has a `data` line.
    any: bool,
    /// The event in `data` has been handed out.
    taken: bool,
}

impl Events {
    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.line);
        self.seen -= self.line;
        self.line = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event, or `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// A line or an event has no end within 4 MiB.
    #[allow(
        clippy::should_implement_trait,
        reason = "an event borrows from the parser, which no iterator can lend"
    )]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, TooLong> {
        self.forget();
        while let Some((start, end)) = self.next_line()? {
            match (start == end, self.any) {
                (true, true) => return Ok(Some(self.take())),
                (true, false) => self.name.clear(),
                (false, _) => self.field(start, end)?,
            }
        }
        Ok(None)
    }

    /// The event that the end of the stream left open, if it has data.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn finish(&mut self) -> Result<Option<Event<'_>>, TooLong> {
        self.forget();
        let (start, end) = (self.line, self.buffer.len());
        self.line = end;
        self.seen = end;
        self.field(start, end)?;
        Ok(if self.any { Some(self.take()) } else { None })
    }

    fn take(&mut self) -> Event<'_> {
        self.any = false;
        self.taken = true;
        Event {
            name: &self.name,
            data: &self.data,
        }
    }

    fn forget(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.name.clear();
            self.data.clear();
        }
    }

    /// Bounds of the next complete line, without its end.
    fn next_line(&mut self) -> Result<Option<(usize, usize)>, TooLong> {
        if !self.started {
            const MARK: &[u8] = b"\xef\xbb\xbf";
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return Ok(None);
            }
            self.started = true;
            self.line = if self.buffer.starts_with(MARK) {
                MARK.len()
            } else {
                0
            };
        }
        if self.after_cr && self.line < self.buffer.len() {
            self.after_cr = false;
            self.line += usize::from(self.buffer[self.line] == b'\n');
        }
        self.seen = self.seen.max(self.line);
        let found = self.buffer[self.seen..]
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'));
        let end = self.seen + found.unwrap_or(self.buffer.len() - self.seen);
        if end - self.line > MAX_EVENT {
            return Err(TooLong);
        }
        self.seen = end;
        if found.is_none() {
            return Ok(None);
        }
        self.after_cr = self.buffer[end] == b'\r';
        let start = std::mem::replace(&mut self.line, end + 1);
        self.seen = self.line;
        Ok(Some((start, end)))
    }

    fn field(&mut self, start: usize, end: usize) -> Result<(), TooLong> {
        let line = &self.buffer[start..end];
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() > MAX_EVENT {
                    return Err(TooLong);
                }
                if self.any {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.any = true;
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            // Comments, `id` and `retry`: a completion cannot be resumed.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All events of a stream that arrives in pieces of `size` bytes.
    fn events(stream: &[u8], size: usize) -> Vec<(String, String)> {
        let mut parser = Events::default();
        let mut all = Vec::new();
        let own = |event: Event<'_>| {
            (
                event.name.to_owned(),
                String::from_utf8(event.data.to_vec()).unwrap(),
            )
        };
        for piece in stream.chunks(size) {
            parser.feed(piece);
            while let Some(event) = parser.next().unwrap() {
                all.push(own(event));
            }
        }
        all.extend(parser.finish().unwrap().map(own));
        all
    }

    fn check(stream: &str, expected: &[(&str, &str)]) {
        for size in 1..=stream.len() {
            let got = events(stream.as_bytes(), size);
            let got: Vec<_> = got
                .iter()
                .map(|(name, data)| (name.as_str(), data.as_str()))
                .collect();
            assert_eq!(got, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn pieces_may_end_anywhere() {
        check(
            "data: {\"a\":\"ü🦀\"}\n\ndata: [DONE]\n\n",
            &[("", "{\"a\":\"ü🦀\"}"), ("", "[DONE]")],
        );
        check("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]);
        check("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]);
        check("\u{feff}data: a\n\n", &[("", "a")]);
    }

    #[test]
    fn comments_names_and_unknown_fields() {
        check(
            ": OPENROUTER PROCESSING\n\n:\n\nretry: 5\nid: 7\nevent: error\ndata: x\n\ndata: y\n\n",
            &[("error", "x"), ("", "y")],
        );
        check(
            "data\n\ndata:\n\ndata: \n\n",
            &[("", ""), ("", ""), ("", "")],
        );
        check("event: lost\n\ndata: x\n\n", &[("", "x")]);
        check("database: x\n\n data: y\n\n", &[]);
    }

    #[test]
    fn data_lines_are_joined() {
        check(
            "data: {\ndata:  \"a\": 1\ndata\ndata: }\n\n",
            &[("", "{\n \"a\": 1\n\n}")],
        );
    }

    #[test]
    fn a_last_event_without_its_blank_line_counts() {
        check("data: a\n\ndata: [DONE]", &[("", "a"), ("", "[DONE]")]);
        check("data: a\n\ndata: [DONE]\n", &[("", "a"), ("", "[DONE]")]);
        check("", &[]);
        check("data: a\n\n: bye", &[("", "a")]);
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let mut parser = Events::default();
        let mut fed = 0;
        let error = loop {
            parser.feed(&[b'x'; 65536]);
            fed += 65536;
            match parser.next() {
                Ok(None) => assert!(fed <= MAX_EVENT + 65536, "no bound"),
                other => break other.map(|_| ()),
            }
        };
        assert_eq!(error, Err(TooLong));

        let mut parser = Events::default();
        let line = format!("data: {}\n", "y".repeat(1 << 16));
        let bounded = (0..100).any(|_| {
            parser.feed(line.as_bytes());
            parser.next().is_err()
        });
        assert!(bounded, "many short lines of one event have no bound");
    }
}
