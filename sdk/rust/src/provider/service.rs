//! One model call on the wire: the request out, its answer in as it comes.

use super::errors;
use super::retry_after;
use super::sse::{Event, Events, TooLong};
use crate::{Error, Response, http};
use std::time::{Duration, SystemTime};

/// Longest wait for a response to begin, and between two pieces of it: models reason for minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(30);

/// Bytes of an answer that is no stream, and of a list of models.
const MAX_BODY: usize = 16 << 20;

/// Bytes of an answer that reports an error.
const MAX_ERROR: usize = 64 << 10;

/// Bytes after the end of a stream that are read for the connection's sake.
const MAX_REST: usize = 64 << 10;

/// What to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Read on.
    More,
    /// The reply is complete.
    Done,
    /// The host wants no more.
    Stopped,
}

/// What a protocol makes of an answer.
pub trait Protocol: Sized {
    /// Takes one event of a stream.
    ///
    /// # Errors
    ///
    /// What the service reported in it; `upstream` (retryable) where it cannot be read.
    fn event(&mut self, event: &Event<'_>) -> Result<Flow, Error>;

    /// Takes a whole answer: what comes when no stream was asked for, and from servers that do not
    /// stream, whatever they are asked.
    ///
    /// # Errors
    ///
    /// As for a stream; `upstream` (retryable) where it holds no reply.
    fn whole(&mut self, body: &[u8]) -> Result<(), Error>;

    /// Whether all that can still come is not worth another attempt.
    fn has_finished(&self) -> bool;

    /// The reply.
    ///
    /// # Errors
    ///
    /// `upstream` (retryable) where the stream ended before the reply did.
    fn finish(self) -> Result<Response, Error>;
}

/// What a protocol makes of a stream that is cut into messages in a way of its own, byte by byte.
/// [`Protocol`] is the same for server-sent events.
pub trait Framing: Sized {
    /// Media type of the stream, as `accept` asks for it.
    const STREAM: &'static str;

    /// Takes the next bytes, which may end anywhere.
    ///
    /// # Errors
    ///
    /// What the service reported in them; `upstream` (retryable) where they cannot be read; `limit` where a message
    /// is longer than any should be.
    fn chunk(&mut self, bytes: &[u8]) -> Result<Flow, Error>;

    /// The stream is at its end.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    fn end(&mut self) -> Result<Flow, Error>;

    /// As [`Protocol::whole`].
    ///
    /// # Errors
    ///
    /// As [`Protocol::whole`].
    fn whole(&mut self, body: &[u8]) -> Result<(), Error>;

    /// As [`Protocol::has_finished`].
    fn has_finished(&self) -> bool;

    /// As [`Protocol::finish`].
    ///
    /// # Errors
    ///
    /// As [`Protocol::finish`].
    fn finish(self) -> Result<Response, Error>;
}

/// The service that a request goes to, as messages name it.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// Where its API begins, without a slash at the end.
    pub base_url: &'a str,
    /// Name of the credential in the plugin's manifest.
    pub credential: &'a str,
    /// The model that is asked, or nothing.
    pub model: &'a str,
    /// Whether an effort is asked of the model: only then can the service have refused it.
    pub effort: bool,
}

impl Service<'_> {
    /// Sends a request; an answer that is no success is an error.
    ///
    /// # Errors
    ///
    /// See [`errors::of_answer`]; `upstream` (retryable) where the service is not reached.
    pub fn send(&self, request: http::Request) -> Result<http::Response, Error> {
        let request = request.connect_timeout(CONNECT);
        self.send_within(request, PATIENCE)
    }

    /// The same, for a request that knows how long a connection may take; `patience` is for its answer.
    fn send_within(
        &self,
        request: http::Request,
        patience: Duration,
    ) -> Result<http::Response, Error> {
        let request = request
            .first_byte_timeout(patience)
            .between_bytes_timeout(patience);
        let answer = request.send().map_err(|error| match Error::from(error) {
            Error::Upstream(mut upstream) => {
                upstream.message = format!("{}{}", self.unreached(), upstream.message);
                Error::Upstream(upstream)
            }
            other => other,
        })?;
        let status = answer.status();
        if (200..300).contains(&status) {
            self.refuse_web_page(&answer)?;
            return Ok(answer);
        }
        let wait = retry_after::milliseconds(
            answer.header("retry-after-ms"),
            answer.header("retry-after"),
            SystemTime::now(),
        );
        let code = answer.header("x-amzn-errortype").map(str::to_owned);
        let body = beginning(answer);
        Err(errors::of_coded_answer(
            self,
            status,
            wait,
            code.as_deref(),
            &body,
        ))
    }

    /// The body of an answer to a GET.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `limit` for more than 16 MiB.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.get_with(path, &[])
    }

    /// The same, with headers.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        let request = http::Request::get(format!("{}{path}", self.base_url));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        Ok(self.send(request)?.bytes(MAX_BODY)?)
    }

    /// The body of an answer to a GET, or to a POST where there is a body of JSON, within this time for the connection
    /// and for every step of the answer: for a service that may well not be there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); `timeout` past that time.
    pub fn ask_within(
        &self,
        path: &str,
        body: Option<Vec<u8>>,
        patience: Duration,
    ) -> Result<Vec<u8>, Error> {
        let request = match body {
            Some(body) => self.json(path, body, &[]),
            None => http::Request::get(format!("{}{path}", self.base_url)),
        };
        let request = request.connect_timeout(patience);
        Ok(self.send_within(request, patience)?.bytes(MAX_BODY)?)
    }

    /// Whether a request failed because the service was not reached: nobody listens, or the name is unknown.
    pub fn is_unreached(&self, error: &Error) -> bool {
        matches!(error, Error::Upstream(upstream)
            if upstream.status.is_none() && upstream.message.starts_with(&self.unreached()))
    }

    fn unreached(&self) -> String {
        format!("`{}` cannot be reached: ", self.base_url)
    }

    /// The body of an answer to a POST of JSON.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `limit` for more than 16 MiB.
    pub fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Result<Vec<u8>, Error> {
        Ok(self.send(self.json(path, body, headers))?.bytes(MAX_BODY)?)
    }

    fn json(&self, path: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> http::Request {
        let post = http::Request::post(format!("{}{path}", self.base_url));
        let post = post.header("content-type", "application/json").body(body);
        headers
            .iter()
            .fold(post, |request, (name, value)| request.header(*name, *value))
    }

    /// Posts a body of JSON and reads the reply, as server-sent events or whole. `heard` sees the
    /// answer's head before its body is read.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and what the protocol makes of the answer.
    pub fn complete<P: Protocol>(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
        stream: bool,
        reply: P,
        heard: impl FnOnce(&http::Response, &mut P),
    ) -> Result<Response, Error> {
        let framed = ServerSent {
            events: Events::default(),
            reply,
        };
        let heard = |answer: &http::Response, framed: &mut ServerSent<P>| {
            heard(answer, &mut framed.reply);
        };
        self.complete_framed(path, body, headers, stream, framed, heard)
    }

    /// The same for a stream that is cut in another way.
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete).
    pub fn complete_framed<F: Framing>(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
        stream: bool,
        mut reply: F,
        heard: impl FnOnce(&http::Response, &mut F),
    ) -> Result<Response, Error> {
        let accepted = match stream {
            true => F::STREAM,
            false => "application/json",
        };
        let post = self.json(path, body, headers).header("accept", accepted);
        let answer = self.send(post)?;
        heard(&answer, &mut reply);
        let whole = answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"));
        if whole || !stream {
            reply.whole(&answer.bytes(MAX_BODY)?)?;
            return reply.finish();
        }
        read_stream(reply, answer)
    }

    /// A portal that wants a login, or a base URL that is a site's and not its API's, answers every
    /// request with success and a page.
    fn refuse_web_page(&self, answer: &http::Response) -> Result<(), Error> {
        match answer.header("content-type") {
            Some(kind) if kind.starts_with("text/html") => Err(errors::broken(&format!(
                "`{}` answered with a web page (text/html); config `base-url` must end where the server's API begins, often with `/v1`",
                self.base_url
            ))),
            _ => Ok(()),
        }
    }
}

/// The first [`MAX_ERROR`] bytes of a body: a report that breaks off is better than none.
fn beginning(mut answer: http::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.read_chunk() {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_ERROR {
            body.truncate(MAX_ERROR);
            break;
        }
    }
    body
}

fn read_stream<F: Framing>(mut reply: F, mut answer: http::Response) -> Result<Response, Error> {
    let mut flow = Flow::More;
    while flow == Flow::More {
        flow = match answer.read_chunk() {
            Ok(Some(chunk)) => reply.chunk(&chunk)?,
            Ok(None) => {
                flow = reply.end()?;
                break;
            }
            // All that can be missing now is the usage: not worth the same reply once more.
            Err(_) if reply.has_finished() => break,
            Err(error) => return Err(error.into()),
        };
    }
    // A connection whose response was read to its end serves the next call. After `stop` the
    // host wants none of the rest: it drops the connection, and the server notices.
    if flow != Flow::Stopped {
        drain(answer);
    }
    reply.finish()
}

/// A stream of server-sent events.
struct ServerSent<P> {
    events: Events,
    reply: P,
}

impl<P: Protocol> Framing for ServerSent<P> {
    const STREAM: &'static str = "text/event-stream";

    fn chunk(&mut self, bytes: &[u8]) -> Result<Flow, Error> {
        self.events.feed(bytes);
        while let Some(flow) = take(self.events.next(), &mut self.reply)? {
            if flow != Flow::More {
                return Ok(flow);
            }
        }
        Ok(Flow::More)
    }

    fn end(&mut self) -> Result<Flow, Error> {
        Ok(take(self.events.finish(), &mut self.reply)?.unwrap_or(Flow::Done))
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), Error> {
        self.reply.whole(body)
    }

    fn has_finished(&self) -> bool {
        self.reply.has_finished()
    }

    fn finish(self) -> Result<Response, Error> {
        self.reply.finish()
    }
}

/// Takes an event, if there is one.
fn take<P: Protocol>(
    event: Result<Option<Event<'_>>, TooLong>,
    reply: &mut P,
) -> Result<Option<Flow>, Error> {
    match event {
        Ok(event) => event.map(|event| reply.event(&event)).transpose(),
        Err(TooLong) => Err(Error::Limit(
            "the server sent an event of more than 4 MiB".to_owned(),
        )),
    }
}

fn drain(mut answer: http::Response) {
    let mut rest = 0;
    while rest < MAX_REST {
        match answer.read_chunk() {
            Ok(Some(chunk)) => rest += chunk.len(),
            // The reply is complete: how its connection ends is not its concern.
            Ok(None) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_not_reached_is_told_from_one_that_fails() {
        let service = Service {
            base_url: "http://localhost:1/v1",
            credential: "c",
            model: "",
            effort: false,
        };
        let not = format!("{}connection refused", service.unreached());
        assert_eq!(
            not,
            "`http://localhost:1/v1` cannot be reached: connection refused"
        );
        assert!(service.is_unreached(&Error::unreachable(not)));
        for other in [
            Error::unreachable("the connection was cut"),
            errors::of_answer(
                &service,
                503,
                None,
                b"`http://localhost:1/v1` cannot be reached: x",
            ),
            Error::Timeout,
        ] {
            assert!(!service.is_unreached(&other), "{other:?}");
        }
    }
}
