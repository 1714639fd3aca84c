//! What a failed request means for the host: by status and the service's own code first, by the
//! words of its message last, and only where a status leaves it open.

use crate::provider::Service;
use crate::provider::value::{self, NULL, Value};
use crate::{Error, Upstream};
use std::borrow::Cow;

/// Bytes of a service's message that are passed on.
const MAX_MESSAGE: usize = 2048;

/// Codes that say that the prompt does not fit: OpenAI, llama.cpp, Anthropic (32 MB of it).
const OVERFLOW_CODES: [&str; 3] = [
    "context_length_exceeded",
    "exceed_context_size_error",
    "request_too_large",
];

/// The same in words, for servers without a code for it: vLLM, SGLang, LM Studio, TGI and routers.
const OVERFLOW_TEXTS: [&str; 12] = [
    "context window exceeded",
    "maximum context length",
    "max context length",
    "prompt is too long",
    "context length exceeded",
    "too many input tokens",
    "input is too long",
    "exceeds the available context size",
    "longer than the maximum model length",
    "longer than the model's context length",
    "exceeds the context window",
    "context the overflows",
];

/// Codes of an account that cannot pay: waiting does not help.
const BILLING_CODES: [&str; 6] = [
    "billing_error",
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_credits",
    "insufficient_balance",
];

/// The same in words. Looked for only in answers that refuse for a quota (402, 403, 429).
const BILLING_TEXTS: [&str; 5] = [
    "exceeded your current quota",
    "insufficient credits",
    "insufficient balance",
    "payment required",
    "payment instrument",
];

/// Codes of requests that fail again however often they are sent.
const LASTING_CODES: [&str; 3] = [
    "invalid_request_error",
    "permission_error",
    "ValidationException",
];

/// Codes for a key that is wrong, not there any more or not allowed to ask: OpenAI and Anthropic, then Amazon.
const AUTH_CODES: [&str; 8] = [
    "invalid_api_key",
    "authentication_error",
    "AccessDeniedException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "MissingAuthenticationTokenException",
];

/// Codes of Amazon's services for what may succeed later, whatever the status: a model that failed on its way.
const TEMPORARY_CODES: [&str; 3] = [
    "ModelErrorException",
    "ModelStreamErrorException",
    "ModelTimeoutException",
];

/// Words with which services refuse an effort, beside its name: Anthropic and others, OpenAI, Amazon.
const EFFORT_TEXTS: [&str; 12] = [
    "invalid",
    "not supported",
    "must be one of",
    "not a valid",
    "unrecognized",
    "unknown",
    "only supported by",
    "is only supported",
    "unsupported value",
    "does not support",
    "supported values",
    "must satisfy",
];

/// Codes and words of a service that does not know the reasoning that it is given back.
const STALE_TEXTS: [&str; 4] = [
    "invalid `signature` in `thinking` block",
    "invalid signature in thinking block",
    "invalid_encrypted_content",
    "encrypted content could not be verified",
];

/// What a service said about a failure, wherever it put it.
#[derive(Debug, Default, PartialEq)]
struct Report {
    message: String,
    /// The error's own code; a number there is the status.
    code: Option<String>,
    kind: Option<String>,
    /// The field of the request that it is about.
    field: Option<String>,
    /// A status inside the report, which is all there is in the middle of a stream.
    status: Option<u16>,
    /// It names reasons why the content is refused, which no key would change.
    refused: bool,
}

/// The error of an answer that is no success.
///
/// - `auth-required`: 401, and 403 unless it is about money.
/// - `not-found`: the model, or nothing is at this place.
/// - `context-overflow`: the request is too large for the model.
/// - `unsupported`: the effort that was asked for.
/// - `conflict`: the reasoning that was given back.
/// - `upstream`: anything else; retryable where the same request may succeed later.
pub fn of_answer(
    service: &Service<'_>,
    status: u16,
    retry_after_ms: Option<u32>,
    body: &[u8],
) -> Error {
    of_coded_answer(service, status, retry_after_ms, None, body)
}

/// The same, where the service gives its code beside the body, as Amazon's do: `ThrottlingException`, or
/// `ThrottlingException:` and a URL.
pub fn of_coded_answer(
    service: &Service<'_>,
    status: u16,
    retry_after_ms: Option<u32>,
    code: Option<&str>,
    body: &[u8],
) -> Error {
    let mut report = Report::read(body);
    if let Some(code) = code {
        let code = code.split(':').next().unwrap_or(code);
        report.code = report.code.or_else(|| Some(code.to_owned()));
    }
    if let Some(error) = by_code(service, &report, Some(status), retry_after_ms) {
        return error;
    }
    let message = report.message.to_ascii_lowercase();
    match status {
        400 | 422 if service.effort && refuses_effort(&report, &message) => {
            Error::Unsupported(report.bounded())
        }
        400 | 422 if is_stale(&message) => Error::Conflict(report.bounded()),
        401 | 403 if !report.refused && !billing(status, &report) => {
            Error::AuthRequired(service.credential.to_owned())
        }
        404 if message.contains("model") => unknown_model(service.model, &report),
        404 => Error::NotFound(format!(
            "`{}` has no such path: config `base-url` must end where the server's API begins, often with `/v1`",
            service.base_url
        )),
        400 | 413 | 422 if overflow(&message) => Error::ContextOverflow(report.bounded()),
        // llama.cpp and others report some faults of the request as their own, but never this one.
        _ => {
            let temporary = TEMPORARY_CODES.iter().any(|code| report.says(code));
            let retryable = !billing(status, &report) && (temporary || is_temporary(status));
            report.upstream(Some(status), retryable, retry_after_ms)
        }
    }
}

/// The error that a server reports in the middle of a stream, or with a status of success.
pub fn in_stream(service: &Service<'_>, body: &[u8]) -> Error {
    let report = Report::read(body);
    let status = report.status;
    if let Some(error) = by_code(service, &report, status, None) {
        return error;
    }
    let message = report.message.to_ascii_lowercase();
    if overflow(&message) && status.is_none_or(|status| status < 429) {
        return Error::ContextOverflow(report.bounded());
    }
    if is_stale(&message) {
        return Error::Conflict(report.bounded());
    }
    // A request that was accepted and then failed without a reason is worth another attempt.
    let lasting = LASTING_CODES.iter().any(|code| report.says(code));
    let retryable = match status {
        Some(status) => is_temporary(status) && !billing(status, &report),
        None => !lasting,
    };
    report.upstream(status, retryable, None)
}

/// A reply that broke off or is not what the protocol allows: another attempt may succeed.
pub fn broken(message: &str) -> Error {
    Error::unreachable(message)
}

/// How an answer begins, for a message that says what it is not.
pub fn beginning(body: &[u8]) -> String {
    /// Bytes of it.
    const LIMIT: usize = 200;
    let start = body.get(..2 * LIMIT).unwrap_or(body);
    bounded(&String::from_utf8_lossy(start), LIMIT)
}

/// `text` cut to `limit` bytes, at a character and with a mark.
pub fn bounded(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

fn by_code(
    service: &Service<'_>,
    report: &Report,
    status: Option<u16>,
    retry_after_ms: Option<u32>,
) -> Option<Error> {
    if OVERFLOW_CODES.iter().any(|code| report.says(code)) {
        return Some(Error::ContextOverflow(report.bounded()));
    }
    if BILLING_CODES.iter().any(|code| report.says(code)) {
        return Some(report.upstream(status, false, retry_after_ms));
    }
    if report.says("invalid_encrypted_content") {
        return Some(Error::Conflict(report.bounded()));
    }
    let unpaid = status.is_some_and(|status| billing(status, report));
    if !unpaid && AUTH_CODES.iter().any(|code| report.says(code)) {
        return Some(Error::AuthRequired(service.credential.to_owned()));
    }
    let unknown = report.says("model_not_found")
        || report.says("ResourceNotFoundException")
        || report.says("ValidationException")
            && report.message.contains("model identifier is invalid");
    unknown.then(|| unknown_model(service.model, report))
}

/// By their words: thinking that is not supported at all, or an effort that is not known.
fn refuses_effort(report: &Report, message: &str) -> bool {
    let thinking = message.contains("thinking") && message.contains("not supported");
    let field = report.field.as_deref().unwrap_or_default();
    let named = ["effort", "output_config"]
        .iter()
        .any(|name| message.contains(name) || field.contains(name));
    thinking || named && EFFORT_TEXTS.iter().any(|text| message.contains(text))
}

fn is_stale(message: &str) -> bool {
    STALE_TEXTS.iter().any(|text| message.contains(text))
}

fn unknown_model(model: &str, report: &Report) -> Error {
    Error::NotFound(format!("unknown model `{model}`: {}", report.bounded()))
}

fn overflow(message: &str) -> bool {
    OVERFLOW_TEXTS.iter().any(|text| message.contains(text))
}

fn billing(status: u16, report: &Report) -> bool {
    let message = report.message.to_ascii_lowercase();
    status == 402
        || matches!(status, 403 | 429) && BILLING_TEXTS.iter().any(|text| message.contains(text))
}

/// 501 and 505 say what a server will never do.
fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599) && !matches!(status, 501 | 505)
}

impl Report {
    /// Whether this is its code or its type.
    fn says(&self, code: &str) -> bool {
        [&self.code, &self.kind]
            .into_iter()
            .any(|own| own.as_deref() == Some(code))
    }

    /// Reads `{"error": {…}}`, `{"error": "…"}`, a bare `{"message": …}` or `{"detail": …}`, or a
    /// list that begins with one of them; anything else is the message as it is.
    fn read(body: &[u8]) -> Self {
        let (mut report, metadata) = Self::parse(body);
        report.refused = metadata.get("reasons").elements().next().is_some();
        report.message = with_metadata(report.message, metadata);
        report
    }

    /// The report alone, and what stands beside it.
    fn parse(body: &[u8]) -> (Self, Value<'_>) {
        let body = body.trim_ascii();
        let Ok(whole) = value::parse(body) else {
            return (Self::of_text(body), NULL);
        };
        // Only the first element of a list counts: a list of errors repeats one cause.
        let whole = whole.elements().next().unwrap_or(whole);
        if !whole.is_object() {
            return (Self::of_text(body), NULL);
        }
        // Servers do not agree on the depth.
        let error = whole.get("error");
        let text = error.string();
        let own = if error.is_null() || text.is_some() {
            whole
        } else {
            error
        };
        let mut report = Self::of_document(own);
        if let Some(text) = text {
            report.message = text.into_owned();
        }
        (report, own.get("metadata"))
    }

    fn of_text(text: &[u8]) -> Self {
        let start = &text[..text.len().min(2 * MAX_MESSAGE)];
        Self {
            message: String::from_utf8_lossy(start).into_owned(),
            ..Self::default()
        }
    }

    fn of_document(document: Value<'_>) -> Self {
        let [message, detail, code, status, kind, field] =
            document.pick(["message", "detail", "code", "status", "type", "param"]);
        let number = code.number();
        let status = number.or_else(|| status.number());
        let status = status.and_then(|status| u16::try_from(status).ok());
        let said = message.owned().or_else(|| detail.owned());
        Self {
            message: said.unwrap_or_else(|| document.raw().to_owned()),
            code: code.owned().filter(|_| number.is_none()),
            kind: kind.owned(),
            field: field.owned(),
            status: status.filter(|status| (400..600).contains(status)),
            refused: false,
        }
    }

    fn bounded(&self) -> String {
        bounded(&self.message, MAX_MESSAGE)
    }

    fn upstream(&self, status: Option<u16>, retryable: bool, retry_after_ms: Option<u32>) -> Error {
        let code = self
            .code
            .as_ref()
            .or(self.kind.as_ref())
            .map(|code| bounded(code, 128));
        Error::Upstream(Upstream {
            status,
            code,
            message: self.bounded(),
            retryable,
            retry_after_ms,
        })
    }
}

/// The message with the words of the service behind a router, whose own message is often no more than "Provider
/// returned error". That service's code is left out: a key that is refused there is not the user's. Shape: OpenRouter's
/// page on errors, as of November 2026.
fn with_metadata(message: String, metadata: Value<'_>) -> String {
    let [raw, reasons, name] = metadata.pick(["raw", "reasons", "provider_name"]);
    let raw = match raw.string() {
        Some(text) => text,
        None if raw.is_null() => Cow::Borrowed(""),
        None => Cow::Borrowed(raw.raw()),
    };
    let (behind, _) = Report::parse(raw.as_bytes());
    let mut said = reasons.texts();
    said.push(behind.message);
    said.retain(|text| !text.is_empty() && !message.contains(text.as_str()));
    let said = said.join(", ");
    match (name.string(), said.is_empty()) {
        (None, true) => message,
        (Some(name), true) => format!("{message} ({name})"),
        (None, false) => format!("{message}: {said}"),
        (Some(name), false) => format!("{message} ({name}: {said})"),
    }
}

#[cfg(test)]
mod tests;
