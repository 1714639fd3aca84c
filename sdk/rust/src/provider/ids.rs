//! Ids of tool calls for services that do not take every id.
//!
//! A conversation may have begun with another provider, whose ids have other letters or lengths.

use std::borrow::Cow;

/// The id with letters, digits, `_` and `-` only, of 64 bytes at most. The same id gives the same text;
/// two ids give two texts, but for an accident of 1 in 2^64.
pub fn plain(id: &str) -> Cow<'_, str> {
    let fits = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if fits {
        return Cow::Borrowed(id);
    }
    // FNV-1a, by its published constants: an id needs to differ, not to resist anybody.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Cow::Owned(format!("call_{hash:016x}"))
}

/// The id as a segment of a URL's path, or a value in its query: all but the unreserved characters of RFC 3986
/// (section 2.3) percent-encoded.
pub fn in_url(id: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(id.len() + 16);
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend(['%', char::from(high), char::from(low)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        assert_eq!(in_url("claude-5_5~a.b"), "claude-5_5~a.b");
        assert_eq!(
            in_url("arn:aws:p/x v1:0é"),
            "arn%3Aaws%3Ap%2Fx%20v1%3A0%C3%A9"
        );
    }

    #[test]
    fn ids_that_fit_stay_and_others_stay_different() {
        assert_eq!(plain("toolu_01A-b"), "toolu_01A-b");
        let long = "x".repeat(65);
        let odd = [
            "",
            "functions.read:0",
            "functions.read:1",
            "a b",
            "ü",
            &long,
        ];
        let made = odd.map(|id| plain(id).into_owned());
        for (at, id) in made.iter().enumerate() {
            assert_eq!(plain(id), *id, "{id}");
            assert!(!made[..at].contains(id), "{id}");
        }
    }
}
