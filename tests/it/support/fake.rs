//! Strict fakes of the services that have models: the protocols are real, the model is a
//! [`Script`].
//!
//! A [`Service`] has its routes, its keys and its way to say no; a protocol is a pair of files:
//! `check` refuses what the real service would refuse, `render` writes what the script says. The
//! rest is shared: everything that came is kept (`record`), and faults on the wire are replies like
//! any other, so that one conversation can meet several.
//!
//! Shapes: the vendors' API references as of November 2026, and the types in their own Python
//! clients, which `self_test::vendors` runs against these fakes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, channel::Channel};
use hyper::{Request, Response, body::Incoming, http::request::Parts};
use serde_json::Value;

mod answer;
mod body;
mod cache;
mod chat;
mod converse;
mod error;
mod messages;
mod model;
mod node;
mod record;
mod responses;
mod script;
mod service;

pub(crate) use error::ApiError;
pub(crate) use model::Model;
pub(crate) use record::Exchange;
pub(crate) use script::{Asked, Call, Flaw, Reply, Script};
pub(crate) use service::Service;

use self::{
    answer::{Answer, Tokens},
    body::{Body, Then},
    cache::Cache,
    record::Record,
    script::{Ending, Kind},
    service::{Ask, Routed},
};
use super::http::{AnswerBody, Listening, full, listen};

/// The model that every fake serves unless told otherwise.
pub(crate) const MODEL: &str = "fake-model";

/// Longest wait of [`Fake::wait_for`].
const PATIENCE: Duration = Duration::from_secs(20);

/// A fake that is not started.
pub(crate) struct Setup {
    service: Service,
    key: Option<String>,
    models: Vec<Model>,
    prefix: &'static str,
}

impl Setup {
    /// A service without keys, at the root of its address, whose one model is [`MODEL`].
    pub(crate) fn new(service: Service) -> Self {
        Self {
            service,
            key: None,
            models: vec![Model::new(MODEL)],
            prefix: "",
        }
    }

    /// Wants this key: as a bearer token, in `x-api-key`, or as `ID:SECRET` for signatures, as the
    /// service has it.
    pub(crate) fn key(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }

    /// Sets the models that it knows.
    pub(crate) fn models(self, models: impl IntoIterator<Item = Model>) -> Self {
        Self {
            models: models.into_iter().collect(),
            ..self
        }
    }

    /// Puts it below a folder, which begins with a slash, as a gateway does; nothing is served
    /// elsewhere.
    pub(crate) fn below(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    /// Starts it.
    pub(crate) async fn start(self, script: Script) -> Fake {
        let shared = Arc::new(Shared {
            service: self.service,
            script,
            key: self.key,
            models: self.models,
            prefix: self.prefix,
            record: Record::new(),
            cache: Cache::default(),
        });
        let serving = Arc::clone(&shared);
        let answer = move |connection, request| answer(Arc::clone(&serving), connection, request);
        Fake {
            listening: listen(answer).await,
            shared,
        }
    }
}

/// The running server; stops when dropped.
pub(crate) struct Fake {
    listening: Listening,
    shared: Arc<Shared>,
}

struct Shared {
    service: Service,
    script: Script,
    key: Option<String>,
    models: Vec<Model>,
    /// Folder of the URL below which the service lies; empty at the root.
    prefix: &'static str,
    record: Record,
    cache: Cache,
}

impl Shared {
    /// The path below the service's folder; what lies elsewhere is a path that nobody knows.
    fn path<'a>(&self, head: &'a Parts) -> &'a str {
        let path = head.uri.path();
        path.strip_prefix(self.prefix).unwrap_or("/elsewhere")
    }

    fn model(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
    }
}

impl Fake {
    /// A service without keys whose one model is [`MODEL`].
    pub(crate) async fn start(service: Service, script: Script) -> Self {
        Setup::new(service).start(script).await
    }

    /// What a client of this service calls the base URL: with `/v1` for those of OpenAI and their
    /// kin, without it for the others.
    pub(crate) fn base_url(&self) -> String {
        format!("{}{}", self.origin(), self.shared.service.base())
    }

    /// The address below which the service lies, without a slash at the end.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}{}", self.listening.addr, self.shared.prefix)
    }

    /// All requests so far, in the order of arrival.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.record.read(<[Exchange]>::to_vec)
    }

    /// The requests for a message of the model so far.
    pub(crate) fn chats(&self) -> Vec<Exchange> {
        self.shared
            .record
            .read(|all| all.iter().filter(|one| one.is_ask()).cloned().collect())
    }

    /// Waits until `reached` holds for the requests so far; panics after 20 s.
    pub(crate) async fn wait_for(&self, what: &str, reached: impl Fn(&[Exchange]) -> bool) {
        let waiting = self.shared.record.wait_for(reached);
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!(
                "waited {PATIENCE:?} in vain for {what}; seen: {:#?}",
                self.exchanges()
            );
        }
    }

    /// Panics if any request was refused for what it said.
    #[track_caller]
    pub(crate) fn assert_all_accepted(&self) {
        for (number, exchange) in self.exchanges().iter().enumerate() {
            if let Some(refusal) = &exchange.refusal {
                let body = String::from_utf8_lossy(&exchange.body);
                panic!("request {number} was refused: {refusal}\n{body}");
            }
        }
    }

    /// The positions in [`Self::chats`] of requests that do not begin with the bytes of the one
    /// before: other tools, or messages that were changed rather than added to. A prompt cache
    /// starts again at each of them; a retry of the same request is no break.
    pub(crate) fn prefix_breaks(&self) -> Vec<usize> {
        let chats = self.chats();
        let kept = |pair: &[Exchange]| {
            let before = pair[0].messages();
            let before = before.strip_suffix(']').unwrap_or(before);
            pair[0].tools() == pair[1].tools() && pair[1].messages().starts_with(before)
        };
        let breaks = chats.windows(2).enumerate().filter(|(_, pair)| !kept(pair));
        breaks.map(|(index, _)| index + 1).collect()
    }

    /// Panics unless all requests came over one connection.
    #[track_caller]
    pub(crate) fn assert_one_connection(&self) {
        let connections: Vec<u64> = self.exchanges().iter().map(|one| one.connection).collect();
        let first = connections.first().expect("no request came");
        let same = connections.iter().all(|connection| connection == first);
        assert!(
            same,
            "requests came over several connections: {connections:?}"
        );
    }
}

/// Notes the end of an exchange when the answer, or the wait for it, is dropped.
struct Watch {
    shared: Arc<Shared>,
    position: usize,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let now = Instant::now();
        self.shared
            .record
            .change(self.position, |exchange| exchange.ended = Some(now));
    }
}

async fn answer(
    shared: Arc<Shared>,
    connection: u64,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    // A body that breaks off is judged like any other bad body; nobody reads that answer.
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let attempt_of = |position| shared.record.read(|all| attempt(all, position));
    let position = shared.record.add(Exchange {
        connection,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.clone(),
        body: body.clone(),
        arrived: Instant::now(),
        status: None,
        refusal: None,
        ended: None,
        complete: false,
    });
    let watch = Watch {
        shared: Arc::clone(&shared),
        position,
    };
    match shared.service.route(&shared, &head, &body) {
        Ok(Routed::Plain(value)) => finished(watch, 200, &[], &value),
        Ok(Routed::Ask(ask)) => said(watch, &ask, body.len(), attempt_of(position)).await,
        Err(error) => {
            let refusal = error.message.clone();
            shared
                .record
                .change(position, |exchange| exchange.refusal = Some(refusal));
            refused(watch, &error, None)
        }
    }
}

/// How many earlier requests for a message had the same conversation.
fn attempt(all: &[Exchange], position: usize) -> usize {
    let messages = all[position].messages();
    let earlier = all[..position]
        .iter()
        .filter(|one| one.is_ask() && one.refusal.is_none());
    earlier.filter(|one| one.messages() == messages).count()
}

/// The answer of the model.
async fn said(
    watch: Watch,
    ask: &Ask,
    request_bytes: usize,
    attempt: usize,
) -> Response<AnswerBody> {
    let asked = Asked {
        request: &ask.request,
        messages: &ask.messages,
        attempt,
    };
    let service = watch.shared.service;
    let reply = watch.shared.script.decide(&asked);
    tokio::time::sleep(reply.wait).await;
    let content_type = match ask.stream {
        true => "text/event-stream; charset=utf-8",
        false => "application/json",
    };
    let body = match &reply.kind {
        Kind::NoHead => std::future::pending().await,
        Kind::Fault(fault) => {
            return refused(watch, &service.fault(*fault), reply.retry_after_s);
        }
        Kind::Refused(error) => return refused(watch, error, reply.retry_after_s),
        Kind::Huge { bytes } => Body::huge(ask.stream, content_type, *bytes),
        Kind::Raw {
            status,
            content_type,
            body,
        } => Body::new(&reply, *status, content_type, vec![body.clone()], |_| {
            Bytes::new()
        }),
        Kind::Message(said) => {
            let cached = watch.shared.cache.pass(&ask.blocks);
            let tokens = Tokens::new(&reply, said, request_bytes, cached);
            let answer = Answer {
                service,
                ask,
                reply: &reply,
                said,
                tokens,
            };
            let (content_type, events) = service.render(&answer);
            let error = |before| match &reply.ending {
                Ending::ErrorAfter(_, error) => service.error_event(&answer, error, before),
                _ => unreachable!("asked for errors only"),
            };
            Body::new(&reply, 200, content_type, events, error)
        }
    };
    written(watch, body, reply.pace)
}

/// The answer that is an error.
fn refused(watch: Watch, error: &ApiError, retry_after_s: Option<u64>) -> Response<AnswerBody> {
    let service = watch.shared.service;
    let retry_after = retry_after_s.map(|seconds| ("retry-after", seconds.to_string()));
    let kind = service.error_header(error);
    let kind = kind.map(|(name, value)| (name, value.to_owned()));
    let headers: Vec<_> = kind.into_iter().chain(retry_after).collect();
    finished(watch, error.status, &headers, &service.error_body(error))
}

/// An answer that is there at once.
fn finished(
    watch: Watch,
    status: u16,
    headers: &[(&str, String)],
    body: &Value,
) -> Response<AnswerBody> {
    watch.shared.record.change(watch.position, |exchange| {
        exchange.status = Some(status);
        exchange.complete = true;
    });
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    for (name, value) in watch.shared.service.headers() {
        response = response.header(*name, *value);
    }
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response
        .body(full(body.to_string()))
        .expect("constant header names")
}

/// An answer that is written piece by piece.
fn written(watch: Watch, body: Body, pace: Duration) -> Response<AnswerBody> {
    let (mut sender, receiver) = Channel::<Bytes, std::io::Error>::new(1);
    let (shared, position) = (Arc::clone(&watch.shared), watch.position);
    shared
        .record
        .change(position, |exchange| exchange.status = Some(body.status));
    let mut response = Response::builder()
        .status(body.status)
        .header("content-type", body.content_type);
    for (name, value) in shared.service.headers() {
        response = response.header(*name, *value);
    }
    let (pieces, then) = (body.pieces, body.then);
    tokio::spawn(async move {
        for piece in pieces {
            if pace.is_zero() {
                // Lets the connection write what it has, so that pieces stay apart.
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(pace).await;
            }
            if sender.send_data(piece).await.is_err() {
                return; // The client has left.
            }
        }
        match then {
            Then::End => shared
                .record
                .change(position, |exchange| exchange.complete = true),
            Then::Cut => {
                // The pieces must be on the wire before the error takes the connection down.
                tokio::time::sleep(Duration::from_millis(5)).await;
                sender.abort(std::io::Error::other("cut by the script"));
            }
            // Ends with the runtime of the test; the body notes when the client leaves.
            Then::Hang => std::future::pending().await,
        }
    });
    let watched = receiver.map_frame(move |frame| {
        // The body owns the watch, which therefore ends with it.
        let _ = &watch;
        frame
    });
    response
        .body(watched.boxed())
        .expect("a constant header name")
}
