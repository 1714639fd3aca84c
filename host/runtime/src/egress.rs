//! The one way out to the network. Every request of every plugin passes [`send`]: its URL is
//! parsed once, matched against the grant, cleared of what a plugin may not say, sent to an address
//! that was vetted, and its answer unpacked, bounded and cleared of secrets. Nothing is followed, no
//! proxy of the environment is used, and every request leaves an audit record.

pub(crate) mod address;
mod answer;
mod body;
mod coding;
pub(crate) mod connect;
pub(crate) mod credential;
pub(crate) mod destination;
mod exchange;
mod failure;
mod headers;
pub(crate) mod probe;
pub(crate) mod proxy;
pub(crate) mod recordings;
pub(crate) mod resolve;
mod scan;
pub(crate) mod secret;
mod sign;
#[cfg(test)]
mod tests;
pub(crate) mod traffic;
pub(crate) mod transport;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, request};
use http_body_util::BodyExt;
use ml_intern_manifest::{CredentialRule, Denial, Effective, HttpRule};
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::call::{AuditRecord, Call, Verdict};
use crate::egress::answer::Answer;
use crate::egress::body::{Outgoing, Sent};
use crate::egress::connect::CONNECT_TIMEOUT;
use crate::egress::destination::{origin_of, parse, target_of, to_uri};
use crate::egress::exchange::{Recorded, Source};
use crate::egress::failure::Failure;
use crate::egress::scan::Scan;
use crate::egress::secret::Secrets;
use crate::egress::sign::Signing;
use crate::egress::transport::{Incoming, Way};

/// A model that reasons may say nothing for minutes; services cut off after ten.
const FIRST_BYTE: Duration = Duration::from_secs(600);
/// Within the time of the call, which is what ends a service that drips.
const BETWEEN_BYTES: Duration = Duration::from_secs(120);

/// Sends a request of a call, or refuses it; or answers it from the call's recording. Its place among
/// the call's requests is taken before the future is polled.
pub(crate) fn send(
    call: Arc<Call>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> impl Future<Output = Result<Response<WasiBody>, Error>> + Send {
    let source = exchange::begin(&call, &request);
    async move {
        match source {
            Source::Network => send_live(call, request, options, None).await,
            Source::Recorded(recorded) => {
                let answered = send_live(call, request, options, Some(recorded.clone())).await;
                recorded.answered(answered)
            }
            Source::Replayed(exchange) => exchange::replay(call, exchange, request).await,
            Source::Ended => std::future::pending().await,
        }
    }
}

async fn send_live(
    call: Arc<Call>,
    request: Request<WasiBody>,
    options: RequestOptions,
    recorded: Option<Recorded>,
) -> Result<Response<WasiBody>, Error> {
    let (mut parts, body) = request.into_parts();
    let body = Outgoing::new(body, &parts.headers, &call);
    let target = call.secrets.replace_in(&target_of(&parts));
    let mut record = AuditRecord::new("http", target, Verdict::Allowed);
    let place = match call.traffic.enter(call.clock.left()).await {
        Ok(place) => place,
        Err(refused) => {
            call.limited(refused.limit, || refused.text);
            return Err(Error::ConnectionLimitReached);
        }
    };
    let changes = call.setup.policy.changes();
    let allowed = match allow(&call, &mut parts) {
        Ok(allowed) => allowed,
        Err(Refusal { error, detail }) => {
            let failure = Failure::denied(error, detail);
            failed(&call, &mut record, &failure, recorded.as_ref());
            return Err(failure.error);
        }
    };
    record.rule = Some(allowed.rule.clone());
    record.target = target_of(&parts);
    let sent = body.sent();
    let body = match &recorded {
        Some(recorded) => recorded.sending(body, &parts.headers),
        None => body.boxed_unsync(),
    };
    let request = Request::from_parts(parts, body);
    let answered = match signed(&call, request, &allowed, &sent).await {
        Ok(request) => exchange(&call, request, &options, &allowed, &sent).await,
        Err(failure) => Err(failure),
    };
    match answered {
        Ok(response) => Answer {
            call,
            asked: allowed.asked,
            limit: allowed.max_response,
            between_bytes: options.between_bytes_timeout.unwrap_or(BETWEEN_BYTES),
            record,
            recorded,
            changes,
            sent,
            _place: place,
        }
        .receive(response),
        Err(failure) => {
            record.sent_bytes = sent.bytes();
            failed(&call, &mut record, &failure, recorded.as_ref());
            Err(failure.error)
        }
    }
}

/// Writes the record of a request that did not come back, and keeps the reason of a denial for
/// whoever tells the user.
fn failed(call: &Call, record: &mut AuditRecord, failure: &Failure, recorded: Option<&Recorded>) {
    record.verdict = match &failure.denial {
        Some(detail) => {
            let detail = call.secrets.replace_in(detail);
            if let Some(recorded) = recorded {
                recorded.denied(&detail);
            }
            call.deny(Denial {
                capability: "http",
                detail: detail.clone(),
            });
            Verdict::Denied(detail)
        }
        None => Verdict::Failed(call.secrets.replace_in(&failure.text)),
    };
    call.audit(record);
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
    let asked = Asked {
        method: method.to_owned(),
        url: parse(&uri).map_err(|refusal| refusal.detail)?,
    };
    match asked.rule(effective) {
        Ok(rule) => Ok(in_words(rule, asked.credential(effective))),
        Err(denial) => Err(denial.detail),
    }
}

fn in_words(rule: &HttpRule, credential: Option<&CredentialRule>) -> String {
    let mut words = rule.describe();
    if let Some(credential) = credential {
        words.push_str(&format!(", {}", credential.in_words()));
    }
    words
}

/// What was asked for, which is asked again when the grant changes.
struct Asked {
    method: String,
    url: Url,
}

impl Asked {
    fn rule<'a>(&self, effective: &'a Effective) -> Result<&'a HttpRule, Denial> {
        effective.http.check(
            &self.method,
            self.url.scheme(),
            self.host(),
            self.port(),
            self.url.path(),
        )
    }

    fn credential<'a>(&self, effective: &'a Effective) -> Option<&'a CredentialRule> {
        effective.credential_for(self.url.scheme(), self.host(), self.port())
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }
}

/// What a rule allowed.
struct Allowed {
    asked: Asked,
    /// In words.
    rule: String,
    private_ok: bool,
    max_response: u64,
    secure: bool,
    signing: Option<Signing>,
}

/// What is wrong with a request, and the typed error that the guest sees of it.
#[derive(Debug)]
struct Refusal {
    error: Error,
    detail: String,
}

impl Refusal {
    fn uri(detail: impl Into<String>) -> Self {
        Self {
            error: Error::HttpRequestUriInvalid,
            detail: detail.into(),
        }
    }

    fn uri_too_long(detail: impl Into<String>) -> Self {
        Self {
            error: Error::HttpRequestUriTooLong,
            detail: detail.into(),
        }
    }

    fn denied(detail: impl Into<String>) -> Self {
        Self {
            error: Error::HttpRequestDenied,
            detail: detail.into(),
        }
    }
}

/// Everything that is decided before the network is touched. Leaves `parts` as they will be sent.
fn allow(call: &Call, parts: &mut request::Parts) -> Result<Allowed, Refusal> {
    let asked = Asked {
        method: parts.method.to_string(),
        url: parse(&parts.uri)?,
    };
    let effective = call.effective();
    let rule = asked.rule(&effective);
    let rule = rule.map_err(|denial| Refusal::denied(denial.detail))?;
    let credential = asked.credential(&effective);
    headers::check(&parts.headers, credential)?;
    if holds_secret(&call.secrets, &asked.url, parts) {
        return Err(Refusal::denied(format!(
            "a request to `{}` holds a secret in its URL or headers; credentials are added by the host and never sent by plugins",
            asked.host()
        )));
    }
    parts.uri = to_uri(&asked.url).ok_or_else(|| {
        Refusal::uri(format!(
            "not a URL that can be sent: `{}`",
            origin_of(&parts.uri)
        ))
    })?;
    headers::complete(call, credential, &mut parts.headers)?;
    let signing = match credential {
        Some(credential) => Signing::of(call, credential)?,
        None => None,
    };
    Ok(Allowed {
        signing,
        rule: in_words(rule, credential),
        private_ok: rule.private_ok,
        max_response: rule.max_response,
        secure: asked.url.scheme() == "https",
        asked,
    })
}

fn holds_secret(secrets: &Secrets, url: &Url, parts: &request::Parts) -> bool {
    if secrets.is_empty() {
        return false;
    }
    // Also as the guest wrote it: a host has no upper case once it is read.
    Scan::finds(secrets, url.as_str().as_bytes())
        || Scan::finds(secrets, parts.uri.to_string().as_bytes())
        || parts.headers.iter().any(|(name, value)| {
            Scan::finds(secrets, value.as_bytes()) || Scan::finds(secrets, name.as_str().as_bytes())
        })
}

/// The request as it is sent; one that is not signed goes on as it comes from the guest.
async fn signed(
    call: &Call,
    request: Request<WasiBody>,
    allowed: &Allowed,
    sent: &Sent,
) -> Result<Request<WasiBody>, Failure> {
    match &allowed.signing {
        Some(signing) => signing.apply(call, &allowed.asked, request, sent).await,
        None => Ok(request),
    }
}

async fn exchange(
    call: &Call,
    request: Request<WasiBody>,
    options: &RequestOptions,
    allowed: &Allowed,
    sent: &Sent,
) -> Result<Response<Incoming>, Failure> {
    let left = call.clock.left();
    let connect = options
        .connect_timeout
        .unwrap_or(CONNECT_TIMEOUT)
        .min(CONNECT_TIMEOUT);
    let first_byte = options.first_byte_timeout.unwrap_or(FIRST_BYTE);
    let limit = connect.saturating_add(first_byte).min(left);
    let way = Way {
        secure: allowed.secure,
        private_ok: allowed.private_ok,
        port: allowed.asked.port(),
        connect: connect.min(left),
    };
    let answered = call.transport().exchange(request, &way, sent);
    let revoked = call.revoked(|effective| allowed.asked.rule(effective).map(drop));
    let answered = tokio::select! {
        answered = tokio::time::timeout(limit, answered) => answered,
        denial = revoked => return Err(Failure::denied(Error::HttpRequestDenied, denial.detail)),
    };
    match answered {
        Ok(answered) => answered,
        Err(_) => Err(Failure::new(
            Error::HttpResponseTimeout,
            format!("no answer within {limit:.1?}"),
        )),
    }
}
