use super::*;

fn answer(status: u16, body: &str) -> Error {
    of_answer(status, Some(7), body.as_bytes(), "m-1", "http://a/v1")
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
        matches!(path, Error::NotFound(message) if message.contains("http://a/v1/chat/completions") && message.contains("base-url"))
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
        "m",
    ));
    assert_eq!(
        (server.status, server.retryable, server.message.as_str()),
        (Some(500), true, "boom")
    );
    assert!(upstream(in_stream(br#"{"error":"boom"}"#, "m")).retryable);
    assert!(
        !upstream(in_stream(
            br#"{"error":{"code":"400","message":"bad"}}"#,
            "m"
        ))
        .retryable
    );
    assert!(
        !upstream(in_stream(
            br#"{"error":{"code":"insufficient_quota","message":"bad"}}"#,
            "m"
        ))
        .retryable
    );
    assert!(matches!(
        in_stream(
            br#"{"error":{"message":"maximum context length is 5"}}"#,
            "m"
        ),
        Error::ContextOverflow(_)
    ));
    assert!(
        upstream(in_stream(
            br#"{"error":{"code":429,"message":"too many input tokens"}}"#,
            "m"
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
    let binary = of_answer(500, None, &[0xff; 5000], "m", "b");
    assert!(upstream(binary).message.len() <= MAX_MESSAGE);
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    assert!(upstream(answer(500, &deep)).message.starts_with("[["));
}
