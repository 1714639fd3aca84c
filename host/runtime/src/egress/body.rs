//! Bodies on their way through the host.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::call::{AuditRecord, Call, Verdict};
use crate::egress::secret::Scrubber;

/// A refused request's body is read up to these.
const DRAIN_REQUEST_BYTES: usize = 8 << 20;
const DRAIN_REQUEST_TIME: Duration = Duration::from_secs(2);
/// The rest of a response that the guest left is read up to these, so that its connection can be
/// used again. Where the rest's size is unknown only what is about to end is waited for: a model
/// that still writes must see that nobody reads.
const DRAIN_RESPONSE_BYTES: u64 = 256 << 10;
const DRAIN_RESPONSE_TIME: Duration = Duration::from_secs(1);
const DRAIN_UNKNOWN_TIME: Duration = Duration::from_millis(50);

/// Reads what the guest still writes of a refused request.
pub(crate) async fn drain(mut body: WasiBody, left: Duration) {
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DRAIN_REQUEST_BYTES {
                return;
            }
        }
    };
    // Too slow a guest sees the connection closed instead of the reason.
    drop(tokio::time::timeout(left.min(DRAIN_REQUEST_TIME), read).await);
}

/// A request body that ends with an error where a secret shows up in it.
pub(crate) struct Outgoing {
    inner: WasiBody,
    call: Arc<Call>,
    /// The end of what has passed, where a secret may have begun.
    tail: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn new(inner: WasiBody, call: Arc<Call>) -> Self {
        Self {
            inner,
            call,
            tail: Vec::new(),
        }
    }

    fn holds_secret(&mut self, chunk: &[u8]) -> bool {
        let secrets = &self.call.secrets;
        let overlap = secrets.overlap();
        self.tail
            .extend_from_slice(chunk.get(..overlap).unwrap_or(chunk));
        if secrets.found_in(&self.tail) || secrets.found_in(chunk) {
            return true;
        }
        match chunk.len().checked_sub(overlap) {
            Some(from) => self.tail = chunk[from..].to_vec(),
            None => {
                let excess = self.tail.len().saturating_sub(overlap);
                self.tail.drain(..excess);
            }
        }
        false
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(chunk) = frame.data_ref()
            && self.holds_secret(chunk)
        {
            return Poll::Ready(Some(Err(Error::HttpRequestDenied)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What is known of a response whose body is still to come.
pub(crate) struct Answer {
    pub(crate) call: Arc<Call>,
    /// Bytes of body that may pass.
    pub(crate) limit: u64,
    pub(crate) between_bytes: Duration,
    pub(crate) record: AuditRecord,
}

/// A response body on its way to the guest: bounded in size and silence, cleared of secrets.
/// Trailers are dropped. Its audit record is written when it ends or is left.
pub(crate) struct Guarded {
    inner: Option<Incoming>,
    answer: Answer,
    scrubber: Scrubber,
    /// Runs while the service is silent.
    silence: Option<Pin<Box<Sleep>>>,
    reported: bool,
}

impl Guarded {
    pub(crate) fn new(inner: Incoming, answer: Answer) -> Self {
        Self {
            inner: Some(inner),
            answer,
            scrubber: Scrubber::default(),
            silence: None,
            reported: false,
        }
    }

    /// Ends the body because it holds more than allowed.
    pub(crate) fn too_large(&mut self) -> Error {
        let limit = self.answer.limit;
        self.fail(
            Error::HttpResponseBodySize(Some(limit)),
            format!("the response is larger than {limit} bytes"),
        )
    }

    fn fail(&mut self, error: Error, text: String) -> Error {
        self.inner = None;
        self.answer.record.verdict = Verdict::Failed(text);
        self.report();
        error
    }

    fn report(&mut self) {
        if !std::mem::replace(&mut self.reported, true) {
            self.answer.call.audit(&self.answer.record);
        }
    }

    /// Starts or continues to wait for a silent service.
    fn poll_silence(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let limit = self.answer.between_bytes.min(self.answer.call.clock.left());
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(silence.as_mut().poll(context));
        let text = format!("the service was silent for {limit:.1?}");
        Poll::Ready(Some(Err(self.fail(Error::ConnectionReadTimeout, text))))
    }

    /// What of a chunk may pass now; none when all of it is held back.
    fn pass(&mut self, chunk: Bytes) -> Result<Option<Bytes>, Error> {
        let passed = self
            .answer
            .record
            .received_bytes
            .saturating_add(chunk.len() as u64);
        if passed > self.answer.limit {
            return Err(self.too_large());
        }
        self.answer.record.received_bytes = passed;
        let clean = self.scrubber.push(&self.answer.call.secrets, chunk);
        Ok(Some(clean).filter(|clean| !clean.is_empty()))
    }

    fn finish(&mut self) -> Option<Bytes> {
        self.inner = None;
        self.report();
        Some(self.scrubber.finish()).filter(|rest| !rest.is_empty())
    }
}

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
            let Poll::Ready(frame) = Pin::new(inner).poll_frame(context) else {
                return this.poll_silence(context);
            };
            this.silence = None;
            let passed = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => this.pass(chunk),
                    Err(_) => Ok(None),
                },
                Some(Err(error)) => {
                    let text = error.to_string();
                    Err(this.fail(Error::HttpResponseIncomplete, text))
                }
                None => return Poll::Ready(this.finish().map(|rest| Ok(Frame::data(rest)))),
            };
            match passed {
                Ok(Some(chunk)) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.report();
        let Some(inner) = self.inner.take() else {
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
