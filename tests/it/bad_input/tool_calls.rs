use serde_json::json;

use crate::support::{
    fake_openai::{Call, Reply, Script},
    world::{World, results},
};

use super::statuses;

#[tokio::test]
async fn calls_that_cannot_run_are_answered_and_the_turn_goes_on() {
    let calls = [
        Call::raw("read", "{\"path\": \"a.txt"),
        Call::raw("read", "[1, 2]"),
        Call::raw("read", ""),
        Call::new("raed", json!({"path": "a.txt"})),
        Call::new("fly_to_the_moon", json!({})),
        Call::new("read", json!({"path": 7})),
        Call::new("read", json!({"path": "a.txt", "colour": "red"})),
        Call::new("read", json!({"path": "a.txt"})),
    ];
    let says: [&[&str]; 8] = [
        &["malformed JSON", "not executed", "one JSON object"],
        &["an array where an object is needed"],
        &["malformed JSON"],
        &["no tool `raed`", "did you mean `read`?"],
        &["no tool `fly_to_the_moon`", "the tools are: ", "bash"],
        &["`/path`", "7", "not executed"],
        &["colour"],
        &["there it is"],
    ];
    let count = calls.len();
    let world = World::new(Script::steps([Reply::calls(calls), Reply::text("done")])).await;
    world.home.write("a.txt", "there it is\n");
    let done = world.run(["--json", "go"]).run().await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "done");
    let told = results(&world.fake.chats().pop().unwrap());
    assert_eq!(told.len(), count);
    for (text, says) in told.iter().zip(says) {
        for wanted in says {
            assert!(text.contains(wanted), "no `{wanted}` in {text}");
        }
    }
    let events = done.events();
    assert_eq!(
        statuses(&events),
        [
            "malformed",
            "malformed",
            "malformed",
            "error",
            "error",
            "malformed",
            "malformed",
            "ok"
        ]
    );
    world.fake.assert_all_accepted();
}
