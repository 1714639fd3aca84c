//! What several targets check alike.

pub mod grants;

/// Text that a person is shown, whatever was read to make it: one line, bounded, and nothing in it
/// that commands a terminal or reorders what follows.
pub fn assert_showable(message: &str) {
    const MOST: usize = 8 << 10;
    assert!(
        message.len() <= MOST,
        "{} bytes: {message:.200}…",
        message.len()
    );
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(found) = message.chars().find(hidden) {
        panic!("{found:?} in {message:?}");
    }
}

/// The error of a document: it can be shown, and points into the text.
pub fn assert_document_error(text: &str, error: &ml_intern_manifest::Error) {
    assert_showable(&error.to_string());
    if let ml_intern_manifest::Error::Document { position, .. } = error {
        let line = text
            .split('\n')
            .nth(position.line - 1)
            .expect("the line is there");
        assert!(
            position.column <= line.chars().count() + 1,
            "{position} is not in the text"
        );
    }
}
