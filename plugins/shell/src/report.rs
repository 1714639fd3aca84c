//! What the model is told of a run.

use std::fmt::Write as _;

use crate::ansi;

/// Most characters shown once the host keeps the whole output in a file: the start says what ran, the
/// end how it went.
const HEAD: usize = 6_250;
const TAIL: usize = 18_750;

/// Asked of the host for each stream: both of its halves hold at least what is shown of them.
pub(crate) const KEPT_BYTES: u32 = 2 * TAIL as u32;

/// Marks where the host dropped the middle of a stream.
const GAP: &str = "\n[… cut here …]\n";

pub(crate) struct Outcome<'a> {
    pub(crate) exit_code: Option<i32>,
    pub(crate) stdout: &'a [u8],
    pub(crate) stderr: &'a [u8],
    pub(crate) truncated: bool,
    pub(crate) timed_out: bool,
    pub(crate) spill: Option<&'a str>,
}

impl Outcome<'_> {
    /// The text of a success, or of a failure with its reason at the end.
    pub(crate) fn render(&self, seconds: u32) -> Result<String, String> {
        let mut text = self.stream(self.stdout);
        let errors = self.stream(self.stderr);
        if !text.is_empty() && !errors.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&errors);
        let mut text = match text.trim().is_empty() {
            true => "(no output)".to_owned(),
            false => self.bounded(&text),
        };
        if self.timed_out {
            write!(
                text,
                "\n[timed out: ended after {seconds} s with all it started. For long work run it in the background and \
                 poll: nohup CMD > log.txt 2>&1 & echo $!  then  kill -0 PID; tail log.txt]"
            )
            .expect("writing to a string");
            return Err(text);
        }
        match self.exit_code {
            Some(0) => Ok(text),
            Some(code) => Err(format!("{text}\n[exit code {code}]")),
            None => Err(format!("{text}\n[ended by a signal]")),
        }
    }

    /// One stream as text, with a mark in the middle where the host cut it.
    fn stream(&self, bytes: &[u8]) -> String {
        let kept = KEPT_BYTES as usize;
        if self.truncated && bytes.len() >= kept {
            let (head, tail) = bytes.split_at(kept / 2);
            let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
            return format!("{}{GAP}{}", ansi::strip(&head), ansi::strip(&tail));
        }
        ansi::strip(&String::from_utf8_lossy(bytes))
    }

    /// What the host kept whole is shown whole, as long as one stream may be: cut here it would
    /// be lost. Otherwise both ends, and where the rest is.
    fn bounded(&self, text: &str) -> String {
        let text = text.trim_end_matches('\n');
        let total = text.chars().count();
        let limit = if self.truncated {
            HEAD + TAIL
        } else {
            KEPT_BYTES as usize
        };
        if total <= limit && !self.truncated {
            return text.to_owned();
        }
        let (head, tail) = if total <= limit {
            (total, 0)
        } else {
            (HEAD, TAIL)
        };
        let place = match self.spill {
            Some(path) => format!("the whole output is in `{path}`; page it with read"),
            None => {
                "run the command again with its output sent to a file to see all of it".to_owned()
            }
        };
        let end = offset(text, head);
        let start = offset(text, total - tail);
        let shown = match tail {
            0 => format!("both ends of {}", size(total, self.truncated)),
            _ => format!(
                "the first {} and the last {} of {}",
                grouped(head),
                grouped(tail),
                size(total, self.truncated)
            ),
        };
        let marker = format!("[output cut; shown: {shown}; {place}. The command has finished]");
        match tail {
            0 => format!("{text}\n{marker}"),
            _ => format!("{}\n{marker}\n{}", &text[..end], &text[start..]),
        }
    }
}

/// How much there was, where that is known.
fn size(characters: usize, truncated: bool) -> String {
    match truncated {
        true => format!("more than {} characters", grouped(characters)),
        false => format!("{} characters", grouped(characters)),
    }
}

/// The byte where character `index` begins.
fn offset(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(at, _)| at)
}

/// `12345` as `12,345`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome<'a>(stdout: &'a [u8], stderr: &'a [u8]) -> Outcome<'a> {
        Outcome {
            exit_code: Some(0),
            stdout,
            stderr,
            truncated: false,
            timed_out: false,
            spill: None,
        }
    }

    #[test]
    fn output_then_errors_then_the_exit_code() {
        let mut run = outcome(b"hi\n", b"\x1b[31merr\x1b[0m\n");
        assert_eq!(run.render(1).unwrap(), "hi\nerr");
        run.exit_code = Some(3);
        assert_eq!(run.render(1).unwrap_err(), "hi\nerr\n[exit code 3]");
        run.exit_code = None;
        assert!(run.render(1).unwrap_err().ends_with("[ended by a signal]"));
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(outcome(b"", b"").render(1).unwrap(), "(no output)");
        assert_eq!(
            outcome(b" \n\x1b[0m", b"").render(1).unwrap(),
            "(no output)"
        );
        let mut run = outcome(b"", b"");
        run.exit_code = Some(1);
        assert_eq!(run.render(1).unwrap_err(), "(no output)\n[exit code 1]");
    }

    #[test]
    fn a_timeout_keeps_what_came_and_says_what_to_do() {
        let mut run = outcome(b"part\n", b"");
        (run.timed_out, run.exit_code) = (true, None);
        let text = run.render(7).unwrap_err();
        assert!(
            text.starts_with("part\n[timed out: ended after 7 s"),
            "{text}"
        );
        assert!(text.contains("nohup") && text.contains("kill -0"), "{text}");
    }

    #[test]
    fn a_cut_output_shows_both_ends_and_where_the_whole_is() {
        let half = KEPT_BYTES as usize / 2;
        let bytes = ["a".repeat(half), "z".repeat(half)].concat().into_bytes();
        let mut run = outcome(&bytes, b"");
        run.truncated = true;
        run.spill = Some(".ml-intern/output-1.txt");
        let text = run.render(1).unwrap();
        assert!(text.starts_with(&"a".repeat(HEAD)) && text.ends_with(&"z".repeat(TAIL)));
        assert!(
            text.contains("`.ml-intern/output-1.txt`; page it with read"),
            "{text}"
        );
        assert!(
            text.contains("the first 6,250 and the last 18,750 of more than"),
            "{text}"
        );
        assert!(text.chars().count() < HEAD + TAIL + 300);
    }

    #[test]
    fn what_the_host_kept_whole_is_shown_whole() {
        let bytes = b"x".repeat(30_000);
        assert_eq!(outcome(&bytes, b"").render(1).unwrap().len(), 30_000);
        let text = outcome(&bytes, &bytes).render(1).unwrap();
        assert!(
            text.contains("of 60,001 characters") && text.contains("to a file"),
            "{}",
            &text[6200..6600]
        );
    }

    #[test]
    fn cut_places_fall_between_characters() {
        let bytes = "é".repeat(KEPT_BYTES as usize).into_bytes();
        let mut run = outcome(
            &bytes[..KEPT_BYTES as usize],
            &bytes[1..=KEPT_BYTES as usize],
        );
        run.truncated = true;
        assert!(run.render(1).unwrap().contains("[output cut"));
    }
}
