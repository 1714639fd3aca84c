//! Why a request did not come back: the typed error that a guest sees, and words for the record.

use std::error::Error as StdError;
use std::io;

use wasmtime_wasi_http::Error;

use crate::egress::body::Sent;
use crate::egress::connect::ConnectError;

/// A request that did not come back.
pub(crate) struct Failure {
    pub(super) error: Error,
    pub(super) text: String,
    /// Why the host refused it, when it did.
    pub(super) denial: Option<String>,
}

impl Failure {
    pub(super) fn new(error: Error, text: impl Into<String>) -> Self {
        Self {
            error,
            text: text.into(),
            denial: None,
        }
    }

    pub(super) fn denied(error: Error, detail: String) -> Self {
        Self {
            error,
            text: detail.clone(),
            denial: Some(detail),
        }
    }

    /// What the body's end says comes before what the connection made of it.
    pub(super) fn of_body(sent: &Sent) -> Option<Self> {
        let stopped = sent.stopped()?;
        Some(Self {
            error: stopped.error(),
            text: stopped.to_string(),
            denial: stopped.is_denial().then(|| stopped.to_string()),
        })
    }

    pub(super) fn of_client(
        error: &hyper_util::client::legacy::Error,
        port: u16,
        sent: &Sent,
    ) -> Self {
        if let Some(failure) = Self::of_body(sent) {
            return failure;
        }
        let typed = if error.is_connect() {
            Error::ConnectionRefused
        } else {
            Error::ConnectionTerminated
        };
        let mut failure = Self::new(typed, error.to_string());
        let mut next: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(cause) = next {
            failure.text = cause.to_string();
            if let Some(cause) = cause.downcast_ref::<ConnectError>() {
                failure.connect(cause, port);
                break;
            }
            if let Some(typed) = typed_cause(cause) {
                failure.error = typed;
            }
            // An I/O error hides what it wraps from `source`.
            next = match cause
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(inner) => Some(inner),
                None => cause.source(),
            };
        }
        failure
    }

    fn connect(&mut self, cause: &ConnectError, port: u16) {
        self.error = match cause {
            ConnectError::Lookup { source, .. } => Error::DnsError {
                rcode: Some(source.to_string()),
                info_code: None,
            },
            ConnectError::Prohibited { host, .. } => {
                self.denial = Some(format!(
                    "{cause}; where that is meant, name the host with its port in the plugin's grant: http = [{{ host = \"{host}\", port = {port} }}]; link-local addresses are never allowed"
                ));
                Error::DestinationIpProhibited
            }
            ConnectError::Refused { .. } => Error::ConnectionRefused,
            ConnectError::Timeout { .. } => Error::ConnectionTimeout,
            ConnectError::Roots { .. } | ConnectError::Tls(_) => Error::ConfigurationError,
        };
    }
}

fn typed_cause(cause: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(cause) = cause.downcast_ref::<rustls::Error>() {
        return Some(match cause {
            rustls::Error::InvalidCertificate(_) => Error::TlsCertificateError,
            rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
                alert_id: Some(u8::from(*alert)),
                alert_message: None,
            },
            _ => Error::TlsProtocolError,
        });
    }
    let cause = cause.downcast_ref::<hyper::Error>()?;
    if cause.is_parse_too_large() {
        Some(Error::HttpResponseHeaderSectionSize(None))
    } else if cause.is_parse() {
        Some(Error::HttpProtocolError)
    } else if cause.is_incomplete_message() {
        Some(Error::HttpResponseIncomplete)
    } else {
        None
    }
}
