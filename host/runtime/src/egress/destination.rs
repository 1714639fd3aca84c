//! Where a request goes: its URL, read once.

use http::{Uri, request};
use url::{Host, Url};

use crate::egress::Refusal;

/// Longer than any signed URL; servers end between 8 and 64 KiB.
const MAX_URL: usize = 16 << 10;
/// What an audit record keeps of a path.
const MAX_SHOWN: usize = 512;

/// The URL that serves matching, the host header and the server's name, or what is wrong with it.
pub(super) fn parse(uri: &Uri) -> Result<Url, Refusal> {
    let authority = uri
        .authority()
        .ok_or_else(|| Refusal::uri("the URL names no host"))?;
    if authority.as_str().contains('@') {
        return Err(Refusal::denied(format!(
            "a user name in a URL is not allowed: `…@{}`; write the host alone",
            authority.host()
        )));
    }
    // Of others, a host is read by other rules.
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(Refusal::denied(format!(
            "the scheme `{}` is not spoken here; write `https` or `http`",
            shown(uri.scheme_str().unwrap_or_default())
        )));
    }
    let text = uri.to_string();
    if text.len() > MAX_URL {
        return Err(Refusal::uri_too_long(format!(
            "the URL is longer than {MAX_URL} bytes"
        )));
    }
    if let Some(found) = text
        .chars()
        .find(|c| !('!'..='~').contains(c) || *c == '\\')
    {
        return Err(Refusal::denied(format!(
            "the URL holds the character {found:?}, which must be percent-encoded"
        )));
    }
    let mut url = Url::parse(&text).map_err(|error| Refusal::uri(format!("not a URL: {error}")))?;
    let plain = match url.host() {
        Some(Host::Domain(_)) => true,
        // Decimal, octal, hexadecimal and shortened spellings read differently elsewhere.
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => {
            url.host_str() == Some(&authority.host().to_ascii_lowercase())
        }
        None => return Err(Refusal::uri("the URL names no host")),
    };
    if !plain {
        return Err(Refusal::denied(format!(
            "an address must be written in its plain form, `{}`, not `{}`",
            url.host_str().unwrap_or_default(),
            authority.host()
        )));
    }
    if let Some(host) = url
        .host_str()
        .and_then(|host| host.strip_suffix('.'))
        .map(str::to_owned)
    {
        if host.ends_with('.') {
            return Err(Refusal::uri("the host ends in more than one dot"));
        }
        url.set_host(Some(&host))
            .map_err(|error| Refusal::uri(format!("not a host: {error}")))?;
    }
    url.set_fragment(None);
    Ok(url)
}

/// The URL as it is sent.
pub(super) fn to_uri(url: &Url) -> Option<Uri> {
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?),
        None => url.host_str()?.to_owned(),
    };
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    Uri::builder()
        .scheme(url.scheme())
        .authority(authority)
        .path_and_query(path)
        .build()
        .ok()
}

/// What was asked for, for audit records: no user and no query.
pub(super) fn target_of(parts: &request::Parts) -> String {
    let (method, path) = (shown(parts.method.as_str()), shown(parts.uri.path()));
    format!("{method} {}{path}", origin_of(&parts.uri))
}

/// For messages: no user, path or query.
pub(super) fn origin_of(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let port = uri
        .port_u16()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{scheme}://{}{port}", shown(uri.host().unwrap_or_default()))
}

/// A guest's text as an audit record keeps it: bounded, and nothing in it that could command a terminal.
pub(crate) fn shown(path: &str) -> String {
    let mut shown = String::new();
    for c in path.chars() {
        if shown.len() >= MAX_SHOWN {
            shown.push('…');
            break;
        }
        match c {
            '!'..='~' => shown.push(c),
            other => shown.extend(other.escape_unicode()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let uri: Uri = text.parse().map_err(|_| "not a uri".to_owned())?;
        match parse(&uri) {
            Ok(url) => Ok(url.to_string()),
            Err(refusal) => Err(refusal.detail),
        }
    }

    #[test]
    fn one_reading_of_a_url_serves_everything() {
        for (text, read) in [
            ("https://Example.ORG./a?b=c", "https://example.org/a?b=c"),
            ("https://example.org/a/../../b", "https://example.org/b"),
            ("https://example.org/%2e%2e/b", "https://example.org/b"),
            ("https://example.org:0443/", "https://example.org/"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            // What is encoded or doubled stays so, for the rule to judge.
            (
                "https://example.org/a//b/..%2fc",
                "https://example.org/a//b/..%2fc",
            ),
            (
                "https://XN--BCHER-KVA.example/",
                "https://xn--bcher-kva.example/",
            ),
        ] {
            assert_eq!(parsed(text).unwrap(), read);
        }
        assert_eq!(
            to_uri(&Url::parse("https://h:444/p?q#f").unwrap()).unwrap(),
            "https://h:444/p?q"
        );
    }

    #[test]
    fn urls_that_could_be_read_in_two_ways_are_refused() {
        for text in [
            "https://huggingface.co@evil.test/",
            "https://user:password@example.org/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://0x7f.0.0.1/",
            "http://127.0.0.256/",
            "http://[::ffff:127.0.0.1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "https://example.org/a\\b",
            "https://example.org\\@evil.test/",
            "https://ex%61mple.org/",
            "https://b\u{fc}cher.example/",
            "https://xn--a.example/",
            "https://example.org../",
            "https://example.org:99999/",
            "/only/a/path",
            "ftp://example.org/",
            "ttp://127.1/",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
        let long = format!("https://example.org/{}", "a".repeat(MAX_URL));
        assert!(parsed(&long).unwrap_err().contains("16384"));
    }

    #[test]
    fn a_record_of_a_path_is_short_and_plain() {
        assert_eq!(shown("/a/%20b"), "/a/%20b");
        assert_eq!(shown("/\u{202e}\u{1b}[31m"), "/\\u{202e}\\u{1b}[31m");
        assert!(shown(&"a".repeat(60_000)).len() < MAX_SHOWN + 8);
    }
}
