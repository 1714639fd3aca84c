//! What a model says, and what it wants to be done.

use serde_json::{Value, json};

use super::{Bench, Case, Provider, bench::text, cases, painter};
use crate::support::fake::{Call, Reply};

pub(super) const CASES: &[Case] = cases![
    "text" => says_text,
    "stream" => streams,
    "whole answers" => answers_whole,
    "tools" => calls_a_tool,
    "parallel tools" => calls_tools_side_by_side,
    "call arguments streamed" => streams_arguments,
    "images" => painter::sees,
];

/// Letters of one to four bytes.
const ANSWER: &str = "Hello, wörld — \u{1f427}, and \u{7f16} too.";

async fn says_text(provider: &'static Provider) {
    let bench = Bench::steps(provider, [Reply::text(ANSWER)]).await;
    let ran = bench.done(&["hello"]).await;
    assert_eq!(ran.answer(), ANSWER);
    assert_eq!(ran.result()["reason"], "done");
    let usage = &ran.result()["usage"];
    assert!(
        usage["input"].as_u64() > Some(0) && usage["output"].as_u64() > Some(0),
        "{usage}"
    );
}

async fn streams(provider: &'static Provider) {
    let bench = Bench::steps(provider, [Reply::text(ANSWER)]).await;
    let ran = bench.done(&["hello"]).await;
    assert!(ran.of("text.delta").len() > 3, "{}", ran.done.stdout);
    assert_eq!(ran.joined("text.delta", "text"), ANSWER);
    assert!(asked_to_stream(&bench).iter().all(|stream| *stream));
}

async fn answers_whole(provider: &'static Provider) {
    let call = Call::new("list", json!({}));
    let replies = [Reply::message("I look.", [call]), Reply::text(ANSWER)];
    let bench = Bench::steps(provider, replies).await;
    let ran = bench.done(&["--no-stream", "hello"]).await;
    assert_eq!(ran.answer(), ANSWER);
    assert_eq!(ran.of("tool.finished").len(), 1);
    assert!(ran.of("text.delta").is_empty() && ran.of("call.delta").is_empty());
    assert!(!asked_to_stream(&bench).contains(&true));
}

/// Of each request whether it wants a stream.
fn asked_to_stream(bench: &Bench) -> Vec<bool> {
    if bench.provider.service.is_none() {
        return Vec::new();
    }
    let chats = bench.fake().chats().into_iter();
    chats
        .map(|chat| chat.json()["stream"] == true || chat.path.ends_with("/converse-stream"))
        .collect()
}

async fn calls_a_tool(provider: &'static Provider) {
    let replies = [
        Reply::message("I read.", [Call::new("read", json!({"path": "a.txt"}))]),
        Reply::call("read", json!({"path": "missing.txt"})),
        Reply::text("It is read."),
    ];
    let bench = Bench::steps(provider, replies).await;
    bench.home.write("a.txt", "the secret of a\n");
    let ran = bench.done(&["read a.txt"]).await;
    assert_eq!(ran.answer(), "It is read.");
    let finished = ran.of("tool.finished");
    assert_eq!(finished.len(), 2);
    assert_eq!(
        (&finished[0]["status"], &finished[1]["status"]),
        (&json!("ok"), &json!("error"))
    );
    assert!(
        finished[0]["content"]
            .as_str()
            .unwrap()
            .contains("the secret of a")
    );
    if let [first, second, third] = &bench.bodies()[..] {
        assert!(!first.contains("the secret of a") && second.contains("the secret of a"));
        assert!(third.contains("missing.txt"));
        assert!(
            goes_on(first, second) && goes_on(second, third),
            "{second}\n{third}"
        );
    } else {
        assert!(provider.service.is_none());
    }
}

/// Whether a request begins with the conversation of the one before. Marks for the cache move on
/// and are no part of what is cached; a text alone and a list of it are the same.
fn goes_on(before: &str, after: &str) -> bool {
    let conversation = |body: &str| {
        let mut body: Value = serde_json::from_str(body).unwrap();
        unmark(&mut body);
        let messages = ["messages", "input"].map(|field| body[field].as_array().cloned());
        (
            messages.into_iter().flatten().next().unwrap(),
            body["system"].clone(),
        )
    };
    let (before, after) = (conversation(before), conversation(after));
    before.1 == after.1 && after.0.starts_with(&before.0)
}

fn unmark(value: &mut Value) {
    match value {
        Value::Array(list) => {
            list.retain(|item| item.get("cachePoint").is_none());
            list.iter_mut().for_each(unmark);
        }
        Value::Object(fields) => {
            fields.remove("cache_control");
            fields.values_mut().for_each(unmark);
            if let Some(Value::Array(parts)) = fields.get("content")
                && let [part] = &parts[..]
                && part["type"] == "text"
            {
                let text = part["text"].clone();
                fields.insert("content".to_owned(), text);
            }
        }
        _ => {}
    }
}

async fn calls_tools_side_by_side(provider: &'static Provider) {
    let read = |path: &str| Call::new("read", json!({"path": path}));
    let replies = [
        Reply::message("I read both.", [read("a.txt"), read("b.txt")]),
        Reply::text("Both are read."),
    ];
    let bench = Bench::steps(provider, replies).await;
    bench.home.write("a.txt", "the secret of a\n");
    bench.home.write("b.txt", "the secret of b\n");
    let ran = bench.done(&["read both"]).await;
    assert_eq!(ran.answer(), "Both are read.");
    let finished = ran.of("tool.finished");
    assert!(finished.len() == 2 && finished.iter().all(|event| event["status"] == "ok"));
    if provider.service.is_some() {
        let last = text(bench.fake().chats().last().unwrap());
        let place = |secret: &str| last.find(secret).unwrap();
        assert!(
            place("the secret of a") < place("the secret of b"),
            "{last}"
        );
    }
}

async fn streams_arguments(provider: &'static Provider) {
    let content = "a line of the file, and \"another\" \u{1f427}\n".repeat(5);
    let arguments = json!({"path": "new.txt", "content": content});
    let replies = [
        Reply::call("write", arguments.clone()),
        Reply::text("Written."),
    ];
    let bench = Bench::steps(provider, replies).await;
    let ran = bench.done(&["write"]).await;
    let deltas = ran.of("call.delta");
    assert_eq!(deltas[0]["tool"], "write");
    assert!(deltas.iter().all(|delta| delta["index"] == 0));
    let fragments = deltas
        .iter()
        .filter(|delta| delta["arguments"] != "")
        .count();
    assert!(
        fragments >= if provider.service.is_some() { 3 } else { 1 },
        "{}",
        ran.done.stdout
    );
    let streamed: Value = serde_json::from_str(&ran.joined("call.delta", "arguments")).unwrap();
    assert_eq!(streamed, arguments);
    assert_eq!(bench.home.read("new.txt"), content);
}
