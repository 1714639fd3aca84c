use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, FakeOpenAi, MODEL, Reply, Script},
    http::{Answer, Waiting, send},
};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

fn request(stream: bool) -> String {
    json!({"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
        .to_string()
}

async fn with(reply: Reply) -> FakeOpenAi {
    FakeOpenAi::start(Script::new(move |_| reply.clone())).await
}

async fn ask(fake: &FakeOpenAi, stream: bool) -> Answer {
    send(
        "POST",
        &format!("{}/chat/completions", fake.base_url()),
        JSON,
        request(stream),
    )
    .await
}

#[tokio::test]
async fn errors_have_status_header_and_shape() {
    for (reply, status, code) in [
        (Reply::rate_limited(7), 429, json!("rate_limit_exceeded")),
        (Reply::server_error(), 500, Value::Null),
        (Reply::unauthorized(), 401, json!("invalid_api_key")),
        (
            Reply::context_too_long(),
            400,
            json!("context_length_exceeded"),
        ),
    ] {
        let fake = with(reply).await;
        let answer = ask(&fake, true).await;
        let retry_after = answer
            .headers
            .get("retry-after")
            .map(|after| after.to_str().unwrap());
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"]["code"], code);
        assert_eq!(retry_after, (status == 429).then_some("7"));
        fake.assert_all_accepted();
    }
}

#[tokio::test]
async fn a_cut_stream_ends_in_the_middle_of_an_event() {
    let fake = with(Reply::text("one two three four").cut_after(2)).await;
    let answer = ask(&fake, true).await;
    assert!(!answer.complete);
    let text = answer.text();
    assert_eq!(text.matches("\n\n").count(), 2, "{text}");
    assert!(text.contains("one ") && !text.contains("[DONE]"), "{text}");
    assert!(!text.ends_with('\n'), "{text}");
    assert!(!fake.chats()[0].complete);

    // More events than there are: still cut before the end, streamed or not.
    let fake = with(Reply::text("one").cut_after(100)).await;
    assert!(!ask(&fake, true).await.text().contains("[DONE]"));
    let answer = ask(&fake, false).await;
    assert!(!answer.complete && serde_json::from_str::<Value>(&answer.text()).is_err());
}

#[tokio::test]
async fn a_fault_can_be_over_at_the_next_attempt() {
    let chain = Reply::rate_limited(1)
        .then(Reply::text("x").cut_after(1))
        .then(Reply::text("ok"));
    let fake = FakeOpenAi::start(Script::steps([chain])).await;
    assert_eq!(ask(&fake, false).await.status, 429);
    assert!(!ask(&fake, false).await.complete);
    for _ in 0..2 {
        assert_eq!(
            ask(&fake, false).await.json()["choices"][0]["message"]["content"],
            "ok"
        );
    }
    assert_eq!(fake.prefix_breaks(), [0usize; 0]);
}

#[tokio::test]
async fn a_script_that_is_over_answers_with_an_error() {
    let fake = FakeOpenAi::start(Script::steps([])).await;
    let answer = ask(&fake, true).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("the script has 0 replies"));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let slow = Reply::text("one two three").pace(Duration::from_secs(30));
    let long = Duration::from_secs(30);
    for (reply, has_head) in [
        (Reply::never(), false),
        (Reply::text("late").wait(long), false),
        (Reply::text("one two three").hang_after(2), true),
        (slow, true),
    ] {
        let fake = with(reply).await;
        let url = format!("{}/chat/completions", fake.base_url());
        let started = Instant::now();
        let waiting = Waiting::open("POST", &url, JSON, request(true)).await;
        fake.wait_for("the request", |all| {
            all.first()
                .is_some_and(|one| one.status.is_some() == has_head)
        })
        .await;
        // Nothing more comes, and the server does not take that for an end.
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(fake.chats()[0].ended.is_none());
        drop(waiting);
        fake.wait_for("the end", |all| all[0].ended.is_some()).await;
        assert!(!fake.chats()[0].complete);
        assert!(started.elapsed() < long / 2);
    }
}

#[tokio::test]
async fn finish_reason_and_broken_arguments_come_as_told() {
    let fake = with(Reply::calls([Call::raw("ls", "{\"path\": \"")]).finish("length")).await;
    let choice = ask(&fake, false).await.json()["choices"][0].take();
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(
        choice["message"]["tool_calls"][0]["function"]["arguments"],
        "{\"path\": \""
    );
}

#[tokio::test]
async fn bodies_can_be_huge_garbage_or_of_another_type() {
    let fake = with(Reply::huge(3 << 20)).await;
    for stream in [true, false] {
        let answer = ask(&fake, stream).await;
        assert!(answer.complete);
        let size: usize = answer.pieces.iter().map(|piece| piece.len()).sum();
        assert!(size > 3 << 20);
        assert!(!answer.pieces.iter().any(|piece| piece.contains(&b'\n')));
    }

    let answer = ask(&with(Reply::garbage_events()).await, true).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    assert!(String::from_utf8(answer.pieces.concat()).is_err());

    let answer = ask(&with(Reply::web_page()).await, true).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
}

#[tokio::test]
async fn a_complete_answer_is_recorded_as_such() {
    let fake = with(Reply::text("ok").wait(Duration::from_millis(20))).await;
    ask(&fake, true).await;
    fake.wait_for("the end", |all| all[0].ended.is_some()).await;
    let chat = fake.chats().remove(0);
    assert!(chat.complete && chat.status == Some(200));
    assert!(chat.ended.unwrap() - chat.arrived >= Duration::from_millis(20));
    assert_eq!(chat.body, request(true).as_bytes());
    assert_eq!(
        (chat.method.as_str(), &chat.json()["stream"]),
        ("POST", &json!(true))
    );
}
