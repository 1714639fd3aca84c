use serde_json::{Value, json};

use crate::support::{
    fake_openai::{FakeOpenAi, MODEL, Reply, Script},
    http::{Answer, send},
};

/// A request that is fine in every respect and uses every part that is checked.
fn good() -> Value {
    json!({
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "list files"}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "ls", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "ls", "arguments": "{\"p\":1}"}},
            ]},
            {"role": "tool", "tool_call_id": "b", "content": "x"},
            {"role": "tool", "tool_call_id": "a", "content": ""},
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": "thanks"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "ls", "description": "list", "parameters": {"type": "object", "properties": {}},
        }}],
        "tool_choice": "auto", "parallel_tool_calls": true,
        "stream": true, "stream_options": {"include_usage": true},
        "temperature": 0.5, "max_completion_tokens": 10,
    })
}

async fn post(fake: &FakeOpenAi, body: &str) -> Answer {
    let url = format!("{}/chat/completions", fake.base_url());
    send(
        "POST",
        &url,
        &[("content-type", "application/json")],
        body.to_owned(),
    )
    .await
}

/// Sends the good request after `spoil` and returns the status and the error object.
async fn refused(spoil: impl FnOnce(&mut Value)) -> (u16, Value) {
    let fake = FakeOpenAi::start(Script::steps([])).await;
    let mut request = good();
    spoil(&mut request);
    let answer = post(&fake, &request.to_string()).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let error = answer.json()["error"].take();
    let refusal = fake.chats()[0].refusal.clone();
    assert_eq!(
        refusal.as_deref(),
        error["message"].as_str(),
        "recorded as a refusal"
    );
    (answer.status, error)
}

/// Each way to spoil the conversation ends in a 400 whose message contains the given words.
macro_rules! refuses {
    ($($name:ident: |$request:ident| $spoil:expr => $words:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let (status, error) = refused(|$request| { $spoil; }).await;
            assert_eq!(status, 400, "{error}");
            assert_eq!(error["type"], "invalid_request_error");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains($words), "{message}");
        }
    )*};
}

refuses! {
    an_unknown_field: |r| r["messagez"] = json!([]) => "Unrecognized request argument supplied: messagez";
    an_unknown_field_of_a_message: |r| r["messages"][1]["id"] = json!(1) => "messages[1].id";
    an_unknown_field_of_a_call: |r| r["messages"][2]["tool_calls"][0]["index"] = json!(0) => "tool_calls[0].index";
    no_messages: |r| r.as_object_mut().unwrap().remove("messages") => "Missing required parameter: 'messages'";
    empty_messages: |r| r["messages"] = json!([]) => "empty array";
    messages_that_are_no_array: |r| r["messages"] = json!({}) => "expected an array";
    a_message_that_is_no_object: |r| r["messages"][0] = json!("hi") => "expected an object";
    an_unknown_role: |r| r["messages"][0]["role"] = json!("root") => "Invalid value: 'root'";
    no_role: |r| r["messages"][0].as_object_mut().unwrap().remove("role") => "messages[0].role";
    content_of_a_wrong_type: |r| r["messages"][1]["content"] = json!(7) => "messages[1].content";
    an_unknown_part: |r| r["messages"][1]["content"][0]["type"] = json!("poem") => "content[0].type";
    a_user_without_content: |r| r["messages"][1]["content"] = json!(null) => "messages[1].content";
    two_users_in_a_row: |r| push(r, json!({"role": "user", "content": "and?"})) => "second message with role 'user'";
    two_users_around_a_system_message: |r| {
        push(r, json!({"role": "system", "content": "s"}));
        push(r, json!({"role": "user", "content": "and?"}));
    } => "second message with role 'user'";
    two_assistants_in_a_row: |r| {
        r["messages"][6] = json!({"role": "assistant", "content": "y"});
        push(r, json!({"role": "user", "content": "and?"}));
    } => "second message with role 'assistant'";
    an_assistant_at_the_end: |r| push(r, json!({"role": "assistant", "content": "y"})) => "last message";
    an_assistant_with_nothing: |r| r["messages"][5]["content"] = json!(null) => "needs 'content' or 'tool_calls'";
    an_assistant_with_empty_content: |r| r["messages"][5]["content"] = json!("") => "needs 'content' or 'tool_calls'";
    an_empty_list_of_calls: |r| r["messages"][5]["tool_calls"] = json!([]) => "empty array";
    a_call_without_an_answer: |r| drop(messages(r).remove(4)) => "did not have response messages: a";
    a_call_without_an_answer_at_the_end: |r| messages(r).truncate(4) => "did not have response messages: a";
    an_answer_to_no_call: |r| r["messages"][4]["tool_call_id"] = json!("c") => "no open call has the id 'c'";
    a_second_answer: |r| r["messages"][4]["tool_call_id"] = json!("b") => "no open call has the id 'b'";
    an_answer_after_the_next_message: |r| messages(r).swap(4, 5) => "did not have response messages: a";
    an_answer_without_an_id: |r| r["messages"][4].as_object_mut().unwrap().remove("tool_call_id") => "tool_call_id";
    a_repeated_call_id: |r| r["messages"][2]["tool_calls"][1]["id"] = json!("a") => "repeated tool call id 'a'";
    arguments_that_are_an_object: |r| function(r)["arguments"] = json!({}) => "arguments': expected a string";
    arguments_that_are_not_json: |r| function(r)["arguments"] = json!("{\"p\":") => "not JSON";
    a_call_of_a_bad_name: |r| function(r)["name"] = json!("l s") => "'l s' does not match";
    a_tool_of_a_bad_name: |r| tool(r)["name"] = json!("files/ls") => "'files/ls' does not match";
    a_tool_of_a_long_name: |r| tool(r)["name"] = json!("x".repeat(65)) => "does not match";
    a_tool_without_a_type: |r| r["tools"][0].as_object_mut().unwrap().remove("type") => "tools[0].type";
    a_tool_with_an_unknown_field: |r| tool(r)["input_schema"] = json!({}) => "input_schema";
    a_schema_that_is_no_object: |r| tool(r)["parameters"]["type"] = json!("string") => "Invalid schema for function 'ls'";
    a_schema_that_is_invalid: |r| tool(r)["parameters"]["required"] = json!("p") => "Invalid schema for function 'ls'";
    two_tools_of_one_name: |r| { let tool = r["tools"][0].clone(); r["tools"].as_array_mut().unwrap().push(tool) } => "must be unique";
    too_many_tools: |r| r["tools"] = vec![r["tools"][0].clone(); 129].into() => "at most 128";
    empty_tools: |r| r["tools"] = json!([]) => "empty array";
    a_choice_without_tools: |r| r.as_object_mut().unwrap().remove("tools") => "only allowed when 'tools'";
    stream_options_without_a_stream: |r| r["stream"] = json!(false) => "only allowed when 'stream'";
    a_stream_that_is_no_boolean: |r| r["stream"] = json!("yes") => "expected a boolean";
    a_limit_of_zero_tokens: |r| r["max_completion_tokens"] = json!(0) => "a positive integer";
    a_temperature_out_of_range: |r| r["temperature"] = json!(3) => "from 0 to 2";
    a_model_that_is_no_string: |r| r["model"] = json!(5) => "'model': expected a string";
}

fn messages(request: &mut Value) -> &mut Vec<Value> {
    request["messages"].as_array_mut().unwrap()
}

fn push(request: &mut Value, message: Value) {
    messages(request).push(message);
}

fn function(request: &mut Value) -> &mut Value {
    &mut request["messages"][2]["tool_calls"][0]["function"]
}

fn tool(request: &mut Value) -> &mut Value {
    &mut request["tools"][0]["function"]
}

#[tokio::test]
async fn the_good_request_is_accepted() {
    let fake = FakeOpenAi::start(Script::new(|_| Reply::text("ok"))).await;
    assert_eq!(post(&fake, &good().to_string()).await.status, 200);
    fake.assert_all_accepted();
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let (status, error) = refused(|request| request["model"] = json!("gpt-0")).await;
    assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let fake = FakeOpenAi::start(Script::steps([])).await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"model\": \"fake-model\",}",
        "\u{feff}{}",
    ] {
        let answer = post(&fake, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let fake = FakeOpenAi::start(Script::steps([])).await;
    let url = format!("{}/chat/completions", fake.base_url());
    let answer = send(
        "POST",
        &url,
        &[("content-type", "text/plain")],
        good().to_string(),
    )
    .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_key_is_wanted_where_there_is_one() {
    let script = Script::new(|_| Reply::text("ok"));
    let fake = FakeOpenAi::start_with(script, Some("sk-1"), &[MODEL]).await;
    let url = format!("{}/models", fake.base_url());
    for (headers, status, code) in [
        (vec![], 401, Value::Null),
        (
            vec![("authorization", "Bearer sk-2")],
            401,
            json!("invalid_api_key"),
        ),
        (
            vec![("authorization", "sk-1")],
            401,
            json!("invalid_api_key"),
        ),
        (vec![("authorization", "Bearer sk-1")], 200, Value::Null),
    ] {
        let answer = send("GET", &url, &headers, "").await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.json()["error"]["code"], code, "{headers:?}");
    }
}

#[tokio::test]
#[should_panic(expected = "request 0 was refused")]
async fn a_refusal_fails_the_test_that_asks() {
    let fake = FakeOpenAi::start(Script::steps([])).await;
    post(&fake, "{}").await;
    fake.assert_all_accepted();
}
