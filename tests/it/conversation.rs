mod operations;
mod typed;
mod undo;

use std::ffi::OsStr;

use serde_json::{Value, json};

use crate::support::{
    ml_intern::{Program, Running},
    world::World,
};

/// `ml-intern` without a command, with events on standard output and operations on standard input.
fn talk<A: AsRef<OsStr>>(world: &World, args: impl IntoIterator<Item = A>) -> Program {
    let mut all = [
        "--model=openai/fake-model",
        "--output-format=stream-json",
        "--input-format=stream-json",
    ]
    .map(|arg| OsStr::new(arg).to_owned())
    .to_vec();
    all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    world.home.ml_intern(all).open_stdin()
}

/// Says something, and waits for the end of the turn number `turn` (from 1) of the whole conversation.
async fn say(running: &mut Running, text: &str, turn: usize) -> Value {
    let words = json!({"type": "user.message", "text": text});
    running.write_line(&words).await;
    running.nth_event("turn.finished", turn).await
}

/// What a person said in the newest request, oldest first.
fn said(world: &World) -> Vec<String> {
    let request = world.fake.chats().pop().unwrap().json();
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let own = messages.iter().filter(|message| message["role"] == "user");
    own.map(|message| text_of(&message["content"])).collect()
}

fn text_of(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten();
    let parts = parts.filter_map(|part| part["text"].as_str());
    match content.as_str() {
        Some(text) => text.to_owned(),
        None => parts.collect::<Vec<_>>().join("\n\n"),
    }
}
