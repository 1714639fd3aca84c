use serde_json::{Value, json};

use super::{said, say, talk};
use crate::support::{
    fake_openai::{Call, Reply, Script},
    world::World,
};

/// Reads or writes what it is told, `read PATH` or `write PATH,PATH TEXT`; then says that it did.
fn writer() -> Script {
    Script::new(|asked| {
        let text = asked.last_text();
        let mut words = text.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("write"), Some(path), Some(content)) => {
                let calls = path
                    .split(',')
                    .map(|path| Call::new("write", json!({"path": path, "content": content})));
                Reply::calls(calls)
            }
            (Some("read"), Some(path), None) => Reply::call("read", json!({ "path": path })),
            _ => Reply::text("did it"),
        }
    })
}

#[tokio::test]
async fn a_turn_is_taken_back_with_its_words_and_its_files() {
    let world = World::new(writer()).await;
    world.home.write("old.txt", "as it was\n");
    let mut running = talk(&world, ["--permission-mode=auto", "read old.txt"]).start();
    running.nth_event("turn.finished", 1).await;
    say(&mut running, "write old.txt,new.txt,deep/er.txt changed", 2).await;
    assert_eq!(world.home.read("old.txt"), "changed");
    running.write_line(&json!({"type": "undo"})).await;
    let undone = running.nth_event("turn.undone", 1).await;
    assert_eq!(undone["turn"], 2);
    assert_eq!(
        undone["restored"],
        json!(["deep/er.txt", "new.txt", "old.txt"])
    );
    assert_eq!(undone["kept"], Value::Null);
    assert_eq!(world.home.read("old.txt"), "as it was\n");
    assert!(!world.home.workspace().join("new.txt").exists());

    say(&mut running, "third", 3).await;
    assert_eq!(said(&world), ["read old.txt", "third"]);
    world.fake.assert_all_accepted();
    // Turn after turn, to the beginning.
    for number in 2..=3 {
        running.write_line(&json!({"type": "undo"})).await;
        running.nth_event("turn.undone", number).await;
    }
    running.write_line(&json!({"type": "undo"})).await;
    let notice = running.nth_event("notice", 1).await;
    assert_eq!(notice["code"], "nothing_to_undo");
    say(&mut running, "again", 4).await;
    assert_eq!(said(&world), ["again"]);
    running.finish().await.assert_code(0);
}

#[tokio::test]
async fn what_somebody_changed_since_stays() {
    let world = World::new(writer()).await;
    let mut running = talk(&world, ["--permission-mode=auto", "write a.txt,b.txt one"]).start();
    running.nth_event("turn.finished", 1).await;
    world.home.write("a.txt", "mine");
    running.write_line(&json!({"type": "undo"})).await;
    let undone = running.nth_event("turn.undone", 1).await;
    assert_eq!(undone["restored"], json!(["b.txt"]));
    assert_eq!(undone["kept"][0]["path"], "a.txt");
    assert!(
        undone["kept"][0]["why"]
            .as_str()
            .unwrap()
            .contains("changed since")
    );
    assert_eq!(world.home.read("a.txt"), "mine");
    running.finish().await.assert_code(0);
}

#[tokio::test]
async fn a_turn_of_a_session_that_is_over_is_taken_back_from_the_command_line() {
    let world = World::new(writer()).await;
    world.home.write("old.txt", "as it was\n");
    for prompt in ["read old.txt", "write old.txt changed"] {
        let mut arguments = vec!["--permission-mode=auto", prompt];
        if prompt != "read old.txt" {
            arguments.insert(0, "--continue");
        }
        world.run(arguments).run().await.assert_code(0);
    }
    let session = world.home.session();
    let id = session.file_name().unwrap().to_str().unwrap().to_owned();
    let done = world.home.ml_intern(["sessions", "undo", &id]).run().await;
    done.assert_code(0);
    assert!(
        done.stderr.contains("turn 2 is taken back"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("old.txt"), "{}", done.stderr);
    assert_eq!(world.home.read("old.txt"), "as it was\n");

    world
        .run(["--continue", "third"])
        .run()
        .await
        .assert_code(0);
    assert_eq!(said(&world), ["read old.txt", "third"]);
    for _ in 0..2 {
        world
            .home
            .ml_intern(["sessions", "undo", &id])
            .run()
            .await
            .assert_code(0);
    }
    let done = world.home.ml_intern(["sessions", "undo", &id]).run().await;
    done.assert_code(2);
    assert!(
        done.stderr.contains("no turn to take back"),
        "{}",
        done.stderr
    );
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn a_copy_of_a_session_takes_its_turns_back_as_well() {
    let world = World::new(writer()).await;
    let run = ["--permission-mode=auto", "write a.txt one"];
    world.run(run).run().await.assert_code(0);
    let forked = world.home.ml_intern(["sessions", "fork", "1"]).run().await;
    forked.assert_code(0);
    let copy = forked.stdout.trim();
    let undone = world.home.ml_intern(["sessions", "undo", copy]).run().await;
    undone.assert_code(0);
    assert!(
        !world.home.workspace().join("a.txt").exists(),
        "{}",
        undone.stderr
    );

    world.home.write("old.txt", "as it was\n");
    for prompt in ["read old.txt", "write old.txt changed"] {
        let more = ["--resume", copy, "--permission-mode=auto", prompt];
        world.run(more).run().await.assert_code(0);
    }
    assert_eq!(world.home.read("old.txt"), "changed");
    let forked = world.home.ml_intern(["sessions", "fork", copy]).run().await;
    let undone = world
        .home
        .ml_intern(["sessions", "undo", forked.stdout.trim()])
        .run()
        .await;
    undone.assert_code(0);
    assert_eq!(
        world.home.read("old.txt"),
        "as it was\n",
        "{}",
        undone.stderr
    );
}
