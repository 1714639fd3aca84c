use serde_json::json;

use crate::support::{
    fake_openai::{Reply, Script},
    world::{World, of_type},
};

#[tokio::test]
async fn a_model_that_goes_round_in_circles_is_told_and_stopped() {
    let script = Script::new(|_| Reply::call("read", json!({"path": "a.txt"})));
    let world = World::new(script).await;
    world.home.write("a.txt", "always the same");
    let done = world.run(["--output-format=stream-json", "go"]).run().await;
    done.assert_code(6);
    let events = done.events();
    let noticed = of_type(&events, "repetition");
    let steps: Vec<_> = noticed.iter().map(|event| event["step"].clone()).collect();
    assert_eq!(steps, ["warned", "barred", "stopped"]);
    assert!(
        noticed
            .iter()
            .all(|event| event["tools"] == json!(["read"]))
    );
    assert_eq!(done.result()["reason"], "repetition");
    assert_eq!(world.fake.chats().len(), 5);
    world.fake.assert_all_accepted();

    // Who reads it sees why, and what to do.
    let script = Script::new(|_| Reply::call("read", json!({"path": "a.txt"})));
    let world = World::new(script).await;
    world.home.write("a.txt", "always the same");
    let done = world.run(["go"]).run().await;
    done.assert_code(6);
    assert!(
        done.stderr.contains("it repeated itself"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("--resume"), "{}", done.stderr);
    let list = world.home.ml_intern(["sessions", "list"]).run().await;
    assert!(list.stdout.contains("stopped"), "{}", list.stdout);
}

/// What a job says as it goes on is another result each time.
#[tokio::test]
async fn who_watches_something_change_repeats_nothing() {
    let look = || Reply::call("bash", json!({"command": "cat n; echo x >> n"}));
    let mut replies: Vec<Reply> = (0..8).map(|_| look()).collect();
    replies.push(Reply::text("done"));
    let world = World::new(Script::steps(replies)).await;
    let done = world.run(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    assert_eq!(world.results().len(), 8);
}
