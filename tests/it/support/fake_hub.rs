//! The Hugging Face Hub as far as files of repositories go: what their revisions are, what is in them, commits,
//! and large files, which lie at another origin. As of the Hub's API of August 2026.
//!
//! It keeps real state: a commit moves its branch, and what was there before stays readable by its commit. It
//! refuses what the Hub refuses, and its other origin refuses every request with a token, as S3 does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{HeaderMap, Method, Request, Response, body::Incoming};
use sha2::{Digest, Sha256};

use super::http::{AnswerBody, Listening, listen};

mod answers;
mod elsewhere;
mod files;
mod large;
mod repository;

use self::large::Large;
use self::repository::Repository;

/// A token that reads and writes.
pub(crate) const WRITER: &str = "hf_tokenOfTheTestThatWrites";
/// A token that reads.
pub(crate) const READER: &str = "hf_tokenOfTheTestThatReads";

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Whether it went to the Hub itself, and not to where large files lie.
    pub(crate) at_hub: bool,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// The token in it.
    fn token(&self) -> Option<&str> {
        let value = self.headers.get("authorization")?.to_str().ok()?;
        Some(value.strip_prefix("Bearer ").unwrap_or(value))
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The decoded parts of the path.
    fn parts(&self) -> Vec<String> {
        let parts = self.path().trim_matches('/').split('/');
        parts.map(decoded).collect()
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// Everything that the two origins share.
struct State {
    repositories: BTreeMap<String, Repository>,
    large: Large,
    seen: Vec<Seen>,
    /// Where the Hub is.
    hub: String,
    /// Where large files are.
    elsewhere: String,
    /// Bytes of the next download after which the connection breaks.
    cut: Option<usize>,
}

type Shared = Arc<Mutex<State>>;

/// The running Hub; stops when dropped.
pub(crate) struct FakeHub {
    state: Shared,
    _hub: Listening,
    _elsewhere: Listening,
}

impl FakeHub {
    /// A Hub without repositories.
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            repositories: BTreeMap::new(),
            large: Large::default(),
            seen: Vec::new(),
            hub: String::new(),
            elsewhere: String::new(),
            cut: None,
        }));
        let kept = Arc::clone(&state);
        let hub = listen(move |_, request| at_hub(Arc::clone(&kept), request)).await;
        let kept = Arc::clone(&state);
        let elsewhere = listen(move |_, request| at_elsewhere(Arc::clone(&kept), request)).await;
        {
            let mut state = lock(&state);
            state.hub = format!("http://{}", hub.addr);
            state.elsewhere = format!("http://{}", elsewhere.addr);
        }
        Self {
            state,
            _hub: hub,
            _elsewhere: elsewhere,
        }
    }

    /// What a client calls `HF_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        lock(&self.state).hub.clone()
    }

    /// Makes a repository that everybody can read; `kind` is `models`, `datasets` or `spaces`.
    pub(crate) fn repository(&self, kind: &str, id: &str) {
        let key = format!("{kind}/{id}");
        let made = Repository::new(id);
        lock(&self.state).repositories.insert(key, made);
    }

    /// Makes a repository that only a token opens.
    pub(crate) fn private_repository(&self, kind: &str, id: &str) {
        let key = format!("{kind}/{id}");
        let made = Repository::new(id).private();
        lock(&self.state).repositories.insert(key, made);
    }

    /// Commits a file to `main` of a repository of models, as somebody else. Returns the commit.
    pub(crate) fn commit(&self, id: &str, path: &str, bytes: &[u8]) -> String {
        let mut state = lock(&self.state);
        let key = format!("models/{id}");
        state.large.keep(&key, bytes);
        let repository = state.repositories.get_mut(&key).unwrap();
        let content = repository.content(path, bytes);
        repository.commit("main", "of somebody else", |files| {
            files.insert(path.to_owned(), content);
        })
    }

    /// The commit that `main` of a repository means.
    pub(crate) fn head(&self, kind: &str, id: &str) -> String {
        let state = lock(&self.state);
        let repository = &state.repositories[&format!("{kind}/{id}")];
        repository.find("main").unwrap().0.to_owned()
    }

    /// The bytes of a file at a revision; none where there is none.
    pub(crate) fn file(&self, kind: &str, id: &str, revision: &str, path: &str) -> Option<Bytes> {
        let state = lock(&self.state);
        let key = format!("{kind}/{id}");
        let (_, commit) = state.repositories[&key].find(revision)?;
        Some(state.large.bytes(&key, commit.files.get(path)?))
    }

    /// From now on, large files of more bytes than this are taken in parts of this size.
    pub(crate) fn parts_of(&self, bytes: usize) {
        lock(&self.state).large.part = Some(bytes);
    }

    /// The next download of a large file breaks off after so many bytes.
    pub(crate) fn cut_next_after(&self, bytes: usize) {
        lock(&self.state).cut = Some(bytes);
    }

    /// Every request up to now.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }

    /// Panics where a request to the other origin carried a token, or one of these texts.
    #[track_caller]
    pub(crate) fn assert_kept_from_elsewhere(&self, secrets: &[&str]) {
        for seen in self.seen().iter().filter(|seen| !seen.at_hub) {
            assert_eq!(seen.token(), None, "{seen:?}");
            let said = format!("{seen:?}");
            assert!(
                !secrets.iter().any(|secret| said.contains(secret)),
                "{said}"
            );
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

async fn at_hub(state: Shared, request: Request<Incoming>) -> Response<AnswerBody> {
    let seen = read(true, request).await;
    let mut state = lock(&state);
    state.seen.push(seen.clone());
    *state.answer(&seen).unwrap_or_else(|refusal| refusal)
}

async fn at_elsewhere(state: Shared, request: Request<Incoming>) -> Response<AnswerBody> {
    let seen = read(false, request).await;
    let mut state = lock(&state);
    state.seen.push(seen.clone());
    *state.elsewhere(&seen).unwrap_or_else(|refusal| refusal)
}

async fn read(at_hub: bool, request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map(ToString::to_string);
    Seen {
        at_hub,
        method: head.method,
        target: target.unwrap_or_default(),
        headers: head.headers,
        // A body that broke off is one that nothing can be made of.
        body: body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default(),
    }
}

/// The SHA-256 of bytes in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or(b'?'));
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
