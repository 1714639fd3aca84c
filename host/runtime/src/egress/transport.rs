//! What carries requests: the network, or recordings in its place. A transport is asked last, when everything about a
//! request has been decided, and decides nothing itself.

use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::egress::body::Sent;
use crate::egress::connect::{CONNECT_LIMIT, Clients};
use crate::egress::failure::Failure;

/// The body of an answer as it comes, before anything of it was looked at.
pub(crate) type Incoming = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// How a request is carried.
pub(crate) struct Way {
    /// With TLS.
    pub(crate) secure: bool,
    /// Whether the place may be a private address.
    pub(crate) private_ok: bool,
    pub(crate) port: u16,
    /// Time for connecting.
    pub(crate) connect: Duration,
}

/// Carries one request and brings the beginning of its answer. Whoever asks ends it when its time is over.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    async fn exchange(
        &self,
        request: Request<WasiBody>,
        way: &Way,
        sent: &Sent,
    ) -> Result<Response<Incoming>, Failure>;
}

#[async_trait]
impl Transport for Clients {
    async fn exchange(
        &self,
        request: Request<WasiBody>,
        way: &Way,
        sent: &Sent,
    ) -> Result<Response<Incoming>, Failure> {
        let client = self
            .get(way.secure, way.private_ok)
            .map_err(|error| Failure::new(Error::ConfigurationError, error.to_string()))?;
        let answered = CONNECT_LIMIT.scope(way.connect, client.request(request));
        match answered.await {
            Ok(response) => Ok(response.map(|body| body.map_err(Box::from).boxed_unsync())),
            Err(error) => Err(Failure::of_client(&error, way.port, sent)),
        }
    }
}
