//! The one way out to the network. Every request of every plugin passes [`send`]: its URL is
//! parsed once, matched against the grant, cleared of what a plugin may not say, sent to an address
//! that was vetted, and its answer bounded and cleared of secrets. Nothing is followed, no proxy
//! of the environment is used, and every request leaves an audit record.

pub(crate) mod address;
pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod secret;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Uri, request};
use http_body_util::BodyExt;
use ml_intern_manifest::{CredentialRule, Denial, Effective, HttpRule};
use url::{Host, Url};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};
use zeroize::Zeroizing;

use crate::call::{AuditRecord, Call, Verdict};
use crate::egress::body::{Answer, Guarded, drain};
use crate::egress::connect::{CONNECT_LIMIT, CONNECT_TIMEOUT, ConnectError};

/// A model that reasons may say nothing for minutes; services cut off after ten.
const FIRST_BYTE: Duration = Duration::from_secs(600);
const BETWEEN_BYTES: Duration = Duration::from_secs(120);

/// Sends a request of a call, or refuses it.
pub(crate) async fn send(
    call: Arc<Call>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let (mut parts, body) = request.into_parts();
    let mut record = AuditRecord::new("http", target_of(&parts), Verdict::Denied(String::new()));
    let allowed = match allow(&call, &mut parts) {
        Ok(allowed) => allowed,
        Err(Refusal { error, detail }) => {
            record.verdict = Verdict::Denied(detail.clone());
            call.audit(&record);
            call.deny(Denial {
                capability: "http",
                detail,
            });
            // A guest that is still writing would see a broken pipe instead of this answer.
            drain(body, call.clock.left()).await;
            return Err(error);
        }
    };
    record.target = target_of(&parts);
    record.rule = Some(allowed.rule.clone());
    let body = if call.secrets.is_empty() {
        body
    } else {
        body::Outgoing::new(body, Arc::clone(&call)).boxed_unsync()
    };
    match exchange(&call, Request::from_parts(parts, body), &options, &allowed).await {
        Ok(response) => {
            record.verdict = Verdict::Answered(response.status().as_u16());
            answer(call, response, &options, allowed.max_response, record)
        }
        Err(failure) => {
            if let Some(detail) = failure.denial {
                record.verdict = Verdict::Denied(detail.clone());
                call.deny(Denial {
                    capability: "http",
                    detail,
                });
            } else {
                record.verdict = Verdict::Failed(failure.text);
            }
            call.audit(&record);
            Err(failure.error)
        }
    }
}

/// Says, without sending anything, which rule would allow a request, in words; or why none does, with
/// the line that would.
///
/// # Errors
/// The reason, in the words in which a plugin would be refused.
pub fn explain_request(effective: &Effective, method: &str, url: &str) -> Result<String, String> {
    let uri = url
        .parse()
        .map_err(|_| format!("`{}` is not a URL", ml_intern_manifest::shorten(url)))?;
    let url = parse(&uri)?;
    let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
    let port = url.port_or_known_default().unwrap_or_default();
    match effective.http.check(method, scheme, host, port, url.path()) {
        Ok(rule) => Ok(in_words(rule, effective.credential_for(scheme, host, port))),
        Err(denial) => Err(denial.detail),
    }
}

fn in_words(rule: &HttpRule, credential: Option<&CredentialRule>) -> String {
    let mut words = rule.describe();
    if let Some(credential) = credential {
        words.push_str(&format!(", with the credential `{}`", credential.name));
    }
    words
}

/// What a rule allowed.
struct Allowed {
    /// In words.
    rule: String,
    private_ok: bool,
    max_response: u64,
    secure: bool,
}

struct Refusal {
    error: Error,
    detail: String,
}

impl Refusal {
    fn uri(detail: String) -> Self {
        Self {
            error: Error::HttpRequestUriInvalid,
            detail,
        }
    }

    fn denied(detail: String) -> Self {
        Self {
            error: Error::HttpRequestDenied,
            detail,
        }
    }
}

/// Everything that is decided before the network is touched. Leaves `parts` as they will be sent.
fn allow(call: &Call, parts: &mut request::Parts) -> Result<Allowed, Refusal> {
    let url = parse(&parts.uri).map_err(Refusal::uri)?;
    let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
    let port = url.port_or_known_default().unwrap_or_default();
    let effective = call.effective();
    let rule = effective
        .http
        .check(parts.method.as_str(), scheme, host, port, url.path());
    let rule: &HttpRule = rule.map_err(|denial| Refusal::denied(denial.detail))?;
    let credential = effective.credential_for(scheme, host, port);
    if let Some(credential) = credential {
        refuse_keys(&parts.headers, credential)?;
    }
    if holds_secret(call, &url, &parts.headers) {
        return Err(Refusal::denied(format!(
            "a request to `{host}` holds a secret in its URL or headers; credentials are added by the host and never sent by plugins"
        )));
    }
    // The host header that wasmtime made is the guest's text; the client makes one from the URL.
    parts.headers.remove(HOST);
    parts.uri = to_uri(&url).ok_or_else(|| {
        Refusal::uri(format!(
            "not a URL that can be sent: `{}`",
            origin_of(&parts.uri)
        ))
    })?;
    if let Some(credential) = credential {
        add_credential(call, credential, &mut parts.headers)?;
    }
    Ok(Allowed {
        rule: in_words(rule, credential),
        private_ok: rule.private_ok,
        max_response: rule.max_response,
        secure: scheme == "https",
    })
}

/// The URL that serves matching, the host header and the server's name, or what is wrong with it.
fn parse(uri: &Uri) -> Result<Url, String> {
    let authority = uri.authority().ok_or("the URL names no host")?;
    if authority.as_str().contains('@') {
        return Err(format!(
            "a user name in a URL is not allowed: `…@{}`",
            authority.host()
        ));
    }
    let text = uri.to_string();
    if let Some(found) = text
        .chars()
        .find(|c| !('!'..='~').contains(c) || *c == '\\')
    {
        return Err(format!(
            "the URL holds the character {found:?}, which must be percent-encoded"
        ));
    }
    let mut url = Url::parse(&text).map_err(|error| format!("not a URL: {error}"))?;
    let plain = match url.host() {
        Some(Host::Domain(_)) => true,
        // Decimal, octal, hexadecimal and shortened spellings read differently elsewhere.
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => {
            url.host_str() == Some(&authority.host().to_ascii_lowercase())
        }
        None => return Err("the URL names no host".to_owned()),
    };
    if !plain {
        return Err(format!(
            "an address must be written in its plain form: `{}`",
            authority.host()
        ));
    }
    if let Some(host) = url
        .host_str()
        .and_then(|host| host.strip_suffix('.'))
        .map(str::to_owned)
    {
        url.set_host(Some(&host))
            .map_err(|error| format!("not a host: {error}"))?;
    }
    url.set_fragment(None);
    Ok(url)
}

fn to_uri(url: &Url) -> Option<Uri> {
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

/// For audit records: no query.
fn target_of(parts: &request::Parts) -> String {
    let path: String = parts.uri.path().chars().take(512).collect();
    format!("{} {}{path}", parts.method, origin_of(&parts.uri))
}

/// For messages: no user, path or query.
fn origin_of(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let port = uri
        .port_u16()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{scheme}://{}{port}", uri.host().unwrap_or_default())
}

/// Where the host adds a credential, a plugin may not send one of its own.
fn refuse_keys(headers: &HeaderMap, credential: &CredentialRule) -> Result<(), Refusal> {
    match headers
        .keys()
        .find(|name| is_key_like(name) || name.as_str() == credential.header)
    {
        Some(name) => Err(Refusal::denied(format!(
            "the header `{name}` is not allowed where the host adds the credential `{}`; leave it out",
            credential.name
        ))),
        None => Ok(()),
    }
}

fn is_key_like(name: &HeaderName) -> bool {
    let text = name.as_str();
    let word = |part: &str| {
        matches!(
            part,
            "key" | "apikey" | "token" | "secret" | "auth" | "password"
        )
    };
    *name == AUTHORIZATION
        || *name == COOKIE
        || text.starts_with("proxy-")
        || text.split(['-', '_']).any(word)
}

fn holds_secret(call: &Call, url: &Url, headers: &HeaderMap) -> bool {
    let secrets = &call.secrets;
    if secrets.is_empty() {
        return false;
    }
    secrets.found_in(url.as_str().as_bytes())
        || headers.iter().any(|(name, value)| {
            secrets.found_in(value.as_bytes()) || secrets.found_in(name.as_str().as_bytes())
        })
}

fn add_credential(
    call: &Call,
    rule: &CredentialRule,
    headers: &mut HeaderMap,
) -> Result<(), Refusal> {
    // Without a value the request goes out as it is: the service's answer says what is missing.
    let Some(credential) = call
        .setup
        .credentials
        .iter()
        .find(|credential| credential.name == rule.name)
    else {
        return Ok(());
    };
    let wrong = || {
        Refusal::denied(format!(
            "the credential `{}` holds characters that a header cannot; set it anew",
            rule.name
        ))
    };
    let text = Zeroizing::new(rule.header_value(credential.value.expose()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| wrong())?;
    value.set_sensitive(true);
    let name = HeaderName::from_bytes(rule.header.as_bytes()).map_err(|_| wrong())?;
    headers.insert(name, value);
    Ok(())
}

/// A request that did not come back.
struct Failure {
    error: Error,
    text: String,
    /// Why the host refused it, when it did.
    denial: Option<String>,
}

async fn exchange(
    call: &Call,
    request: Request<WasiBody>,
    options: &RequestOptions,
    allowed: &Allowed,
) -> Result<Response<hyper::body::Incoming>, Failure> {
    let failed = |error, text| Failure {
        error,
        text,
        denial: None,
    };
    let port = request
        .uri()
        .port_u16()
        .unwrap_or(if allowed.secure { 443 } else { 80 });
    let client = match call.network.get(allowed.secure, allowed.private_ok) {
        Ok(client) => client,
        Err(error) => return Err(failed(Error::ConfigurationError, error.to_string())),
    };
    let left = call.clock.left();
    let connect = options
        .connect_timeout
        .unwrap_or(CONNECT_TIMEOUT)
        .min(CONNECT_TIMEOUT);
    let first_byte = options.first_byte_timeout.unwrap_or(FIRST_BYTE);
    let limit = connect.saturating_add(first_byte).min(left);
    let sent = CONNECT_LIMIT.scope(connect.min(left), client.request(request));
    match tokio::time::timeout(limit, sent).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(explain(&error, port)),
        Err(_) => Err(failed(
            Error::HttpResponseTimeout,
            format!("no answer within {limit:.1?}"),
        )),
    }
}

/// The typed error that a guest sees for a failed exchange, and words for the audit record.
fn explain(error: &hyper_util::client::legacy::Error, port: u16) -> Failure {
    let mut denial = None;
    let mut typed = if error.is_connect() {
        Error::ConnectionRefused
    } else {
        Error::ConnectionTerminated
    };
    let mut text = error.to_string();
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        if let Some(cause) = cause.downcast_ref::<ConnectError>() {
            (typed, denial) = explain_connect(cause, port);
            break;
        } else if let Some(cause) = cause.downcast_ref::<rustls::Error>() {
            let certificate = matches!(cause, rustls::Error::InvalidCertificate(_));
            typed = if certificate {
                Error::TlsCertificateError
            } else {
                Error::TlsProtocolError
            };
        } else if let Some(Error::HttpRequestDenied) = cause.downcast_ref::<Error>() {
            typed = Error::HttpRequestDenied;
            denial = Some("a request body holds a secret; credentials are added by the host and never sent by plugins".to_owned());
        } else if let Some(cause) = cause.downcast_ref::<hyper::Error>() {
            if cause.is_parse_too_large() {
                typed = Error::HttpResponseHeaderSectionSize(None);
            } else if cause.is_parse() {
                typed = Error::HttpProtocolError;
            } else if cause.is_incomplete_message() {
                typed = Error::HttpResponseIncomplete;
            }
        }
        // An I/O error hides what it wraps from `source`.
        next = match cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    Failure {
        error: typed,
        text,
        denial,
    }
}

fn explain_connect(cause: &ConnectError, port: u16) -> (Error, Option<String>) {
    match cause {
        ConnectError::Lookup { source, .. } => (
            Error::DnsError {
                rcode: Some(source.to_string()),
                info_code: None,
            },
            None,
        ),
        ConnectError::Prohibited { host, .. } => {
            let detail = format!(
                "{cause}; where that is meant, name the host with its port in the plugin's grant: http = [{{ host = \"{host}\", port = {port} }}]; link-local addresses are never allowed"
            );
            (Error::DestinationIpProhibited, Some(detail))
        }
        ConnectError::Refused { .. } => (Error::ConnectionRefused, None),
        ConnectError::Timeout { .. } => (Error::ConnectionTimeout, None),
        ConnectError::Roots { .. } | ConnectError::Tls(_) => (Error::ConfigurationError, None),
    }
}

/// Bounds and clears the response.
fn answer(
    call: Arc<Call>,
    response: Response<hyper::body::Incoming>,
    options: &RequestOptions,
    limit: u64,
    record: AuditRecord,
) -> Result<Response<WasiBody>, Error> {
    let (mut parts, incoming) = response.into_parts();
    for name in ["set-cookie", "set-cookie2"] {
        parts.headers.remove(name);
    }
    if !call.secrets.is_empty() {
        scrub(&call, &mut parts.headers);
    }
    let between_bytes = options.between_bytes_timeout.unwrap_or(BETWEEN_BYTES);
    let expected = hyper::body::Body::size_hint(&incoming).lower();
    let mut body = Guarded::new(
        incoming,
        Answer {
            call,
            limit,
            between_bytes,
            record,
        },
    );
    if expected > limit {
        return Err(body.too_large());
    }
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

fn scrub(call: &Call, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if let std::borrow::Cow::Owned(clean) = call.secrets.replace(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(""));
        }
    }
}

#[cfg(test)]
mod url_tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        parse(&text.parse().map_err(|_| "not a uri".to_owned())?).map(|url| url.to_string())
    }

    #[test]
    fn one_reading_of_a_url_serves_everything() {
        assert_eq!(
            parsed("https://Example.ORG./a?b=c").unwrap(),
            "https://example.org/a?b=c"
        );
        assert_eq!(
            parsed("https://example.org/a/../../b").unwrap(),
            "https://example.org/b"
        );
        assert_eq!(
            parsed("https://example.org/%2e%2e/b").unwrap(),
            "https://example.org/b"
        );
        assert_eq!(parsed("http://[::1]:8080/").unwrap(), "http://[::1]:8080/");
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
            "http://[::ffff:127.0.0.1]/",
            "https://example.org/a\\b",
            "/only/a/path",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_that_carry_keys_are_known() {
        for name in [
            "authorization",
            "cookie",
            "proxy-authorization",
            "x-api-key",
            "api_key",
            "x-auth-token",
            "private-token",
        ] {
            assert!(is_key_like(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "accept",
            "content-type",
            "user-agent",
            "x-author",
            "keyboard",
            "idempotency",
        ] {
            assert!(!is_key_like(&HeaderName::from_static(name)), "{name}");
        }
    }
}
