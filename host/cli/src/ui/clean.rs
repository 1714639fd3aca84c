//! What comes from plugins, models, files and servers may carry bytes that command a terminal.

use serde_json::Value;

/// Removes escape sequences, control characters other than newline and tab, and characters that reorder or hide text.
pub(crate) fn clean(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\n' | '\t' => kept.push(character),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' => kept.push('\n'),
            _ if character.is_control() || is_invisible(character) => {}
            _ => kept.push(character),
        }
    }
    kept
}

/// [`clean`], as one line of at most `width` characters.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let words = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&words, width)
}

/// As [`clean`], for text that a model reads: no instruction may hide from the person who reads along.
/// Line ends stay as they are, and so do the two joiners, with which scripts and emoji are spelled.
/// How much was taken away is said at the end.
pub(crate) fn for_model(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut removed = 0;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' | '\u{200c}' | '\u{200d}' => kept.push(character),
            '\r' if characters.peek() == Some(&'\n') => kept.push('\r'),
            '\r' => kept.push('\n'),
            '\u{1b}' => {
                skip_escape(&mut characters);
                removed += 1;
            }
            _ if character.is_control() || is_invisible(character) => removed += 1,
            _ => kept.push(character),
        }
    }
    if removed > 0 {
        kept.push_str(&format!(
            "\n[{removed} control sequences or invisible characters were removed]"
        ));
    }
    kept
}

/// [`clean`] for every text of a JSON document, names of fields included. A note of what was taken away would make it
/// another document, so there is none.
pub(crate) fn json_for_model(text: &str) -> String {
    fn plain(value: &mut Value) {
        match value {
            Value::String(text) => *text = clean(text),
            Value::Array(items) => items.iter_mut().for_each(plain),
            Value::Object(fields) => {
                let all = std::mem::take(fields).into_iter();
                *fields = all
                    .map(|(name, mut value)| {
                        plain(&mut value);
                        (clean(&name), value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    // What is not JSON is refused elsewhere, with the reason.
    let Ok(before) = serde_json::from_str::<Value>(text) else {
        return clean(text);
    };
    let mut after = before.clone();
    plain(&mut after);
    if after == before {
        clean(text)
    } else {
        after.to_string()
    }
}

/// Makes every character seen that [`clean`] would take away, as `\u{1b}`. For what a person is asked about: nothing of a
/// command may hide behind what a terminal does with it.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            _ if character.is_control() || is_invisible(character) => {
                shown.extend(character.escape_unicode());
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// [`clean`], as one line of at most `width` characters that keeps its indentation.
pub(crate) fn log_line(text: &str, width: usize) -> String {
    let text = clean(text).replace('\t', "    ").replace('\n', " ");
    cut(text.trim_end(), width)
}

/// At most `width` characters, the last one saying that something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.peek() {
        // CSI ends with a byte of 0x40..=0x7e.
        Some('[') => {
            characters.next();
            while characters
                .next_if(|c| !('\u{40}'..='\u{7e}').contains(c) && !c.is_control())
                .is_some()
            {}
            characters.next_if(|c| !c.is_control());
        }
        // OSC, DCS, SOS, PM and APC end with BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            characters.next();
            while let Some(character) = characters.next() {
                if character == '\u{7}'
                    || (character == '\u{1b}' && characters.next_if_eq(&'\\').is_some())
                {
                    break;
                }
            }
        }
        Some(_) => {
            characters.next();
        }
        None => {}
    }
}

/// Bidirectional controls, zero-width characters and tags (Unicode 16, general category Cf).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_commands_a_terminal_is_left() {
        let evil = "a\u{1b}[31mred\u{1b}[0m\u{1b}]52;c;aGk=\u{7}b\u{1b}]0;t\u{1b}\\c\u{1b}[?25ld\u{202e}e\u{8}f\u{9b}31mg\u{1b}";
        assert_eq!(clean(evil), "aredbcdef31mg");
        assert_eq!(clean("x\r\ny\rz"), "x\ny\nz");
    }

    #[test]
    fn a_schema_stays_one_whatever_hid_in_it() {
        let plain = "{ \"type\":\"object\",\n \"b\":1, \"a\":[1.50] }";
        assert_eq!(json_for_model(plain), plain);
        let hidden =
            "{\"pa\\u202eth\":{\"description\":\"a\\u001b]52;c;aGk=\\u0007b\u{200b}c\"},\"n\":1}";
        let left = "{\"path\":{\"description\":\"abc\"},\"n\":1}";
        assert_eq!(json_for_model(hidden), left);
    }

    #[test]
    fn a_model_reads_what_a_person_sees_and_is_told_what_is_missing() {
        let family = "👨\u{200d}👩 a\r\nb\tc";
        assert_eq!(for_model(family), family);
        let hidden = "fine\u{e0041}\u{e0042}\u{202e}\u{200b}\u{1b}[2J\u{1b}]52;c;aGk=\u{7} text";
        let read = for_model(hidden);
        assert!(
            read.starts_with("fine text\n[6 control sequences"),
            "{read}"
        );
    }

    #[test]
    fn an_unfinished_sequence_swallows_its_own_text_only_to_the_end() {
        assert_eq!(clean("a\u{1b}]0;never ends"), "a");
        assert_eq!(clean("a\u{1b}[12"), "a");
        assert_eq!(clean("a\u{1b}[1\nb"), "a\nb");
    }

    #[test]
    fn nothing_that_is_asked_about_can_hide() {
        let hidden = "true\u{1b}]0;rm -rf ~\u{7}\u{202e}\r\n\techo \u{9b}é";
        assert_eq!(
            visible(hidden),
            "true\\u{1b}]0;rm -rf ~\\u{7}\\u{202e}\\u{d}\n\techo \\u{9b}é"
        );
    }

    #[test]
    fn a_line_of_a_log_keeps_its_indentation() {
        assert_eq!(log_line("  \"a\": 1,\u{1b}[0m \r\n", 20), "  \"a\": 1,");
        assert_eq!(log_line("\tabc", 6), "    a…");
    }

    #[test]
    fn one_line_is_short() {
        assert_eq!(one_line("a\n b\tc", 10), "a b c");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }
}
