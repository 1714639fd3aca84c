use serde_json::{Value, json};

use crate::support::{
    http::send,
    tiny_llm::{Model, TinyLlm},
};

fn request(stream: bool) -> String {
    json!({
        "model": "tiny-random", "stream": stream, "seed": 1, "max_tokens": 200,
        "messages": [{"role": "user", "content": "list the files"}],
        "tools": [{"type": "function", "function": {"name": "list_files", "parameters": {
            "type": "object", "properties": {"all": {"type": "boolean"}}, "required": ["all"],
            "additionalProperties": false,
        }}}],
    })
    .to_string()
}

#[tokio::test]
async fn a_completion_with_tools_is_a_valid_call() {
    let server = TinyLlm::start(Model::Plain, &["--api-key=k"]).await;
    let url = format!("{}/chat/completions", server.base_url());
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer k"),
    ];
    let refused = send("POST", &url, &headers[..1], request(false)).await;
    assert_eq!(refused.status, 401, "{}", refused.text());

    let whole = send("POST", &url, &headers, request(false)).await.json();
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls", "{whole}");
    let function = &choice["message"]["tool_calls"][0]["function"];
    assert_eq!(function["name"], "list_files");
    let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["all"].is_boolean(), "{arguments}");

    let events = send("POST", &url, &headers, request(true)).await.events();
    assert_eq!(events.last().unwrap(), "[DONE]");
    let parts = events
        .iter()
        .filter(|event| event.contains("\"tool_calls\":[{"))
        .count();
    assert!(parts > 1, "the call came in {parts} events");
}

#[tokio::test]
async fn the_endless_model_is_ended_by_its_limit_only() {
    let server = TinyLlm::start(Model::Endless, &[]).await;
    let url = format!("{}/chat/completions", server.base_url());
    let request = json!({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 300});
    let headers = [("content-type", "application/json")];
    let answer = send("POST", &url, &headers, request.to_string())
        .await
        .json();
    assert_eq!(answer["choices"][0]["finish_reason"], "length", "{answer}");
    assert_eq!(answer["usage"]["completion_tokens"], 300);
}

#[tokio::test]
async fn the_parallel_model_makes_several_calls_at_once() {
    let server = TinyLlm::start(Model::Parallel, &[]).await;
    let url = format!("{}/chat/completions", server.base_url());
    let headers = [("content-type", "application/json")];
    let mut most = 0;
    for seed in 0..20 {
        let mut request: Value = serde_json::from_str(&request(false)).unwrap();
        request["seed"] = seed.into();
        request["parallel_tool_calls"] = true.into();
        let answer = send("POST", &url, &headers, request.to_string())
            .await
            .json();
        let calls = answer["choices"][0]["message"]["tool_calls"]
            .as_array()
            .map_or(0, Vec::len);
        most = most.max(calls);
    }
    assert!(most > 1, "never more than {most} calls in 20 answers");
}
