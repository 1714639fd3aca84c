//! A small blocking HTTP client over `wasi:http`.
//!
//! The host decides where a request may go, adds credentials, follows no redirects and limits
//! sizes; this module only moves bytes. A request's body is handed over in as few calls as the
//! host's buffers allow, with its length declared; a response's body is a stream.
//!
//! ```no_run
//! use ml_intern_plugin::{Error, http};
//!
//! fn latest() -> Result<String, Error> {
//!     let response = http::Request::get("https://example.org/latest")
//!         .header("accept", "application/json")
//!         .send()?;
//!     match response.status() {
//!         200 => Ok(response.text(64 * 1024)?),
//!         status => Err(format!("unexpected status {status}").into()),
//!     }
//! }
//! # fn main() {}
//! ```

mod error;
mod response;
mod url;

use std::time::Duration;

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};
use wasip2::io::streams::{OutputStream, StreamError};

pub use error::Error;
pub use response::Response;
use url::Url;

/// A request being built. See the module's example.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    connect_timeout: Option<Duration>,
    first_byte_timeout: Option<Duration>,
    between_bytes_timeout: Option<Duration>,
}

impl Request {
    /// A request with any method (`"PUT"`, `"DELETE"`, …), for an absolute `http` or `https` URL.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self {
            method: method_of(method),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            connect_timeout: None,
            first_byte_timeout: None,
            between_bytes_timeout: None,
        }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header; an invalid one is reported by [`send`](Self::send).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body. `Content-Length` is added by [`send`](Self::send).
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// How long to wait for a connection; the host's limit applies where it is shorter.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// How long to wait for the response to begin.
    pub fn first_byte_timeout(mut self, limit: Duration) -> Self {
        self.first_byte_timeout = Some(limit);
        self
    }

    /// How long to wait between two pieces of the response's body.
    pub fn between_bytes_timeout(mut self, limit: Duration) -> Self {
        self.between_bytes_timeout = Some(limit);
        self
    }

    /// Sends the request and waits for the response's head. Any status is a response;
    /// redirects are not followed.
    ///
    /// # Errors
    ///
    /// See [`Error`]; `Error::Invalid` before anything is sent.
    pub fn send(self) -> Result<Response, Error> {
        let options = self.options();
        let (request, outgoing) = self.outgoing()?;
        let body = self.body;

        // A body that the host's buffer takes whole is there before the request is started, so that
        // head and body can leave together. A longer one only drains once the request runs.
        let (future, rest) = match outgoing {
            None => (outgoing_handler::handle(request, options)?, None),
            Some((sink, stream)) => {
                let taken = write_ready(&stream, &body);
                if taken == body.len() {
                    finish(sink, stream);
                    (outgoing_handler::handle(request, options)?, None)
                } else {
                    let future = outgoing_handler::handle(request, options)?;
                    (future, Some((sink, stream, taken)))
                }
            }
        };
        if let Some((sink, stream, taken)) = rest
            && write_all(&stream, &body[taken..])
        {
            finish(sink, stream);
        }
        Response::wait(&future)
    }

    fn options(&self) -> Option<RequestOptions> {
        if self.connect_timeout.is_none()
            && self.first_byte_timeout.is_none()
            && self.between_bytes_timeout.is_none()
        {
            return None;
        }
        let options = RequestOptions::new();
        // A host that does not support one of the timeouts keeps its own, which is finite too.
        let _unsupported = options.set_connect_timeout(nanoseconds(self.connect_timeout));
        let _unsupported = options.set_first_byte_timeout(nanoseconds(self.first_byte_timeout));
        let _unsupported =
            options.set_between_bytes_timeout(nanoseconds(self.between_bytes_timeout));
        Some(options)
    }

    /// The request as WASI has it, and where its body goes when it has one.
    fn outgoing(&self) -> Result<(OutgoingRequest, Option<(OutgoingBody, OutputStream)>), Error> {
        let url = Url::parse(&self.url)?;
        let mut headers = self.headers.clone();
        let has_body = !self.body.is_empty();
        if has_body || matches!(self.method, Method::Post | Method::Put | Method::Patch) {
            let length = self.body.len().to_string();
            headers.push(("content-length".to_owned(), length.into_bytes()));
        }
        let fields = Fields::from_list(&headers)
            .map_err(|error| Error::Invalid(format!("request headers: {error}")))?;
        let request = OutgoingRequest::new(fields);
        let scheme = if url.secure {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let refused = |part: &str| Error::Invalid(format!("request {part} of `{}`", self.url));
        request
            .set_method(&self.method)
            .map_err(|()| refused("method"))?;
        request
            .set_scheme(Some(&scheme))
            .map_err(|()| refused("scheme"))?;
        request
            .set_authority(Some(url.authority))
            .map_err(|()| refused("host"))?;
        request
            .set_path_with_query(Some(&url.path_with_query))
            .map_err(|()| refused("path"))?;
        if !has_body {
            return Ok((request, None));
        }
        let sink = request.body().map_err(|()| refused("body"))?;
        let stream = sink.write().map_err(|()| refused("body"))?;
        Ok((request, Some((sink, stream))))
    }
}

/// Writes what the host takes without waiting; returns how much that was.
fn write_ready(stream: &OutputStream, body: &[u8]) -> usize {
    let mut taken = 0;
    while taken < body.len() {
        match write_once(stream, &body[taken..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => taken += count,
        }
    }
    taken
}

/// Writes everything, waiting for room. False when the other side stopped listening: the reason
/// comes with the response, which may well be a success.
fn write_all(stream: &OutputStream, mut body: &[u8]) -> bool {
    while !body.is_empty() {
        match write_once(stream, body) {
            Ok(0) => stream.subscribe().block(),
            Ok(count) => body = &body[count..],
            Err(_) => return false,
        }
    }
    true
}

/// As much of `body` as the host permits right now, in one `write`.
fn write_once(stream: &OutputStream, body: &[u8]) -> Result<usize, StreamError> {
    let permitted = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
    let count = permitted.min(body.len());
    if count > 0 {
        stream.write(&body[..count])?;
    }
    Ok(count)
}

fn finish(sink: OutgoingBody, stream: OutputStream) {
    drop(stream);
    // A body that could not be finished fails the request, and the response says why.
    let _reported_by_response = OutgoingBody::finish(sink, None);
}

fn nanoseconds(limit: Option<Duration>) -> Option<u64> {
    limit.map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
}

fn method_of(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}
