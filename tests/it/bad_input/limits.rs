use serde_json::json;

use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

use super::{answer_of_next, says, statuses};

#[tokio::test]
async fn the_cap_on_iterations_ends_the_turn_and_the_next_goes_on() {
    let script = Script::new(|asked| match asked.last_text() {
        "again" => Reply::text("fine"),
        _ => Reply::call("list", json!({})),
    });
    let world = World::new(script).await;
    let done = world
        .run(["--json", "--max-iterations", "3", "go"])
        .run()
        .await;
    done.assert_code(6);
    let result = done.result();
    assert_eq!(result["reason"], "iterations");
    assert_eq!(
        (&result["iterations"], &result["exit_code"]),
        (&json!(3), &json!(6))
    );
    assert_eq!(world.fake.chats().len(), 3);
    assert_eq!(statuses(&done.events()).len(), 3);
    assert_eq!(answer_of_next(&world, "again").await, "fine");

    let done = world.run(["--max-iterations", "1", "go"]).run().await;
    done.assert_code(6);
    says(&done, &["--max-iterations", "--resume"]);
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn the_time_limit_ends_a_call_and_what_it_started() {
    let script = Script::new(|asked| match asked.last_text() {
        "again" => Reply::text("fine"),
        _ => Reply::call(
            "bash",
            json!({"command": "echo $$ > pid; exec sleep 600", "timeout": 600}),
        ),
    });
    let world = World::new(script).await;
    let go = ["--json", "--permission-mode=auto", "--timeout=2s", "go"];
    let done = world.run(go).run().await;
    done.assert_code(6);
    assert_eq!(done.result()["reason"], "time");
    assert_eq!(statuses(&done.events()), ["cancelled"]);
    super::interrupt::assert_gone(&world.home, "pid").await;
    assert_eq!(answer_of_next(&world, "again").await, "fine");
    world.fake.assert_all_accepted();
}
