//! Path patterns, and which paths they dare to judge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::error::Error;
use crate::plugin_ref::shorten;

/// Which URL paths a rule speaks of. `*` stands for any text within one segment; `**` is a whole
/// segment and stands for any number of segments, at the end for at least one (perhaps empty):
/// `/api/**` means `/api/` and all below it, not `/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(String);

const MAX_PATH_PATTERN: usize = 512;

impl PathPattern {
    /// `/**`: every path, also those that other patterns refuse for their encoding.
    pub fn any() -> Self {
        Self("/**".to_owned())
    }

    /// Whether this is `/**`.
    pub fn is_any(&self) -> bool {
        self.0 == "/**"
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the raw path (still percent-encoded, without query) is meant. A path that another
    /// program might read differently (an encoded slash, `..`, `//`) is matched by `/**` only.
    pub fn matches(&self, path: &str) -> bool {
        self.is_any() && path.starts_with('/')
            || is_plain_path(path) && matches_segments(&self.0, path)
    }
}

/// Whether every server reads this raw path alike: no dot segments, no empty segment in the
/// middle, no backslash, no encoded dot, slash, backslash, percent sign or control character, and
/// nothing that a URL parser encodes (WHATWG URL, "path percent-encode set").
pub(crate) fn is_plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let printable = path
        .bytes()
        .all(|byte| (0x21..=0x7e).contains(&byte) && !b"\\?#\"<>`{}".contains(&byte));
    // Servers drop `;parameters` before they resolve dot segments, hence the split.
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    printable
        && !path.contains("//")
        && !rest.split('/').any(dots)
        && escapes_are_plain(path.as_bytes())
}

fn escapes_are_plain(path: &[u8]) -> bool {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    path.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(at, _)| {
            let value = digit(path.get(at + 1))
                .zip(digit(path.get(at + 2)))
                .map(|(high, low)| high * 16 + low);
            // 25 is the percent sign: what it hides is read after a second decoding.
            value.is_some_and(|value| {
                value > 0x1f && ![0x25, 0x2e, 0x2f, 0x5c, 0x3b, 0x7f].contains(&value)
            })
        })
}

/// Two-pointer wildcard matching over segments: quadratic at worst, never exponential.
fn matches_segments(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').skip(1).collect();
    let path: Vec<&str> = path.split('/').skip(1).collect();
    // At the end `**` needs one segment: the same as a `*` that must match, and then the rest.
    let (pattern, open_end) = match pattern.split_last() {
        Some((&"**", head)) => (head, true),
        _ => (&pattern[..], false),
    };
    let (mut at, mut seen, mut retry) = (0, 0, None);
    loop {
        if at == pattern.len() && (open_end && seen < path.len() || !open_end && seen == path.len())
        {
            return true;
        }
        if pattern.get(at) == Some(&"**") {
            at += 1;
            retry = Some((at, seen));
        } else if at < pattern.len()
            && seen < path.len()
            && matches_segment(pattern[at], path[seen])
        {
            at += 1;
            seen += 1;
        } else if let Some((after, from)) = retry.filter(|(_, from)| *from < path.len()) {
            retry = Some((after, from + 1));
            at = after;
            seen = from + 1;
        } else {
            return false;
        }
    }
}

/// `*` within a segment; everything else must be equal, case included.
fn matches_segment(pattern: &str, segment: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == segment;
    };
    let (middles, tail) = match rest.rsplit_once('*') {
        Some((middles, tail)) => (middles, tail),
        None => ("", rest),
    };
    let Some(mut left) = segment
        .strip_prefix(head)
        .and_then(|left| left.strip_suffix(tail))
    else {
        return false;
    };
    for middle in middles.split('*') {
        let Some(at) = left.find(middle) else {
            return false;
        };
        left = &left[at + middle.len()..];
    }
    true
}

impl FromStr for PathPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |advice: &str| {
            Err(Error::value(format!(
                "not a path: `{}`; {advice}",
                shorten(text)
            )))
        };
        if text.len() > MAX_PATH_PATTERN {
            return wrong("write at most 512 bytes");
        }
        if !is_plain_path(text) {
            return wrong(
                "write it as the URL has it, from the first `/`, without query, spaces, `..`, `//` or encoded dots and slashes, such as `/api/**`",
            );
        }
        if text
            .split('/')
            .any(|segment| segment.contains("**") && segment != "**")
        {
            return wrong(
                "`**` must be a whole segment, such as `/api/**`; within a segment write `*`",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
