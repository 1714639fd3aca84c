//! What can be wrong with an answer that came with status 200, in each protocol; and what services
//! say about money, images and models.

use serde_json::{Value, json};

use crate::support::{
    fake::{ApiError, Call, Fake, Flaw, MODEL, Model, Reply, Script, Service, Setup},
    http::{Answer, send},
};

/// Every protocol, by a service that has it and the path at which it is asked.
const PROTOCOLS: [(Service, &str); 4] = [
    (Service::Router, "/v1/chat/completions"),
    (Service::OpenAi, "/v1/responses"),
    (Service::Anthropic, "/v1/messages"),
    (Service::Bedrock, "/model/fake-model/converse"),
];

fn tools() -> Value {
    let schema = json!({"type": "object"});
    json!([{"type": "function", "function": {"name": "ls", "parameters": schema}}])
}

async fn ask(fake: &Fake, path: &str, stream: bool) -> Answer {
    let mut request = match path {
        "/v1/responses" => json!({"model": MODEL, "input": "hi", "stream": stream}),
        "/v1/messages" => json!({
            "model": MODEL, "max_tokens": 9, "stream": stream,
            "messages": [{"role": "user", "content": "hi"}],
        }),
        path if path.contains("/model/") => {
            json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]})
        }
        _ => json!({
            "model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": stream,
            "tools": tools(),
        }),
    };
    if stream && path.ends_with("completions") {
        request["stream_options"] = json!({"include_usage": true});
    }
    let more = if stream && path.contains("/model/") {
        "-stream"
    } else {
        ""
    };
    let url = format!("{}{path}{more}", fake.origin());
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-version", "2023-06-01"),
    ];
    send("POST", &url, &headers, request.to_string()).await
}

/// A stream and a whole answer of this reply, as text; frames have text in them too.
async fn both(service: Service, path: &str, reply: &Reply) -> [String; 2] {
    let reply = reply.clone();
    let fake = Fake::start(service, Script::new(move |_| reply.clone())).await;
    let mut texts = [const { String::new() }; 2];
    for (text, stream) in texts.iter_mut().zip([true, false]) {
        let answer = ask(&fake, path, stream).await;
        assert_eq!(answer.status, 200, "{service:?}");
        *text = String::from_utf8_lossy(&answer.pieces.concat()).into_owned();
    }
    fake.assert_all_accepted();
    texts
}

fn calls() -> Reply {
    let call = |p: &str| Call::new("ls", json!({"p": p}));
    Reply::message("hello ", [call("one"), call("two")]).usage(11, 5)
}

#[tokio::test]
async fn what_is_missing_is_missing_in_every_protocol() {
    for (service, path) in PROTOCOLS {
        for (flaw, words) in [
            (Flaw::Empty, &["hello", "\"ls\""][..]),
            (Flaw::NoUsage, &["_tokens\":", "inputTokens"]),
            (Flaw::NoCallId, &["call_1_0", "toolu_1_0", "tooluse_1_0"]),
        ] {
            let fine = both(service, path, &calls()).await;
            let flawed = both(service, path, &calls().flawed(flaw)).await;
            for (fine, flawed) in fine.iter().zip(&flawed) {
                assert!(
                    words.iter().any(|word| fine.contains(word)),
                    "{flaw:?}: {fine}"
                );
                // What the request limits its answer to is not a report.
                let flawed = flawed.replace("max_output_tokens\":", "");
                assert!(
                    !words.iter().any(|word| flawed.contains(word)),
                    "{flaw:?}: {flawed}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_wrong_in_every_protocol() {
    let ends = [
        "[DONE]",
        "response.completed",
        "message_stop",
        "messageStop",
    ];
    for ((service, path), end) in PROTOCOLS.into_iter().zip(ends) {
        let [stream, _] = both(service, path, &calls()).await;
        assert!(stream.contains(end), "{stream}");
        let [stream, _] = both(service, path, &calls().flawed(Flaw::NoDone)).await;
        assert!(!stream.contains(end), "{stream}");

        let same = both(service, path, &calls().flawed(Flaw::SameCallId)).await;
        for text in same {
            assert!(
                text.contains("_same\"")
                    && !text.contains("call_1_1\"")
                    && !text.contains("toolu_1_1\"")
                    && !text.contains("tooluse_1_1\""),
                "{text}"
            );
        }
        let typed = both(service, path, &calls().flawed(Flaw::ArgumentsType)).await;
        let object = !matches!(service, Service::Anthropic | Service::Bedrock);
        let words = if object {
            r#":{"p":"one"}"#
        } else {
            r#":"{\"p\":\"one\"}""#
        };
        assert!(typed[1].contains(words), "{}", typed[1]);
    }
}

#[tokio::test]
async fn an_error_can_come_in_the_stream() {
    let words = [
        r#"data: {"error":{"message":"gone""#,
        r#"event: response.failed"#,
        r#"event: error"#,
        "throttlingException",
    ];
    for ((service, path), words) in PROTOCOLS.into_iter().zip(words) {
        let error = ApiError::new(500, "ThrottlingException", "gone").code("server_error");
        let reply = Reply::text("one two three four five six").error_after(5, error);
        let [stream, _] = both(service, path, &reply).await;
        let (before, after) = stream.split_once(words).expect(words);
        assert!(before.contains("one") && after.contains("gone") || words.contains("gone"));
        assert!(!stream.contains("six"), "{stream}");
    }
    // Without a code it is an event of its own in the Responses API.
    let reply = Reply::text("one").error_after(2, ApiError::new(500, "server_error", "gone"));
    let [stream, _] = both(Service::OpenAi, "/v1/responses", &reply).await;
    assert!(stream.contains("event: error\n"), "{stream}");
}

#[tokio::test]
async fn lines_and_comments_of_a_stream_are_as_told() {
    for (service, path) in &PROTOCOLS[..3] {
        let [stream, _] = both(*service, path, &calls().flawed(Flaw::CrLf)).await;
        assert_eq!(stream.matches('\n').count(), stream.matches("\r\n").count());
        let [stream, _] = both(*service, path, &calls().flawed(Flaw::KeepAlive)).await;
        let pings =
            stream.matches(": keep-alive\n\n").count() + stream.matches("event: ping").count();
        assert!(pings > 5, "{stream}");
    }
    let reply = calls().flawed(Flaw::MixedFragments);
    let [stream, _] = both(Service::OpenAi, "/v1/chat/completions", &reply).await;
    let index = |index: usize| {
        stream
            .find(&format!("\"index\":{index},\"function\""))
            .unwrap()
    };
    assert!(index(1) < index(0), "{stream}");
    assert!(
        stream.rfind("\"index\":1,\"function\"").unwrap() > index(0),
        "{stream}"
    );
}

#[tokio::test]
async fn a_proxy_answers_with_a_page_and_its_own_status() {
    for (service, path) in PROTOCOLS {
        let script = Script::new(|_| Reply::proxy_page(502));
        let answer = ask(&Fake::start(service, script).await, path, true).await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.headers["content-type"], "text/html");
    }
}

#[tokio::test]
async fn tokens_are_reported_as_told() {
    for ((service, path), words) in PROTOCOLS.into_iter().zip([
        [r#""cached_tokens":40"#, r#""reasoning_tokens":3"#],
        [
            r#""cached_tokens":40,"cache_write_tokens":20"#,
            r#""reasoning_tokens":3"#,
        ],
        [
            r#""input_tokens":40,"cache_creation_input_tokens":20,"cache_read_input_tokens":40"#,
            r#""thinking_tokens":3"#,
        ],
        [
            r#""cacheReadInputTokens":40,"cacheWriteInputTokens":20"#,
            r#""inputTokens":40"#,
        ],
    ]) {
        let reply = Reply::text("ok")
            .usage(100, 9)
            .cached(40, 20)
            .reasoning_tokens(3);
        for text in both(service, path, &reply).await {
            for words in words {
                assert!(text.contains(words), "{words}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_short_says_so_in_every_protocol() {
    let words = [
        r#""finish_reason":"length""#,
        r#""incomplete_details":{"reason":"max_output_tokens"}"#,
        r#""stop_reason":"max_tokens""#,
        r#""stopReason":"max_tokens""#,
    ];
    for ((service, path), words) in PROTOCOLS.into_iter().zip(words) {
        for text in both(service, path, &Reply::text("ok").finish("length")).await {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

#[tokio::test]
async fn catalogues_tell_what_a_model_is() {
    let model = Model::new("org/m")
        .price(0.5, 1.5)
        .providers(&["one", "two"]);
    let script = Script::new(|asked| Reply::text(format!("{} images", asked.images())));
    let setup = |service| Setup::new(service).models([model.clone()]);
    let router = setup(Service::Router).start(script.clone()).await;
    let get = async |url: String| send("GET", &url, &[], "").await;
    let listed = get(format!("{}/models", router.base_url())).await;
    assert_eq!(listed.headers["x-inference-provider"], "fakeworks");
    let provider = &listed.json()["data"][0]["providers"][1];
    assert_eq!(provider["provider"], "two");
    assert_eq!(provider["pricing"], json!({"input": 0.5, "output": 1.5}));

    let open = setup(Service::OpenRouter).start(script).await;
    let listed = get(format!("{}/models", open.base_url())).await.json();
    let pricing = &listed["data"][0]["pricing"];
    assert_eq!(
        (&pricing["prompt"], &pricing["completion"]),
        (&json!("0.0000005"), &json!("0.0000015"))
    );
    let content = json!([
        {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]);
    let request = json!({"model": "org/m", "messages": [{"role": "user", "content": content}]});
    let url = format!("{}/chat/completions", open.base_url());
    let headers = [("content-type", "application/json")];
    let answer = send("POST", &url, &headers, request.to_string())
        .await
        .json();
    assert_eq!(
        answer["choices"][0]["message"]["content"], "1 images",
        "{answer}"
    );
    // Marks for the cache are OpenRouter's only.
    let mut request = request;
    request["model"] = json!("org/m:two");
    let url = format!("{}/chat/completions", router.base_url());
    assert_eq!(
        send("POST", &url, &headers, request.to_string())
            .await
            .status,
        400
    );
}
