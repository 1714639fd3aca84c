//! Private keys in PEM, and passwords in URLs: what no single expression describes well.

use std::borrow::Cow;

/// Stands for a private key.
pub(super) const KEY: &str = "[REDACTED_PRIVATE_KEY]";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Bytes of the longest key, far above what RSA needs.
const LONGEST_KEY: usize = 64 << 10;
/// Letters and digits that a key has at least: the two lines in a program's text are none.
const SHORTEST_KEY: usize = 32;
/// Letters and digits of a whole line of a key that is cut short.
const LINE: usize = 24;
/// Bytes of the longest user name and password.
const LONGEST_USER: usize = 1024;

/// The text without private keys.
pub(super) fn without_keys(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut done = 0;
    while let Some(begin) = find(text, BEGIN, done) {
        let label = begin + BEGIN.len();
        let Some(body) = find(text, DASHES, label).map(|at| at + DASHES.len()) else {
            break;
        };
        match is_private(&text[label..body])
            .then(|| key_end(text, body))
            .flatten()
        {
            Some(end) => {
                clean.push_str(&text[done..begin]);
                clean.push_str(KEY);
                done = end;
            }
            None => {
                clean.push_str(&text[done..body]);
                done = body;
            }
        }
    }
    if clean.is_empty() && done == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[done..]);
    Cow::Owned(clean)
}

/// Whether a line of a text begins a private key that goes on in the next line.
pub(super) fn begins_key(line: &str) -> bool {
    let line = line.trim();
    let label = line.find(BEGIN).map(|at| &line[at + BEGIN.len()..]);
    label.is_some_and(|label| {
        is_private(label) && label.matches(DASHES).count() == 1 && label.ends_with(DASHES)
    })
}

/// Whether a line can stand in the middle of a private key; the second is whether the key ends with it.
pub(super) fn continues_key(line: &str) -> (bool, bool) {
    let line = line.trim();
    let ends = line.contains(END);
    let header = line
        .split_once(": ")
        .is_some_and(|(name, _)| !name.contains(' '));
    (ends || header || line.chars().all(of_base64), ends)
}

fn find(text: &str, what: &str, from: usize) -> Option<usize> {
    text.get(from..)?.find(what).map(|at| from + at)
}

/// Also PGP's keys, which are a `PRIVATE KEY BLOCK`.
fn is_private(label: &str) -> bool {
    label.len() < 64 && label.contains("PRIVATE KEY") && !label.contains('\n')
}

fn of_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

/// Where the key ends whose first line ends at `body`; `None` where there is no key.
fn key_end(text: &str, body: usize) -> Option<usize> {
    let rest = &text[body..];
    let rest = &rest[..rest.floor_char_boundary(LONGEST_KEY)];
    // Where another one begins this one is over.
    let rest = rest.split(BEGIN).next().unwrap_or_default();
    if let Some(end) = rest.find(END) {
        let inside = &rest[..end];
        // Line ends may be written as `\n`; the fields of an encrypted key stand before it.
        let fits = |c: char| {
            of_base64(c)
                || c.is_whitespace()
                || matches!(c, '\\' | ':' | ',' | '-' | '.' | '@' | '(' | ')')
        };
        let enough = inside.chars().filter(|c| c.is_ascii_alphanumeric()).count() >= SHORTEST_KEY;
        if enough && inside.chars().all(fits) {
            let last = body + end + END.len();
            return Some(find(text, DASHES, last).map_or(last, |at| at + DASHES.len()));
        }
    }
    cut_short(rest).map(|end| body + end)
}

/// The end of the lines that look like a key's.
fn cut_short(rest: &str) -> Option<usize> {
    let mut end = 0;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        let words = line.trim();
        let of_key = words.len() >= LINE && words.chars().all(of_base64);
        let before = end == 0 && (words.is_empty() || continues_key(words).0);
        if !of_key && !before {
            break;
        }
        at += line.len();
        if of_key {
            end = at;
        }
    }
    (end > 0).then_some(end)
}

/// The text without the passwords of `scheme://user:password@host`.
pub(super) fn without_passwords(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut done = 0;
    for (slashes, _) in text.match_indices("://") {
        let user = slashes + 3;
        if user < done {
            continue;
        }
        if let Some((from, to)) = password(text, user) {
            clean.push_str(&text[done..from]);
            clean.push_str("[REDACTED]");
            done = to;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[done..]);
    Cow::Owned(clean)
}

/// Where the password stands that follows the user name at `user`.
fn password(text: &str, user: usize) -> Option<(usize, usize)> {
    let rest = &text[user..];
    let over = |c: char| {
        c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`' | '<' | '>' | '\\')
    };
    let authority = rest.split(over).next().unwrap_or_default();
    let at = authority.rfind('@').filter(|at| *at <= LONGEST_USER)?;
    let colon = authority[..at].find(':')?;
    let value = &authority[colon + 1..at];
    // Filled in by a program or a reader: `{password}`, `$TOKEN`, `%s`, `***`.
    let stand_in = value.is_empty()
        || value.starts_with(['{', '$', '[', '*'])
        || value.starts_with("%s")
        || value.starts_with("%(");
    (!stand_in).then_some((user + colon + 1, user + at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\n";

    #[test]
    fn private_keys_are_taken_out_whole() {
        for kind in [
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
        ] {
            let key = format!("-----BEGIN {kind}-----\n{BODY}-----END {kind}-----");
            assert_eq!(
                without_keys(&format!("a\n{key}\nb\n{key}")),
                format!("a\n{KEY}\nb\n{KEY}"),
                "{kind}"
            );
            let one_line = key.replace('\n', "\\n");
            assert_eq!(
                without_keys(&format!("k = \"{one_line}\"")),
                format!("k = \"{KEY}\"")
            );
        }
        let encrypted = format!(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F\n\n{BODY}-----END RSA PRIVATE KEY-----"
        );
        assert_eq!(without_keys(&encrypted), KEY);
    }

    #[test]
    fn a_private_key_that_is_cut_short_takes_nothing_else_along() {
        let text = format!("-----BEGIN PRIVATE KEY-----\n{BODY}and more text\n");
        assert_eq!(without_keys(&text), format!("{KEY}and more text\n"));
    }

    #[test]
    fn what_only_speaks_of_keys_stays() {
        for text in [
            "if '-----BEGIN PRIVATE KEY-----' in text:\n    raise ValueError(text)\n",
            "re.compile(r'-----BEGIN PRIVATE KEY-----.*-----END PRIVATE KEY-----')",
            "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END CERTIFICATE-----",
            "-----BEGIN ",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            assert_eq!(without_keys(text), text);
        }
    }

    #[test]
    fn passwords_in_urls_are_taken_out() {
        for (text, clean) in [
            (
                "postgres://me:hunter2@db/x",
                "postgres://me:[REDACTED]@db/x",
            ),
            (
                "https://:abc@h https://u:p@ss@h/",
                "https://:[REDACTED]@h https://u:[REDACTED]@h/",
            ),
            (
                "git clone https://oauth2:abc@host/x.git",
                "git clone https://oauth2:[REDACTED]@host/x.git",
            ),
            ("ssh://git@host:22/x", "ssh://git@host:22/x"),
            ("http://127.0.0.1:80/a@b", "http://127.0.0.1:80/a@b"),
            (
                "f\"postgres://{user}:{password}@{host}\"",
                "f\"postgres://{user}:{password}@{host}\"",
            ),
            (
                "https://x:$TOKEN@h https://x:${T}@h 'a://%s:%s@%s'",
                "https://x:$TOKEN@h https://x:${T}@h 'a://%s:%s@%s'",
            ),
            ("see http://h:1 and mail a@b", "see http://h:1 and mail a@b"),
        ] {
            assert_eq!(without_passwords(text), clean);
        }
    }
}
