use super::*;

fn good() -> Value {
    json!({
        "system": [{"text": "be brief"}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [
                {"text": "list"}, {"image": {"format": "png", "source": {"bytes": PIXEL}}},
            ]},
            {"role": "assistant", "content": [
                {"text": "let me see"},
                {"toolUse": {"toolUseId": "a", "name": "ls", "input": {"p": "."}}},
                {"toolUse": {"toolUseId": "b", "name": "ls", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "b", "content": [{"text": "x"}], "status": "error"}},
                {"toolResult": {"toolUseId": "a", "content": [{"json": {}}]}},
                {"text": "and then?"},
            ]},
        ],
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "ls", "inputSchema": {"json": schema()}}}],
            "toolChoice": {"auto": {}},
        },
        "inferenceConfig": {"maxTokens": 100}, "outputConfig": {"effort": "max"},
    })
}

fn call(request: &mut Value) -> &mut Value {
    &mut request["messages"][1]["content"][1]["toolUse"]
}

fn spec(request: &mut Value) -> &mut Value {
    &mut request["toolConfig"]["tools"][0]["toolSpec"]
}

const WAYS: &[Spoiled] = &[
    (
        |r| r["tools"] = json!([]),
        "extraneous key [tools] is not permitted",
    ),
    (|r| remove(r, "messages"), "Value null at 'messages'"),
    (
        |r| drop(list(&mut r["messages"]).remove(0)),
        "must start with a user message",
    ),
    (
        |r| list(&mut r["messages"]).truncate(2),
        "must end with a user message",
    ),
    (
        |r| list(&mut r["messages"]).push(json!({"role": "user", "content": [{"text": "x"}]})),
        "must alternate between user and assistant",
    ),
    (
        |r| r["messages"][2]["content"][2]["text"] = json!(" "),
        "messages.2.content.2 is blank",
    ),
    (
        |r| r["messages"][0]["content"][0] = json!({"text": "a", "image": {}}),
        "exactly one of",
    ),
    (
        |r| {
            r["messages"][0]["content"][0] =
                json!({"toolUse": {"toolUseId": "c", "name": "ls", "input": {}}})
        },
        "not allowed in a message of the role user",
    ),
    (
        |r| drop(list(&mut r["messages"][2]["content"]).remove(1)),
        "Expected toolResult blocks at messages.2.content for the following Ids: a",
    ),
    (
        |r| {
            r["messages"][0]["content"][0] =
                json!({"toolResult": {"toolUseId": "c", "content": []}})
        },
        "exceeds the number of toolUse blocks of previous turn",
    ),
    (
        |r| remove(r, "toolConfig"),
        "The toolConfig field must be defined",
    ),
    (|r| call(r)["input"] = json!("{}"), "Provide a json object"),
    (
        |r| call(r)["toolUseId"] = json!("a b"),
        "messages.2.member.content.2.member.toolUse.toolUseId",
    ),
    (
        |r| {
            r["messages"][1]["content"][0] =
                json!({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "x"}}})
        },
        "Invalid `signature` in `thinking` block",
    ),
    (
        |r| r["toolConfig"]["tools"] = json!([]),
        "at least one item",
    ),
    (
        |r| spec(r)["name"] = json!("x".repeat(65)),
        "should match pattern",
    ),
    (
        |r| spec(r)["description"] = json!(""),
        "length greater than or equal to 1",
    ),
    (
        |r| spec(r)["inputSchema"] = json!({"json": {"type": "string"}}),
        "type of a tool's schema",
    ),
    (
        |r| r["toolConfig"]["toolChoice"] = json!({"tool": {"name": "cat"}}),
        "not among the tools",
    ),
    (
        |r| r["inferenceConfig"]["maxTokens"] = json!(1001),
        "exceeds the model limit of 1000",
    ),
    (
        |r| r["inferenceConfig"]["temperature"] = json!(1.5),
        "a number from 0 to 1",
    ),
    (
        |r| r["outputConfig"]["effort"] = json!("extreme"),
        "enum value set",
    ),
    (
        |r| r["system"] = json!(vec![json!({"cachePoint": {"type": "default"}}); 5]),
        "Found 5.",
    ),
    (
        |r| r["messages"][0]["content"][1]["image"]["format"] = json!("bmp"),
        "enum value set",
    ),
    (
        |r| r["messages"][0]["content"][1]["image"]["source"]["bytes"] = json!("?"),
        "must be base64",
    ),
];

#[tokio::test]
async fn conversations_that_bedrock_would_refuse_are_refused() {
    let path = format!("/model/{MODEL}/converse");
    let ways: Vec<Spoiled> = WAYS.to_vec();
    check(Service::Bedrock, &path, &good(), &ways).await;
    let fake = fake(Service::Bedrock).await;
    for (model, words) in [
        ("blind", "image content block"),
        ("handless", "support tool use"),
    ] {
        let answer = post(&fake, &format!("/model/{model}/converse"), &good()).await;
        assert!(answer.text().contains(words), "{}", answer.text());
        assert_eq!(answer.headers["x-amzn-errortype"], "ValidationException");
    }
}

#[tokio::test]
async fn an_unsigned_request_and_an_unknown_operation_are_refused() {
    let script = Script::new(|_| Reply::text("ok"));
    let setup = Setup::new(Service::Bedrock).key("AKIATEST:secret");
    let signed = setup.start(script.clone()).await;
    let answer = post(&signed, &format!("/model/{MODEL}/converse"), &good()).await;
    let kind = &answer.headers["x-amzn-errortype"];
    assert_eq!(
        (answer.status, kind),
        (403, &"MissingAuthenticationTokenException".parse().unwrap())
    );

    let token = Setup::new(Service::Bedrock)
        .key("api-key")
        .start(script)
        .await;
    let url = format!("{}/model/{MODEL}/converse", token.origin());
    for (given, status) in [("Bearer api-key", 200), ("Bearer other", 403)] {
        let headers = [
            ("content-type", "application/json"),
            ("authorization", given),
        ];
        let answer = send("POST", &url, &headers, good().to_string()).await;
        assert_eq!(answer.status, status, "{given}");
    }
    let answer = post(&fake(Service::Bedrock).await, "/model/x/invoke", &good()).await;
    assert_eq!(answer.status, 404);
}
