//! What comes back from the network, kept on its way to the guest.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

use super::Recorded;
use super::digest::BodyDigest;
use crate::effects::of_call::Mode;
use crate::effects::{Answer, Effect, End, HttpFailure};
use crate::egress::body::{Outgoing, Sent};

impl Recorded {
    /// Where it cannot be kept the call ends, and nothing here has to say so.
    fn keep(&self, effect: Effect, size: usize) {
        if let Mode::Record(recorder) = &self.effects.mode {
            let _ended = self.effects.kept(recorder.keep(effect, size as u64));
        }
    }

    /// Keeps a piece of the answer's body, of which `before` bytes are kept. False: it is too much.
    fn keep_body(&self, bytes: Bytes, before: u64) -> bool {
        let Mode::Record(recorder) = &self.effects.mode else {
            return false;
        };
        let kept = recorder.body(self.request, bytes, before);
        self.effects.kept(kept).unwrap_or(false)
    }

    /// Keeps why the host refused it.
    pub(in crate::egress) fn denied(&self, detail: &str) {
        let (request, detail) = (self.request, detail.to_owned());
        let size = detail.len();
        self.keep(Effect::Denied { request, detail }, size);
    }

    /// Keeps the digest of a body that leaves.
    pub(in crate::egress) fn sending(&self, body: Outgoing, headers: &HeaderMap) -> WasiBody {
        let mut leaving = Leaving {
            sent: body.sent(),
            inner: body,
            digest: BodyDigest::new(headers),
            recorded: self.clone(),
        };
        let none = leaving.digest.of_none(leaving.inner.is_end_stream());
        leaving.told(none);
        leaving.boxed_unsync()
    }

    /// Keeps what the guest gets.
    pub(in crate::egress) fn answered(
        self,
        answered: Result<Response<WasiBody>, Error>,
    ) -> Result<Response<WasiBody>, Error> {
        let answer = match &answered {
            Ok(response) => Answer::Response {
                status: response.status().as_u16(),
                headers: texts(response.headers()),
            },
            Err(error) => Answer::Error(HttpFailure::of(error)),
        };
        let size = match &answer {
            Answer::Response { headers, .. } => headers
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum(),
            Answer::Error(_) => 0,
        };
        let request = self.request;
        self.keep(Effect::Answer { request, answer }, size);
        let body = |inner| Coming {
            inner,
            recorded: Some(self),
            kept: 0,
            waiting: false,
        };
        answered.map(|response| response.map(|inner| body(inner).boxed_unsync()))
    }
}

/// A character for each byte, so that every value is text.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}

/// A request body whose digest is kept when it has left.
struct Leaving {
    inner: Outgoing,
    sent: Arc<Sent>,
    digest: BodyDigest,
    recorded: Recorded,
}

impl Leaving {
    fn told(&self, digest: Option<String>) {
        if digest.is_some() {
            self.tell(digest);
        }
    }

    fn tell(&self, digest: Option<String>) {
        let request = self.recorded.request;
        self.recorded.keep(Effect::Sent { request, digest }, 0);
    }

    /// Nothing is kept of a body that was stopped because it holds a secret.
    fn broken(&mut self) {
        let refused = self.sent.stopped().is_some_and(|why| why.is_denial());
        if self.digest.leave() && !refused {
            self.tell(None);
        }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let digest = frame.data_ref().and_then(|data| this.digest.push(data));
                this.told(digest);
            }
            Some(Err(_)) => this.broken(),
            None => {
                let digest = this.digest.end();
                this.told(digest);
            }
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

/// A response body whose pieces are kept as the guest gets them.
struct Coming {
    inner: WasiBody,
    /// None once the end is kept.
    recorded: Option<Recorded>,
    kept: u64,
    /// The guest asked, and there was nothing yet.
    waiting: bool,
}

impl Coming {
    fn end(&mut self, end: End) {
        if let Some(recorded) = self.recorded.take() {
            let request = recorded.request;
            recorded.keep(Effect::End { request, end }, 0);
        }
    }

    fn piece(&mut self, bytes: &Bytes) {
        let Some(recorded) = &self.recorded else {
            return;
        };
        match recorded.keep_body(bytes.clone(), self.kept) {
            true => self.kept += bytes.len() as u64,
            false => self.recorded = None,
        }
    }
}

impl Body for Coming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        this.waiting = true;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        this.waiting = false;
        match &frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    this.piece(bytes);
                }
            }
            Some(Err(error)) => this.end(End::Error(HttpFailure::of(error))),
            None => this.end(End::Complete),
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

impl Drop for Coming {
    fn drop(&mut self) {
        let waiting = self.waiting;
        self.end(End::Left { waiting });
    }
}
