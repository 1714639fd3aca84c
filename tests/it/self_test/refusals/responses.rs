use super::*;

fn good() -> Value {
    json!({
        "model": MODEL, "store": false, "include": ["reasoning.encrypted_content"],
        "instructions": "be brief",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "list"},
                {"type": "input_image", "image_url": format!("data:image/png;base64,{PIXEL}")},
            ]},
            {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
                "content": [{"type": "output_text", "text": "let me see", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "ls", "arguments": "{}"},
            {"type": "function_call", "id": "fc_2", "call_id": "b", "name": "ls", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "b", "output": "x"},
            {"type": "function_call_output", "call_id": "a", "output": [
                {"type": "input_text", "text": "y"},
            ]},
        ],
        "tools": [{"type": "function", "name": "ls", "strict": true, "parameters": schema()}],
        "tool_choice": "auto", "parallel_tool_calls": true,
        "reasoning": {"effort": "max", "summary": "auto"}, "max_output_tokens": 16,
    })
}

fn thought(request: &mut Value, at: usize, more: Value) {
    let mut item = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    for (name, value) in more.as_object().unwrap() {
        item[name] = value.clone();
    }
    list(&mut request["input"]).insert(at, item);
}

const WAYS: &[Spoiled] = &[
    (
        |r| r["messages"] = json!([]),
        "Unknown parameter: 'messages'",
    ),
    (
        |r| remove(r, "input"),
        "Missing required parameter: 'input'",
    ),
    (
        |r| r["model"] = json!("none"),
        "The requested model 'none' does not exist",
    ),
    (
        |r| r["model"] = json!("blind"),
        "Image input is not supported",
    ),
    (
        |r| r["model"] = json!("handless"),
        "Tools are not supported",
    ),
    (
        |r| r["model"] = json!("plain"),
        "'reasoning.effort' is not supported with this model",
    ),
    (|r| r["model"] = json!("some"), "Invalid value: 'max'"),
    (
        |r| r["temperature"] = json!(1),
        "'temperature' is not supported with this model",
    ),
    (
        |r| r["max_output_tokens"] = json!(15),
        "Expected a value >= 16",
    ),
    (
        |r| r["include"] = json!(["everything"]),
        "Invalid value: 'everything'",
    ),
    (
        |r| r["previous_response_id"] = json!("resp_1"),
        "Previous response with id 'resp_1' not found",
    ),
    (
        |r| r["stream_options"] = json!({}),
        "only allowed when 'stream' is enabled",
    ),
    (
        |r| r["input"][0]["content"][0]["type"] = json!("text"),
        "Invalid value: 'text'",
    ),
    (
        |r| r["input"][1]["content"][0]["type"] = json!("input_text"),
        "Supported values are: 'output_text', 'refusal'",
    ),
    (
        |r| r["input"][1]["id"] = json!("m1"),
        "Expected an ID that begins with 'msg'",
    ),
    (
        |r| r["input"][2]["id"] = json!("call_1"),
        "Expected an ID that begins with 'fc'",
    ),
    (
        |r| r["input"][0]["content"][1]["image_url"] = json!({"url": "x"}),
        "Expected a valid URL",
    ),
    (
        |r| r["input"][0]["tool_calls"] = json!([]),
        "Unknown parameter: 'input[0].tool_calls'",
    ),
    (
        |r| r["input"][2]["arguments"] = json!({}),
        "'input[2].arguments': expected a string",
    ),
    (
        |r| r["input"][2]["call_id"] = json!("x".repeat(65)),
        "string too long",
    ),
    (
        |r| r["input"][3]["call_id"] = json!("a"),
        "Duplicate call_id 'a'",
    ),
    (
        |r| drop(list(&mut r["input"]).remove(2)),
        "No tool call found for function call output with call_id a.",
    ),
    (
        |r| drop(list(&mut r["input"]).remove(5)),
        "No tool output found for function call a.",
    ),
    (
        |r| thought(r, 4, json!({"encrypted_content": sealed()})),
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ),
    (
        |r| thought(r, 6, json!({"encrypted_content": sealed()})),
        "without its required following item",
    ),
    (
        |r| thought(r, 2, json!({"encrypted_content": "gAAAA"})),
        "could not be verified",
    ),
    (
        |r| thought(r, 2, json!({})),
        "Items are not persisted when `store` is set to false",
    ),
    (
        |r| list(&mut r["input"]).push(json!({"type": "item_reference", "id": "rs_1"})),
        "Item with id 'rs_1' not found",
    ),
    (
        |r| list(&mut r["input"]).push(json!({"type": "poem"})),
        "Invalid value: 'poem'",
    ),
    (
        |r| r["tools"][0] = json!({"type": "function", "function": {"name": "ls"}}),
        "Missing required parameter: 'tools[0].name'",
    ),
    (|r| r["tools"][0]["name"] = json!("l s"), "tools[0].name"),
    (
        |r| r["tools"][0]["parameters"]["required"] = json!([]),
        "Missing 'p'",
    ),
    (
        |r| remove(&mut r["tools"][0]["parameters"], "additionalProperties"),
        "'additionalProperties' is required",
    ),
    (
        |r| r["tool_choice"] = json!({"type": "function", "name": "cat"}),
        "not found in 'tools'",
    ),
];

/// Encrypted content that the fake takes for its own: base64 of a seal and what it is on.
fn sealed() -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest("sealed by the fake:hm");
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    STANDARD.encode(format!("Seal{hex}hm"))
}

#[tokio::test]
async fn input_that_openai_would_refuse_is_refused() {
    check(Service::OpenAi, "/v1/responses", &good(), WAYS).await;
}

#[tokio::test]
async fn reasoning_comes_back_encrypted_only_where_it_is_wanted() {
    let script = Script::new(|_| Reply::text("ok").reasoning("hm", false));
    let fake = Setup::new(Service::OpenAi).start(script).await;
    for (include, wanted) in [
        (json!([]), false),
        (json!(["reasoning.encrypted_content"]), true),
    ] {
        let request = json!({"model": MODEL, "store": false, "input": "hi", "include": include});
        let answer = post(&fake, "/v1/responses", &request).await.json();
        let item = &answer["output"][0];
        assert_eq!(item["type"], "reasoning");
        let content = item["encrypted_content"].as_str();
        assert_eq!(content, wanted.then(sealed).as_deref());
    }
}
