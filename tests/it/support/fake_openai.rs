//! A strict fake of the chat-completions API: the protocol is real, the model is a [`Script`].
//!
//! `GET /v1/models`, `GET /v1/models/ID` and `POST /v1/chat/completions`, streamed or not, on a
//! loopback port. A request that some server of this protocol would refuse is refused here
//! (`check`), everything that came is kept (`record`), and faults on the wire are replies like
//! any other, so that one conversation can meet several.
//!
//! Shapes: the OpenAI API reference, chat completions, as of October 2026.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, channel::Channel};
use hyper::{Request, Response, body::Incoming, http::request::Parts};
use serde_json::{Value, json};

mod check;
mod error;
mod record;
mod render;
mod script;

pub(crate) use error::ApiError;
pub(crate) use record::Exchange;
pub(crate) use script::{Asked, Call, Reply, Script};

use self::{record::Record, render::Then, script::Kind};
use super::http::{AnswerBody, Listening, full, listen};

/// The model that every fake serves unless told otherwise.
pub(crate) const MODEL: &str = "fake-model";

/// Longest wait of [`FakeOpenAi::wait_for`].
const PATIENCE: Duration = Duration::from_secs(20);

/// The running server; stops when dropped.
pub(crate) struct FakeOpenAi {
    listening: Listening,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    key: Option<String>,
    models: Vec<String>,
    /// Folder of the URL below which `/v1` lies; empty at the root.
    prefix: &'static str,
    record: Record,
}

impl FakeOpenAi {
    /// A server without keys whose one model is [`MODEL`].
    pub(crate) async fn start(script: Script) -> Self {
        Self::start_with(script, None, &[MODEL]).await
    }

    /// A server that wants `key` as a bearer token, where there is one, and knows `models`.
    pub(crate) async fn start_with(script: Script, key: Option<&str>, models: &[&str]) -> Self {
        Self::start_at("", script, key, models).await
    }

    /// A server behind a gateway: its API begins at `prefix`, which begins with a slash, and
    /// nothing is served elsewhere.
    pub(crate) async fn start_below(prefix: &'static str, script: Script) -> Self {
        Self::start_at(prefix, script, None, &[MODEL]).await
    }

    async fn start_at(
        prefix: &'static str,
        script: Script,
        key: Option<&str>,
        models: &[&str],
    ) -> Self {
        let shared = Arc::new(Shared {
            script,
            key: key.map(str::to_owned),
            models: models.iter().map(|&model| model.to_owned()).collect(),
            prefix,
            record: Record::new(),
        });
        let serving = Arc::clone(&shared);
        let answer = move |connection, request| answer(Arc::clone(&serving), connection, request);
        Self {
            listening: listen(answer).await,
            shared,
        }
    }

    /// What a client calls the base URL, `/v1` included.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}{}/v1", self.listening.addr, self.shared.prefix)
    }

    /// All requests so far, in the order of arrival.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.record.read(<[Exchange]>::to_vec)
    }

    /// The requests for completions so far.
    pub(crate) fn chats(&self) -> Vec<Exchange> {
        self.shared
            .record
            .read(|all| all.iter().filter(|one| is_chat(one)).cloned().collect())
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

fn is_chat(exchange: &Exchange) -> bool {
    exchange.path.ends_with("/v1/chat/completions")
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
    match route(&shared, &head, &body) {
        Ok(Routed::Plain(value)) => finished(watch, 200, None, &value),
        Ok(Routed::Chat(request)) => chat(watch, &request, &body, attempt_of(position)).await,
        Err(error) => {
            let refusal = error.message.clone();
            shared
                .record
                .change(position, |exchange| exchange.refusal = Some(refusal));
            finished(watch, error.status, None, &error.body())
        }
    }
}

/// How many earlier completions were asked for with the same messages.
fn attempt(all: &[Exchange], position: usize) -> usize {
    let messages = all[position].messages();
    let earlier = all[..position]
        .iter()
        .filter(|one| is_chat(one) && one.refusal.is_none());
    earlier.filter(|one| one.messages() == messages).count()
}

enum Routed {
    Plain(Value),
    Chat(Value),
}

fn route(shared: &Shared, head: &Parts, body: &[u8]) -> Result<Routed, ApiError> {
    authorize(shared.key.as_deref(), head)?;
    let path = head.uri.path();
    // What lies elsewhere gets the answer for an unknown path.
    let path = path.strip_prefix(shared.prefix).unwrap_or("/elsewhere");
    let listed = |id: &String| json!({"id": id, "object": "model", "created": 0, "owned_by": "us"});
    match (head.method.as_str(), path) {
        ("GET", "/v1/models") => {
            let models: Value = shared.models.iter().map(listed).collect();
            Ok(Routed::Plain(json!({"object": "list", "data": models})))
        }
        ("POST", "/v1/chat/completions") => {
            let content_type = head.headers.get("content-type");
            let json =
                content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
            if !json {
                let message = "Unsupported content type: send 'Content-Type: application/json'.";
                return Err(ApiError::new(400, "invalid_request_error", message));
            }
            Ok(Routed::Chat(check::request(body, &shared.models)?))
        }
        ("GET", path) if path.starts_with("/v1/models/") => {
            let id = path.trim_start_matches("/v1/models/");
            let model = shared.models.iter().find(|model| *model == id);
            let message = format!("The model '{id}' does not exist");
            let missing = ApiError::new(404, "invalid_request_error", message);
            let missing = missing.code("model_not_found");
            model.map(|id| Routed::Plain(listed(id))).ok_or(missing)
        }
        (method, path) => {
            let message = format!("Invalid URL ({method} {path})");
            Err(ApiError::new(404, "invalid_request_error", message))
        }
    }
}

fn authorize(key: Option<&str>, head: &Parts) -> Result<(), ApiError> {
    let Some(key) = key else {
        return Ok(());
    };
    let given = head
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    match given {
        None => {
            let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
            Err(ApiError::new(401, "invalid_request_error", message))
        }
        Some(given) if given.strip_prefix("Bearer ") == Some(key) => Ok(()),
        Some(_) => Err(wrong_key()),
    }
}

/// The answer to a key that is not, or no longer, valid.
fn wrong_key() -> ApiError {
    let message = "Incorrect API key provided: sk-***. You can find your API key at https://platform.openai.com/account/api-keys.";
    ApiError::new(401, "invalid_request_error", message).code("invalid_api_key")
}

async fn chat(watch: Watch, request: &Value, body: &Bytes, attempt: usize) -> Response<AnswerBody> {
    let messages = request["messages"].as_array().expect("checked before");
    let asked = Asked {
        request,
        messages,
        attempt,
    };
    let reply = watch.shared.script.decide(&asked);
    tokio::time::sleep(reply.wait).await;
    match &reply.kind {
        Kind::NoHead => std::future::pending().await,
        Kind::Refused {
            error,
            retry_after_s,
        } => finished(watch, error.status, *retry_after_s, &error.body()),
        Kind::Message { .. } | Kind::Raw { .. } | Kind::Huge { .. } => {
            let body = render::body(&reply, &asked, body.len());
            written(watch, body, reply.pace)
        }
    }
}

/// An answer that is there at once.
fn finished(
    watch: Watch,
    status: u16,
    retry_after_s: Option<u64>,
    body: &Value,
) -> Response<AnswerBody> {
    watch.shared.record.change(watch.position, |exchange| {
        exchange.status = Some(status);
        exchange.complete = true;
    });
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    let response = match retry_after_s {
        Some(seconds) => response.header("retry-after", seconds),
        None => response,
    };
    response
        .body(full(body.to_string()))
        .expect("constant header names")
}

/// An answer that is written piece by piece.
fn written(watch: Watch, body: render::Body, pace: Duration) -> Response<AnswerBody> {
    let (mut sender, receiver) = Channel::<Bytes, std::io::Error>::new(1);
    let (shared, position) = (Arc::clone(&watch.shared), watch.position);
    shared
        .record
        .change(position, |exchange| exchange.status = Some(200));
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
    let response = Response::builder().header("content-type", body.content_type);
    response
        .body(watched.boxed())
        .expect("a constant header name")
}
