//! Answers as the Hub writes them.

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::http::{AnswerBody, cut_off, full};

/// In a box: an answer is also how a function refuses.
pub(super) type Answer = Box<Response<AnswerBody>>;

pub(super) fn status(code: StatusCode) -> Answer {
    let mut answer = Box::new(Response::new(full("")));
    *answer.status_mut() = code;
    answer
}

pub(super) fn object(value: &Value) -> Answer {
    let mut answer = Box::new(Response::new(full(value.to_string())));
    set(&mut answer, "content-type", "application/json");
    answer
}

/// An error; `code` is what clients go by.
pub(super) fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    let mut answer = object(&json!({"error": message}));
    *answer.status_mut() = status;
    if !code.is_empty() {
        set(&mut answer, "x-error-code", code);
    }
    set(&mut answer, "x-error-message", message);
    answer
}

pub(super) fn set(answer: &mut Answer, name: &'static str, value: &str) {
    answer.headers_mut().insert(name, value.parse().unwrap());
}

/// A file or, where `range` says so, its rest. It is cut off after `cut` bytes.
pub(super) fn content(bytes: &Bytes, range: &str, cut: Option<usize>) -> Answer {
    let from = range.strip_prefix("bytes=").and_then(|range| {
        let (from, to) = range.split_once('-')?;
        let to = to.parse::<usize>().map_or(bytes.len(), |to| to + 1);
        Some((from.parse::<usize>().ok()?, to.min(bytes.len())))
    });
    let total = bytes.len();
    let (from, to, code) = match from {
        Some((from, to)) if from < to => (from, to, StatusCode::PARTIAL_CONTENT),
        Some(_) => {
            let mut answer = status(StatusCode::RANGE_NOT_SATISFIABLE);
            set(&mut answer, "content-range", &format!("bytes */{total}"));
            return answer;
        }
        None => (0, total, StatusCode::OK),
    };
    let piece = bytes.slice(from..to);
    let body = match cut.filter(|cut| *cut < piece.len()) {
        Some(cut) => cut_off(piece.slice(..cut)),
        None => full(piece.clone()),
    };
    let mut answer = Box::new(Response::new(body));
    *answer.status_mut() = code;
    if code == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{total}", to - 1);
        set(&mut answer, "content-range", &range);
    }
    set(&mut answer, "content-length", &piece.len().to_string());
    set(&mut answer, "accept-ranges", "bytes");
    set(&mut answer, "content-type", "application/octet-stream");
    answer
}
