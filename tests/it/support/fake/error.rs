//! Errors of the services; each writes them in a shape of its own (`Service::error_body`).

/// One refusal: an HTTP status and what is said about it.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// The type of the error: `rate_limit_error`, `ThrottlingException`.
    pub(crate) kind: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
}

impl ApiError {
    /// An error of type `kind` with neither parameter nor code.
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            kind,
            param: None,
            code: None,
            message,
        }
    }

    /// A 400 about the part of the request that `param` names.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(400, "invalid_request_error", message);
        Self {
            param: Some(param.into()),
            ..error
        }
    }

    /// The same error with a `code`.
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }
}
