use std::path::Path;

use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_output_and_not_the_work() {
    let long = "word ".repeat(20_000);
    let script = Script::steps([
        Reply::message(
            long,
            [crate::support::fake_openai::Call::new(
                "write",
                serde_json::json!({"path": "made.txt", "content": "made"}),
            )],
        ),
        Reply::text("done"),
    ]);
    let world = World::new(script).await;
    let binary = world.home.ml_intern([""; 0]);
    let script = format!(
        "{{ \"{}\" run -m openai/fake-model --json --permission-mode=auto go; echo \"$?\" >code; }} | head -n 1",
        binary.program().display()
    );
    let done = world
        .home
        .program(Path::new("/bin/sh"), ["-c", &script])
        .run()
        .await;
    done.assert_code(0);
    assert!(done.stdout.contains("session.started"), "{}", done.stdout);
    assert_eq!(done.stdout.lines().count(), 1);
    assert_eq!(done.stderr, "");
    assert_eq!(world.home.read("code").trim(), "0");
    assert_eq!(world.home.read("made.txt"), "made");
    let shown = world
        .home
        .ml_intern(["sessions", "list", "--json"])
        .run()
        .await;
    assert!(shown.stdout.contains("done"), "{}", shown.stdout);
}
