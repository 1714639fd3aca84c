//! Errors in the shape of the OpenAI API: `{"error": {"message", "type", "param", "code"}}`.

use serde_json::{Value, json};

/// One refusal: an HTTP status and what stands in the `error` object.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
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

    /// The body of the answer.
    pub(crate) fn body(&self) -> Value {
        json!({"error": {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        }})
    }
}
