use serde_json::Value;

use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

mod audit;
mod commands;
mod listed;
mod managed;
mod replayed;
mod resumed;

/// A model that answers the first turn with `answer 1`, and so on.
fn answers() -> Script {
    Script::new(|asked| Reply::text(format!("answer {}", asked.assistant_messages() + 1)))
}

/// Runs a turn to its end and returns its session's id.
async fn turn(world: &World, args: &[&str]) -> String {
    let done = world.run_json(args).run().await;
    done.assert_code(0);
    let id = done.result()["session"].as_str().unwrap().to_owned();
    assert!(id.len() > 12, "{id}");
    id
}

/// What `ml-intern` prints as JSON.
async fn printed(world: &World, args: &[&str]) -> Value {
    let done = world.home.ml_intern(args).run().await;
    done.assert_code(0);
    serde_json::from_str(&done.stdout).unwrap()
}

/// The texts of a request's messages with their roles, the system prompt left out.
fn conversation(world: &World) -> Vec<String> {
    let request = world.fake.chats().last().unwrap().json();
    let messages = request["messages"].as_array().unwrap().iter().skip(1);
    messages
        .map(|message| {
            let content = match &message["content"] {
                Value::String(text) => text.clone(),
                other => other[0]["text"].as_str().unwrap_or_default().to_owned(),
            };
            format!("{}: {content}", message["role"].as_str().unwrap())
        })
        .collect()
}
