//! A service that fails again and again, in a session that goes on as if nothing had happened.

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Asked, Exchange, Reply, Script},
    world::{World, of_type},
};

const ROUNDS: usize = 30;

/// Reads one file after the other, and says how it ended.
fn step(round: usize) -> Reply {
    match round {
        ROUNDS => Reply::text("all of them are read"),
        round => Reply::call("read", json!({"path": format!("{round}.txt")})),
    }
}

/// The same, from a service in trouble: a storm of rate limits, one that is up and down, and streams that are cut.
fn troubled(asked: &Asked<'_>) -> Reply {
    let round = asked.assistant_messages();
    match (round, asked.attempt) {
        (3..=9, 0 | 1) => Reply::rate_limited(0),
        (12 | 14, 0) => Reply::overloaded().retry_after(0),
        (12 | 14, 1) => Reply::server_error().retry_after(0),
        (18, 0) => step(round).cut_after(2),
        (ROUNDS, 0) => step(round).cut_after(1),
        _ => step(round),
    }
}

async fn session(script: Script) -> (World, Vec<Value>) {
    let world = World::new(script).await;
    for round in 0..ROUNDS {
        let file = format!("{round}.txt");
        world.home.write(&file, format!("the number {round}\n"));
        world.home.age(&file);
    }
    let done = world.run_json(["read them all"]).run().await;
    done.assert_code(0);
    world.fake.assert_all_accepted();
    assert_eq!(world.fake.prefix_breaks(), [0; 0]);
    (world, done.events())
}

/// What was said, but for the system prompt, which names the folder.
fn said(request: &Exchange) -> Vec<Value> {
    request.json()["messages"].as_array().unwrap()[1..].to_vec()
}

#[tokio::test]
async fn a_service_in_trouble_changes_nothing_but_the_time() {
    let calm = session(Script::new(|asked| step(asked.assistant_messages())));
    let storm = session(Script::new(troubled));
    let ((calm, calm_events), (storm, events)) = tokio::join!(calm, storm);
    let last = |world: &World| said(world.fake.chats().last().unwrap());
    assert_eq!(last(&calm), last(&storm));
    let result = |events: &[Value]| {
        let result = events.last().unwrap();
        [&result["message"], &result["iterations"], &result["reason"]].map(Value::clone)
    };
    assert_eq!(result(&calm_events), result(&events));
    assert!(of_type(&calm_events, "notice").is_empty());
    let notices = of_type(&events, "notice");
    let told = |words: &str| {
        let text = |notice: &&&Value| notice["text"].as_str().unwrap().contains(words);
        notices.iter().filter(text).count()
    };
    assert_eq!(told("answered 429"), 14, "{notices:?}");
    assert_eq!(
        (told("answered 503"), told("answered 500")),
        (2, 2),
        "{notices:?}"
    );
    assert_eq!(
        told("the part of the answer that came is left out"),
        1,
        "{notices:?}"
    );
    assert_eq!(notices.len(), 20, "{notices:?}");
    let shown: String = of_type(&events, "text.delta")
        .iter()
        .filter_map(|delta| delta["text"].as_str())
        .collect();
    assert!(shown.ends_with("all of them are read"), "{shown}");
}
