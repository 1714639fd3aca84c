use serde_json::Value;

use crate::support::{
    ml_intern::{Finished, Running},
    world::{World, of_type},
};

mod arguments;
mod full_disk;
mod interrupt;
mod limits;
mod manifests;
mod output;
mod service;
mod silence;
mod tool_calls;

/// The texts of the notices with this code.
fn notices<'a>(events: &'a [Value], code: &str) -> Vec<&'a str> {
    let notices = of_type(events, "notice");
    notices
        .into_iter()
        .filter(|event| event["code"] == code)
        .filter_map(|event| event["text"].as_str())
        .collect()
}

/// How each call ended, in order.
fn statuses(events: &[Value]) -> Vec<&str> {
    let finished = of_type(events, "tool.finished");
    finished
        .iter()
        .filter_map(|event| event["status"].as_str())
        .collect()
}

/// Goes on with the newest session and returns the answer to `prompt`.
async fn answer_of_next(world: &World, prompt: &str) -> Value {
    let next = world.run(["--json", "--continue", prompt]).run().await;
    next.assert_code(0);
    next.result()["message"].clone()
}

/// Waits for a call to run and returns its id.
async fn call_started(running: &Running) -> Value {
    let started = running.wait_for_event("a call", |event| event["type"] == "tool.started");
    started.await["call"].clone()
}

/// Whether standard error has each of these texts.
#[track_caller]
fn says(done: &Finished, texts: &[&str]) {
    for text in texts {
        assert!(done.stderr.contains(text), "no `{text}` in {}", done.stderr);
    }
}
