use std::time::Duration;

use serde_json::json;

use crate::support::{
    fake_openai::{ApiError, Reply, Script},
    world::{World, of_type},
};

#[tokio::test]
async fn empty_answers_end_the_turn_without_a_message() {
    let world = World::new(Script::new(|_| Reply::text(""))).await;
    let done = world.run(["--json", "go"]).run().await;
    done.assert_code(0);
    assert!(done.result()["message"].is_null());
    assert_eq!(world.fake.chats().len(), 3);
    let events = done.events();
    let said = of_type(&events, "message");
    assert!(
        said.iter().all(|message| message["role"] != "assistant"),
        "{said:?}"
    );
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again() {
    let script = Script::steps([Reply::text("").then(Reply::text("here I am"))]);
    let world = World::new(script).await;
    let done = world.run(["--json", "go"]).run().await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "here I am");
    let events = done.events();
    assert_eq!(of_type(&events, "notice")[0]["code"], "empty_reply");
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn a_call_that_takes_long_says_that_it_goes_on() {
    let bash = Reply::call("bash", json!({"command": "sleep 12"}));
    let world = World::new(Script::steps([bash, Reply::text("done")])).await;
    let done = world.run(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    assert!(done.stderr.contains("… bash goes on  1"), "{}", done.stderr);
}

#[tokio::test]
async fn an_account_without_credit_is_said_in_words() {
    let error = ApiError::new(402, "insufficient_credits", "Payment required");
    let world = World::new(Script::new(move |_| Reply::refused(error.clone()))).await;
    let done = world.run(["go"]).run().await;
    done.assert_code(1);
    assert!(
        done.stderr.contains("no credit or quota left"),
        "{}",
        done.stderr
    );
    assert_eq!(world.fake.chats().len(), 1);
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
