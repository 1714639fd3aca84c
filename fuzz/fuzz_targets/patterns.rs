//! Host, path and flavor patterns against a slow reading of what their documentation says.
//! Input: pattern, newline, host or path or flavor.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use ml_intern_fuzz::assert_showable;
use ml_intern_manifest::{FlavorPattern, HostPattern, PathPattern};

fuzz_target!(|text: &str| -> Corpus {
    let Some((pattern, value)) = text.split_once('\n') else {
        return Corpus::Reject;
    };
    host(pattern, value);
    path(pattern, value);
    flavor(pattern, value);
    Corpus::Keep
});

fn host(text: &str, value: &str) {
    let pattern = match text.parse::<HostPattern>() {
        Ok(pattern) => pattern,
        Err(error) => return assert_showable(&error.to_string()),
    };
    let written = pattern.to_string();
    assert_eq!(
        written.parse::<HostPattern>().as_ref(),
        Ok(&pattern),
        "{written}"
    );
    let matches = pattern.matches(value);
    match &pattern {
        HostPattern::Name(name) => {
            assert!(pattern.matches(name));
            assert_eq!(matches, value.strip_suffix('.').unwrap_or(value) == name);
        }
        HostPattern::Below(domain) => {
            assert!(!pattern.matches(domain), "{domain} is not below itself");
            assert!(pattern.matches(&format!("a.{domain}")));
            assert!(!pattern.matches(&format!("evil{domain}")));
            assert!(!pattern.matches(&format!("{domain}.evil.test")));
            if matches {
                let host = value.strip_suffix('.').unwrap_or(value);
                assert!(host.ends_with(&format!(".{domain}")), "{host}");
            }
        }
        HostPattern::Address(_) => assert!(pattern.matches(&written)),
    }
    // A rule must be written as a URL has it, or it would never match what it seems to mean.
    if pattern.is_exact() {
        if let Ok(url) = url::Url::parse(&format!("https://{written}/")) {
            let host = url.host_str().unwrap_or_default();
            assert!(pattern.matches(host), "{written} is {host} in a URL");
        }
    }
}

fn path(text: &str, value: &str) {
    let pattern = match text.parse::<PathPattern>() {
        Ok(pattern) => pattern,
        Err(error) => return assert_showable(&error.to_string()),
    };
    assert_eq!(pattern.as_str(), text);
    let matches = pattern.matches(value);
    if pattern.is_any() {
        assert_eq!(matches, value.starts_with('/'));
        return;
    }
    if !matches {
        // What a URL parser and every server read alike is judged by the pattern alone.
        let plain = value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'/')
            && value.starts_with('/')
            && !value.contains("//");
        assert!(!(plain && means(text, value)), "{text} means {value}");
        return;
    }
    assert!(means(text, value), "{text} does not mean {value}");
    let url =
        url::Url::parse(&format!("https://host{value}")).expect("a path that is judged is one");
    assert_eq!(url.path(), value, "a URL parser reads it otherwise");
    assert_eq!(
        resolved(value),
        plainly_decoded(value),
        "a server resolves it to another place"
    );
}

/// What the documentation of [`PathPattern`] says, by trying everything.
fn means(pattern: &str, path: &str) -> bool {
    fn segments(pattern: &[&str], path: &[&str], budget: &mut u32) -> bool {
        *budget = budget.saturating_sub(1);
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", [])), Some(_)) => true,
            (Some((&"**", [])), None) => false,
            (Some((&"**", rest)), _) => {
                *budget > 0
                    && (0..=path.len()).any(|skipped| segments(rest, &path[skipped..], budget))
            }
            (Some((own, rest)), Some((other, left))) => {
                segment(own.as_bytes(), other.as_bytes(), budget) && segments(rest, left, budget)
            }
            _ => false,
        }
    }
    fn segment(pattern: &[u8], text: &[u8], budget: &mut u32) -> bool {
        *budget = budget.saturating_sub(1);
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => {
                *budget > 0
                    && (0..=text.len()).any(|skipped| segment(rest, &text[skipped..], budget))
            }
            Some((own, rest)) => text
                .split_first()
                .is_some_and(|(other, left)| own == other && segment(rest, left, budget)),
        }
    }
    let mut budget = 100_000;
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    let answer = segments(&pattern, &path, &mut budget);
    // Too many ways to try: no statement.
    answer || budget == 0
}

/// Percent-decoded twice, with backslashes as slashes, parameters dropped, dot segments followed:
/// the most that any server does to a path.
fn resolved(path: &str) -> Vec<Vec<u8>> {
    let twice = decoded(&decoded(path.as_bytes()));
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for segment in twice.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        match name {
            b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(name.to_vec()),
        }
    }
    kept
}

/// The segments as they stand, decoded once.
fn plainly_decoded(path: &str) -> Vec<Vec<u8>> {
    let name = |segment: &str| {
        let name = segment.split(';').next().unwrap_or_default();
        decoded(name.as_bytes())
    };
    path.split('/').map(name).collect()
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| {
        bytes
            .get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1).zip(digit(at + 2))) {
            (b'%', Some((high, low))) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn flavor(text: &str, value: &str) {
    match text.parse::<FlavorPattern>() {
        Ok(pattern) => {
            let expected = match text.strip_suffix('*') {
                Some(start) => value.starts_with(start),
                None => value == text,
            };
            assert_eq!(pattern.matches(value), expected);
        }
        Err(error) => assert_showable(&error.to_string()),
    }
}
