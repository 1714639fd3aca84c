use std::time::Duration;

use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

#[tokio::test]
async fn an_empty_answer_ends_the_turn_without_a_message() {
    let world = World::new(Script::steps([Reply::text("")])).await;
    let done = world.run(["--json", "go"]).run().await;
    done.assert_code(0);
    assert!(done.result()["message"].is_null());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_when_the_time_is_over() {
    let world = World::new(Script::new(|_| Reply::never())).await;
    let done = world
        .run(["--json", "--timeout", "1s", "go"])
        .life(Duration::from_secs(30))
        .run()
        .await;
    done.assert_code(6);
    let result = done.result();
    assert_eq!(
        (&result["reason"], &result["iterations"]),
        (&"time".into(), &0.into())
    );
    world
        .fake
        .wait_for("the end of the request", |all| all[0].ended.is_some())
        .await;
}
