//! Amazon's binary event stream: length, headers, payload, and two checksums a message.

use bytes::Bytes;

/// The type of a header's value that is a string.
const STRING: u8 = 7;

/// One message.
pub(super) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("names are short"));
        head.extend(name.as_bytes());
        head.push(STRING);
        let length = u16::try_from(value.len()).expect("values are short");
        head.extend(length.to_be_bytes());
        head.extend(value.as_bytes());
    }
    // Around headers and payload lie two lengths and two checksums, 4 bytes each.
    let length = |bytes: usize| u32::try_from(bytes).expect("a test is small").to_be_bytes();
    let mut frame = Vec::new();
    frame.extend(length(16 + head.len() + payload.len()));
    frame.extend(length(head.len()));
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    Bytes::from(frame)
}

/// The message with a checksum that is wrong.
pub(super) fn spoiled(frame: &Bytes) -> Bytes {
    let mut frame = frame.to_vec();
    if let Some(last) = frame.last_mut() {
        *last ^= 1;
    }
    Bytes::from(frame)
}
