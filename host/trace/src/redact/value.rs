//! Whether what stands beside a secret's name is a secret, by its look.

use super::named::Name;

/// Words before `token` that speak of text.
pub(super) const OF_TEXT: &[&str] = &[
    "a",
    "added",
    "any",
    "assistant",
    "audio",
    "begin",
    "bos",
    "byte",
    "call",
    "char",
    "class",
    "cls",
    "completion",
    "control",
    "current",
    "decoder",
    "each",
    "encoder",
    "end",
    "eod",
    "eos",
    "eot",
    "every",
    "extra",
    "fim",
    "first",
    "forced",
    "generated",
    "id",
    "image",
    "im",
    "input",
    "instruction",
    "lang",
    "language",
    "last",
    "mask",
    "max",
    "middle",
    "min",
    "new",
    "newline",
    "next",
    "num",
    "one",
    "output",
    "pad",
    "padding",
    "per",
    "placeholder",
    "prefix",
    "prev",
    "previous",
    "prompt",
    "reserved",
    "response",
    "sep",
    "single",
    "source",
    "space",
    "special",
    "start",
    "stop",
    "sub",
    "suffix",
    "system",
    "target",
    "text",
    "the",
    "think",
    "this",
    "tool",
    "unk",
    "unknown",
    "user",
    "video",
    "vision",
    "vocab",
    "word",
];

/// Values that are words of a language, and types.
const ORDINARY: &[&str] = &[
    "any",
    "auto",
    "bool",
    "boolean",
    "bytes",
    "default",
    "env",
    "false",
    "float",
    "hidden",
    "int",
    "integer",
    "invalid",
    "missing",
    "n/a",
    "never",
    "nil",
    "no",
    "none",
    "null",
    "number",
    "object",
    "off",
    "on",
    "optional",
    "redacted",
    "required",
    "str",
    "string",
    "true",
    "undefined",
    "unknown",
    "unset",
    "void",
    "yes",
    "expired",
];

/// How a value stands beside its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// `name: value`.
    pub(super) colon: bool,
    /// With blanks on one side.
    pub(super) spaced: bool,
    /// `NAME= value`, which a shell reads as no value.
    pub(super) unset: bool,
    /// Nothing else is on the line, as in a file of settings.
    pub(super) alone: bool,
}

/// For a value between quotes.
pub(super) fn is_quoted_secret(name: Name<'_>, value: &str) -> bool {
    let value = value.trim();
    if is_stand_in(value) || is_ordinary(value) || is_address(value) {
        return false;
    }
    // Filled in by a program: `f"{user}:{password}"`.
    if value.contains("${") || value.contains('{') && value.contains('}') {
        return false;
    }
    // Names a variable, or speaks of the secret.
    let speaks = value.contains(char::is_whitespace)
        || value.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    if speaks && names_a_secret(value) {
        return false;
    }
    if name.is_of_text() {
        return looks_random(value);
    }
    !(name.is_token() && is_number(value))
}

/// For a value without quotes; `rest` is what follows it.
pub(super) fn is_plain_secret(name: Name<'_>, raw: &str, rest: &str, place: Place) -> bool {
    // A placeholder of an earlier rule says less than the name beside it.
    if raw.starts_with("[REDACTED") {
        return true;
    }
    let value = raw.trim_end_matches([',', ';', ')', ']', '}']);
    if place.unset
        || is_stand_in(value)
        || is_ordinary(value)
        || is_address(value)
        || is_code(value, rest)
    {
        return false;
    }
    if name.is_of_text() && !looks_random(value) || name.is_token() && is_number(value) {
        return false;
    }
    if value
        .chars()
        .all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-'))
    {
        return is_secret_word(name, value, raw.len() > value.len(), place);
    }
    // `password: 8 characters`
    !(name.is_bare() && place.spaced && is_number(value) && value.len() < 4)
}

/// Nothing but letters: perhaps a variable, a type, or a word of a sentence. `listed`: more follows it without a blank,
/// as in the arguments of a call.
fn is_secret_word(name: Name<'_>, value: &str, listed: bool, place: Place) -> bool {
    if names_a_secret(value) {
        return false;
    }
    match (place.colon, name.is_shouted()) {
        (true, shouted) => {
            place.alone
                && !listed
                && (shouted || !value.starts_with(|c: char| c.is_ascii_uppercase()))
        }
        (false, true) => true,
        (false, false) => !place.spaced && !listed,
    }
}

/// Stands where a reader or a program puts the secret.
fn is_stand_in(value: &str) -> bool {
    let shell = value.strip_prefix('$').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '(' | '$'))
    });
    let wrapped = |open: char, close: char| value.starts_with(open) && value.ends_with(close);
    let lower = value.get(..7).unwrap_or(value).to_ascii_lowercase();
    let symbols = value.chars().all(|c| !c.is_alphanumeric());
    let crosses = value.len() > 2 && value.chars().all(|c| matches!(c, 'x' | 'X' | '-'));
    let block =
        value.starts_with("<") || wrapped('[', ']') || wrapped('%', '%') || value.starts_with("%(");
    value.is_empty()
        || shell
        || symbols
        || crosses
        || block
        || value.starts_with(['{', '[', '('])
        || lower.starts_with("your")
        || value.contains("[REDACTED")
        || value.contains("...")
}

fn is_ordinary(value: &str) -> bool {
    ORDINARY.contains(
        &value
            .trim_end_matches(['.', '!', '?'])
            .to_ascii_lowercase()
            .as_str(),
    )
}

/// What is secret in an address has rules of its own.
fn is_address(value: &str) -> bool {
    ["http://", "https://", "os.environ/", "env:", "env."]
        .iter()
        .any(|start| value.starts_with(start))
}

fn is_number(value: &str) -> bool {
    value.parse::<f64>().is_ok()
}

/// A name that ends with a word for secrets, or a sentence with one in it.
fn names_a_secret(value: &str) -> bool {
    let kinds = [
        "key",
        "token",
        "secret",
        "password",
        "passphrase",
        "credential",
        "pass",
        "pwd",
        "passwd",
        "str",
        "string",
    ];
    let one = |word: &str| {
        let lower = word.to_ascii_lowercase();
        let singular = lower.strip_suffix('s').unwrap_or(&lower);
        let hump = |kind: &&str| {
            lower.ends_with(*kind)
                && word[word.len() - kind.len()..].starts_with(|c: char| c.is_ascii_uppercase())
        };
        kinds
            .iter()
            .any(|kind| lower == *kind || singular == *kind || hump(kind))
    };
    value.split(|c: char| !c.is_ascii_alphanumeric()).any(one)
}

/// Letters and digits in a mixture that no word has.
pub(super) fn looks_random(value: &str) -> bool {
    let letters = value.chars().any(|c| c.is_ascii_alphabetic());
    let digits = value.chars().filter(char::is_ascii_digit).count();
    value.len() >= 8 && letters && digits >= 2 && !value.contains(char::is_whitespace)
}

/// An expression of a programming language.
fn is_code(value: &str, rest: &str) -> bool {
    if [
        "await", "new", "lambda", "yield", "not", "if", "fn", "function", "async",
    ]
    .contains(&value)
        && rest.starts_with(' ')
    {
        return true;
    }
    // YAML's tags and aliases.
    if value.starts_with(['!', '&', '*'])
        && value[1..].starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return true;
    }
    let mut path = 0;
    let mut rest = value;
    loop {
        let (word, after) = identifier(rest);
        if word.is_empty() {
            return false;
        }
        path += 1;
        let call = after.starts_with(['(', '[', '<'])
            || after.starts_with("!(")
            || after.starts_with("?.[");
        if call {
            return true;
        }
        let joints = ["?.", "!.", "::", "->", "."];
        match joints
            .into_iter()
            .find_map(|joint| after.strip_prefix(joint))
        {
            Some(next) if is_name(word) => rest = next,
            _ => return path > 1 && is_name(word) && matches!(after, "" | "!" | "?"),
        }
    }
}

fn identifier(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$')
        .unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return ("", text);
    }
    text.split_at(end)
}

/// Whether a programmer would write it: a random piece has digits in its middle.
fn is_name(word: &str) -> bool {
    let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
    word.len() <= 40 && word.len() - stem.len() <= 2 && !stem.contains(|c: char| c.is_ascii_digit())
}
