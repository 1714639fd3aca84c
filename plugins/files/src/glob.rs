//! File name patterns: `*`, `?`, `**` and `{a,b}`.

use regex_lite::Regex;

/// A pattern without `/` is held against names, one with `/` against whole paths.
#[derive(Debug)]
pub(crate) struct Glob {
    regex: Regex,
    whole: bool,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let regex = Regex::new(&translate(pattern))
            .map_err(|_| format!("glob `{pattern}` is not valid; braces must be closed"))?;
        Ok(Self {
            regex,
            whole: pattern.contains('/'),
        })
    }

    /// `path` is relative to the folder that is searched.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let subject = match self.whole {
            true => path,
            false => path.rsplit_once('/').map_or(path, |(_, name)| name),
        };
        self.regex.is_match(subject)
    }
}

fn translate(pattern: &str) -> String {
    let mut regex = String::from("^(?s:");
    let mut rest = pattern;
    let mut braces = 0_u32;
    while let Some(character) = rest.chars().next() {
        let (taken, part) = match character {
            _ if rest.starts_with("**/") => (3, "(?:.*/)?"),
            _ if rest.starts_with("**") => (2, ".*"),
            '*' => (1, "[^/]*"),
            '?' => (1, "[^/]"),
            '{' => {
                braces += 1;
                (1, "(?:")
            }
            '}' if braces > 0 => {
                braces -= 1;
                (1, ")")
            }
            ',' if braces > 0 => (1, "|"),
            other => {
                let length = other.len_utf8();
                regex.push_str(&regex_lite::escape(&rest[..length]));
                (length, "")
            }
        };
        regex.push_str(part);
        rest = &rest[taken..];
    }
    regex.push_str(")$");
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(
            Glob::new(pattern).unwrap().matches(path),
            expected,
            "{pattern} {path}"
        );
    }

    #[test]
    fn patterns() {
        check("*.py", "a/b/c.py", true);
        check("*.py", "c.pyc", false);
        check("src/*.rs", "src/a.rs", true);
        check("src/*.rs", "src/a/b.rs", false);
        check("src/**/*.rs", "src/a/b.rs", true);
        check("src/**/*.rs", "src/b.rs", true);
        check("**/test_?.py", "test_1.py", true);
        check("*.{json,toml}", "x/a.toml", true);
        check("*.{json,toml}", "a.tom", false);
        check("a+b(1).txt", "a+b(1).txt", true);
        check("docs/**", "docs/a/b", true);
        check("}", "}", true);
    }

    #[test]
    fn open_braces_are_an_error() {
        assert!(Glob::new("{a").unwrap_err().contains("braces"));
    }
}
