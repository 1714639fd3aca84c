//! Headers: what a plugin may say, what the host adds, what an answer may carry.

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use ml_intern_manifest::{CredentialRule, CredentialUse};
use wasmtime_wasi_http::Error;
use zeroize::Zeroizing;

use crate::call::Call;
use crate::egress::credential::CredentialValue;
use crate::egress::secret::Secrets;
use crate::egress::{Refusal, coding};

/// More than any request here needs, and less than most servers take.
const MAX_REQUEST_HEADERS: usize = 128;
const MAX_REQUEST_HEADER_BYTES: usize = 64 << 10;

/// Refuses headers that belong to the connection or to the host, and too many of them.
/// `credential` is the one that the host adds here.
pub(super) fn check(
    headers: &HeaderMap,
    credential: Option<&CredentialRule>,
) -> Result<(), Refusal> {
    // The host header that wasmtime made is the guest's text; the client makes one from the URL.
    let own = || headers.iter().filter(|(name, _)| **name != HOST);
    let size: usize = own()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    if own().count() > MAX_REQUEST_HEADERS || size > MAX_REQUEST_HEADER_BYTES {
        return Err(Refusal {
            error: Error::HttpRequestHeaderSectionSize(Some(
                u32::try_from(size).unwrap_or(u32::MAX),
            )),
            detail: format!(
                "a request holds more than {MAX_REQUEST_HEADERS} headers or {MAX_REQUEST_HEADER_BYTES} bytes of them"
            ),
        });
    }
    for (name, _) in own() {
        // Some servers read `_` as `-`.
        let plain = name.as_str().replace('_', "-");
        if belongs_to_the_connection(&plain) || plain != name.as_str() && plain == "content-length"
        {
            return Err(Refusal::denied(format!(
                "the header `{name}` is the host's to set; leave it out"
            )));
        }
        if let Some(credential) = credential
            && (is_key_like(&plain) || belongs_to(credential, &plain))
        {
            return Err(Refusal::denied(format!(
                "the header `{name}` is not allowed where the host adds the credential `{}`; leave it out",
                credential.name
            )));
        }
    }
    Ok(())
}

/// Headers about this connection (RFC 9110, section 7.6.1) and its framing, and those for a proxy
/// on the way. wasmtime refuses the most of them already.
fn belongs_to_the_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "expect"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    ) || name.starts_with("proxy-")
}

/// Whether the header is one that the host writes where it adds the credential.
fn belongs_to(credential: &CredentialRule, name: &str) -> bool {
    match &credential.applied {
        CredentialUse::Header { header, .. } => name == header.replace('_', "-"),
        CredentialUse::AwsSigV4 { .. } => name.starts_with("x-amz-"),
    }
}

fn is_key_like(name: &str) -> bool {
    let word = |part: &str| {
        matches!(
            part,
            "key" | "apikey" | "token" | "secret" | "auth" | "password"
        )
    };
    // A number that makes a repeated request harmless, and no key.
    name != "idempotency-key"
        && (name == AUTHORIZATION.as_str() || name == COOKIE.as_str() || name.split('-').any(word))
}

/// Turns the headers into those that are sent.
pub(super) fn complete(
    call: &Call,
    credential: Option<&CredentialRule>,
    headers: &mut HeaderMap,
) -> Result<(), Refusal> {
    headers.remove(HOST);
    coding::ask(headers);
    match credential {
        Some(rule) => add_credential(call, rule, headers),
        None => Ok(()),
    }
}

/// The value that the user has set for a rule.
pub(super) fn value<'a>(call: &'a Call, rule: &CredentialRule) -> Option<&'a CredentialValue> {
    let all = &call.setup.credentials;
    all.iter()
        .find(|credential| credential.name == rule.name)
        .map(|credential| &credential.value)
}

/// A value that cannot be used as the rule says.
pub(super) fn unfit(rule: &CredentialRule) -> Refusal {
    let why = match &rule.applied {
        CredentialUse::Header { .. } => "holds characters that a header cannot",
        CredentialUse::AwsSigV4 { .. } => "holds no AWS keys",
    };
    Refusal::denied(format!("the credential `{}` {why}; set it anew", rule.name))
}

fn add_credential(
    call: &Call,
    rule: &CredentialRule,
    headers: &mut HeaderMap,
) -> Result<(), Refusal> {
    let CredentialUse::Header { header, format } = &rule.applied else {
        return Ok(());
    };
    let secret = match value(call, rule) {
        // Without a value the request goes out as it is: the service's answer says what is missing.
        None => return Ok(()),
        Some(CredentialValue::Text(secret)) => secret,
        Some(CredentialValue::AwsKeys(_)) => return Err(unfit(rule)),
    };
    let text = Zeroizing::new(format.replacen("{}", secret.expose(), 1));
    let mut value = HeaderValue::from_str(&text).map_err(|_| unfit(rule))?;
    value.set_sensitive(true);
    let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| unfit(rule))?;
    headers.insert(name, value);
    Ok(())
}

/// Clears the headers of an answer of what no plugin gets.
pub(super) fn clear(secrets: &Secrets, headers: &mut HeaderMap) {
    for name in ["set-cookie", "set-cookie2"] {
        headers.remove(name);
    }
    if secrets.is_empty() {
        return;
    }
    let told: Vec<HeaderName> = headers
        .keys()
        .filter(|name| secrets.found_in(name.as_str().as_bytes()))
        .cloned()
        .collect();
    for name in told {
        headers.remove(name);
    }
    for value in headers.values_mut() {
        if let std::borrow::Cow::Owned(clean) = secrets.replace(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_carry_keys_are_known() {
        for name in [
            "authorization",
            "cookie",
            "x-api-key",
            "api-key",
            "x-auth-token",
            "private-token",
            "x-amz-security-token",
        ] {
            assert!(is_key_like(name), "{name}");
        }
        for name in [
            "accept",
            "content-type",
            "user-agent",
            "x-author",
            "keyboard",
            "idempotency-key",
        ] {
            assert!(!is_key_like(name), "{name}");
        }
    }

    #[test]
    fn headers_of_the_connection_are_refused_in_any_spelling() {
        let check = |name: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_static("x"),
            );
            check(&headers, None)
        };
        for name in [
            "TE",
            "trailer",
            "Expect",
            "transfer_encoding",
            "Content_Length",
            "proxy-anything",
            "keep_alive",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
        for name in ["content-length", "authorization", "x_custom", "accept"] {
            assert!(check(name).is_ok(), "{name}");
        }
        let mut many = HeaderMap::new();
        for number in 0..=MAX_REQUEST_HEADERS {
            many.append("x-many", number.into());
        }
        assert!(super::check(&many, None).is_err());
        let mut large = HeaderMap::new();
        large.insert(
            "x-large",
            "x".repeat(MAX_REQUEST_HEADER_BYTES).parse().unwrap(),
        );
        assert!(super::check(&large, None).is_err());
    }

    #[test]
    fn an_answer_carries_no_cookie_and_no_secret() {
        let secrets = Secrets::new(&[crate::Secret::new("hf_0123456789")]);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("set-cookie", "a=b"),
            (
                "location",
                "https://e.test/?t=hf_0123456789&u=aGZfMDEyMzQ1Njc4OQ",
            ),
            ("x-hf_0123456789", "1"),
            ("etag", "plain"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        clear(&secrets, &mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["etag"], "plain");
        let location = headers["location"].to_str().unwrap();
        assert!(location.contains("?t=*************&u=****"), "{location}");
        assert!(!location.contains("aGZfMDEy"), "{location}");
    }
}
