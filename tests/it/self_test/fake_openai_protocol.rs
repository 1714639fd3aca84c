use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, FakeOpenAi, MODEL, Reply, Script},
    http::{Answer, send},
};

async fn ask(fake: &FakeOpenAi, request: &Value) -> Answer {
    let url = format!("{}/chat/completions", fake.base_url());
    send(
        "POST",
        &url,
        &[("content-type", "application/json")],
        request.to_string(),
    )
    .await
}

fn request(stream: bool) -> Value {
    json!({"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

/// Puts streamed deltas together as a client does: text, calls as (id, name, arguments), finish.
fn assembled(events: &[String]) -> (String, Vec<[String; 3]>, String) {
    let (mut text, mut calls, mut finish) =
        (String::new(), Vec::<[String; 3]>::new(), String::new());
    for event in events {
        let Ok(chunk) = serde_json::from_str::<Value>(event) else {
            continue;
        };
        assert_eq!(chunk["object"], "chat.completion.chunk");
        let choice = &chunk["choices"][0];
        text += choice["delta"]["content"].as_str().unwrap_or_default();
        finish += choice["finish_reason"].as_str().unwrap_or_default();
        for part in choice["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let index = part["index"].as_u64().unwrap() as usize;
            if index == calls.len() {
                calls.push(Default::default());
            }
            let fields = [
                &part["id"],
                &part["function"]["name"],
                &part["function"]["arguments"],
            ];
            for (whole, field) in calls[index].iter_mut().zip(fields) {
                *whole += field.as_str().unwrap_or_default();
            }
        }
    }
    (text, calls, finish)
}

#[tokio::test]
async fn text_and_calls_are_the_same_streamed_and_whole() {
    let script = Script::new(|_| {
        let calls = [
            Call::new("ls", json!({"path": "größe/x"})),
            Call::new("cat", json!({})),
        ];
        Reply::message("let me look", calls)
    });
    let fake = FakeOpenAi::start(script).await;

    let whole = ask(&fake, &request(false)).await.json();
    let message = &whole["choices"][0]["message"];
    let call = |index: usize| message["tool_calls"][index].clone();
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    assert!(whole["usage"]["total_tokens"].as_u64().unwrap() > 0);

    let streamed = ask(&fake, &request(true)).await;
    assert_eq!(
        streamed.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    let events = streamed.events();
    assert_eq!(events.last().unwrap(), "[DONE]");
    let (text, calls, finish) = assembled(&events);
    assert_eq!(
        (text.as_str(), finish.as_str()),
        (message["content"].as_str().unwrap(), "tool_calls")
    );
    assert_eq!(calls.len(), 2);
    for (index, [id, name, arguments]) in calls.iter().enumerate() {
        assert_eq!(call(index)["id"], json!(id));
        assert_eq!(
            call(index)["function"],
            json!({"name": name, "arguments": arguments})
        );
    }
    let fragments = events
        .iter()
        .filter(|event| event.contains("\"arguments\""))
        .count();
    assert!(fragments > 5, "arguments came in {fragments} events");
}

#[tokio::test]
async fn usage_is_streamed_only_if_asked_for_and_then_last() {
    let fake = FakeOpenAi::start(Script::new(|_| Reply::text("ok").usage(7, 3))).await;
    let without = ask(&fake, &request(true)).await.text();
    assert!(!without.contains("usage"), "{without}");

    let mut wanted = request(true);
    wanted["stream_options"] = json!({"include_usage": true});
    let events = ask(&fake, &wanted).await.events();
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(
        (
            &last["usage"]["prompt_tokens"],
            &last["usage"]["total_tokens"]
        ),
        (&json!(7), &json!(10))
    );
    assert!(events[0].contains("\"usage\":null"));
}

#[tokio::test]
async fn events_are_written_one_by_one_or_cut_anywhere() {
    let script = Script::new(|asked| {
        let reply = Reply::text("wörter one two three four").pace(Duration::from_millis(2));
        if asked.last_text() == "hi" {
            reply
        } else {
            reply.pieces_of(40)
        }
    });
    let fake = FakeOpenAi::start(script).await;
    let whole = ask(&fake, &request(true)).await;
    assert!(whole.pieces.len() >= 4, "{} pieces", whole.pieces.len());
    assert!(whole.pieces[0].ends_with(b"\n\n"));

    let mut other = request(true);
    other["messages"][0]["content"] = json!("in pieces");
    let cut = ask(&fake, &other).await;
    assert!(cut.pieces.len() > whole.pieces.len());
    assert_eq!(cut.text(), whole.text());
}

#[tokio::test]
async fn a_script_depends_on_the_conversation_and_not_on_the_order_of_requests() {
    let steps = || Script::steps([Reply::call("ls", json!({})), Reply::text("done")]);
    let fake = FakeOpenAi::start(steps()).await;
    let first = ask(&fake, &request(false)).await.json();
    let call = &first["choices"][0]["message"]["tool_calls"][0];
    let mut second = request(false);
    let added = [
        json!({"role": "assistant", "content": null, "tool_calls": [call]}),
        json!({"role": "tool", "tool_call_id": call["id"], "content": "a.txt"}),
    ];
    second["messages"].as_array_mut().unwrap().extend(added);
    assert_eq!(
        ask(&fake, &second).await.json()["choices"][0]["message"]["content"],
        "done"
    );

    // Another server, which has seen none of it.
    let restarted = FakeOpenAi::start(steps()).await;
    let resumed = ask(&restarted, &second).await.json();
    assert_eq!(resumed["choices"][0]["message"]["content"], "done");
    assert_eq!(ask(&restarted, &request(false)).await.json(), first);
    assert_eq!(fake.prefix_breaks(), [0usize; 0]);
    assert_eq!(restarted.prefix_breaks(), [1]);
}

#[tokio::test]
async fn a_changed_prefix_is_seen_in_its_bytes() {
    let fake = FakeOpenAi::start(Script::new(|_| Reply::text("ok"))).await;
    let url = format!("{}/chat/completions", fake.base_url());
    let user = r#"{"role":"user","content":"hi"}"#;
    let spaced = r#"{"role": "user","content":"hi"}"#;
    let more = r#"{"role":"assistant","content":"ok"},{"role":"user","content":"more"}"#;
    let tool = r#""tools":[{"type":"function","function":{"name":"a"}}],"#;
    for (tools, messages) in [
        ("", user.to_owned()),
        ("", user.to_owned()),              // a retry
        ("", format!("{user},{more}")),     // added to
        ("", format!("{spaced},{more}")),   // one space
        (tool, format!("{spaced},{more}")), // another tool
    ] {
        let body = format!(r#"{{"model":"{MODEL}",{tools}"messages":[{messages}]}}"#);
        send("POST", &url, &[("content-type", "application/json")], body).await;
    }
    fake.assert_all_accepted();
    assert_eq!(fake.prefix_breaks(), [3, 4]);
}

#[tokio::test]
async fn models_are_listed_and_unknown_paths_refused() {
    let script = Script::new(|_| Reply::text("ok"));
    let fake = FakeOpenAi::start_with(script, None, &["org/one", "two"]).await;
    let get = async |path: &str| send("GET", &format!("{}{path}", fake.base_url()), &[], "").await;
    let ids = get("/models").await.json();
    assert_eq!(
        (&ids["data"][0]["id"], &ids["data"][1]["id"]),
        (&json!("org/one"), &json!("two"))
    );
    assert_eq!(get("/models/org/one").await.json()["id"], "org/one");
    assert_eq!(get("/models/three").await.status, 404);
    assert_eq!(get("/chat/completions").await.status, 404);
    assert_eq!(
        get("").await.json()["error"]["message"],
        "Invalid URL (GET /v1)"
    );
}

#[tokio::test]
async fn connections_are_told_apart() {
    let fake = FakeOpenAi::start(Script::new(|_| Reply::text("ok"))).await;
    let address = fake.base_url().replace("http://", "").replace("/v1", "");
    let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::post("/v1/chat/completions")
            .header("host", &address)
            .header("content-type", "application/json")
            .header("x-marker", "kept")
            .body(Full::new(Bytes::from(request(true).to_string())))
            .unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    fake.assert_one_connection();
    assert_eq!(fake.chats()[2].headers["x-marker"], "kept");

    ask(&fake, &request(true)).await;
    let connections: Vec<u64> = fake.chats().iter().map(|one| one.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}
