use serde_json::{Value, json};

use super::{answer, bash, calls, job, statuses, write};
use crate::support::{fake_openai::Call, ml_intern::Finished, world::World};

/// Answers the one question of `call` with `edited`.
async fn edit(call: Call, edited: Value) -> (World, Finished) {
    let world = World::new(calls([call])).await;
    let mut running = world.run_json(["--permission-mode=ask", "go"]).start();
    let question = running.question(0).await;
    let mut line = answer(&question, "allow");
    line["edited"] = edited;
    running.write_line(&line).await;
    let done = running.finish().await;
    done.assert_code(0);
    world.fake.assert_all_accepted();
    (world, done)
}

#[tokio::test]
async fn edited_arguments_are_what_runs_and_what_the_model_is_told() {
    let edited = json!({"path": "other.txt", "content": "by the user\n"});
    let (world, done) = edit(write("a.txt"), edited).await;
    assert_eq!(statuses(&done.events()), ["ok"]);
    assert!(!world.home.workspace().join("a.txt").exists());
    assert_eq!(world.home.read("other.txt"), "by the user\n");
    let result = &world.results()[0];
    assert!(
        result.starts_with("[the user edited the arguments of this call to {"),
        "{result}"
    );
    assert!(
        result.contains("other.txt") && result.contains("by the user"),
        "{result}"
    );
}

#[tokio::test]
async fn an_edited_command_is_what_runs_and_what_the_model_is_told() {
    let edited = json!({"program": "sh", "arguments": ["-c", "echo mine | tee b.txt"]});
    let (world, done) = edit(bash("echo yours > a.txt"), edited).await;
    assert_eq!(statuses(&done.events()), ["ok"]);
    assert!(!world.home.workspace().join("a.txt").exists());
    assert_eq!(world.home.read("b.txt"), "mine\n");
    let result = &world.results()[0];
    assert!(
        result.starts_with("[the user edited the command"),
        "{result}"
    );
    assert!(
        result.contains("echo mine | tee b.txt") && result.ends_with("mine"),
        "{result}"
    );
}

#[tokio::test]
async fn an_edited_script_is_what_runs_and_what_the_model_is_told() {
    let edited = json!({"script": "open('b.txt', 'w').write('mine')"});
    let (world, done) = edit(job("open('a.txt', 'w').write('yours')"), edited).await;
    assert_eq!(statuses(&done.events()), ["ok"]);
    assert!(!world.home.workspace().join("a.txt").exists());
    assert_eq!(world.home.read("b.txt"), "mine");
    let result = &world.results()[0];
    assert!(
        result.starts_with("[the user edited the script"),
        "{result}"
    );
    assert!(result.contains("write('mine')"), "{result}");
}

#[tokio::test]
async fn an_edit_that_cannot_be_run_is_not_replaced_by_what_was_asked() {
    let cases = [
        (write("a.txt"), json!({"path": 7})),
        (write("a.txt"), json!("write it")),
        (bash("echo > a.txt"), json!({"command": "true"})),
        (bash("echo > a.txt"), json!({"arguments": ["-c", 1]})),
        (job("open('a.txt', 'w')"), json!({"source": "pass"})),
    ];
    for (call, edited) in cases {
        let shown = edited.to_string();
        let (world, done) = edit(call, edited).await;
        assert!(!world.home.workspace().join("a.txt").exists(), "{shown}");
        assert_ne!(statuses(&done.events()), ["ok"], "{shown}");
        let result = &world.results()[0];
        assert!(result.contains("the user edited"), "{shown}: {result}");
    }
}
