//! The way out, for those who measure what it costs.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::RequestOptions;

use crate::call::{Call, CallContext, CallParts, Unobserved};
use crate::egress::credential::Credential;
use crate::egress::traffic::Traffic;
use crate::plugin::Setup;
use crate::runtime::Runtime;

/// Requests of a plugin that is not there.
#[doc(hidden)]
#[derive(Debug)]
pub struct Probe {
    runtime: Arc<Runtime>,
    setup: Arc<Setup>,
}

impl Probe {
    /// Requests under this grant, with these credentials.
    pub fn new(runtime: Arc<Runtime>, setup: Setup) -> Self {
        runtime.learn_secrets(setup.credentials.iter().flat_map(Credential::secrets));
        Self {
            runtime,
            setup: Arc::new(setup),
        }
    }

    /// Posts `body` and returns the length of the answer's body.
    ///
    /// # Errors
    /// In words.
    pub async fn post(&self, url: &str, body: Bytes) -> Result<usize, String> {
        let call = Call::new(CallParts {
            plugin: "probe/probe".to_owned(),
            context: CallContext::default(),
            observer: Arc::new(Unobserved),
            sink: None,
            cancel: CancellationToken::new(),
            network: Arc::clone(&self.runtime.network),
            secrets: self.runtime.secrets.current(),
            traffic: Arc::new(Traffic::new(&self.setup.limits)),
            timeout: self.setup.limits.timeout,
            setup: Arc::clone(&self.setup),
        });
        let request = Request::post(url).header("content-length", body.len());
        let body = Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = request.body(body).map_err(|error| error.to_string())?;
        let response = super::send(call, request, RequestOptions::default())
            .await
            .map_err(|error| error.to_string())?;
        let answer = response.into_body().collect().await;
        Ok(answer.map_err(|error| error.to_string())?.to_bytes().len())
    }
}
