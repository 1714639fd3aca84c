//! A registry by the OCI distribution specification 1.1, honest but for what a test says it does otherwise.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming};
use serde_json::{Value, json};

use super::{
    fake_hub::sha256,
    http::{AnswerBody, Listening, full, listen},
    tls::Authority,
};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const WASM: &str = "application/wasm";

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Whether it asks for a layer or another blob.
    pub(crate) fn is_blob(&self) -> bool {
        self.method == Method::GET && self.target.contains("/blobs/")
    }

    /// Whether it asks for a manifest that is not one of signatures.
    pub(crate) fn is_manifest(&self) -> bool {
        self.method == Method::GET
            && self.target.contains("/manifests/")
            && !self.target.contains("/sha256-")
    }
}

pub(crate) type Answer = Response<AnswerBody>;

/// What is answered otherwise; nothing where the answer is the honest one.
type Rule = dyn Fn(&Asked) -> Option<Answer> + Send + Sync;

#[derive(Default)]
struct State {
    /// By tag and digest.
    manifests: BTreeMap<String, Bytes>,
    /// By digest.
    blobs: BTreeMap<String, Bytes>,
    asked: Vec<Asked>,
}

/// The running registry; stops when dropped.
pub(crate) struct FakeRegistry {
    listening: Listening,
    state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    /// One that does what it should.
    pub(crate) async fn honest() -> Self {
        Self::start(|_| None).await
    }

    /// One that answers with `rule` where that answers.
    pub(crate) async fn start(
        rule: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::started(None, Arc::new(rule)).await
    }

    /// The same, encrypted.
    pub(crate) async fn encrypted(
        authority: &Authority,
        rule: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::started(Some(authority), Arc::new(rule)).await
    }

    async fn started(authority: Option<&Authority>, rule: Arc<Rule>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let kept = Arc::clone(&state);
        let answer = move |_, request| answer(Arc::clone(&kept), Arc::clone(&rule), request);
        let listening = match authority {
            Some(authority) => authority.listen(answer).await,
            None => listen(answer).await,
        };
        Self { listening, state }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.listening.addr.to_string()
    }

    /// The repository of the tests, at a tag.
    pub(crate) fn source(&self, tag: &str) -> String {
        format!("oci://{}/acme/good:{tag}", self.host())
    }

    /// Puts an image with one component here. Returns the digests of its manifest and its layer.
    pub(crate) fn image(&self, tag: &str, component: &[u8]) -> (String, String) {
        let layer = self.blob(component);
        let manifest = manifest(json!([descriptor(WASM, component)]));
        (self.manifest(tag, manifest.to_string()), layer)
    }

    pub(crate) fn blob(&self, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let mut state = self.state.lock().unwrap();
        state
            .blobs
            .insert(digest.clone(), Bytes::copy_from_slice(bytes));
        digest
    }

    pub(crate) fn manifest(&self, tag: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        let mut state = self.state.lock().unwrap();
        state.manifests.insert(tag.to_owned(), bytes.clone());
        state.manifests.insert(digest.clone(), bytes);
        digest
    }

    /// Every request up to now.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

/// `sha256:…`
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

pub(crate) fn manifest(layers: Value) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": IMAGE, "layers": layers,
        "config": descriptor("application/vnd.wasm.config.v0+json", b"{}"),
    })
}

pub(crate) fn reply(status: u16, headers: &[(&'static str, &str)], body: AnswerBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        answer.headers_mut().append(*name, value.parse().unwrap());
    }
    answer
}

async fn answer(state: Arc<Mutex<State>>, rule: Arc<Rule>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map(ToString::to_string);
    let asked = Asked {
        method: head.method,
        target: target.unwrap_or_default(),
        headers: head.headers,
        body: body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default(),
    };
    state.lock().unwrap().asked.push(asked.clone());
    let otherwise = rule(&asked);
    otherwise.unwrap_or_else(|| state.lock().unwrap().honest(&asked))
}

impl State {
    fn honest(&mut self, asked: &Asked) -> Answer {
        let missing = |code: &str| {
            let said = json!({"errors": [{"code": code, "message": "unknown to the registry"}]});
            reply(404, &[], full(said.to_string()))
        };
        let path = asked.target.split('?').next().unwrap_or_default();
        let Some(rest) = path.strip_prefix("/v2/acme/good/") else {
            return missing("NAME_UNKNOWN");
        };
        match (asked.method.as_str(), rest.split_once('/')) {
            ("GET", Some(("manifests", name))) => match self.manifests.get(name) {
                Some(bytes) => {
                    let said = digest(bytes);
                    let headers = [
                        ("content-type", IMAGE),
                        ("docker-content-digest", said.as_str()),
                    ];
                    reply(200, &headers, full(bytes.clone()))
                }
                None => missing("MANIFEST_UNKNOWN"),
            },
            ("PUT", Some(("manifests", name))) => {
                let said = digest(&asked.body);
                self.manifests.insert(name.to_owned(), asked.body.clone());
                self.manifests.insert(said.clone(), asked.body.clone());
                let headers = [
                    ("docker-content-digest", said.as_str()),
                    ("oci-subject", ""),
                ];
                reply(201, &headers, full(""))
            }
            ("POST", Some(("blobs", "uploads/"))) => {
                let place = "/v2/acme/good/blobs/uploads/1";
                reply(202, &[("location", place)], full(""))
            }
            ("PUT", Some(("blobs", "uploads/1"))) => {
                self.blobs.insert(digest(&asked.body), asked.body.clone());
                reply(201, &[], full(""))
            }
            ("GET" | "HEAD", Some(("blobs", name))) => match self.blobs.get(name) {
                Some(bytes) => blob(bytes, asked),
                None => missing("BLOB_UNKNOWN"),
            },
            _ => missing("UNSUPPORTED"),
        }
    }
}

/// A blob, or its rest.
fn blob(bytes: &Bytes, asked: &Asked) -> Answer {
    if asked.method == Method::HEAD {
        return reply(200, &[], full(""));
    }
    let from = asked.header("range").strip_prefix("bytes=");
    let from = from.and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        None => reply(200, &[], full(bytes.clone())),
        Some(from) if from < bytes.len() => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            reply(206, &[("content-range", &range)], full(bytes.slice(from..)))
        }
        Some(_) => reply(416, &[], full("")),
    }
}
