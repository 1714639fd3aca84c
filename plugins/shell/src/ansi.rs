//! Terminal escapes are for terminals: the model reads text.

/// Removes every escape sequence of ECMA-48 (control sequences, strings such as OSC, and the short ones),
/// in its seven-bit form and as C1 characters, and the control characters other than tab and
/// newline. A carriage return that is not at a line's end starts the line over, as in a progress bar.
pub(crate) fn strip(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut line_start = 0;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => control_sequence(&mut characters),
                Some(']' | 'P' | 'X' | '^' | '_') => string(&mut characters),
                // Intermediate characters, then a final one: selects a character set, for example.
                Some(' '..='/') => {
                    while characters
                        .next_if(|next| (' '..='/').contains(next))
                        .is_some()
                    {}
                    characters.next_if(|next| ('0'..='~').contains(next));
                }
                _ => {}
            },
            '\u{9b}' => control_sequence(&mut characters),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => string(&mut characters),
            '\n' => {
                plain.push('\n');
                line_start = plain.len();
            }
            '\r' => {
                while characters.next_if_eq(&'\r').is_some() {}
                if characters.peek().is_some_and(|next| *next != '\n') {
                    plain.truncate(line_start);
                }
            }
            '\t' => plain.push('\t'),
            other if other.is_control() => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Parameters and intermediates up to the final character; ends early at what cannot belong to it.
fn control_sequence(characters: &mut std::iter::Peekable<std::str::Chars>) {
    while characters
        .next_if(|next| (' '..='?').contains(next))
        .is_some()
    {}
    characters.next_if(|next| ('@'..='~').contains(next));
}

/// Up to BEL or the string terminator. A string that never ends is cut at the line's end, so that
/// a stray escape does not swallow the rest of an output.
fn string(characters: &mut std::iter::Peekable<std::str::Chars>) {
    while let Some(next) = characters.next_if(|next| *next != '\n') {
        match next {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                characters.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(strip(text), expected, "{text:?}");
    }

    #[test]
    fn escapes_of_every_kind_go() {
        check("\u{1b}[1;31mred\u{1b}[0m", "red");
        check("\u{1b}[?25lhidden\u{1b}[?25h", "hidden");
        check("\u{1b}[38:2::1:2:3mx\u{1b}[ q", "x");
        check(
            "\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b\u{1b}]8;;\u{1b}\\",
            "ab",
        );
        check("\u{1b}(Ba\u{1b})0b\u{1b}=c\u{1b}7d\u{1b}Me", "abcde");
        check("\u{1b}Pq#0;2\u{1b}\\x\u{9b}31my\u{9d}t\u{9c}z", "xyz");
        check("a\u{8}\u{0}b\u{7f}", "ab");
    }

    #[test]
    fn broken_escapes_swallow_little() {
        check("\u{1b}", "");
        check("\u{1b}[", "");
        check("\u{1b}[31é", "é");
        check("\u{1b}]never ends\nnext", "\nnext");
        check("\u{1b}(", "");
    }

    #[test]
    fn text_stays() {
        check("größe\t1\n  2\n", "größe\t1\n  2\n");
        check("a\r\nb\r\n", "a\nb\n");
        check(" 10%\r 50%\r100%\ndone", "100%\ndone");
        check("end\r", "end");
    }
}
