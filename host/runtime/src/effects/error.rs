//! The errors of requests, in a form that can be kept.

use serde::{Deserialize, Serialize};
use wasmtime_wasi_http::Error;

/// An error that a guest gets in place of an answer or of the rest of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpFailure {
    /// As `wasi:http` names it: `connection-refused`.
    pub code: String,
    /// The text that comes with it, where one does: the name of a header or coding, a response code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The number that comes with it, where one does: a size in bytes, a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// One line for each error: its name, and where its text and its number are.
macro_rules! failures {
    (
        plain { $($plain:ident $plain_code:literal,)* }
        size { $($size:ident $size_code:literal,)* }
        text { $($text:ident $text_code:literal,)* }
        both { $($both:ident { $words:ident, $number:ident } $both_code:literal,)* }
    ) => {
        fn parts(error: &Error) -> Option<(&'static str, Option<String>, Option<u64>)> {
            Some(match error {
                $(Error::$plain => ($plain_code, None, None),)*
                $(Error::$size(size) => ($size_code, None, size.map(Into::into)),)*
                $(Error::$text(text) => ($text_code, text.clone(), None),)*
                $(Error::$both { $words, $number } => ($both_code, $words.clone(), $number.map(Into::into)),)*
                _ => return None,
            })
        }

        fn of_parts(code: &str, text: Option<String>, number: Option<u64>) -> Option<Error> {
            Some(match code {
                $($plain_code => Error::$plain,)*
                $($size_code => Error::$size(number.and_then(|number| number.try_into().ok())),)*
                $($text_code => Error::$text(text),)*
                $($both_code => Error::$both {
                    $words: text,
                    $number: number.and_then(|number| number.try_into().ok()),
                },)*
                _ => return None,
            })
        }

        #[cfg(test)]
        const CODES: &[&str] = &[$($plain_code,)* $($size_code,)* $($text_code,)* $($both_code,)*];
    };
}

failures! {
    plain {
        DnsTimeout "DNS-timeout",
        DestinationNotFound "destination-not-found",
        DestinationUnavailable "destination-unavailable",
        DestinationIpProhibited "destination-IP-prohibited",
        DestinationIpUnroutable "destination-IP-unroutable",
        ConnectionRefused "connection-refused",
        ConnectionTerminated "connection-terminated",
        ConnectionTimeout "connection-timeout",
        ConnectionReadTimeout "connection-read-timeout",
        ConnectionWriteTimeout "connection-write-timeout",
        ConnectionLimitReached "connection-limit-reached",
        TlsProtocolError "TLS-protocol-error",
        TlsCertificateError "TLS-certificate-error",
        HttpRequestDenied "HTTP-request-denied",
        HttpRequestLengthRequired "HTTP-request-length-required",
        HttpRequestMethodInvalid "HTTP-request-method-invalid",
        HttpRequestUriInvalid "HTTP-request-URI-invalid",
        HttpRequestUriTooLong "HTTP-request-URI-too-long",
        HttpResponseIncomplete "HTTP-response-incomplete",
        HttpResponseTimeout "HTTP-response-timeout",
        HttpUpgradeFailed "HTTP-upgrade-failed",
        HttpProtocolError "HTTP-protocol-error",
        LoopDetected "loop-detected",
        ConfigurationError "configuration-error",
    }
    size {
        HttpRequestBodySize "HTTP-request-body-size",
        HttpRequestHeaderSectionSize "HTTP-request-header-section-size",
        HttpRequestTrailerSectionSize "HTTP-request-trailer-section-size",
        HttpResponseHeaderSectionSize "HTTP-response-header-section-size",
        HttpResponseBodySize "HTTP-response-body-size",
        HttpResponseTrailerSectionSize "HTTP-response-trailer-section-size",
    }
    text {
        HttpResponseTransferCoding "HTTP-response-transfer-coding",
        HttpResponseContentCoding "HTTP-response-content-coding",
        InternalError "internal-error",
    }
    both {
        DnsError { rcode, info_code } "DNS-error",
        TlsAlertReceived { alert_message, alert_id } "TLS-alert-received",
        HttpRequestHeaderSize { field_name, field_size } "HTTP-request-header-size",
        HttpRequestTrailerSize { field_name, field_size } "HTTP-request-trailer-size",
        HttpResponseHeaderSize { field_name, field_size } "HTTP-response-header-size",
        HttpResponseTrailerSize { field_name, field_size } "HTTP-response-trailer-size",
    }
}

impl HttpFailure {
    /// What has no name of its own is an internal error with its words.
    pub(crate) fn of(error: &Error) -> Self {
        let (code, text, number) =
            parts(error).unwrap_or_else(|| ("internal-error", Some(error.to_string()), None));
        Self {
            code: code.to_owned(),
            text,
            number,
        }
    }

    /// As the guest gets it.
    pub(crate) fn error(&self) -> Error {
        of_parts(&self.code, self.text.clone(), self.number)
            .unwrap_or_else(|| Error::InternalError(Some(self.code.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_comes_back_as_it_was() {
        for code in CODES {
            for (text, number) in [(None, None), (Some("x".to_owned()), Some(7))] {
                let error = of_parts(code, text, number).unwrap();
                let kept = HttpFailure::of(&error);
                assert_eq!(kept.code, *code);
                let json = serde_json::to_string(&kept).unwrap();
                let back: HttpFailure = serde_json::from_str(&json).unwrap();
                assert_eq!(format!("{:?}", back.error()), format!("{error:?}"));
            }
        }
    }
}
