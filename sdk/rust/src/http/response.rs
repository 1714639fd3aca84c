//! The response: its head at once, its body as a stream.

use std::io::{self, Read};

use wasip2::http::types::{
    FutureIncomingResponse, IncomingBody, IncomingResponse, http_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

use super::Error;

/// Most that one read asks of the host: large enough to be cheap, small enough to keep memory flat.
const CHUNK: u64 = 64 * 1024;

/// A response whose body is read as it comes, by [`read_chunk`](Self::read_chunk), as
/// [`std::io::Read`], or whole and bounded by [`bytes`](Self::bytes) and [`text`](Self::text).
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    /// What [`Read`] has taken from the host and not yet handed out.
    pending: Vec<u8>,
    taken: usize,
    ended: bool,
    // Children are dropped before their parents, in the order of the fields: the host traps otherwise.
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Response {
    pub(super) fn wait(future: &FutureIncomingResponse) -> Result<Self, Error> {
        let response = loop {
            match future.get() {
                Some(Ok(answer)) => break answer?,
                Some(Err(())) => return Err(Error::Protocol("response taken twice".to_owned())),
                None => future.subscribe().block(),
            }
        };
        let body = response
            .consume()
            .map_err(|()| Error::Protocol("response body taken twice".to_owned()))?;
        let stream = body
            .stream()
            .map_err(|()| Error::Protocol("response body taken twice".to_owned()))?;
        Ok(Self {
            status: response.status(),
            headers: response.headers().entries(),
            pending: Vec::new(),
            taken: 0,
            ended: false,
            stream,
            _body: body,
            _response: response,
        })
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// All headers in the order received; names are lower case.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// The first header of that name, in any case, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// `Retry-After` in milliseconds, when it is given in seconds.
    pub fn retry_after_ms(&self) -> Option<u32> {
        let seconds: u32 = self.header("retry-after")?.trim().parse().ok()?;
        Some(seconds.saturating_mul(1000))
    }

    /// The next piece of the body as soon as one is there, never empty; none at its end.
    ///
    /// # Errors
    ///
    /// [`Error`], when the connection breaks or a limit is reached; the body is then over.
    pub fn read_chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.taken < self.pending.len() {
            let rest = self.pending.split_off(self.taken);
            self.pending.clear();
            self.taken = 0;
            return Ok(Some(rest));
        }
        while !self.ended {
            match self.stream.blocking_read(CHUNK) {
                Ok(chunk) if chunk.is_empty() => {}
                Ok(chunk) => return Ok(Some(chunk)),
                Err(StreamError::Closed) => self.ended = true,
                Err(StreamError::LastOperationFailed(cause)) => {
                    self.ended = true;
                    return Err(match http_error_code(&cause) {
                        Some(code) => Error::from(code),
                        None => Error::Connection(cause.to_debug_string()),
                    });
                }
            }
        }
        Ok(None)
    }

    /// The whole body, or its rest.
    ///
    /// # Errors
    ///
    /// `Error::TooLarge` past `limit` bytes, otherwise as [`read_chunk`](Self::read_chunk).
    pub fn bytes(mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut all = self.read_chunk()?.unwrap_or_default();
        loop {
            if all.len() > limit {
                return Err(Error::TooLarge(format!("response body over {limit} bytes")));
            }
            match self.read_chunk()? {
                Some(chunk) => all.extend_from_slice(&chunk),
                None => return Ok(all),
            }
        }
    }

    /// The whole body as text; bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    pub fn text(self, limit: usize) -> Result<String, Error> {
        let bytes = self.bytes(limit)?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }
}

/// An [`Error`] comes wrapped in the I/O error, with a kind where one fits.
impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.pending.len() {
            self.taken = 0;
            self.pending = self
                .read_chunk()
                .map_err(io::Error::from)?
                .unwrap_or_default();
        }
        let count = buffer.len().min(self.pending.len() - self.taken);
        buffer[..count].copy_from_slice(&self.pending[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
