//! Keys that carry their maker's mark, and other secrets that are known by their shape.

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// The longest end of a text in pieces that is held back for a key that may not have ended.
const LONGEST: usize = 8 << 10;

/// One kind of secret.
struct Mark {
    /// Any of these is in a text, in lower case, when a secret of this kind is.
    words: &'static [&'static str],
    regex: LazyLock<Regex>,
    replacement: &'static str,
    /// One word of letters, digits, `_`, `-` and `.`: whoever sees a placeholder in a command's text misses nothing of
    /// what the command does.
    opaque: bool,
}

macro_rules! mark {
    ($words:expr, $regex:expr, $replacement:literal, $opaque:literal) => {
        Mark {
            words: &$words,
            // Compiled when its words first turn up: all of them together take as long as starting the program.
            regex: LazyLock::new(|| Regex::new($regex).expect("a constant expression")),
            replacement: $replacement,
            opaque: $opaque,
        }
    };
}

/// In the order in which they are looked for. Borders of words are ASCII: a key may stand next to a letter of any
/// other script. `sk-` needs a border, because many long names go on after `risk-` and `task-`.
static MARKS: [Mark; 9] = [
    mark!(["hf_"], "hf_[A-Za-z0-9]{30,}", "[REDACTED_HF_TOKEN]", true),
    mark!(
        ["sk-"],
        "(^|[^A-Za-z0-9])sk-(?:ant-[A-Za-z0-9_-]{20,}|[A-Za-z0-9_-]{40,})",
        "${1}[REDACTED_PROVIDER_API_KEY]",
        true
    ),
    mark!(
        ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        "gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{36,}",
        "[REDACTED_GITHUB_TOKEN]",
        true
    ),
    mark!(
        ["akia", "asia"],
        r"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)",
        "[REDACTED_AWS_KEY_ID]",
        true
    ),
    mark!(
        ["aiza"],
        "AIza[A-Za-z0-9_-]{35}",
        "[REDACTED_GOOGLE_API_KEY]",
        true
    ),
    mark!(
        ["xox", "xapp-"],
        "(?:xox[a-z]|xapp)-[A-Za-z0-9-]{6,}",
        "[REDACTED_SLACK_TOKEN]",
        true
    ),
    mark!(
        ["eyj"],
        r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,3}\.[A-Za-z0-9_-]{8,}",
        "[REDACTED_JWT]",
        true
    ),
    mark!(
        ["bearer"],
        r"(?i-u)bearer\s+[A-Za-z0-9_\-.=]{20,}",
        "Bearer [REDACTED]",
        false
    ),
    mark!(
        ["basic"],
        r#"(?i-u)(authorization["']?\s*[:=]\s*["']?basic)\s+[A-Za-z0-9+/=_-]{6,}"#,
        "${1} [REDACTED]",
        false
    ),
];

/// What those begin with that are one word.
const BEGINNINGS: [&str; 13] = [
    "hf_",
    "sk-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "AKIA",
    "ASIA",
    "AIza",
    "xox",
    "eyJ",
];

/// All words, each with the position of its kind.
pub(super) fn words() -> impl Iterator<Item = (&'static str, usize)> {
    let of_kind =
        |(kind, mark): (usize, &'static Mark)| mark.words.iter().map(move |word| (*word, kind));
    MARKS.iter().enumerate().flat_map(of_kind)
}

/// Replaces the secrets of those kinds whose bit is set in `kinds`.
pub(super) fn replace<'a>(text: &'a str, kinds: u32, opaque_only: bool) -> Cow<'a, str> {
    let mut clean = Cow::Borrowed(text);
    let wanted = MARKS.iter().enumerate();
    let wanted =
        wanted.filter(|(kind, mark)| kinds & (1 << kind) != 0 && (mark.opaque || !opaque_only));
    for (_, mark) in wanted {
        if let Cow::Owned(changed) = mark.regex.replace_all(&clean, mark.replacement) {
            clean = Cow::Owned(changed);
        }
    }
    clean
}

/// Length of the end of `text` that may be the beginning of a key.
pub(super) fn open_end(text: &str) -> usize {
    let of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let rest = text.trim_end_matches(of_key);
    let word = &text[rest.len()..];
    let begins = |beginning: &&str| word.starts_with(*beginning) || beginning.starts_with(word);
    let held = !word.is_empty() && word.len() <= LONGEST && BEGINNINGS.iter().any(begins);
    if held { word.len() } else { 0 }
}
