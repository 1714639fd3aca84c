//! A reply as the pieces in which its bytes are written, and how they end.

use bytes::Bytes;

use super::script::{Ending, Flaw, Reply};

/// Bytes in one write of a huge body.
const FILLER: usize = 64 * 1024;

/// The pieces in which the body is written, and what follows the last one.
pub(super) struct Body {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    pub(super) then: Then,
}

/// What follows the last piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Then {
    End,
    Cut,
    Hang,
}

impl Body {
    /// `events` in the pieces and with the end that the reply wants; `error` makes the event that
    /// tells of an error after so many others.
    pub(super) fn new(
        reply: &Reply,
        status: u16,
        content_type: &'static str,
        events: Vec<Bytes>,
        error: impl FnOnce(usize) -> Bytes,
    ) -> Self {
        let (mut events, then) = end(events, &reply.ending, error);
        if reply.has(Flaw::CrLf) && content_type.starts_with("text/event-stream") {
            for event in &mut events {
                // JSON has no line ends of its own here: they are escaped in its strings.
                let text = String::from_utf8_lossy(event).replace('\n', "\r\n");
                *event = Bytes::from(text);
            }
        }
        let pieces = match reply.piece_bytes {
            None => events,
            Some(bytes) => {
                let all = Bytes::from(events.concat());
                let starts = (0..all.len()).step_by(bytes);
                starts
                    .map(|start| all.slice(start..all.len().min(start + bytes)))
                    .collect()
            }
        };
        Self {
            status,
            content_type,
            pieces: Box::new(pieces.into_iter()),
            then,
        }
    }

    /// An answer that begins like one of chat completions and never comes to a line end, made as
    /// it is written.
    pub(super) fn huge(stream: bool, content_type: &'static str, bytes: usize) -> Self {
        let head: &[u8] = match stream {
            true => br#"data: {"choices":[{"index":0,"delta":{"content":""#,
            false => br#"{"choices":[{"index":0,"message":{"role":"assistant","content":""#,
        };
        let filler = Bytes::from(vec![b'x'; FILLER]);
        let pieces = std::iter::once(Bytes::from_static(head))
            .chain(std::iter::repeat_n(filler, bytes.div_ceil(FILLER)));
        Self {
            status: 200,
            content_type,
            pieces: Box::new(pieces),
            then: Then::End,
        }
    }
}

fn end(
    mut events: Vec<Bytes>,
    ending: &Ending,
    error: impl FnOnce(usize) -> Bytes,
) -> (Vec<Bytes>, Then) {
    let last = events.len().saturating_sub(1);
    match ending {
        Ending::Proper => (events, Then::End),
        Ending::CutAfter(whole) => {
            let whole = *whole.min(&last);
            events.truncate(whole + 1);
            if let Some(event) = events.last_mut() {
                event.truncate(event.len() / 2);
            }
            (events, Then::Cut)
        }
        Ending::HangAfter(whole) => {
            events.truncate(*whole.min(&last));
            (events, Then::Hang)
        }
        Ending::ErrorAfter(whole, _) => {
            events.truncate(*whole.min(&last));
            events.push(error(events.len()));
            (events, Then::End)
        }
    }
}

/// A server-sent event without a name.
pub(super) fn data(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// A server-sent event whose name is the `type` of its data, as newer services have it.
pub(super) fn typed(data: &serde_json::Value) -> Bytes {
    let name = data["type"].as_str().expect("every such event has a type");
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// The same events with `between` before each.
pub(super) fn kept_alive(events: Vec<Bytes>, between: &'static str) -> Vec<Bytes> {
    let between = Bytes::from_static(between.as_bytes());
    let pairs = events.into_iter().map(|event| [between.clone(), event]);
    pairs.flatten().collect()
}
