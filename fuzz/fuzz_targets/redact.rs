//! Redaction of what a session writes down: a secret that the host knows is gone from any text, from
//! a text in any pieces, and from any JSON. Input: the secret, a newline, a number of cuts, the cuts,
//! the text.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use ml_intern_agent::redaction::{Redactor, Rules};
use ml_intern_trace::{KnownSecret, SecretRules};

fuzz_target!(|input: &str| -> Corpus {
    let Some((secret, rest)) = input.split_once('\n') else {
        return Corpus::Reject;
    };
    // A placeholder holds brackets and words of its own.
    let fits = secret.len() >= 8
        && secret
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !fits || "known".contains(secret) {
        return Corpus::Reject;
    }
    let Some(count) = rest.chars().next() else {
        return Corpus::Reject;
    };
    let rest: Vec<char> = rest.chars().skip(1).collect();
    let (cuts, text) = rest.split_at((count as usize % 8).min(rest.len()));
    let rules = SecretRules::new([KnownSecret {
        name: "known".to_owned(),
        spellings: vec![secret.as_bytes().to_vec().into()],
    }]);
    let text: String = text.iter().collect();
    hides_spellings(&rules, secret, &text, cuts);
    let text = format!("{text}{secret}{text}");
    for level in [Rules::Known, Rules::Marked, Rules::All] {
        let clean = rules.clean(&text, level).into_owned();
        assert!(!clean.contains(secret), "{clean:?}");
        assert_eq!(rules.clean(&clean, level), clean, "twice is once");
    }
    assert!(
        !in_pieces(&rules, &text, cuts).contains(secret),
        "in pieces of {cuts:?}"
    );
    assert!(
        !in_pieces(&rules, &text, &['\u{1}']).contains(secret),
        "character by character"
    );
    if let Ok(mut value) = serde_json::from_str::<serde_json::Value>(&text.replace(secret, "")) {
        let before = value.to_string();
        let changed = rules.value(&mut value, Rules::All);
        assert!(changed || value.to_string() == before);
        assert!(!value.to_string().contains(secret));
    }
    Corpus::Keep
});

/// A secret is gone in every reading that a server or a model may make of the text.
fn hides_spellings(rules: &SecretRules, secret: &str, text: &str, cuts: &[char]) {
    // Apart from the text, so that an escape before it takes none of its characters along.
    let spelled = |spell: fn(u8) -> String| {
        let each = secret.bytes().zip((0..3).cycle());
        let each = each.map(|(byte, at)| match at {
            2 => char::from(byte).to_string(),
            _ => spell(byte),
        });
        let spelling: String = each.collect();
        format!("{text} {spelling} {text}")
    };
    let percent = spelled(|byte| format!("%{byte:02x}"));
    let percent_twice = spelled(|byte| format!("%25{byte:02X}"));
    let json = spelled(|byte| format!("\\u00{byte:02X}"));
    for text in [percent, percent_twice, json] {
        let clean = rules.clean(&text, Rules::Known);
        assert!(
            clean.contains("[REDACTED:known]"),
            "{text:?} became {clean:?}"
        );
        let shown = in_pieces(rules, &text, cuts);
        assert!(
            shown.contains("[REDACTED:known]"),
            "{text:?} became {shown:?} in pieces"
        );
    }
}

/// The text in pieces of as many characters as the numbers of these, over and over.
fn in_pieces(rules: &SecretRules, text: &str, sizes: &[char]) -> String {
    let mut fragments = rules.fragments();
    let mut shown = String::new();
    let mut sizes = sizes.iter().cycle();
    let mut left = text.chars().peekable();
    while left.peek().is_some() {
        let size = sizes
            .next()
            .map_or(usize::MAX, |size| (*size as usize % 64).max(1));
        let piece: String = left.by_ref().take(size).collect();
        shown.push_str(&fragments.push(&piece));
    }
    shown.push_str(&fragments.finish());
    shown
}
