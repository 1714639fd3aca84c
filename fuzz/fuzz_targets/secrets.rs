//! Secret values in what leaves and what comes back. Input: secrets, one a line, an empty line, a
//! number of cuts, the cuts, the text.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use libfuzzer_sys::{Corpus, fuzz_target};

#[expect(dead_code, reason = "the host uses all of it")]
#[path = "../../host/runtime/src/egress/secret.rs"]
mod secret;

use secret::{Credential, Scrubber, Secret, Secrets};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(end) = input.windows(2).position(|pair| pair == b"\n\n") else {
        return Corpus::Reject;
    };
    let Ok(values) = std::str::from_utf8(&input[..end]) else {
        return Corpus::Reject;
    };
    // A secret of stars cannot be hidden by stars.
    let values: Vec<&str> = values
        .lines()
        .map(str::trim)
        .filter(|value| !value.contains('*'))
        .collect();
    let Some((count, rest)) = input[end + 2..].split_first() else {
        return Corpus::Reject;
    };
    let (cuts, text) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let credentials: Vec<Credential> = values
        .iter()
        .map(|value| Credential {
            name: "x".to_owned(),
            value: Secret::new(value),
        })
        .collect();
    let secrets = Secrets::new(&credentials);
    let values: Vec<&str> = values
        .into_iter()
        .filter(|value| value.len() >= 8)
        .collect();
    assert_eq!(secrets.is_empty(), values.is_empty());
    hides(&secrets, &values, text, cuts);
    finds(&secrets, &values, text);
    Corpus::Keep
});

fn hides(secrets: &Secrets, values: &[&str], text: &[u8], cuts: &[u8]) {
    let whole = scrub(secrets, text, &[]);
    for cuts in [&[][..], cuts, &[1]] {
        let clean = scrub(secrets, text, cuts);
        assert_eq!(clean.len(), text.len(), "the length stays");
        for value in values {
            assert!(
                !holds(&clean, value.as_bytes()),
                "{value:?} is left of {text:?} in pieces of {cuts:?}"
            );
        }
        if values.len() <= 1 {
            assert_eq!(clean, whole, "in pieces of {cuts:?}");
        }
        assert_eq!(scrub(secrets, &clean, &[]), clean, "twice is once");
        let changed = clean
            .iter()
            .zip(text)
            .all(|(new, old)| new == old || *new == b'*');
        assert!(changed, "something else was replaced");
    }
    if !values.iter().any(|value| holds(text, value.as_bytes())) {
        assert_eq!(whole, text, "nothing was there to hide");
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
    let around = |spelling: &str| [before, spelling.as_bytes(), after].concat();
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
            let text = around(&spelling);
            assert!(
                secrets.found_in(&text),
                "{value:?} is not found as {spelling:?}"
            );
            // A body is read in chunks, each with the end of the one before it.
            let cut = half + spelling.len() / 2;
            let start = cut.saturating_sub(secrets.overlap());
            assert!(
                secrets.found_in(&text[..cut]) || secrets.found_in(&text[start..]),
                "{spelling:?} is cut"
            );
        }
    }
}

fn holds(text: &[u8], value: &[u8]) -> bool {
    text.windows(value.len()).any(|window| window == value)
}
