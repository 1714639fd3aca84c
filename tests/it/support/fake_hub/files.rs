//! Revisions, files and commits.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::answers::{Answer, content, object, refusal, set, status};
use super::elsewhere::signed;
use super::large::parsed;
use super::repository::{Commit, Content, Repository, is_large};
use super::{READER, Seen, State, WRITER, decoded};

/// Bytes of a regular file in a commit.
const REGULAR: usize = 10 << 20;

fn wrong(text: &str) -> Answer {
    refusal(StatusCode::BAD_REQUEST, "", text)
}

impl State {
    /// What the Hub itself answers.
    pub(super) fn answer(&mut self, seen: &Seen) -> Result<Answer, Answer> {
        let parts = seen.parts();
        let parts = parts.iter().map(String::as_str).collect::<Vec<_>>();
        // A mirror may be a folder of another site.
        let parts = parts.strip_prefix(&["mirror"]).unwrap_or(&parts);
        let method = seen.method.as_str();
        if let ["api", rest @ ..] = parts {
            return match (method, rest) {
                ("POST", ["complete_multipart", kind, owner, name, oid]) => {
                    self.complete(seen, &format!("{kind}/{owner}/{name}"), oid)
                }
                (
                    _,
                    [
                        kind @ ("models" | "datasets" | "spaces"),
                        owner,
                        name,
                        rest @ ..,
                    ],
                ) => self.of_repository(seen, &format!("{kind}/{owner}/{name}"), rest),
                _ => Err(status(StatusCode::NOT_FOUND)),
            };
        }
        let (kind, rest) = match parts {
            [kind @ ("datasets" | "spaces" | "models"), rest @ ..] => (*kind, rest),
            rest => ("models", rest),
        };
        match (method, rest) {
            ("POST", [owner, name, "info", "lfs", what @ ..]) if name.ends_with(".git") => {
                let key = format!("{kind}/{owner}/{}", name.trim_end_matches(".git"));
                match what {
                    ["objects", "batch"] => self.batch(seen, &key),
                    ["verify"] => self.verify(seen, &key),
                    _ => Err(status(StatusCode::NOT_FOUND)),
                }
            }
            ("GET" | "HEAD", [owner, name, "resolve", revision, path @ ..]) => {
                let key = format!("{kind}/{owner}/{name}");
                self.file_at(seen, &key, revision, &path.join("/"))
            }
            _ => Err(status(StatusCode::NOT_FOUND)),
        }
    }

    /// The repository, where the token is one that opens it.
    pub(super) fn repository(
        &mut self,
        seen: &Seen,
        key: &str,
        to_write: bool,
    ) -> Result<&mut Repository, Answer> {
        let token = seen.token();
        let unknown = "Invalid credentials in Authorization header";
        if token.is_some_and(|token| ![READER, WRITER].contains(&token)) {
            return Err(refusal(StatusCode::UNAUTHORIZED, "", unknown));
        }
        let found = self.repositories.get_mut(key);
        let open = found.filter(|found| !found.is_private || token.is_some());
        // A stranger is not told whether there is one.
        let code = match token {
            None => StatusCode::UNAUTHORIZED,
            Some(_) => StatusCode::NOT_FOUND,
        };
        let found = open.ok_or_else(|| refusal(code, "RepoNotFound", "Repository not found"))?;
        match (to_write, token) {
            (true, None) => Err(refusal(
                StatusCode::UNAUTHORIZED,
                "",
                "Invalid username or password.",
            )),
            (true, Some(READER)) => Err(refusal(
                StatusCode::FORBIDDEN,
                "",
                "you must use a write token to upload to a repository",
            )),
            _ => Ok(found),
        }
    }

    fn of_repository(&mut self, seen: &Seen, key: &str, rest: &[&str]) -> Result<Answer, Answer> {
        match (seen.method.as_str(), rest) {
            ("GET", []) => self.revision(seen, key, "main"),
            ("GET", ["revision", revision]) => self.revision(seen, key, revision),
            ("POST", ["paths-info", revision]) => self.paths(seen, key, revision),
            ("POST", ["preupload", revision]) => self.preupload(seen, key, revision),
            ("POST", ["commit", revision]) => self.commit(seen, key, revision),
            _ => Err(status(StatusCode::NOT_FOUND)),
        }
    }

    fn revision(&mut self, seen: &Seen, key: &str, revision: &str) -> Result<Answer, Answer> {
        let repository = self.repository(seen, key, false)?;
        let (sha, commit) = at(repository, revision)?;
        let names = commit.files.keys().map(|name| json!({"rfilename": name}));
        let names = names.collect::<Vec<_>>();
        let (id, private) = (&repository.id, repository.is_private);
        Ok(object(&json!({
            "_id": "65f0c0ffee65f0c0ffee65f0", "id": id, "modelId": id, "sha": sha, "private": private,
            "gated": false, "disabled": false, "downloads": 0, "likes": 0, "tags": [], "siblings": names,
        })))
    }

    fn paths(&mut self, seen: &Seen, key: &str, revision: &str) -> Result<Answer, Answer> {
        let repository = self.repository(seen, key, false)?;
        let (_, commit) = at(repository, revision)?;
        // The client sends a form here, and JSON everywhere else.
        let form = String::from_utf8_lossy(&seen.body).replace('+', " ");
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        let wanted = pairs.filter(|(name, _)| *name == "paths");
        let wanted = wanted.map(|(_, path)| decoded(path)).collect::<Vec<_>>();
        let found = commit.files.iter();
        let found = found.filter(|(path, _)| wanted.contains(path));
        let found = found.map(|(path, content)| {
            let mut one = json!({"type": "file", "path": path, "size": content.size(), "oid": content.git_oid()});
            if let Content::Large { oid, size } = content {
                one["lfs"] = json!({"oid": oid, "size": size, "pointerSize": 134});
            }
            one
        });
        Ok(object(&json!(found.collect::<Vec<_>>())))
    }

    fn file_at(
        &mut self,
        seen: &Seen,
        key: &str,
        revision: &str,
        path: &str,
    ) -> Result<Answer, Answer> {
        let repository = self.repository(seen, key, false)?;
        let (sha, commit) = at(repository, revision)?;
        let sha = sha.to_owned();
        let missing = || {
            let mut answer = refusal(StatusCode::NOT_FOUND, "EntryNotFound", "Entry not found");
            set(&mut answer, "x-repo-commit", &sha);
            answer
        };
        let found = commit.files.get(path).cloned().ok_or_else(missing)?;
        let mut answer = match &found {
            Content::Regular(bytes) => {
                let mut answer = content(bytes, seen.header("range"), None);
                set(&mut answer, "etag", &format!("\"{}\"", found.git_oid()));
                answer
            }
            Content::Large { oid, size } => {
                let mut answer = status(StatusCode::FOUND);
                let place = signed(&self.elsewhere, &format!("/files/{key}/{oid}"));
                set(&mut answer, "location", &place);
                set(&mut answer, "etag", &format!("\"{}\"", found.git_oid()));
                set(&mut answer, "x-linked-etag", &format!("\"{oid}\""));
                set(&mut answer, "x-linked-size", &size.to_string());
                answer
            }
        };
        set(&mut answer, "x-repo-commit", &sha);
        if seen.method == Method::HEAD {
            *answer.body_mut() = crate::support::http::full("");
        }
        Ok(answer)
    }

    fn preupload(&mut self, seen: &Seen, key: &str, revision: &str) -> Result<Answer, Answer> {
        let repository = self.repository(seen, key, true)?;
        at(repository, revision)?;
        let asked = parsed(&seen.body)?;
        let files = asked["files"].as_array().cloned().unwrap_or_default();
        let mut modes = Vec::new();
        for file in &files {
            let path = file["path"].as_str().ok_or_else(|| wrong("no path"))?;
            let size = file["size"].as_u64().ok_or_else(|| wrong("no size"))?;
            let sample = file["sample"]
                .as_str()
                .and_then(|text| STANDARD.decode(text).ok());
            let sample = sample.ok_or_else(|| wrong("no sample in base64"))?;
            if sample.len() as u64 != size.min(512) {
                return Err(wrong("a sample is the first 512 bytes"));
            }
            let mode = match is_large(path, size as usize) {
                true => "lfs",
                false => "regular",
            };
            modes.push(
                json!({"path": path, "uploadMode": mode, "shouldIgnore": false, "oid": null}),
            );
        }
        Ok(object(&json!({"files": modes})))
    }

    fn commit(&mut self, seen: &Seen, key: &str, branch: &str) -> Result<Answer, Answer> {
        let repository = self.repository(seen, key, true)?;
        if !repository.has_branch(branch) {
            return Err(unknown_revision(branch));
        }
        if seen.header("content-type") != "application/x-ndjson" {
            return Err(wrong("a commit is application/x-ndjson"));
        }
        let text = String::from_utf8_lossy(&seen.body).into_owned();
        let lines = text.lines().map(serde_json::from_str::<Value>);
        let lines = lines.collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(|error| wrong(&error.to_string()))?;
        let Some((first, changes)) = lines.split_first() else {
            return Err(wrong("a commit of nothing"));
        };
        let title = first["value"]["summary"].as_str().unwrap_or_default();
        if first["key"] != "header" || title.is_empty() || !text.ends_with('\n') {
            return Err(wrong("a commit begins with a header that has a summary"));
        }
        if let Some(parent) = first["value"]["parentCommit"].as_str()
            && repository
                .find(branch)
                .is_some_and(|(sha, _)| sha != parent)
        {
            let text = "the branch has moved on since";
            return Err(refusal(StatusCode::PRECONDITION_FAILED, "", text));
        }
        let changes = changes.iter().map(|change| self.change(key, change));
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        let repository = self.repositories.get_mut(key).expect("just found");
        let oid = repository.commit(branch, title, |files| {
            for (path, content) in changes {
                match content {
                    Some(content) => files.insert(path, content),
                    None => files.remove(&path),
                };
            }
        });
        Ok(object(&json!({
            "success": true, "commitOid": oid, "hookOutput": "",
            "commitUrl": format!("{}/{}/commit/{oid}", self.hub, key.trim_start_matches("models/")),
        })))
    }

    /// One line of a commit: a path, and what is there from now on.
    fn change(&self, key: &str, line: &Value) -> Result<(String, Option<Content>), Answer> {
        let value = &line["value"];
        let path = value["path"].as_str().unwrap_or_default();
        let odd = |part: &str| matches!(part, "" | "." | ".." | ".git");
        if path.split('/').any(odd) {
            return Err(wrong("that is no path of a file"));
        }
        let content = match line["key"].as_str().unwrap_or_default() {
            "file" => {
                let text = value["content"].as_str();
                let text = text.filter(|_| value["encoding"] == "base64");
                let bytes = text.and_then(|text| STANDARD.decode(text).ok());
                let bytes = bytes.ok_or_else(|| wrong("no content in base64"))?;
                if bytes.len() > REGULAR {
                    return Err(wrong("a file of more than 10 MiB belongs into Git LFS"));
                }
                Some(Content::Regular(Bytes::from(bytes)))
            }
            "lfsFile" => {
                let oid = value["oid"].as_str().unwrap_or_default();
                let there = self.large.get(key, oid);
                let there = there.filter(|_| value["algo"] == "sha256");
                let there = there.filter(|bytes| value["size"] == bytes.len());
                let size = there.ok_or_else(|| wrong("an LFS file that was never uploaded"))?;
                Some(Content::Large {
                    oid: oid.to_owned(),
                    size: size.len(),
                })
            }
            "deletedFile" => None,
            _ => return Err(wrong("that is no change")),
        };
        Ok((path.to_owned(), content))
    }
}

fn at<'a>(repository: &'a Repository, revision: &str) -> Result<(&'a str, &'a Commit), Answer> {
    let found = repository.find(revision);
    found.ok_or_else(|| unknown_revision(revision))
}

fn unknown_revision(revision: &str) -> Answer {
    let text = format!("Invalid rev id: {revision}");
    refusal(StatusCode::NOT_FOUND, "RevisionNotFound", &text)
}
