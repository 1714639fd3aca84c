//! Text in the pieces in which a model would write it.

/// The words of a text, each with the blanks after it; together they are the text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let blank = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let next = rest[blank..]
            .find(|next: char| !next.is_whitespace())
            .map_or(rest.len(), |next| blank + next);
        let (word, after) = rest.split_at(next);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_text() {
        for (text, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("one two\n\n three ", &["one ", "two\n\n ", "three "]),
            ("  lead\u{a0}ü🦀 x", &["  ", "lead\u{a0}", "ü🦀 ", "x"]),
            (" \n", &[" \n"]),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>(), expected);
        }
    }
}
