//! A commit to a repository on the Hub: small files in the commit itself, large and binary ones by Git LFS before.
//! As of the Hub's API of August 2026.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ml_intern_manifest::{Digest, HubRef, HubRepo};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::Hub;
use crate::error::Error;
use crate::net::{self, Net};

/// Bytes of an answer.
const ANSWER: usize = 1 << 20;
/// Bytes of a file that the Hub wants to see before it says how to send the file.
const SAMPLE: usize = 512;
const LFS: &str = "application/vnd.git-lfs+json";

#[derive(Deserialize)]
struct Modes {
    files: Vec<Mode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mode {
    path: String,
    upload_mode: String,
    #[serde(default)]
    should_ignore: bool,
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    actions: BTreeMap<String, Action>,
    #[serde(default)]
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Refused {
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Committed {
    commit_oid: String,
}

impl Hub {
    /// Commits files, by path, to the branch of `place`. Returns the commit.
    pub(crate) async fn commit(
        &self,
        net: &Net,
        place: &HubRef,
        title: &str,
        files: &[(String, &[u8])],
    ) -> Result<String, Error> {
        let modes = self.modes(net, place, files).await?;
        let header = json!({"key": "header", "value": {"summary": title, "description": ""}});
        let mut lines = vec![header];
        for (path, bytes) in files {
            let mode = modes.iter().find(|mode| mode.path == *path);
            if mode.is_some_and(|mode| mode.should_ignore) {
                return Err(self.odd(&format!("its .gitignore leaves out `{path}`")));
            }
            lines.push(match mode {
                Some(mode) if mode.upload_mode == "lfs" => {
                    let digest = self.upload(net, place, bytes).await?;
                    json!({"key": "lfsFile", "value": {
                        "path": path, "algo": "sha256", "oid": digest.hex(), "size": bytes.len(),
                    }})
                }
                _ => json!({"key": "file", "value": {
                    "path": path, "content": STANDARD.encode(bytes), "encoding": "base64",
                }}),
            });
        }
        let body = lines.iter().map(|line| format!("{line}\n"));
        let request = self.post(net, place, "commit");
        let request = request
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(body.collect::<String>());
        let committed: Committed = self.answer(net, place, request).await?;
        let commit = committed.commit_oid;
        let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        match is_commit {
            true => Ok(commit),
            false => Err(self.odd("what it calls a commit is none")),
        }
    }

    /// The digest of the file that is there now; none where there is none.
    pub(crate) async fn digest_of(
        &self,
        net: &Net,
        file: &HubRef,
    ) -> Result<Option<Digest>, Error> {
        let most = crate::inspect::MAX_COMPONENT_BYTES;
        let there = self.beside(net, file, "", most).await?;
        Ok(there.map(|bytes| Digest::of(&bytes)))
    }

    /// How the Hub wants each file.
    async fn modes(
        &self,
        net: &Net,
        place: &HubRef,
        files: &[(String, &[u8])],
    ) -> Result<Vec<Mode>, Error> {
        let files = files.iter().map(|(path, bytes)| {
            let sample = STANDARD.encode(&bytes[..bytes.len().min(SAMPLE)]);
            json!({"path": path, "sample": sample, "size": bytes.len()})
        });
        let body = json!({"files": files.collect::<Vec<_>>()});
        let request = self.post(net, place, "preupload");
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let modes: Modes = self.answer(net, place, request).await?;
        Ok(modes.files)
    }

    /// Sends a file to where the Hub keeps large ones.
    async fn upload(&self, net: &Net, place: &HubRef, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let mut parts = vec![place.owner.as_str()];
        let name = format!("{}.git", place.name);
        parts.extend([name.as_str(), "info", "lfs", "objects", "batch"]);
        let prefix = place.repo.prefix().trim_end_matches('/');
        if !prefix.is_empty() {
            parts.insert(0, prefix);
        }
        let body = json!({
            "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
            "ref": {"name": place.revision()},
            "objects": [{"oid": digest.hex(), "size": bytes.len()}],
        });
        let request = self.with_token(net.client().post(self.url(&parts)));
        let request = request
            .header(ACCEPT, LFS)
            .header(CONTENT_TYPE, LFS)
            .body(body.to_string());
        let batch: Batch = self.answer(net, place, request).await?;
        let Some(object) = batch.objects.into_iter().next() else {
            return Err(self.odd("it says nothing of the file"));
        };
        if let Some(refused) = object.error {
            let words = ml_intern_manifest::printable(&refused.message, 300);
            return Err(self.odd(&format!("it does not take the file: {words}")));
        }
        if let Some(action) = object.actions.get("upload") {
            self.send_bytes(net, action, &digest, bytes).await?;
        }
        if let Some(action) = object.actions.get("verify") {
            let body = json!({"oid": digest.hex(), "size": bytes.len()});
            let request = net.client().post(&action.href).header(CONTENT_TYPE, LFS);
            // The token goes to the Hub, and to nobody that the Hub names.
            let request = match self.is_here(&action.href) {
                true => self.with_token(request),
                false => request,
            };
            good(net.send(request.body(body.to_string())).await?).await?;
        }
        Ok(digest)
    }

    /// In one piece, or in as many as the Hub gives addresses for.
    async fn send_bytes(
        &self,
        net: &Net,
        action: &Action,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let chunk = action.header.get("chunk_size").and_then(text);
        let Some(chunk) = chunk.and_then(|text| text.parse::<usize>().ok()) else {
            let headers = action.header.iter().filter_map(|(name, value)| {
                let name = name.parse::<HeaderName>().ok()?;
                Some((name, HeaderValue::from_str(&text(value)?).ok()?))
            });
            let headers = headers.collect::<HeaderMap>();
            let request = net.client().put(&action.href).headers(headers);
            return good(net.send(request.body(bytes.to_vec())).await?)
                .await
                .map(drop);
        };
        let numbered = action.header.iter().filter_map(|(name, value)| {
            let number = name.parse::<usize>().ok()?;
            Some((number, text(value)?))
        });
        let places = numbered.collect::<BTreeMap<usize, String>>();
        if chunk == 0 || places.len() != bytes.len().div_ceil(chunk) {
            return Err(self.odd("it gives another number of addresses than there are parts"));
        }
        let mut parts = Vec::new();
        for ((number, place), piece) in places.iter().zip(bytes.chunks(chunk)) {
            let request = net.client().put(place).body(piece.to_vec());
            let response = good(net.send(request).await?).await?;
            let tag = response.headers().get("etag");
            let tag = tag.and_then(|tag| tag.to_str().ok()).unwrap_or_default();
            parts.push(json!({"partNumber": number, "etag": tag}));
        }
        let body = json!({"oid": digest.hex(), "parts": parts});
        let request = net.client().post(&action.href).header(CONTENT_TYPE, LFS);
        good(net.send(request.body(body.to_string())).await?)
            .await
            .map(drop)
    }

    fn is_here(&self, address: &str) -> bool {
        let url = address.parse::<reqwest::Url>();
        url.is_ok_and(|url| url.origin() == self.endpoint.origin())
    }

    /// A call about a branch of a repository.
    fn post(&self, net: &Net, place: &HubRef, what: &str) -> RequestBuilder {
        let kind = match place.repo {
            HubRepo::Model => "models",
            HubRepo::Dataset => "datasets",
            HubRepo::Space => "spaces",
        };
        let url = self.url(&[
            "api",
            kind,
            &place.owner,
            &place.name,
            what,
            place.revision(),
        ]);
        self.with_token(net.client().post(url))
    }

    async fn answer<T: serde::de::DeserializeOwned>(
        &self,
        net: &Net,
        place: &HubRef,
        request: RequestBuilder,
    ) -> Result<T, Error> {
        let response = net.send(request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            let repository = format!("{}{}/{}", place.repo.prefix(), place.owner, place.name);
            return Err(Error::NotFound {
                name: place.to_string(),
                message: format!(
                    "has no repository or branch to go to: make `{repository}` on the Hub first, or check the token's rights"
                ),
            });
        }
        if response.status() == StatusCode::FORBIDDEN {
            return Err(Error::Login {
                place: place.to_string(),
                message: "the token does not allow to write there; make one that does on the Hub, and log in with it with `ml-intern login hf`".to_owned(),
            });
        }
        let response = self.found(place, response).await?;
        let bytes = net::body(response, ANSWER).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.odd(&error.to_string()))
    }
}

async fn good(response: reqwest::Response) -> Result<reqwest::Response, Error> {
    match response.status().is_success() {
        true => Ok(response),
        false => Err(net::refusal(response).await),
    }
}
