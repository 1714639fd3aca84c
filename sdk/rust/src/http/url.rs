//! The parts of a URL that `wasi:http` wants apart. The host parses and judges them again.

use super::Error;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'a> {
    pub(super) secure: bool,
    pub(super) authority: &'a str,
    pub(super) path_with_query: String,
}

impl<'a> Url<'a> {
    /// Splits an absolute URL; the fragment, which never leaves a client, is dropped.
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        let invalid = |reason: &str| Err(Error::Invalid(format!("{reason} in URL `{text}`")));
        let Some((scheme, rest)) = text.split_once("://") else {
            return invalid("no scheme");
        };
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ => return invalid("unknown scheme"),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return invalid("no host");
        }
        let path_with_query = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Self {
            secure,
            authority,
            path_with_query,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, secure: bool, authority: &str, path_with_query: &str) {
        let expected = Url {
            secure,
            authority,
            path_with_query: path_with_query.to_owned(),
        };
        assert_eq!(Url::parse(text).unwrap(), expected);
    }

    #[test]
    fn splits_absolute_urls() {
        check("https://a.test/b/c?d=e#f", true, "a.test", "/b/c?d=e");
        check("HTTP://a.test:80", false, "a.test:80", "/");
        check("https://a.test?q=1/2", true, "a.test", "/?q=1/2");
        check("http://[::1]:9/x://y", false, "[::1]:9", "/x://y");
        check("https://a.test#x/y", true, "a.test", "/");
    }

    #[test]
    fn refuses_what_is_no_http_url() {
        for text in [
            "",
            "a.test/x",
            "ftp://a.test/",
            "https://",
            "https:///x",
            "file:///etc",
        ] {
            assert!(matches!(Url::parse(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
