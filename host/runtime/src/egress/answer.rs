//! Answers on their way in.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::call::{AuditRecord, Call, Verdict};
use crate::egress::Asked;
use crate::egress::body::Sent;
use crate::egress::coding::Coding;
use crate::egress::exchange::Recorded;
use crate::egress::failure::Failure;
use crate::egress::headers;
use crate::egress::secret::Scrubber;
use crate::egress::traffic::Place;
use crate::egress::transport::Incoming;

/// The rest of a response that the guest left is read up to these, so that its connection can be
/// used again. Where the rest's size is unknown only what is about to end is waited for: a model
/// that still writes must see that nobody reads.
const DRAIN_RESPONSE_BYTES: u64 = 256 << 10;
const DRAIN_RESPONSE_TIME: Duration = Duration::from_secs(1);
const DRAIN_UNKNOWN_TIME: Duration = Duration::from_millis(50);

/// What gzip adds to bytes that do not shrink, with room to spare.
const PACKING: u64 = 64 << 10;

/// What is known of an answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) call: Arc<Call>,
    pub(super) asked: Asked,
    /// Bytes of body that may pass.
    pub(crate) limit: u64,
    pub(crate) between_bytes: Duration,
    pub(crate) record: AuditRecord,
    pub(super) recorded: Option<Recorded>,
    /// Tells that the grant may no longer allow what was asked.
    pub(super) changes: watch::Receiver<u64>,
    /// The request's body, which may still be on its way.
    pub(crate) sent: Arc<Sent>,
    /// The request's place among those of the plugin.
    pub(crate) _place: Place,
}

impl Answer {
    /// Clears the answer and bounds its body.
    pub(crate) fn receive(
        mut self,
        response: Response<Incoming>,
    ) -> Result<Response<WasiBody>, Error> {
        self.record.verdict = Verdict::Answered(response.status().as_u16());
        let (mut parts, incoming) = response.into_parts();
        // First: an error may name a coding, which is the service's text.
        headers::clear(&self.call.secrets, &mut parts.headers);
        let coding = match coding_of(&mut parts, &incoming) {
            Ok(coding) => coding,
            Err(error) => {
                let text = error.to_string();
                let failure = Failure::new(error, text);
                super::failed(
                    &self.call,
                    &mut self.record,
                    &failure,
                    self.recorded.as_ref(),
                );
                return Err(failure.error);
            }
        };
        let too_large = incoming.size_hint().lower() > self.limit;
        let mut body = Guarded::new(incoming, coding, self);
        if too_large {
            return Err(body.too_large());
        }
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }
}

/// How the body is coded, where it is something that a guest may get at all.
fn coding_of(parts: &mut http::response::Parts, body: &Incoming) -> Result<Coding, Error> {
    // Nobody asked for another protocol.
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::HttpUpgradeFailed);
    }
    let transfer = parts.headers.get_all(TRANSFER_ENCODING).iter();
    let codings: Vec<_> = transfer
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
        .collect();
    // hyper undoes `chunked` and leaves the rest, which would pass uncounted.
    if !matches!(codings.as_slice(), [] | [_]) || codings.iter().any(|one| one.trim() != "chunked")
    {
        let names: String = codings.join(", ").chars().take(64).collect();
        return Err(Error::HttpResponseTransferCoding(Some(names)));
    }
    if body.is_end_stream() {
        return Ok(Coding::Identity);
    }
    Coding::of(&mut parts.headers)
}

/// A response body on its way to the guest: unpacked, bounded in size and silence, cleared of
/// secrets. Trailers are dropped. Its audit record is written when it ends or is left.
struct Guarded {
    inner: Option<Incoming>,
    coding: Coding,
    /// Bytes that came, before unpacking.
    received: u64,
    answer: Option<Answer>,
    scrubber: Scrubber,
    /// Runs while the service is silent.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    fn new(inner: Incoming, coding: Coding, answer: Answer) -> Self {
        Self {
            inner: Some(inner),
            coding,
            received: 0,
            answer: Some(answer),
            scrubber: Scrubber::default(),
            silence: None,
        }
    }

    /// Ends the body because it holds more than allowed.
    fn too_large(&mut self) -> Error {
        let limit = self.answer.as_ref().map_or(0, |answer| answer.limit);
        let text = format!(
            "the response is larger than {limit} bytes; raise `max-response` of the rule in its plugin.toml"
        );
        self.fail(Failure::new(Error::HttpResponseBodySize(Some(limit)), text))
    }

    fn fail(&mut self, mut failure: Failure) -> Error {
        self.inner = None;
        if let Some(mut answer) = self.answer.take() {
            answer.record.sent_bytes = answer.sent.bytes();
            if let Some(of_body) = Failure::of_body(&answer.sent) {
                failure = of_body;
            }
            super::failed(
                &answer.call,
                &mut answer.record,
                &failure,
                answer.recorded.as_ref(),
            );
        }
        failure.error
    }

    /// Writes the record and gives the place back.
    fn end(&mut self) {
        self.inner = None;
        if let Some(mut answer) = self.answer.take() {
            answer.record.sent_bytes = answer.sent.bytes();
            answer.call.audit(&answer.record);
        }
    }

    /// Starts or continues to wait for a silent service.
    fn poll_silence(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let limit = match &self.answer {
            Some(answer) => answer.between_bytes.min(answer.call.clock.left()),
            None => Duration::ZERO,
        };
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(silence.as_mut().poll(context));
        let text = format!("the service was silent for {limit:.1?}");
        let failure = Failure::new(Error::ConnectionReadTimeout, text);
        Poll::Ready(Some(Err(self.fail(failure))))
    }

    /// What of an unpacked chunk may pass now; none when all of it is held back.
    fn pass(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Error> {
        let Some(answer) = &mut self.answer else {
            return Ok(None);
        };
        if answer.changes.has_changed().unwrap_or(false) {
            answer.changes.mark_unchanged();
            if let Err(denial) = answer.asked.rule(&answer.call.effective()) {
                let failure = Failure::denied(Error::HttpRequestDenied, denial.detail);
                return Err(self.fail(failure));
            }
        }
        let passed = answer
            .record
            .received_bytes
            .saturating_add(chunk.len() as u64);
        if passed > answer.limit {
            return Err(self.too_large());
        }
        answer.record.received_bytes = passed;
        let clean = self.scrubber.push(&answer.call.secrets, chunk);
        Ok(Some(clean).filter(|clean| !clean.is_empty()))
    }

    /// What a chunk is where it needs no unpacking. What needs it is counted as it is too: packed
    /// bytes need not become anything.
    fn unpack(&mut self, chunk: Bytes) -> Taken {
        self.received = self.received.saturating_add(chunk.len() as u64);
        let limit = self.answer.as_ref().map_or(0, |answer| answer.limit);
        if self.received > limit.saturating_add(PACKING) {
            return Some(Err(self.too_large()));
        }
        let chunk = self.coding.push(chunk)?;
        self.pass(chunk).transpose()
    }

    fn broken(&mut self, error: &io::Error) -> Error {
        self.fail(Failure::new(
            Error::HttpResponseContentCoding(Some("gzip".to_owned())),
            format!("the response is no sound gzip: {error}"),
        ))
    }

    /// The last bytes, once the service has said that there are no more.
    fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        let rest = match self.coding.finish() {
            Ok(rest) => rest.unwrap_or_default(),
            Err(error) => return Err(self.broken(&error)),
        };
        let passed = self.pass(rest)?.unwrap_or_default();
        let held = self.scrubber.finish();
        self.end();
        let last = if held.is_empty() {
            passed
        } else {
            [passed, held].concat().into()
        };
        Ok(Some(last).filter(|last: &Bytes| !last.is_empty()))
    }

    /// Takes what came from the service. None: look again.
    fn take(
        &mut self,
        frame: Option<Result<Frame<Bytes>, Box<dyn StdError + Send + Sync>>>,
    ) -> Taken {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => self.unpack(chunk),
                Err(_) => None,
            },
            Some(Err(error)) => {
                let failure = Failure::new(Error::HttpResponseIncomplete, error.to_string());
                Some(Err(self.fail(failure)))
            }
            None => self.finish().transpose(),
        }
    }
}

type Taken = Option<Result<Bytes, Error>>;

impl Body for Guarded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(None);
            };
            let taken = match this.coding.next() {
                Ok(Some(piece)) => this.pass(piece).transpose(),
                Err(error) => Some(Err(this.broken(&error))),
                Ok(None) => {
                    let Poll::Ready(frame) = Pin::new(inner).poll_frame(context) else {
                        return this.poll_silence(context);
                    };
                    this.silence = None;
                    this.take(frame)
                }
            };
            if let Some(taken) = taken {
                return Poll::Ready(Some(taken.map(Frame::data)));
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let inner = self.inner.take();
        self.end();
        let Some(inner) = inner else {
            return;
        };
        let (limit, known) = match inner.size_hint().exact() {
            Some(rest) if rest > DRAIN_RESPONSE_BYTES => return,
            Some(_) => (DRAIN_RESPONSE_TIME, true),
            None => (DRAIN_UNKNOWN_TIME, false),
        };
        // Outside a runtime nothing can be read; the connection closes.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(finish_reading(inner, Instant::now() + limit, known));
        }
    }
}

async fn finish_reading(mut inner: Incoming, deadline: Instant, known: bool) {
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = inner.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            if !known && bytes > DRAIN_RESPONSE_BYTES {
                return;
            }
        }
    };
    // Not read in time: the connection closes, which is what this avoids and nothing worse.
    drop(tokio::time::timeout_at(deadline, read).await);
}
