//! Request bodies on their way out.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::call::Call;
use crate::egress::scan::Scan;
use crate::egress::secret::Secrets;

/// What a guest goes on to write of a request that is over is read up to this.
const DRAIN_BYTES: usize = 64 << 20;

/// What is known of a body that is being sent, shared with whoever explains its end.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    bytes: AtomicU64,
    stopped: OnceLock<Stopped>,
}

impl Sent {
    /// What has left so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Nothing of it leaves after all.
    pub(crate) fn nothing(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Why the host ended the body, if it did.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.stopped.get().copied()
    }
}

/// Why the host ended a body before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Secret,
    Length { declared: u64, written: u64 },
    Abandoned,
}

impl Stopped {
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Secret => Error::HttpRequestDenied,
            Self::Length { written, .. } => Error::HttpRequestBodySize(Some(written)),
            Self::Abandoned => Error::HttpProtocolError,
        }
    }

    pub(crate) fn is_denial(self) -> bool {
        self == Self::Secret
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret => f.write_str(
                "a request body holds a secret; credentials are added by the host and never sent by plugins",
            ),
            Self::Length { declared, written } => write!(
                f,
                "the plugin declared a body of {declared} bytes and wrote {written}"
            ),
            Self::Abandoned => f.write_str("the plugin left its request's body unfinished"),
        }
    }
}

/// A request body: ends with an error where a secret shows up in it or its length is not the one
/// declared. Trailers are dropped: nothing here needs them, and they would pass unread.
///
/// Whoever drops it early (a refusal, a failed connection, an answer that came first) leaves a
/// guest that still writes; what it writes is then read and thrown away, so that it learns the
/// reason instead of seeing a broken pipe.
pub(crate) struct Outgoing {
    inner: Option<WasiBody>,
    secrets: Arc<Secrets>,
    scan: Scan,
    declared: Option<u64>,
    sent: Arc<Sent>,
    /// What was left of the call when the request began.
    left: Duration,
}

impl Outgoing {
    pub(crate) fn new(inner: WasiBody, headers: &HeaderMap, call: &Call) -> Self {
        let length = headers.get(CONTENT_LENGTH);
        Self {
            inner: Some(inner),
            secrets: Arc::clone(&call.secrets),
            scan: Scan::new(),
            declared: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            sent: Arc::default(),
            left: call.clock.left(),
        }
    }

    pub(crate) fn sent(&self) -> Arc<Sent> {
        Arc::clone(&self.sent)
    }

    fn stop(&self, why: Stopped) -> Error {
        self.sent.stopped.get_or_init(|| why).error()
    }

    /// What is wrong with a chunk.
    fn check(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let length = chunk.len() as u64;
        let written = self.sent.bytes() + length;
        if let Some(declared) = self.declared.filter(|declared| written > *declared) {
            return Err(self.stop(Stopped::Length { declared, written }));
        }
        if !self.secrets.is_empty() && self.scan.push(&self.secrets, chunk) {
            return Err(self.stop(Stopped::Secret));
        }
        self.sent.bytes.store(written, Ordering::Relaxed);
        Ok(())
    }

    /// What is wrong with the whole.
    fn check_end(&self) -> Result<(), Error> {
        let written = self.sent.bytes();
        match self.declared.filter(|declared| written < *declared) {
            Some(declared) => Err(self.stop(Stopped::Length { declared, written })),
            None => Ok(()),
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        let chunk = match ready!(Pin::new(inner).poll_frame(context)) {
            Some(Ok(frame)) => frame.into_data().ok(),
            Some(Err(_)) => {
                this.inner = None;
                let why = match this.declared {
                    Some(declared) => Stopped::Length {
                        declared,
                        written: this.sent.bytes(),
                    },
                    None => Stopped::Abandoned,
                };
                return Poll::Ready(Some(Err(this.stop(why))));
            }
            None => None,
        };
        let Some(chunk) = chunk else {
            this.inner = None;
            return Poll::Ready(this.check_end().err().map(Err));
        };
        Poll::Ready(Some(this.check(&chunk).map(|()| Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let rest = self.inner.take().filter(|inner| !inner.is_end_stream());
        // Outside a runtime nothing can be read; the guest sees a closed stream.
        if let (Some(rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(self.left, drain(rest)));
        }
    }
}

/// Reads what a guest still writes. Ends with its call, which drops the other end.
async fn drain(mut body: WasiBody) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > DRAIN_BYTES {
            return;
        }
    }
}
