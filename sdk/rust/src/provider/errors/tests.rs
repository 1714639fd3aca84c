use super::*;

const SERVICE: Service<'_> = Service {
    base_url: "http://a/v1",
    credential: "openai",
    model: "m-1",
    effort: false,
};

fn answer(status: u16, body: &str) -> Error {
    of_answer(&SERVICE, status, Some(7), body.as_bytes())
}

fn in_stream(body: &[u8]) -> Error {
    super::in_stream(&SERVICE, body)
}

fn upstream(error: Error) -> Upstream {
    match error {
        Error::Upstream(upstream) => upstream,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_prompt_that_does_not_fit() {
    for (status, body) in [
        (
            400,
            r#"{"error":{"code":"context_length_exceeded","message":"x","type":"invalid_request_error"}}"#,
        ),
        (
            400,
            r#"{"error":{"code":400,"type":"exceed_context_size_error","message":"request (120009 tokens) exceeds"}}"#,
        ),
        (
            500,
            r#"{"error":{"code":500,"type":"exceed_context_size_error","message":"x"}}"#,
        ),
        (
            400,
            r#"{"object":"error","message":"This model's Maximum Context Length is 4096 tokens","type":"BadRequestError","code":400}"#,
        ),
        (422, r#"{"detail":"Prompt is too long"}"#),
        (413, "the input is too long"),
    ] {
        assert!(
            matches!(answer(status, body), Error::ContextOverflow(_)),
            "{body}"
        );
    }
}

#[test]
fn words_do_not_overrule_a_status() {
    // A token-rate limit is no overflow, and numbers in a text are no statuses.
    let limited = upstream(answer(
        429,
        r#"{"error":{"message":"too many input tokens per minute"}}"#,
    ));
    assert!(limited.retryable);
    let bad = upstream(answer(
        400,
        r#"{"error":{"message":"max 5000 tokens, see 503 geofence","param":"n","code":null}}"#,
    ));
    assert!(!bad.retryable && bad.code.is_none());
    assert!(
        !upstream(answer(
            400,
            r#"{"error":"insufficient credits of 429 attention"}"#
        ))
        .retryable
    );
}

#[test]
fn who_may_ask() {
    for status in [401, 403] {
        assert!(matches!(answer(status, "{}"), Error::AuthRequired(name) if name == "openai"));
    }
    let body =
        r#"{"error":{"code":401,"type":"authentication_error","message":"Invalid API Key"}}"#;
    assert!(matches!(answer(401, body), Error::AuthRequired(_)));
    let unpaid = upstream(answer(
        403,
        r#"{"error":{"message":"Insufficient credits"}}"#,
    ));
    assert!(!unpaid.retryable);
}

#[test]
fn what_is_not_there_is_named() {
    for body in [
        r#"{"error":{"message":"The model `m-1` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#,
        r#"{"object":"error","message":"The model `m-1` does not exist.","type":"NotFoundError","code":404}"#,
        r#"{"error":{"message":"model \"m-1\" not found, try pulling it first"}}"#,
    ] {
        assert!(
            matches!(answer(404, body), Error::NotFound(message) if message.starts_with("unknown model `m-1`")),
            "{body}"
        );
    }
    let path = answer(404, "<html>404 page not found</html>");
    assert!(
        matches!(path, Error::NotFound(message) if message.contains("`http://a/v1`") && message.contains("base-url"))
    );
    let early = answer(
        400,
        r#"{"error":{"code":"model_not_found","message":"no"}}"#,
    );
    assert!(matches!(early, Error::NotFound(_)));
}

#[test]
fn temporary_or_not() {
    for (status, retryable) in [
        (400, false),
        (402, false),
        (405, false),
        (408, true),
        (409, false),
        (429, true),
        (500, true),
        (501, false),
        (502, true),
        (503, true),
        (529, true),
    ] {
        let error = upstream(answer(
            status,
            r#"{"error":{"message":"x","type":"server_error"}}"#,
        ));
        assert_eq!((error.retryable, error.status), (retryable, Some(status)));
        assert_eq!(
            (error.retry_after_ms, error.code.as_deref()),
            (Some(7), Some("server_error"))
        );
    }
    for body in [
        r#"{"error":{"message":"You exceeded your current quota, please check","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        r#"{"error":{"message":"x","code":"billing_hard_limit_reached"}}"#,
        r#"{"error":{"message":"You exceeded your current quota"}}"#,
    ] {
        assert!(!upstream(answer(429, body)).retryable, "{body}");
    }
}

#[test]
fn errors_inside_a_stream() {
    let server = upstream(in_stream(
        br#"{"error":{"code":500,"message":"boom","type":"server_error"}}"#,
    ));
    assert_eq!(
        (server.status, server.retryable, server.message.as_str()),
        (Some(500), true, "boom")
    );
    assert!(upstream(in_stream(br#"{"error":"boom"}"#)).retryable);
    assert!(!upstream(in_stream(br#"{"error":{"code":"400","message":"bad"}}"#,)).retryable);
    assert!(
        !upstream(in_stream(
            br#"{"error":{"code":"insufficient_quota","message":"bad"}}"#,
        ))
        .retryable
    );
    assert!(matches!(
        in_stream(br#"{"error":{"message":"maximum context length is 5"}}"#,),
        Error::ContextOverflow(_)
    ));
    assert!(
        upstream(in_stream(
            br#"{"error":{"code":429,"message":"too many input tokens"}}"#,
        ))
        .retryable
    );
}

#[test]
fn every_shape_is_read_and_bounded() {
    for (body, message) in [
        (
            r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#,
            "slow",
        ),
        (r#"{"message":"bare"}"#, "bare"),
        (r#"{"error":null,"message":"bare"}"#, "bare"),
        ("  plain  ", "plain"),
        (r#"{"error":{}}"#, "{}"),
        ("[]", "[]"),
        ("7", "7"),
        ("", ""),
    ] {
        assert_eq!(Report::read(body.as_bytes()).message, message, "{body}");
    }
    let long = upstream(answer(500, &"ü".repeat(9000)));
    assert!(long.message.len() <= MAX_MESSAGE && long.message.ends_with('…'));
    let binary = of_answer(&SERVICE, 500, None, &[0xff; 5000]);
    assert!(upstream(binary).message.len() <= MAX_MESSAGE);
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(upstream(answer(500, &deep)).message.starts_with("[["));
}

/// Vector 60 of the specification.
#[test]
fn an_effort_that_is_refused_is_told_from_other_refusals() {
    let asked = Service {
        effort: true,
        ..SERVICE
    };
    let refused = |service: &Service<'_>, message: &str| {
        let body = format!(r#"{{"error":{{"message":"{message}"}}}}"#);
        matches!(
            of_answer(service, 400, None, body.as_bytes()),
            Error::Unsupported(_)
        )
    };
    for message in [
        "thinking is not supported",
        "effort 'max' invalid",
        "Unknown parameter: reasoning_effort",
        "output_config.effort: must be one of low, medium",
        "Unsupported value: 'reasoning_effort' does not support 'max' with this model.",
        "This model does not support effort level 'max'. Supported levels: low, medium, high.",
        "1 validation error detected: Value at 'outputConfig.effort' failed to satisfy constraint: Member must satisfy enum value set",
    ] {
        assert!(refused(&asked, message), "{message}");
        // Nobody asked for one: it is something else.
        assert!(!refused(&SERVICE, message), "{message}");
    }
    // Where the message does not name it, the field does.
    let body = r#"{"error":{"message":"Invalid value: 'max'. Supported values are: 'low'.","param":"reasoning.effort"}}"#;
    let by_field = of_answer(&asked, 400, None, body.as_bytes());
    assert!(matches!(by_field, Error::Unsupported(_)), "{by_field:?}");
    assert!(!refused(&asked, "effort too big"));
    assert!(!refused(&asked, "unknown parameter: top_q"));
}

#[test]
fn reasoning_that_is_not_known_any_more_is_told_from_other_refusals() {
    for body in [
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0: Invalid `signature` in `thinking` block"}}"#,
        r#"{"error":{"message":"The encrypted content could not be verified.","type":"invalid_request_error","code":"invalid_encrypted_content"}}"#,
    ] {
        assert!(matches!(answer(400, body), Error::Conflict(_)), "{body}");
    }
}

#[test]
fn anthropic_reports_by_type_with_and_without_a_status() {
    let body =
        |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
    let overloaded = upstream(answer(529, &body("overloaded_error")));
    assert!(overloaded.retryable && overloaded.code.as_deref() == Some("overloaded_error"));
    for (kind, retryable) in [
        ("overloaded_error", true),
        ("api_error", true),
        ("rate_limit_error", true),
        ("invalid_request_error", false),
        ("billing_error", false),
    ] {
        let error = upstream(in_stream(body(kind).as_bytes()));
        assert_eq!(error.retryable, retryable, "{kind}");
    }
    assert!(matches!(
        answer(413, &body("request_too_large")),
        Error::ContextOverflow(_)
    ));
    assert!(matches!(
        answer(401, &body("authentication_error")),
        Error::AuthRequired(_)
    ));
}

#[test]
fn a_router_passes_on_what_the_service_behind_it_said() {
    for (metadata, message) in [
        (
            r#"{"provider_name":"Anthropic","raw":"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}"}"#,
            "Provider returned error (Anthropic: Overloaded)",
        ),
        (
            r#"{"provider_name":"Chutes","raw":"busy, try later"}"#,
            "Provider returned error (Chutes: busy, try later)",
        ),
        (
            r#"{"raw":{"error":{"message":"m","metadata":{"raw":"x"}}}}"#,
            "Provider returned error: m",
        ),
        (
            r#"{"provider_name":"X","raw":null}"#,
            "Provider returned error (X)",
        ),
        (r#"{"raw":""}"#, "Provider returned error"),
        ("7", "Provider returned error"),
        (
            r#"{"provider_name":{"a":1},"raw":[]}"#,
            "Provider returned error: []",
        ),
    ] {
        let body = format!(
            r#"{{"error":{{"code":429,"message":"Provider returned error","metadata":{metadata}}}}}"#
        );
        let error = upstream(answer(429, &body));
        assert_eq!((error.message.as_str(), error.retryable), (message, true));
        assert_eq!(upstream(in_stream(body.as_bytes())).message, message);
    }
    let full = r#"{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"prompt is too long: 9 tokens > 8 maximum\"}}"}}}"#;
    assert!(matches!(answer(400, full), Error::ContextOverflow(_)));
    // A key that the router holds is not the user's.
    let theirs = r#"{"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"code\":\"invalid_api_key\",\"message\":\"no\"}}"}}}"#;
    assert!(upstream(answer(502, theirs)).retryable);
}

#[test]
fn content_that_a_router_refuses_needs_no_key() {
    let body = r#"{"error":{"code":403,"message":"Input was flagged","metadata":{"reasons":["violence"],"flagged_input":"…","provider_name":"OpenAI"}}}"#;
    let error = upstream(answer(403, body));
    assert_eq!(
        (error.message.as_str(), error.retryable),
        ("Input was flagged (OpenAI: violence)", false)
    );
}

#[test]
fn an_account_that_cannot_pay_is_not_asked_again() {
    for body in [
        r#"{"error":"You have exceeded your monthly included credits for Inference Providers."}"#,
        r#"{"error":{"code":402,"message":"Insufficient credits"}}"#,
    ] {
        let error = upstream(answer(402, body));
        assert_eq!((error.status, error.retryable), (Some(402), false));
    }
    let streamed = in_stream(br#"{"error":{"code":402,"message":"Insufficient credits"}}"#);
    assert!(!upstream(streamed).retryable);
}

#[test]
fn amazon_gives_its_code_in_a_header() {
    let answer = |status, code: &str, message: &str| {
        let body = format!(r#"{{"message":"{message}"}}"#);
        of_coded_answer(&SERVICE, status, None, Some(code), body.as_bytes())
    };
    for (status, code, retryable) in [
        (429, "ThrottlingException:http://internal/coral", true),
        (429, "ModelNotReadyException", true),
        (503, "ServiceUnavailableException", true),
        (424, "ModelErrorException", true),
        (408, "ModelTimeoutException", true),
        (400, "ServiceQuotaExceededException", false),
        (400, "ValidationException", false),
    ] {
        let error = upstream(answer(status, code, "m"));
        assert_eq!(error.retryable, retryable, "{code}");
        assert_eq!(error.code.as_deref(), code.split(':').next(), "{code}");
    }
    for (status, code) in [
        (403, "AccessDeniedException"),
        (403, "UnrecognizedClientException"),
        (400, "ExpiredTokenException"),
    ] {
        assert!(
            matches!(answer(status, code, "m"), Error::AuthRequired(_)),
            "{code}"
        );
    }
    let unknown = answer(
        400,
        "ValidationException",
        "The provided model identifier is invalid.",
    );
    assert!(matches!(unknown, Error::NotFound(_)));
    assert!(matches!(
        answer(404, "ResourceNotFoundException", "gone"),
        Error::NotFound(message) if message.starts_with("unknown model")
    ));
    assert!(matches!(
        answer(
            400,
            "ValidationException",
            "Input is too long for requested model."
        ),
        Error::ContextOverflow(_)
    ));
}
