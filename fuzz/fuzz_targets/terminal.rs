//! Text from plugins, models and programs on its way to a terminal or to a model.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../plugins/shell/src/ansi.rs"]
mod ansi;
#[path = "../../host/cli/src/ui/clean.rs"]
mod clean;

fuzz_target!(|text: &str| {
    let cleaned = clean::clean(text);
    assert_harmless(&cleaned, false);
    assert_eq!(clean::clean(&cleaned), cleaned, "twice is once");
    assert_harmless(&clean::visible(text), false);
    let plain = |c: char| c == '\n' || c == '\t' || ('\u{20}'..='\u{7e}').contains(&c);
    if text.chars().all(plain) {
        assert_eq!(cleaned, text, "ordinary text stays");
        assert_eq!(clean::visible(text), text, "ordinary text stays");
    }
    let visible: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    let shown: String = clean::visible(text)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect();
    assert!(
        shown.len() >= visible.len(),
        "something is hidden from who is asked"
    );
    for width in [1, 7, 80] {
        for line in [clean::one_line(text, width), clean::log_line(text, width)] {
            assert!(line.chars().count() <= width && !line.contains('\n'));
            assert_harmless(&line, false);
        }
    }
    for_a_model(text);
    let stripped = ansi::strip(text);
    assert_harmless(&stripped, true);
    assert_eq!(ansi::strip(&stripped), stripped, "twice is once");
});

/// Nothing hides from a person who reads along, and ordinary text, joiners and line ends stay.
fn for_a_model(text: &str) {
    let cleaned = clean::for_model(text);
    let joined = |c: char| matches!(c, '\r' | '\u{200c}' | '\u{200d}');
    let seen: String = cleaned.chars().filter(|c| !joined(*c)).collect();
    assert_harmless(&seen, false);
    assert!(!cleaned.replace("\r\n", "").contains('\r'));
    assert_eq!(clean::for_model(&cleaned), cleaned, "twice is once");
    if clean::clean(text) == text {
        assert_eq!(cleaned, text, "nothing was taken away");
    }
}

/// `for_a_model`: what reorders text on a screen may stay.
fn assert_harmless(text: &str, for_a_model: bool) {
    let reorders = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}');
    let found = text
        .chars()
        .find(|c| c.is_control() && !"\n\t".contains(*c) || !for_a_model && reorders(*c));
    assert_eq!(found, None, "{text:?}");
}
