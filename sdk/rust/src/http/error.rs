//! Why a request failed, by what its sender does next.

use std::{fmt, io};

use wasip2::http::types::ErrorCode;

use crate::Error as PluginError;

/// A request without a response. The text names the cause.
///
/// Converts into the contract's error: a denial stays one, a timeout too, a request that can never
/// work is `internal`, a limit or too many requests `limit`, and the rest is `upstream` without a
/// status, retryable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be expressed: its URL, a header. Nothing was sent.
    Invalid(String),
    /// Outside the plugin's grant, or the name leads to an address that is never allowed.
    Denied(String),
    /// No connection, no first byte or no further byte in time.
    Timeout(String),
    /// The host's name has no address.
    Dns(String),
    /// Nobody listens there, or the address has no route.
    Refused(String),
    /// The connection was cut, or the answer ended early.
    Connection(String),
    /// The other side's certificate or its TLS is not acceptable.
    Tls(String),
    /// Head or body of request or answer is over a limit.
    TooLarge(String),
    /// More requests than the plugin may send, in a minute or at one time.
    TooMany(String),
    /// The answer is no HTTP, or the host failed.
    Protocol(String),
}

impl Error {
    fn of(code: ErrorCode) -> Self {
        use ErrorCode as Code;
        let text = describe(&code);
        match code {
            Code::HttpRequestDenied | Code::DestinationIpProhibited => Self::Denied(text),
            Code::ConnectionTimeout
            | Code::ConnectionReadTimeout
            | Code::ConnectionWriteTimeout
            | Code::HttpResponseTimeout
            | Code::DnsTimeout => Self::Timeout(text),
            Code::DnsError(_) | Code::DestinationNotFound => Self::Dns(text),
            Code::ConnectionRefused
            | Code::DestinationUnavailable
            | Code::DestinationIpUnroutable => Self::Refused(text),
            Code::ConnectionLimitReached => Self::TooMany(text),
            Code::ConnectionTerminated | Code::HttpResponseIncomplete => Self::Connection(text),
            Code::TlsProtocolError | Code::TlsCertificateError | Code::TlsAlertReceived(_) => {
                Self::Tls(text)
            }
            Code::HttpRequestBodySize(_)
            | Code::HttpRequestUriTooLong
            | Code::HttpRequestHeaderSectionSize(_)
            | Code::HttpRequestHeaderSize(_)
            | Code::HttpRequestTrailerSectionSize(_)
            | Code::HttpRequestTrailerSize(_)
            | Code::HttpResponseHeaderSectionSize(_)
            | Code::HttpResponseHeaderSize(_)
            | Code::HttpResponseBodySize(_)
            | Code::HttpResponseTrailerSectionSize(_)
            | Code::HttpResponseTrailerSize(_) => Self::TooLarge(text),
            Code::HttpRequestMethodInvalid
            | Code::HttpRequestUriInvalid
            | Code::HttpRequestLengthRequired => Self::Invalid(text),
            _ => Self::Protocol(text),
        }
    }

    /// The cause in words, without its kind.
    pub fn message(&self) -> &str {
        match self {
            Self::Invalid(text)
            | Self::Denied(text)
            | Self::Timeout(text)
            | Self::Dns(text)
            | Self::Refused(text)
            | Self::Connection(text)
            | Self::Tls(text)
            | Self::TooLarge(text)
            | Self::TooMany(text)
            | Self::Protocol(text) => text,
        }
    }
}

/// Words for the cases that people meet, the code's own name for the others.
fn describe(code: &ErrorCode) -> String {
    use ErrorCode as Code;
    let text = match code {
        Code::HttpRequestDenied => {
            "the request is outside this plugin's grant; `[[request.http]]` in its manifest must \
             list the host, method and path, and the user must grant it"
        }
        Code::DestinationIpProhibited => "the host's name leads to an address that is not allowed",
        Code::ConnectionLimitReached => {
            "more requests than `requests-per-minute` or `requests-at-once` in this plugin's \
             `[limits]` allow"
        }
        Code::ConnectionTimeout => "no connection in time",
        Code::HttpResponseTimeout => "no response in time",
        Code::ConnectionReadTimeout => "the response stalled",
        Code::ConnectionRefused => "connection refused",
        Code::ConnectionTerminated => "the connection was cut",
        Code::HttpResponseIncomplete => "the connection was cut before the response was complete",
        Code::DnsTimeout => "name look-up timed out",
        Code::DestinationNotFound | Code::DnsError(_) => "the host's name has no address",
        Code::TlsCertificateError => "the server's certificate is not valid",
        Code::HttpResponseBodySize(Some(limit)) => {
            return format!("response body over {limit} bytes");
        }
        Code::HttpResponseBodySize(None) => "response body over the limit",
        Code::InternalError(Some(text)) => text,
        _ => return format!("{code:?}").replace("ErrorCode::", ""),
    };
    text.to_owned()
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::of(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl std::error::Error for Error {}

impl From<Error> for PluginError {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(text) => Self::denied("http", text),
            Error::Timeout(_) => Self::Timeout,
            Error::TooLarge(text) | Error::TooMany(text) => Self::Limit(text),
            Error::Invalid(text) => Self::Internal(text),
            Error::Dns(text)
            | Error::Refused(text)
            | Error::Connection(text)
            | Error::Tls(text)
            | Error::Protocol(text) => Self::unreachable(text),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Invalid(_) => io::ErrorKind::InvalidInput,
            Error::Denied(_) => io::ErrorKind::PermissionDenied,
            Error::Timeout(_) => io::ErrorKind::TimedOut,
            Error::Dns(_) => io::ErrorKind::NotFound,
            Error::Refused(_) => io::ErrorKind::ConnectionRefused,
            Error::Connection(_) => io::ErrorKind::ConnectionReset,
            Error::Tls(_) | Error::TooLarge(_) | Error::TooMany(_) | Error::Protocol(_) => {
                io::ErrorKind::Other
            }
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_what_the_sender_does_next() {
        let denied = Error::of(ErrorCode::HttpRequestDenied);
        assert!(denied.message().contains("[[request.http]]"), "{denied}");
        assert!(matches!(
            PluginError::from(denied),
            PluginError::Denied(denial) if denial.capability == "http"
        ));
        let address = PluginError::from(Error::of(ErrorCode::DestinationIpProhibited));
        assert!(matches!(address, PluginError::Denied(_)));
        for code in [ErrorCode::ConnectionTimeout, ErrorCode::HttpResponseTimeout] {
            assert!(matches!(
                PluginError::from(Error::of(code)),
                PluginError::Timeout
            ));
        }
        for code in [
            ErrorCode::ConnectionRefused,
            ErrorCode::DestinationNotFound,
            ErrorCode::TlsCertificateError,
            ErrorCode::InternalError(Some("broken".to_owned())),
        ] {
            let PluginError::Upstream(upstream) = PluginError::from(Error::of(code)) else {
                panic!("not upstream");
            };
            assert!(upstream.retryable && upstream.status.is_none());
        }
        let large = PluginError::from(Error::of(ErrorCode::HttpResponseBodySize(Some(9))));
        assert!(matches!(large, PluginError::Limit(text) if text.contains('9')));
        let many = PluginError::from(Error::of(ErrorCode::ConnectionLimitReached));
        assert!(matches!(many, PluginError::Limit(text) if text.contains("requests-per-minute")));
    }

    #[test]
    fn text_of_rare_codes_is_their_name() {
        assert_eq!(Error::of(ErrorCode::LoopDetected).message(), "LoopDetected");
    }

    #[test]
    fn wrapped_in_an_io_error_it_is_found_again() {
        let error = io::Error::from(Error::Timeout("slow".to_owned()));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>());
        assert_eq!(inner, Some(&Error::Timeout("slow".to_owned())));
    }
}
