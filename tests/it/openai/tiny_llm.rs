use serde_json::Value;

use crate::support::{
    ml_intern::Home,
    tiny_llm::{Model, TinyLlm},
    world::of_type,
};

/// A session with a model that calls random tools with random arguments. Returns its events.
async fn session(model: Model, flags: &[&str]) -> Vec<Value> {
    // A third round of the same call would make the host step in.
    let server = TinyLlm::start(model, &["--tool-rounds=2", "--api-key=k"]).await;
    let home = Home::new();
    home.set("OPENAI_BASE_URL", server.base_url());
    home.set("OPENAI_API_KEY", "k");
    home.write("notes/a.txt", "something to read\n");
    let args = [
        "run",
        "-m",
        "openai/tiny-random",
        "--output-format=stream-json",
    ];
    let args = args
        .iter()
        .chain(flags)
        .chain(&["Look around in this folder."]);
    let done = home.ml_intern(args).run().await;
    // 4: it wanted something that nobody was there to allow.
    let code = done.code();
    assert!(matches!(code, Some(0 | 4)), "{code:?}\n{}", done.stderr);
    let events = done.events();
    // No request was refused, and none had to be sent twice.
    assert!(of_type(&events, "error").is_empty(), "{}", done.stdout);
    assert!(of_type(&events, "notice").is_empty(), "{}", done.stdout);
    let result = done.result();
    assert_eq!(result["reason"], "done");
    assert!(!result["message"].as_str().unwrap().is_empty());
    assert!(result["usage"]["input"].as_u64().unwrap() > 100);
    assert!(result["usage"]["output"].as_u64().unwrap() > 0);
    events
}

/// Panics unless tools were called, their arguments fit their schemas, and all have a result.
#[track_caller]
fn assert_calls(events: &[Value], least: usize) {
    let started = of_type(events, "tool.started");
    let finished = of_type(events, "tool.finished");
    assert!(started.len() >= least, "{} calls", started.len());
    assert_eq!(started.len(), finished.len());
    for call in finished {
        let status = call["status"].as_str().unwrap();
        let fine = matches!(status, "ok" | "error" | "denied");
        assert!(fine, "{call}");
    }
}

#[tokio::test]
async fn a_stream_of_random_calls_that_may_only_read() {
    let events = session(Model::Plain, &["--permission-mode=plan"]).await;
    assert_calls(&events, 2);
    assert!(!of_type(&events, "text.delta").is_empty());
}

#[tokio::test]
async fn whole_answers_with_random_calls_that_may_only_read() {
    let events = session(Model::Plain, &["--permission-mode=plan", "--no-stream"]).await;
    assert_calls(&events, 2);
    assert!(of_type(&events, "text.delta").is_empty());
}

#[tokio::test]
async fn several_random_calls_at_once() {
    for flag in ["--no-stream", "--verbose"] {
        let events = session(Model::Parallel, &["--permission-mode=plan", flag]).await;
        assert_calls(&events, 2);
    }
}

#[tokio::test]
async fn random_calls_that_may_edit() {
    let events = session(Model::Parallel, &["--permission-mode=auto-edit"]).await;
    assert_calls(&events, 2);
}
