use super::*;

fn good() -> Value {
    json!({
        "model": MODEL, "max_tokens": 100,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "list"},
                {"type": "image", "source": {
                    "type": "base64", "media_type": "image/png", "data": PIXEL,
                }},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "let me see"},
                {"type": "tool_use", "id": "a", "name": "ls", "input": {"p": "."}},
                {"type": "tool_use", "id": "b", "name": "ls", "input": {"p": "/"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "b", "content": "x"},
                {"type": "tool_result", "tool_use_id": "a", "is_error": true,
                    "content": [{"type": "text", "text": "no"}]},
                {"type": "text", "text": "and then?"},
            ]},
            {"role": "user", "content": "go on"},
        ],
        "tools": [{"name": "ls", "description": "list", "input_schema": schema()}],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "max"},
    })
}

fn said(request: &mut Value) -> &mut Vec<Value> {
    list(&mut request["messages"][1]["content"])
}

fn thinking(request: &mut Value, block: Value) {
    said(request).insert(0, block);
}

const WAYS: &[Spoiled] = &[
    (|r| remove(r, "max_tokens"), "max_tokens: Field required"),
    (
        |r| r["max_tokens"] = json!(1001),
        "1001 > 1000, which is the maximum",
    ),
    (
        |r| r["temperature"] = json!(1),
        "temperature: Extra inputs are not permitted",
    ),
    (|r| r["model"] = json!("none"), "model: none"),
    (
        |r| r["messages"] = json!([]),
        "at least one message is required",
    ),
    (
        |r| drop(list(&mut r["messages"]).remove(0)),
        "first message must use the \"user\" role",
    ),
    (
        |r| list(&mut r["messages"]).truncate(2),
        "does not support assistant message prefill",
    ),
    (
        |r| r["messages"][3]["role"] = json!("tool"),
        "messages.3.role",
    ),
    (
        |r| r["messages"][3]["name"] = json!("x"),
        "messages.3.name: Extra inputs",
    ),
    (
        |r| r["messages"][3]["content"] = json!(""),
        "must have non-empty content",
    ),
    (
        |r| r["messages"][3]["content"] = json!([{"type": "text", "text": ""}]),
        "text content blocks must be non-empty",
    ),
    (
        |r| r["messages"][3]["content"] = json!([{"type": "text", "text": " "}]),
        "must contain non-whitespace text",
    ),
    (
        |r| r["messages"][3]["content"] = json!([{"type": "poem"}]),
        "Input tag 'poem'",
    ),
    (
        |r| drop(list(&mut r["messages"]).remove(2)),
        "`tool_use` ids were found without `tool_result` blocks immediately after: a, b",
    ),
    (
        |r| drop(list(&mut r["messages"][2]["content"]).remove(1)),
        "without `tool_result` blocks immediately after: a",
    ),
    (
        |r| list(&mut r["messages"][2]["content"]).rotate_right(1),
        "without `tool_result` blocks immediately after: a, b",
    ),
    (
        |r| r["messages"][2]["content"][0]["tool_use_id"] = json!("c"),
        "unexpected `tool_use_id` found in `tool_result` blocks: c",
    ),
    (
        |r| r["messages"][2]["content"][1]["content"] = json!([]),
        "content cannot be empty if `is_error` is true",
    ),
    (
        |r| said(r)[2]["id"] = json!("a"),
        "`tool_use` ids must be unique",
    ),
    (
        |r| said(r)[2]["id"] = json!("call.1"),
        "String should match pattern",
    ),
    (
        |r| said(r)[2]["input"] = json!("{}"),
        "Input should be an object",
    ),
    (
        |r| {
            thinking(
                r,
                json!({"type": "thinking", "thinking": "hm", "signature": "x"}),
            )
        },
        "Invalid `signature` in `thinking` block",
    ),
    (
        |r| thinking(r, json!({"type": "redacted_thinking", "data": "x"})),
        "Invalid `data` in `redacted_thinking` block",
    ),
    (|r| remove(r, "tools"), "tool_choice may only be specified"),
    (
        |r| {
            remove(r, "tools");
            remove(r, "tool_choice")
        },
        "must define tools",
    ),
    (
        |r| r["tools"][0]["name"] = json!("l s"),
        "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    (
        |r| r["tools"][0]["input_schema"] = json!({"type": "string"}),
        "type of a tool's schema",
    ),
    (
        |r| r["tools"][0]["input_schema"]["required"] = json!("p"),
        "JSON schema is invalid",
    ),
    (
        |r| {
            let tool = r["tools"][0].clone();
            list(&mut r["tools"]).push(tool)
        },
        "Tool names must be unique",
    ),
    (
        |r| r["tool_choice"] = json!({"type": "any"}),
        "Thinking may not be enabled when tool_choice forces tool use",
    ),
    (
        |r| r["tool_choice"] = json!({"type": "tool", "name": "cat"}),
        "not found in provided tools",
    ),
    (
        |r| r["thinking"] = json!({"type": "enabled", "budget_tokens": 1024}),
        "is not supported for this model",
    ),
    (
        |r| r["output_config"]["effort"] = json!("extreme"),
        "output_config.effort: Input should be 'low'",
    ),
    (
        |r| r["model"] = json!("some"),
        "does not support effort level 'max'",
    ),
    (
        |r| {
            r["model"] = json!("plain");
            remove(r, "thinking")
        },
        "does not support the effort parameter",
    ),
    (
        |r| r["model"] = json!("plain"),
        "adaptive thinking is not supported",
    ),
    (
        |r| r["model"] = json!("blind"),
        "image input is not supported",
    ),
    (
        |r| r["model"] = json!("handless"),
        "tools are not supported",
    ),
    (
        |r| r["messages"][0]["content"][1]["source"]["data"] = json!("?"),
        "invalid base64 data",
    ),
    (
        |r| r["messages"][0]["content"][1]["source"]["media_type"] = json!("image/bmp"),
        "Input should be 'image/jpeg'",
    ),
    (
        |r| mark(r, 4),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        |r| r["system"][0]["cache_control"] = json!({"type": "forever"}),
        "Input should be 'ephemeral'",
    ),
    (
        |r| r["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"}),
        "must not come after",
    ),
];

/// Marks so many blocks more.
fn mark(request: &mut Value, more: usize) {
    let blocks =
        vec![json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}); more];
    request["messages"][3]["content"] = json!(blocks);
}

#[tokio::test]
async fn messages_that_anthropic_would_refuse_are_refused() {
    check(Service::Anthropic, "/v1/messages", &good(), WAYS).await;
}

#[tokio::test]
async fn tokens_are_counted_of_a_request_without_a_limit() {
    let fake = fake(Service::Anthropic).await;
    let mut request = good();
    let path = "/v1/messages/count_tokens";
    assert_eq!(post(&fake, path, &request).await.status, 400);
    remove(&mut request, "max_tokens");
    let answer = post(&fake, path, &request).await.json();
    assert!(answer["input_tokens"].as_u64().unwrap() > 100, "{answer}");
}

#[tokio::test]
async fn the_version_and_the_key_are_wanted_in_headers() {
    let script = Script::new(|_| Reply::text("ok"));
    let fake = Setup::new(Service::Anthropic).key("k").start(script).await;
    let url = format!("{}/v1/models", fake.base_url());
    let version = ("anthropic-version", "2023-06-01");
    for (headers, status) in [
        (vec![version], 401),
        (vec![version, ("x-api-key", "other")], 401),
        (vec![("x-api-key", "k")], 400),
        (
            vec![("anthropic-version", "2020-01-01"), ("x-api-key", "k")],
            400,
        ),
        (vec![version, ("x-api-key", "k")], 200),
        (vec![version, ("authorization", "Bearer k")], 200),
    ] {
        let answer = send("GET", &url, &headers, "").await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn models_come_in_pages() {
    let fake = fake(Service::Anthropic).await;
    let page = async |query: &str| {
        let url = format!("{}/v1/models?{query}", fake.origin());
        let answer = send("GET", &url, &[("anthropic-version", "2023-06-01")], "").await;
        let answer = answer.json();
        let models = answer["data"].as_array().cloned().unwrap_or_default();
        let ids = models
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned());
        (
            ids.collect::<Vec<_>>().join(" "),
            answer["has_more"].clone(),
        )
    };
    assert_eq!(
        page("limit=2").await,
        (format!("{MODEL} plain"), json!(true))
    );
    assert_eq!(
        page("limit=2&after_id=plain").await,
        ("some blind".into(), json!(true))
    );
    assert_eq!(
        page("after_id=blind").await,
        ("handless".into(), json!(false))
    );
    assert_eq!(
        page("limit=1&before_id=some").await,
        ("plain".into(), json!(true))
    );
    assert_eq!(page("limit=0").await, (String::new(), Value::Null));
    assert_eq!(fake.exchanges()[0].query, "limit=2");
}
