use std::path::Path;

use serde_json::json;

use crate::support::{
    fake_openai::{Call, Reply, Script},
    world::World,
};

use super::{answer_of_next, says};

/// A file that may not grow behaves like one on a full disk, and needs no disk of its own.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_the_run_and_the_session_goes_on_later() {
    let script = Script::new(|asked| match asked.last_text() {
        "again" => Reply::text("fine"),
        _ => Reply::message("some words ".repeat(200), [Call::new("list", json!({}))]),
    });
    let world = World::new(script).await;
    // Compiles what has to be compiled, which the limit would not allow.
    world
        .run(["--max-iterations=1", "first"])
        .run()
        .await
        .assert_code(6);

    let binary = world.home.ml_intern([""; 0]);
    // Blocks of 512 bytes or, with some shells, of 1024.
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec \"{}\" run -m openai/fake-model go",
        binary.program().display()
    );
    let done = world
        .home
        .program(Path::new("/bin/sh"), ["-c", &script])
        .run()
        .await;
    done.assert_code(1);
    says(
        &done,
        &[
            "cannot write the session log",
            "events.jsonl",
            "free space",
            "--continue",
        ],
    );
    assert!(world.fake.chats().len() > 3);

    assert_eq!(answer_of_next(&world, "again").await, "fine");
    world.fake.assert_all_accepted();
    let last = world.fake.chats().pop().unwrap();
    assert!(last.messages().contains("some words"));
}
