//! Git LFS: large files by their SHA-256, taken in one piece or in several.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::answers::{Answer, object, refusal};
use super::elsewhere::signed;
use super::repository::Content;
use super::{Seen, State, sha256};

const LFS: &str = "application/vnd.git-lfs+json";

/// The large files of all repositories.
#[derive(Default)]
pub(super) struct Large {
    /// By repository and SHA-256.
    files: BTreeMap<(String, String), Bytes>,
    /// By SHA-256 and number.
    parts: BTreeMap<(String, usize), Bytes>,
    /// Bytes of a part; none where files are taken in one piece.
    pub(super) part: Option<usize>,
}

impl Large {
    pub(super) fn keep(&mut self, key: &str, bytes: &[u8]) {
        let place = (key.to_owned(), sha256(bytes));
        self.files.insert(place, Bytes::copy_from_slice(bytes));
    }

    pub(super) fn get(&self, key: &str, oid: &str) -> Option<Bytes> {
        self.files.get(&(key.to_owned(), oid.to_owned())).cloned()
    }

    /// The bytes of a file that was committed.
    pub(super) fn bytes(&self, key: &str, content: &Content) -> Bytes {
        match content {
            Content::Regular(bytes) => bytes.clone(),
            Content::Large { oid, .. } => self.get(key, oid).expect("checked at the commit"),
        }
    }

    pub(super) fn keep_part(&mut self, oid: &str, number: &str, bytes: &Bytes) -> String {
        let number = number.parse().unwrap();
        self.parts.insert((oid.to_owned(), number), bytes.clone());
        tag(bytes)
    }

    /// Joins parts, where all of them are named with what they were answered with.
    fn join(&mut self, key: &str, oid: &str, named: &[Value]) -> Result<(), String> {
        let mut whole = Vec::new();
        for (at, part) in named.iter().enumerate() {
            let number = at + 1;
            if part["partNumber"] != number {
                return Err(format!("part {number} is missing"));
            }
            let bytes = self.parts.remove(&(oid.to_owned(), number));
            let bytes = bytes.ok_or_else(|| format!("part {number} was never sent"))?;
            if part["etag"] != tag(&bytes) {
                return Err(format!("part {number} has another etag"));
            }
            whole.extend(bytes);
        }
        if sha256(&whole) != oid {
            return Err("the parts are not the file that was announced".to_owned());
        }
        self.keep(key, &whole);
        Ok(())
    }
}

fn tag(bytes: &Bytes) -> String {
    format!("\"{}\"", &sha256(bytes)[..32])
}

fn wrong(text: &str) -> Answer {
    refusal(StatusCode::BAD_REQUEST, "", text)
}

impl State {
    /// Where to send large files to.
    pub(super) fn batch(&mut self, seen: &Seen, key: &str) -> Result<Answer, Answer> {
        self.repository(seen, key, true)?;
        for header in ["accept", "content-type"] {
            if seen.header(header) != LFS {
                return Err(refusal(
                    StatusCode::NOT_ACCEPTABLE,
                    "",
                    "that is no Git LFS",
                ));
            }
        }
        let asked = parsed(&seen.body)?;
        let transfers = asked["transfers"].as_array().cloned().unwrap_or_default();
        let offers = |name: &str| transfers.contains(&json!(name));
        if asked["operation"] != "upload" || asked["hash_algo"] != "sha256" || !offers("basic") {
            return Err(wrong("only uploads in the basic way, by SHA-256"));
        }
        let in_parts = self.large.part.filter(|_| offers("multipart"));
        let objects = asked["objects"].as_array().cloned().unwrap_or_default();
        let objects = objects.iter().map(|one| {
            let (oid, size) = (one["oid"].as_str(), one["size"].as_u64());
            let (Some(oid), Some(size)) = (oid.filter(|oid| oid.len() == 64), size) else {
                return json!({"oid": one["oid"], "size": one["size"],
                    "error": {"code": 422, "message": "no SHA-256 or no size"}});
            };
            if self.large.get(key, oid).is_some() {
                return json!({"oid": oid, "size": size, "authenticated": true});
            }
            let upload = match in_parts.filter(|part| size as usize > *part) {
                Some(part) => self.in_parts(key, oid, size as usize, part),
                None => {
                    json!({"href": signed(&self.elsewhere, &format!("/whole/{key}/{oid}"))})
                }
            };
            let verify = json!({"href": format!("{}/{key}.git/info/lfs/verify", self.hub)});
            json!({"oid": oid, "size": size, "authenticated": true,
                "actions": {"upload": upload, "verify": verify}})
        });
        let objects = objects.collect::<Vec<_>>();
        let transfer = if in_parts.is_some() {
            "multipart"
        } else {
            "basic"
        };
        Ok(object(&json!({"transfer": transfer, "objects": objects})))
    }

    fn in_parts(&self, key: &str, oid: &str, size: usize, part: usize) -> Value {
        let mut header = Map::new();
        // The Hub writes it as a text.
        header.insert("chunk_size".to_owned(), json!(part.to_string()));
        for number in 1..=size.div_ceil(part) {
            let place = signed(&self.elsewhere, &format!("/part/{oid}/{number}"));
            header.insert(number.to_string(), json!(place));
        }
        let path = format!("/api/complete_multipart/{key}/{oid}");
        json!({"href": signed(&self.hub, &path), "header": header})
    }

    pub(super) fn complete(&mut self, seen: &Seen, key: &str, oid: &str) -> Result<Answer, Answer> {
        let wanted = signed("", seen.path());
        if seen.target != wanted {
            return Err(refusal(StatusCode::FORBIDDEN, "", "no such signature"));
        }
        let asked = parsed(&seen.body)?;
        let parts = asked["parts"].as_array().cloned().unwrap_or_default();
        match asked["oid"] == oid {
            true => self
                .large
                .join(key, oid, &parts)
                .map_err(|text| wrong(&text))?,
            false => return Err(wrong("another file")),
        }
        Ok(object(&json!({"success": true})))
    }

    pub(super) fn verify(&mut self, seen: &Seen, key: &str) -> Result<Answer, Answer> {
        self.repository(seen, key, true)?;
        let asked = parsed(&seen.body)?;
        let there = self
            .large
            .get(key, asked["oid"].as_str().unwrap_or_default());
        match there.is_some_and(|bytes| asked["size"] == bytes.len()) {
            true => Ok(object(&json!({}))),
            false => Err(refusal(StatusCode::NOT_FOUND, "", "it was never sent")),
        }
    }
}

pub(super) fn parsed(body: &Bytes) -> Result<Value, Answer> {
    serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))
}
