//! Requests of calls whose effects are recorded or replayed.

mod digest;
mod recorded;
mod replayed;

use std::sync::Arc;

use http::{Request, Uri};
use wasmtime_wasi_http::WasiBody;

use crate::call::Call;
use crate::effects::of_call::{CallEffects, Mode};
use crate::effects::script::Exchange;
use crate::effects::{Effect, RequestMade};
use crate::egress::destination::origin_of;
use crate::egress::scan::Scan;
use crate::egress::secret::Secrets;

pub(super) use replayed::replay;

/// How a request is answered.
pub(super) enum Source {
    /// From the network.
    Network,
    /// From the network, and what comes is kept.
    Recorded(Recorded),
    /// From the recording.
    Replayed(Arc<Exchange>),
    /// Not at all: the call is ending.
    Ended,
}

/// A request whose answer is kept.
#[derive(Clone)]
pub(super) struct Recorded {
    effects: Arc<CallEffects>,
    request: u32,
}

/// Takes a request's place in the order of the call's requests, which is the guest's.
pub(super) fn begin(call: &Call, request: &Request<WasiBody>) -> Source {
    let Some(effects) = &call.effects else {
        return Source::Network;
    };
    let secrets = &call.secrets;
    let made = |number| RequestMade {
        request: number,
        method: secrets.replace_in(request.method().as_str()),
        url: url_of(secrets, request.uri()),
        headers: digest::of_headers(secrets, request.headers()),
    };
    match &effects.mode {
        Mode::Record(recorder) => {
            let made = made(0);
            let size = made.method.len() + made.url.len() + made.headers.len();
            let kept = recorder.request(size as u64, |request| {
                Effect::Request(RequestMade { request, ..made })
            });
            match effects.kept(kept) {
                Ok(Some(request)) => Source::Recorded(Recorded {
                    effects: Arc::clone(effects),
                    request,
                }),
                // Left out, as the recording says.
                Ok(None) => Source::Network,
                Err(_) => Source::Ended,
            }
        }
        Mode::Replay(script) => match script.request(&made(0)) {
            Ok(exchange) => Source::Replayed(exchange),
            Err(cause) => {
                // Whoever polls the call sees it.
                let _ended = effects.fail(cause);
                Source::Ended
            }
        },
    }
}

/// A URL with stars for secrets. Where one can still be read in it, escaped once more than services
/// write it, only its origin is left.
fn url_of(secrets: &Secrets, uri: &Uri) -> String {
    let text = secrets.replace_in(&uri.to_string());
    match !secrets.is_empty() && Scan::finds(secrets, text.as_bytes()) {
        true => secrets.replace_in(&origin_of(uri)),
        false => text,
    }
}
