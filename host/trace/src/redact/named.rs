//! Values that stand beside a name which says that they are secret: `HF_TOKEN=…`, `"password": "…"`.
//!
//! The model reads and edits programs, and most of what stands beside such a name there is no secret but a variable,
//! a call or a type. So a value is judged by its own look as well ([`super::value`]).

use super::value::{self, Place};
use std::borrow::Cow;

/// Bytes of the longest name. What is longer is no name, and looking for its beginning would take long.
const LONGEST: usize = 128;
/// Bytes of the longest type annotation.
const ANNOTATION: usize = 80;
/// Bytes that are looked at for the end of a value, and for the quote that opens before a name. Without a bound one
/// long line with many names would take a time that grows with its square.
const NEAR: usize = 2048;
/// Bytes of a value by which it is judged.
const JUDGED: usize = 256;
const REDACTED: &str = "[REDACTED]";

/// What names of secrets end with, in lower case and with every joint.
pub(super) const WORDS: [&str; 18] = [
    "token",
    "api_key",
    "api-key",
    "apikey",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "access_key",
    "access-key",
    "accesskey",
    "secret_key",
    "secret-key",
    "secretkey",
    "private_key",
    "private-key",
    "privatekey",
    "authorization",
];
/// What may follow `access_key` in a name.
const IDS: [&str; 3] = ["_id", "-id", "id"];

/// A name that says that what it names is secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// A whole name, such as a field's; `None` for that of something else.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let stem = match IDS.iter().find_map(|id| lower.strip_suffix(id)) {
            Some(stem) if stem.ends_with("key") => stem,
            _ => &lower,
        };
        let secret = text.len() <= LONGEST && WORDS.iter().any(|word| stem.ends_with(word));
        // Also headers that hold nothing else.
        let header = matches!(lower.as_str(), "cookie" | "set-cookie");
        (secret || header).then_some(Self(text))
    }

    /// Every letter is a capital one, as in an environment.
    pub(super) fn is_shouted(self) -> bool {
        !self.0.contains(|c: char| c.is_ascii_lowercase())
    }

    /// In lower case, without the word that makes it a secret's.
    fn qualifier(self) -> String {
        let lower = self.0.to_ascii_lowercase();
        let word = WORDS.iter().filter(|word| lower.ends_with(*word));
        let longest = word.map(|word| word.len()).max().unwrap_or(0);
        lower[..lower.len() - longest]
            .trim_end_matches(['_', '-'])
            .to_owned()
    }

    /// Nothing but the word, as in prose.
    pub(super) fn is_bare(self) -> bool {
        self.qualifier().is_empty()
    }

    /// Ends with `token`: in a program about language models most of those are no secrets.
    pub(super) fn is_token(self) -> bool {
        self.0.to_ascii_lowercase().ends_with("token")
    }

    /// A token that is probably a piece of text.
    pub(super) fn is_of_text(self) -> bool {
        let qualifier = self.qualifier();
        let last = qualifier.rsplit(['_', '-']).next().unwrap_or_default();
        self.is_token() && (last.is_empty() || value::OF_TEXT.contains(&last))
    }
}

/// One place where a name of a secret may end.
struct Candidate<'a> {
    name: Name<'a>,
    /// Where the name ends, with what closes it.
    end: usize,
    /// Something closes it, such as a quote.
    closed: bool,
    /// The quote that the name is in.
    quote: Option<&'a str>,
    begin: usize,
}

/// What stands beside a name.
enum Beside {
    /// Replace these bytes, which stand between quotes.
    Quoted(usize, usize),
    /// Replace everything from the end of the name.
    Plain(usize),
}

/// The text without the values beside the names that end at `ends`, which grow.
pub(super) fn without_values<'a>(text: &'a str, ends: &[usize]) -> Cow<'a, str> {
    let mut clean = String::new();
    let mut done = 0;
    for end in ends {
        let Some(candidate) = candidate(text, *end, done) else {
            continue;
        };
        match beside(text, &candidate) {
            Some(Beside::Quoted(from, to)) => {
                clean.push_str(&text[done..from]);
                clean.push_str(REDACTED);
                done = to;
            }
            Some(Beside::Plain(to)) => {
                clean.push_str(&text[done..candidate.end]);
                clean.push('=');
                clean.push_str(REDACTED);
                done = to;
            }
            None => {}
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[done..]);
    Cow::Owned(clean)
}

/// The name whose word ends at `end` and that begins at `from` or later; `None` where the name goes on.
fn candidate(text: &str, end: usize, from: usize) -> Option<Candidate<'_>> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let from = from.max(text.ceil_char_boundary(end.saturating_sub(2 * LONGEST)));
    let before = text.get(from..end)?;
    let begin = from + before.trim_end_matches(of_name).len();
    // A flag's dashes are no part of its name.
    let begin = begin + text[begin..end].len() - text[begin..end].trim_start_matches('-').len();
    let rest = &text[end..text.floor_char_boundary(end + 2 * LONGEST)];
    let rest_of_name = rest.len() - rest.trim_start_matches(of_name).len();
    let end = end + rest_of_name;
    if end - begin > LONGEST {
        return None;
    }
    let name = Name::of(&text[begin..end])?;
    let rest = &text[end..];
    let quote = ["\\\"", "\"", "'", "`"]
        .into_iter()
        .find(|quote| rest.starts_with(quote));
    let quote = quote.filter(|quote| text[..begin].ends_with(quote));
    let closing = quote.map_or(0, str::len);
    let bracket = usize::from(quote.is_some() && rest[closing..].starts_with(']'));
    Some(Candidate {
        name,
        end: end + closing + bracket,
        closed: closing > 0,
        quote,
        begin,
    })
}

fn beside(text: &str, candidate: &Candidate<'_>) -> Option<Beside> {
    let rest = &text[candidate.end..];
    // TypeScript's optional fields.
    let rest = rest.strip_prefix("?:").map_or(rest, |_| &rest[1..]);
    let blanks = |text: &str| text.len() - text.trim_start_matches([' ', '\t']).len();
    let spaced = blanks(rest) > 0;
    let rest = &rest[blanks(rest)..];
    let (colon, rest) = match rest.strip_prefix(":=") {
        Some(rest) => (false, rest),
        None => match rest.as_bytes().first()? {
            b':' => (true, &rest[1..]),
            b'=' => (false, &rest[1..]),
            _ => return None,
        },
    };
    // Comparisons, arrows, paths and matches.
    if rest.starts_with(['=', '>', ':', '~', '/']) {
        return None;
    }
    let after = blanks(rest);
    let place = Place {
        colon,
        spaced: spaced || after > 0,
        // `TOKEN= command` sets nothing.
        unset: !spaced && !colon && after > 0 && candidate.name.is_shouted(),
        alone: starts_line(&text[..candidate.begin]),
    };
    judge(text, candidate, text.len() - rest.len() + after, place)
}

/// Looks at the value that begins at `at`.
fn judge(text: &str, candidate: &Candidate<'_>, at: usize, place: Place) -> Option<Beside> {
    let rest = &text[at..];
    let letters = rest.len()
        - rest
            .trim_start_matches(['f', 'F', 'r', 'R', 'b', 'B', 'u', 'U'])
            .len();
    let prefix = if letters <= 2 { letters } else { 0 };
    let quotes = ["\\\"", "\"", "'", "`"];
    if let Some(quote) = quotes
        .into_iter()
        .find(|quote| rest[prefix..].starts_with(quote))
    {
        let inside = at + prefix + quote.len();
        // Within a text in such quotes this one ends it: `input("password: ")`.
        if candidate.quote != Some(quote) && is_open(text, candidate.begin, quote) {
            return None;
        }
        let line = near(&text[inside..]).split('\n').next().unwrap_or_default();
        let content = &line[..closing(line, quote)];
        let secret = value::is_quoted_secret(candidate.name, content);
        return secret.then_some(Beside::Quoted(inside, inside + content.len()));
    }
    let over = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
    let raw = near(rest).split(over).next().unwrap_or_default();
    let place = Place {
        alone: place.alone && ends_line(&rest[raw.len()..]),
        ..place
    };
    if value::is_plain_secret(
        candidate.name,
        &raw[..raw.floor_char_boundary(JUDGED)],
        &rest[raw.len()..],
        place,
    ) {
        let end = at + raw.len();
        return Some(if candidate.closed {
            Beside::Quoted(at, end)
        } else {
            Beside::Plain(end)
        });
    }
    let default = place.colon.then(|| default(rest)).flatten()?;
    let place = Place {
        colon: false,
        spaced: true,
        unset: false,
        alone: false,
    };
    judge(text, candidate, at + default, place)
}

fn near(text: &str) -> &str {
    &text[..text.floor_char_boundary(NEAR)]
}

/// Whether nothing but blanks, or a list's dash, stands before on the line.
fn starts_line(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t', '-', '"', '\'']);
    before.is_empty() || before.ends_with('\n')
}

/// Whether nothing but a comment follows on the line.
fn ends_line(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '\t', '\r']);
    rest.is_empty() || rest.starts_with(['\n', '#'])
}

/// Where the value begins in `str | None = "…"`.
fn default(annotation: &str) -> Option<usize> {
    let of_type = |c: char| c.is_ascii_alphanumeric() || " _|[]<>,.?&".contains(c);
    let equals = annotation.find(|c: char| !of_type(c))?;
    let rest = annotation[equals..].strip_prefix('=')?;
    let value = rest.trim_start_matches([' ', '\t']);
    let plain = equals <= ANNOTATION && !value.starts_with(['=', '>']);
    plain.then_some(annotation.len() - value.len())
}

/// Whether a text in such quotes is open where the name begins, on its own line.
fn is_open(text: &str, begin: usize, quote: &str) -> bool {
    let near = text.ceil_char_boundary(begin.saturating_sub(NEAR));
    let line = text[near..begin]
        .rfind('\n')
        .map_or(near, |at| near + at + 1);
    let mut open = false;
    let mut before = ' ';
    let mut rest = &text[line..begin];
    while let Some(c) = rest.chars().next() {
        // An apostrophe stands within a word.
        let apostrophe = quote == "'" && before.is_alphanumeric() && !open;
        if rest.starts_with(quote) && !(quote.len() == 1 && before == '\\') && !apostrophe {
            open = !open;
        }
        before = c;
        rest = &rest[c.len_utf8()..];
    }
    open
}

/// Where the text in such quotes ends; at its end when nothing closes it.
fn closing(line: &str, quote: &str) -> usize {
    let mut from = 0;
    while let Some(at) = line[from..].find(quote).map(|at| from + at) {
        let escapes = line[..at].len() - line[..at].trim_end_matches('\\').len();
        if quote.len() > 1 || escapes.is_multiple_of(2) {
            return at;
        }
        from = at + 1;
    }
    line.len()
}
