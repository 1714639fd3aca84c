//! Secret values in what leaves and what comes back. Input: secrets, one a line, an empty line, a
//! number of cuts, the cuts, the text.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use libfuzzer_sys::{Corpus, fuzz_target};

/// What the two files name of their crate.
mod meter {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

mod egress {
    pub(crate) use crate::secret;
}

#[allow(dead_code, reason = "the host uses all of it")]
#[path = "../../host/runtime/src/egress/scan.rs"]
mod scan;
#[allow(dead_code, reason = "the host uses all of it")]
#[path = "../../host/runtime/src/egress/secret.rs"]
mod secret;

use scan::Scan;
use secret::{Scrubber, Secret, Secrets};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(end) = input.windows(2).position(|pair| pair == b"\n\n") else {
        return Corpus::Reject;
    };
    let Ok(values) = std::str::from_utf8(&input[..end]) else {
        return Corpus::Reject;
    };
    // A secret of stars cannot be hidden by stars; one of fewer than eight bytes is not looked for.
    let values = values.lines().map(str::trim);
    let values: Vec<&str> = values
        .filter(|value| !value.contains('*') && value.len() >= 8)
        .collect();
    let Some((count, rest)) = input[end + 2..].split_first() else {
        return Corpus::Reject;
    };
    let (cuts, text) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let known: Vec<Secret> = values.iter().map(|value| Secret::new(value)).collect();
    let secrets = Secrets::new(&known);
    assert_eq!(secrets.is_empty(), values.is_empty());
    hides(&secrets, &known, text, cuts);
    finds(&secrets, &values, text);
    Corpus::Keep
});

fn hides(secrets: &Secrets, known: &[Secret], text: &[u8], cuts: &[u8]) {
    let spellings: Vec<_> = known.iter().flat_map(Secret::spellings).collect();
    let any = |text: &[u8]| spellings.iter().any(|spelling| holds(text, spelling));
    for cuts in [&[][..], cuts, &[1]] {
        let clean = scrub(secrets, text, cuts);
        assert_eq!(clean.len(), text.len(), "the length stays");
        assert!(
            !any(&clean),
            "a secret is left of {text:?} in pieces of {cuts:?}"
        );
        assert_eq!(scrub(secrets, &clean, &[]), clean, "twice is once");
        let mut pairs = clean.iter().zip(text);
        let changed = pairs.all(|(new, old)| new == old || *new == b'*');
        assert!(changed, "something else was replaced");
        if !any(text) {
            assert_eq!(clean, text, "nothing was there to hide");
        }
    }
}

/// The text through a scrubber, in pieces of these sizes, over and over; whole without sizes.
fn scrub(secrets: &Secrets, mut text: &[u8], sizes: &[u8]) -> Vec<u8> {
    let mut scrubber = Scrubber::default();
    let mut out = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !text.is_empty() {
        let size = sizes
            .next()
            .map_or(text.len(), |size| usize::from(*size).max(1));
        let (piece, rest) = text.split_at(size.min(text.len()));
        text = rest;
        out.extend(scrubber.push(secrets, Bytes::copy_from_slice(piece)));
    }
    out.extend(scrubber.finish());
    out
}

fn finds(secrets: &Secrets, values: &[&str], text: &[u8]) {
    let half = text.len() / 2;
    let (before, after) = text.split_at(half);
    for value in values {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        let within = [before, value.as_bytes(), after].concat();
        let spellings = [
            (*value).to_owned(),
            hex.to_uppercase(),
            hex,
            value.bytes().map(percent).collect(),
            STANDARD_NO_PAD.encode(&within),
            URL_SAFE_NO_PAD.encode(&within),
        ];
        for spelling in spellings {
            // Apart from the text, so that a `%` before it takes none of its characters along.
            let sent = [before, b" ", spelling.as_bytes(), b"  ", after].concat();
            assert!(
                Scan::finds(secrets, &sent),
                "{value:?} is not found as {spelling:?}"
            );
            let (first, second) = sent.split_at(half + 1 + spelling.len() / 2);
            let mut scan = Scan::new();
            let found =
                scan.push(secrets, first) | scan.push(secrets, second) | scan.push(secrets, b"  ");
            assert!(
                found,
                "{value:?} is not found as {spelling:?} when it is cut"
            );
        }
    }
}

fn holds(text: &[u8], value: &[u8]) -> bool {
    text.windows(value.len()).any(|window| window == value)
}
