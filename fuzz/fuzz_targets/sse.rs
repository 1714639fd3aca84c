//! Server-sent events: the same whatever pieces the stream comes in, and the same as a slow reading
//! of the standard. Input: a number of cuts, the cuts, the stream.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

#[path = "../../sdk/rust/src/provider/sse.rs"]
mod sse;

type Event = (String, Vec<u8>);

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((count, rest)) = input.split_first() else {
        return Corpus::Reject;
    };
    let (cuts, stream) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let whole = events(stream, &[]);
    assert_eq!(events(stream, cuts), whole, "in pieces of {cuts:?}");
    assert_eq!(events(stream, &[1]), whole, "byte by byte");
    assert_eq!(reference(stream), whole, "by the standard");
    Corpus::Keep
});

/// The events of a stream that comes in pieces of these sizes, over and over; whole without sizes.
fn events(mut stream: &[u8], sizes: &[u8]) -> Vec<Event> {
    let mut parser = sse::Events::default();
    let mut all = Vec::new();
    let own = |event: sse::Event<'_>| (event.name.to_owned(), event.data.to_vec());
    let mut sizes = sizes.iter().cycle();
    while !stream.is_empty() {
        let size = sizes
            .next()
            .map_or(stream.len(), |size| usize::from(*size).max(1));
        let (piece, rest) = stream.split_at(size.min(stream.len()));
        stream = rest;
        parser.feed(piece);
        while let Some(event) = parser.next().expect("nothing here is too long") {
            all.push(own(event));
        }
    }
    all.extend(parser.finish().expect("nothing here is too long").map(own));
    all
}

fn reference(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            _ => lines.last_mut().expect("never empty").push(byte),
        }
    }
    // The end of the stream ends a line and an event.
    lines.push(Vec::new());
    let (mut all, mut name, mut data) = (Vec::new(), String::new(), None::<Vec<u8>>);
    for line in lines {
        if line.is_empty() {
            all.extend(data.take().map(|data| (std::mem::take(&mut name), data)));
            name.clear();
            continue;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let field = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = String::from_utf8_lossy(value).into_owned(),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
    all
}
