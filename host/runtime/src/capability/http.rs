//! `wasi:http`: its types are wasmtime's, its one way out is [`crate::egress`].

use std::future::Future;
use std::sync::Arc;

use http::{Request, Response};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

use crate::call::Call;
use crate::egress;
use crate::state::PluginState;

/// The interface's types, in the version that wasmtime links.
const TYPES: &str = "wasi:http/types@0.2.12";

pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    linker
        .instance(TYPES)?
        .func_wrap("http-error-code", error_code)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What ended the body of an answer. wasmtime's own function looks for the guest's type of error
/// and does not find it, for a body ends with the host's: a guest would see a broken stream in
/// place of a refusal or a limit.
fn error_code(
    mut store: StoreContextMut<'_, PluginState>,
    (error,): (Resource<wasmtime::Error>,),
) -> wasmtime::Result<(Option<ErrorCode>,)> {
    let error = store.data_mut().http().table.get(&error)?;
    let code = match error.downcast_ref::<ErrorCode>() {
        Some(code) => Some(code.clone()),
        None => error.downcast_ref::<Error>().map(typed),
    };
    Ok((code,))
}

/// The errors with which bodies end here ([`egress`]).
fn typed(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::HttpRequestDenied => ErrorCode::HttpRequestDenied,
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::HttpResponseContentCoding(name) => {
            ErrorCode::HttpResponseContentCoding(name.clone())
        }
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

/// Sends the requests of one call.
pub(crate) struct Hooks(pub(crate) Arc<Call>);

type Sent = (
    Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let sent = egress::send(Arc::clone(&self.0), request, options.unwrap_or_default());
        Box::new(async move {
            let response = sent.await?;
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}
