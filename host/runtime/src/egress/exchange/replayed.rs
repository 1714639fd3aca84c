//! Answers from a recording. Nothing here reaches the network.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use ml_intern_manifest::Denial;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

use super::digest::BodyDigest;
use crate::call::Call;
use crate::effects::End;
use crate::effects::script::{Exchange, diverged, in_words};
use crate::fault::FaultCause;

/// Answers a request as it was answered when it was recorded. Where it was not answered, and where the
/// call is ending, the guest waits: whoever polls it ends it.
pub(in crate::egress) async fn replay(
    call: Arc<Call>,
    exchange: Arc<Exchange>,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    let (parts, body) = request.into_parts();
    let (said, compared) = oneshot::channel();
    let digest = BodyDigest::new(&parts.headers);
    let comparison = compare(Arc::clone(&call), Arc::clone(&exchange), body, digest, said);
    // Ends with the guest, which drops the other end of the body.
    tokio::spawn(comparison);
    if exchange.sent_first && compared.await != Ok(true) {
        return pending().await;
    }
    match &exchange.answer {
        None => pending().await,
        Some(Err(failure)) => {
            remember_denials(&call, &exchange);
            Err(failure.error())
        }
        Some(Ok((status, headers))) => {
            let mut response = Response::new(());
            *response.status_mut() = *status;
            *response.headers_mut() = headers.clone();
            let body = Replayed {
                call,
                exchange,
                next: 0,
                over: false,
            };
            Ok(response.map(|()| body.boxed_unsync()))
        }
    }
}

/// Reads the guest's body to its end and says whether it is the one of the recording.
async fn compare(
    call: Arc<Call>,
    exchange: Arc<Exchange>,
    mut body: WasiBody,
    mut digest: BodyDigest,
    said: oneshot::Sender<bool>,
) {
    let mut found = digest.of_none(false).map(Some);
    while found.is_none() {
        found = match body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => digest.push(&chunk).map(Some),
                Err(_) => None,
            },
            Some(Err(_)) => Some(None),
            None => Some(digest.end()),
        };
    }
    let found = found.flatten();
    let same = match &exchange.sent {
        Some(expected) if *expected != found => {
            let body = |digest: &Option<String>| match digest {
                Some(digest) => format!(
                    "{} with a body of digest {digest}",
                    in_words(&exchange.made)
                ),
                None => format!("{} with a body left unfinished", in_words(&exchange.made)),
            };
            fail(&call, diverged(body(expected), body(&found)));
            false
        }
        _ => true,
    };
    // Nobody waits for it where the answer came first.
    let _ignored = said.send(same);
    while let Some(Ok(_)) = body.frame().await {}
}

fn fail(call: &Call, cause: FaultCause) {
    if let Some(effects) = &call.effects {
        // Whoever polls the call sees it.
        let _ended = effects.fail(cause);
    }
}

/// The guest's error is told together with what was refused.
fn remember_denials(call: &Call, exchange: &Exchange) {
    for detail in &exchange.denied {
        let capability = "http";
        let detail = detail.clone();
        let _told = call.deny(Denial { capability, detail });
    }
}

/// The body of an answer, in its pieces.
struct Replayed {
    call: Arc<Call>,
    exchange: Arc<Exchange>,
    next: usize,
    /// Its end was given.
    over: bool,
}

impl Replayed {
    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let expected = match &self.exchange.end {
            Some(End::Complete) => {
                self.over = true;
                return Poll::Ready(None);
            }
            Some(End::Error(failure)) => {
                self.over = true;
                remember_denials(&self.call, &self.exchange);
                return Poll::Ready(Some(Err(failure.error())));
            }
            // Nothing came while it was recorded either.
            Some(End::Left { waiting: true }) | None => return Poll::Pending,
            Some(End::Left { waiting: false }) => "a body left at this place",
            Some(End::Truncated) => "a body that was truncated at this place",
        };
        let found = format!(
            "a further piece of the answer to {}",
            in_words(&self.exchange.made)
        );
        fail(&self.call, diverged(expected, found));
        Poll::Pending
    }
}

impl Body for Replayed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let piece = self.exchange.pieces.get(self.next).cloned();
        match piece {
            Some(piece) => {
                self.next += 1;
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            None => self.end(),
        }
    }
}
