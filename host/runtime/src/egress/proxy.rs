//! The way out for native programs: an HTTP proxy that knows who may go where.
//!
//! A program is in a network of its own, in which nobody but this proxy listens. It speaks
//! `CONNECT` for everything that is encrypted, and whole URLs for plain HTTP; it adds no
//! credential and reads nothing of what is encrypted. Names are looked up here and addresses
//! vetted as for plugins' own requests, and a redirect is the program's to follow, with another
//! request that is decided like the first.

mod relay;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ml_intern_manifest::{Denial, NetworkRule};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::call::{AuditRecord, Verdict};
use crate::egress::connect::{Clients, ConnectError};
use crate::egress::destination::parse;
use crate::egress::proxy::relay::{Counted, Counters, relay};

/// Connections of the programs of one room at one time; a package installer opens tens.
const MAX_CONNECTIONS: usize = 128;
/// A program that connects says what it wants at once.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes and count of a request's headers.
const MAX_HEADER_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// Until a service begins to answer a plain request.
const FIRST_BYTE: Duration = Duration::from_secs(600);
/// Bytes of a reason phrase; longer ones are cut by clients.
const MAX_REASON: usize = 600;
/// Decisions that are written down one by one.
const MAX_AUDITS: u64 = 1024;

/// Decides about the connections of programs, and hears what became of them.
pub trait Gate: Send + Sync {
    /// Whether a program may connect to `host`, as a URL parser returns it. Asked again while the
    /// connection lasts: what was taken back ends.
    ///
    /// # Errors
    /// Why not, and what would allow it.
    fn check(&self, host: &str, port: u16) -> Result<NetworkRule, Denial>;
    /// What would allow a place whose address turned out to be private, in words.
    fn advice(&self, place: &str) -> String;
    /// A decision, or the end of what was allowed.
    fn audit(&self, record: &AuditRecord);
}

/// A proxy at work; dropped, it ends all connections.
pub struct Proxy {
    serving: JoinHandle<()>,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Arc<dyn Gate>,
    clients: Arc<Clients>,
    audited: AtomicU64,
    /// Ends connections that outlive the conversation in which they were made.
    ended: CancellationToken,
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

impl Proxy {
    /// Serves `listener`, which is in non-blocking mode, until the result is dropped. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// The listener is not usable.
    pub fn serve(listener: std::net::TcpListener, gate: Arc<dyn Gate>) -> io::Result<Self> {
        Self::serve_with(listener, gate, Arc::new(Clients::new(None, None)))
    }

    pub(crate) fn serve_with(
        listener: std::net::TcpListener,
        gate: Arc<dyn Gate>,
        clients: Arc<Clients>,
    ) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared {
            gate,
            clients,
            audited: AtomicU64::new(0),
            ended: CancellationToken::new(),
        });
        let serving = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { serving, shared })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
        self.shared.ended.cancel();
        let audited = self.shared.audited.load(Ordering::Relaxed);
        let more = audited.saturating_sub(MAX_AUDITS);
        if more > 0 {
            let text = format!("{more} more connections were not written down");
            let verdict = Verdict::Limited(text);
            let record = AuditRecord::new("limits", "connections of programs", verdict);
            self.shared.gate.audit(&record);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors; some are given back soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = shared.clone();
        connections.spawn(async move {
            converse(stream, shared, Arc::new(place)).await;
        });
    }
}

/// One request on one connection.
async fn converse(stream: TcpStream, shared: Arc<Shared>, place: Arc<OwnedSemaphorePermit>) {
    let service = service_fn(|request| {
        let (shared, place) = (shared.clone(), place.clone());
        async move { Ok::<_, Infallible>(shared.answer(request, place).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    // Otherwise a program went away, or spoke no HTTP and was told so.
    drop(served);
}

/// An audit record that is written when it is dropped, however its connection ended.
struct Record {
    shared: Arc<Shared>,
    audit: AuditRecord,
    counters: Arc<Counters>,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.audit.sent_bytes = self.counters.sent();
        self.audit.received_bytes = self.counters.received();
        if self.shared.audited.fetch_add(1, Ordering::Relaxed) < MAX_AUDITS {
            self.shared.gate.audit(&self.audit);
        }
    }
}

/// Why a request got no further.
struct Refused {
    status: StatusCode,
    text: String,
    verdict: Verdict,
}

impl Refused {
    fn malformed(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            status: StatusCode::BAD_REQUEST,
            verdict: Verdict::Denied(text.clone()),
            text,
        }
    }

    fn denied(text: String) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            verdict: Verdict::Denied(text.clone()),
            text,
        }
    }

    fn failed(status: StatusCode, text: String) -> Self {
        Self {
            status,
            verdict: Verdict::Failed(text.clone()),
            text,
        }
    }
}

/// Where a request wants to go.
struct Target {
    url: url::Url,
    host: String,
    port: u16,
}

impl Target {
    /// Reads `authority` (of `CONNECT`) or a whole URL, as strictly as for plugins' requests: one
    /// spelling of each address, no user names.
    fn of(uri: &Uri) -> Result<Self, Refused> {
        let url = parse(uri).map_err(|refusal| Refused::malformed(refusal.detail))?;
        let (host, port) = (url.host_str(), url.port_or_known_default());
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self {
                host: host.to_owned(),
                port,
                url,
            }),
            _ => Err(Refused::malformed("the request names no host and port")),
        }
    }

    fn of_tunnel(uri: &Uri) -> Result<Self, Refused> {
        let wrong =
            || Refused::malformed("CONNECT names a host and a port, such as `example.org:443`");
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.port_u16().is_none()
            || uri.scheme().is_some()
            || uri.path_and_query().is_some()
        {
            return Err(wrong());
        }
        let whole = Uri::builder()
            .scheme("http")
            .authority(authority.clone())
            .path_and_query("/")
            .build();
        Self::of(&whole.map_err(|_| wrong())?)
    }
}

impl Shared {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Answer {
        let mut record = Record {
            audit: AuditRecord::new("network", shown(&request), Verdict::Allowed),
            counters: Arc::default(),
            shared: self.clone(),
        };
        let reached = if request.method() == Method::CONNECT {
            self.connect(&request, &mut record).await
        } else {
            self.forward_to(&request, &mut record).await
        };
        let (target, stream) = match reached {
            Ok(reached) => reached,
            Err(refused) => {
                record.audit.verdict = refused.verdict;
                return refusal(refused.status, &refused.text);
            }
        };
        if request.method() == Method::CONNECT {
            tokio::spawn(self.tunnel(request, target, stream, record, place));
            return Response::new(Empty::new().map_err(|never| match never {}).boxed());
        }
        forward(request, &target, stream, record).await
    }

    async fn connect(
        &self,
        request: &Request<Incoming>,
        record: &mut Record,
    ) -> Result<(Target, TcpStream), Refused> {
        let target = Target::of_tunnel(request.uri())?;
        let stream = self.reach(&target, record).await?;
        Ok((target, stream))
    }

    async fn forward_to(
        &self,
        request: &Request<Incoming>,
        record: &mut Record,
    ) -> Result<(Target, TcpStream), Refused> {
        if request.method() == Method::TRACE {
            return Err(Refused::malformed("TRACE is not forwarded"));
        }
        match request.uri().scheme_str() {
            Some("http") => {}
            Some(_) => {
                return Err(Refused::malformed(
                    "only http is forwarded; reach https with CONNECT",
                ));
            }
            None => {
                return Err(Refused::malformed(
                    "this is a proxy; send the whole URL, as for `http_proxy`",
                ));
            }
        }
        let target = Target::of(request.uri())?;
        let stream = self.reach(&target, record).await?;
        Ok((target, stream))
    }

    /// A connection to a place that is granted, at an address that is fit.
    async fn reach(&self, target: &Target, record: &mut Record) -> Result<TcpStream, Refused> {
        let (host, port) = (target.host.as_str(), target.port);
        let rule = self.gate.check(host, port);
        let rule = rule.map_err(|denial| Refused::denied(denial.detail))?;
        record.audit.rule = Some(rule.text);
        let connecting = self.clients.connect(host, port, rule.private_ok);
        connecting.await.map_err(|error| match error {
            ConnectError::Prohibited { .. } if !rule.private_ok => {
                let advice = self.gate.advice(&format!("{host}:{port}"));
                Refused::denied(format!(
                    "{error}; if a private address is meant, name its port: {advice}"
                ))
            }
            ConnectError::Prohibited { .. } => Refused::denied(error.to_string()),
            ConnectError::Timeout { .. } => {
                Refused::failed(StatusCode::GATEWAY_TIMEOUT, error.to_string())
            }
            other => Refused::failed(StatusCode::BAD_GATEWAY, other.to_string()),
        })
    }

    /// Passes bytes on until either side ends, or the grant does.
    async fn tunnel(
        self: Arc<Self>,
        request: Request<Incoming>,
        target: Target,
        stream: TcpStream,
        mut record: Record,
        place: Arc<OwnedSemaphorePermit>,
    ) {
        let work = async {
            let program = hyper::upgrade::on(request).await.ok()?;
            let allowed = || self.gate.check(&target.host, target.port).map(drop);
            let counters = record.counters.clone();
            relay(TokioIo::new(program), stream, &counters, allowed)
                .await
                .err()
        };
        let denial = tokio::select! {
            denial = work => denial,
            () = self.ended.cancelled() => None,
        };
        if let Some(denial) = denial {
            record.audit.verdict = Verdict::Denied(denial.detail);
        }
        drop(place);
    }
}

/// Sends a plain request on and hands the answer back.
async fn forward(
    request: Request<Incoming>,
    target: &Target,
    stream: TcpStream,
    mut record: Record,
) -> Answer {
    let result = exchange(request, target, stream, &record.counters).await;
    match result {
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            remove_hop_headers(&mut parts.headers);
            record.audit.verdict = Verdict::Answered(parts.status.as_u16());
            let counters = record.counters.clone();
            // The record is written when the body has been read or given up.
            let body = Counted::received(body, counters, Some(Box::new(record)));
            Response::from_parts(parts, body.boxed())
        }
        Err(refused) => {
            record.audit.verdict = refused.verdict;
            refusal(refused.status, &refused.text)
        }
    }
}

async fn exchange(
    request: Request<Incoming>,
    target: &Target,
    stream: TcpStream,
    counters: &Arc<Counters>,
) -> Result<Response<Incoming>, Refused> {
    let gone = |error: hyper::Error| {
        let text = format!("`{}` did not answer: {error}", target.host);
        Refused::failed(StatusCode::BAD_GATEWAY, text)
    };
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(gone)?;
    // Ends with the request's answer: nothing else is sent on it.
    tokio::spawn(connection);
    let (parts, body) = request.into_parts();
    let body = Counted::sent(body, counters.clone());
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = origin_form(&target.url)?;
    *outgoing.headers_mut() = parts.headers;
    let headers = outgoing.headers_mut();
    remove_hop_headers(headers);
    // What frames the body is written anew, from the body as it was read.
    headers.remove(CONTENT_LENGTH);
    headers.insert(HOST, host_header(&target.url)?);
    match tokio::time::timeout(FIRST_BYTE, sender.send_request(outgoing)).await {
        Ok(response) => response.map_err(gone),
        Err(_) => Err(Refused::failed(
            StatusCode::GATEWAY_TIMEOUT,
            format!("`{}` did not answer in time", target.host),
        )),
    }
}

fn origin_form(url: &url::Url) -> Result<Uri, Refused> {
    let text = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    text.parse()
        .map_err(|_| Refused::malformed("not a path that can be sent"))
}

fn host_header(url: &url::Url) -> Result<HeaderValue, Refused> {
    let host = url.host_str().unwrap_or_default();
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_str(&text).map_err(|_| Refused::malformed("not a host that can be sent"))
}

/// Headers that are about one connection only (RFC 9110, section 7.6.1), and those that are for
/// proxies.
fn remove_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    let proxies: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("proxy-") || name.as_str() == "keep-alive")
        .cloned()
        .collect();
    for name in proxies {
        headers.remove(name);
    }
}

/// What an audit record says of a request: no query, no user.
fn shown(request: &Request<Incoming>) -> String {
    let uri = request.uri();
    let authority = uri.authority().map(|authority| {
        let port = authority.port_u16();
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", authority.host())
    });
    let authority = authority.unwrap_or_default();
    let text = match request.method() {
        &Method::CONNECT => format!("CONNECT {authority}"),
        method => format!("{method} http://{authority}{}", uri.path()),
    };
    text.chars().take(256).collect()
}

/// A refusal that says why in both places where programs look.
fn refusal(status: StatusCode, text: &str) -> Answer {
    let line: String = text
        .chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .take(MAX_REASON)
        .collect();
    let body = Full::new(Bytes::from(format!("{text}\n")));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    if let Ok(reason) = ReasonPhrase::try_from(line.into_bytes()) {
        answer.extensions_mut().insert(reason);
    }
    answer
}

#[cfg(test)]
mod tests;
