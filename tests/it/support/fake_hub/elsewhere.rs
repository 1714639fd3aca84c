//! The other origin, where large files lie: addresses with a signature open them, and nothing else does.

use hyper::{Method, StatusCode};

use super::answers::{Answer, content, refusal, set, status};
use super::{Seen, State, sha256};

/// An address that opens `path`.
pub(super) fn signed(origin: &str, path: &str) -> String {
    format!("{origin}{path}?X-Amz-Signature={}", signature(path))
}

fn signature(path: &str) -> String {
    sha256(format!("the key of the other origin {path}").as_bytes())
}

impl State {
    pub(super) fn elsewhere(&mut self, seen: &Seen) -> Result<Answer, Answer> {
        let wrong = |text: &str| refusal(StatusCode::BAD_REQUEST, "", text);
        if seen.headers.contains_key("authorization") {
            return Err(wrong("only one way to say who you are is allowed"));
        }
        let wanted = format!("?X-Amz-Signature={}", signature(seen.path()));
        if !seen.target.ends_with(&wanted) {
            return Err(refusal(StatusCode::FORBIDDEN, "", "no such signature"));
        }
        let parts = seen.parts();
        let parts = parts.iter().map(String::as_str).collect::<Vec<_>>();
        match (seen.method.as_str(), parts.as_slice()) {
            ("GET" | "HEAD", ["files", kind, owner, name, oid]) => {
                let key = format!("{kind}/{owner}/{name}");
                let bytes = self.large.get(&key, oid);
                let bytes = bytes.ok_or_else(|| status(StatusCode::NOT_FOUND))?;
                let cut = match seen.method {
                    Method::GET => self.cut.take(),
                    _ => None,
                };
                Ok(content(&bytes, seen.header("range"), cut))
            }
            ("PUT", ["whole", kind, owner, name, oid]) => {
                if sha256(&seen.body) != *oid {
                    return Err(wrong("the bytes are not those that were announced"));
                }
                self.large
                    .keep(&format!("{kind}/{owner}/{name}"), &seen.body);
                Ok(status(StatusCode::OK))
            }
            ("PUT", ["part", oid, number]) => {
                let tag = self.large.keep_part(oid, number, &seen.body);
                let mut answer = status(StatusCode::OK);
                set(&mut answer, "etag", &tag);
                Ok(answer)
            }
            _ => Err(status(StatusCode::METHOD_NOT_ALLOWED)),
        }
    }
}
