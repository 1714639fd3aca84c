use serde_json::Value;

use super::{answers, conversation, printed, turn};
use crate::support::world::World;

async fn listed(world: &World) -> Vec<Value> {
    let list = printed(world, &["sessions", "list", "--json"]).await;
    list.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_session_is_renamed() {
    let world = World::new(answers()).await;
    let id = turn(&world, &["first words"]).await;
    let rename = ["sessions", "rename", &id[..15], "  Penguins, second try "];
    let done = world.home.ml_intern(rename).run().await;
    done.assert_code(0);
    assert_eq!(listed(&world).await[0]["title"], "Penguins, second try");
    // It goes on as before, under its title.
    let again = turn(&world, &["--resume", &id, "more"]).await;
    assert_eq!(again, id);
    assert_eq!(listed(&world).await[0]["title"], "Penguins, second try");
    assert_eq!(
        conversation(&world),
        ["user: first words", "assistant: answer 1", "user: more"]
    );
    for wrong in ["", "  ", "two\nlines", "\u{1b}[31mred"] {
        let rename = ["sessions", "rename", &id, wrong];
        world.home.ml_intern(rename).run().await.assert_code(2);
    }
    let rename = ["sessions", "rename", "nothing", "x"];
    world.home.ml_intern(rename).run().await.assert_code(2);
}

#[tokio::test]
async fn a_session_is_forked_and_each_goes_its_own_way() {
    let world = World::new(answers()).await;
    let id = turn(&world, &["one"]).await;
    turn(&world, &["--resume", &id, "two"]).await;
    let fork = ["sessions", "fork", &id, "--turn", "1"];
    let done = world.home.ml_intern(fork).run().await;
    done.assert_code(0);
    let new = done.stdout.trim().to_owned();
    assert_ne!(new, id);
    assert!(
        done.stderr.contains(&format!("--resume {new}")),
        "{}",
        done.stderr
    );
    turn(&world, &["--resume", &new, "other"]).await;
    assert_eq!(
        conversation(&world),
        ["user: one", "assistant: answer 1", "user: other"]
    );
    turn(&world, &["--resume", &id, "three"]).await;
    assert_eq!(conversation(&world).len(), 5);
    assert_eq!(listed(&world).await.len(), 2);

    let shown = world
        .home
        .ml_intern(["sessions", "show", &new, "--json"])
        .run()
        .await;
    let events = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let forked: Vec<Value> = events
        .filter(|event| event["type"] == "session.forked")
        .collect();
    assert_eq!(
        (forked.len(), &forked[0]["from"]),
        (1, &Value::from(id.as_str()))
    );

    let whole = world.home.ml_intern(["sessions", "fork", &id]).run().await;
    whole.assert_code(0);
    for wrong in [
        ["--turn", "9"],
        ["--turn", "0"],
        ["--at", "0"],
        ["--at", "9999"],
    ] {
        let fork = ["sessions", "fork", &id].into_iter().chain(wrong);
        let done = world.home.ml_intern(fork).run().await;
        done.assert_code(2);
        assert_eq!(listed(&world).await.len(), 3, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_session_is_removed_after_a_yes() {
    let world = World::new(answers()).await;
    let id = turn(&world, &["one"]).await;
    let other = turn(&world, &["other"]).await;
    // Nobody is there to ask.
    let done = world
        .home
        .ml_intern(["sessions", "delete", &id])
        .run()
        .await;
    done.assert_code(4);
    assert!(done.stderr.contains("--yes"), "{}", done.stderr);
    let mut terminal = world
        .home
        .ml_intern(["sessions", "delete", &id])
        .at_terminal(80);
    terminal.wait_for("remove this?").await;
    terminal.type_line("n");
    assert_eq!(terminal.finish().await.0, Some(4));
    assert_eq!(listed(&world).await.len(), 2);

    // One that is not there is named before anything is removed.
    let delete = ["sessions", "delete", "--yes", &id, "20000101-000000-000000"];
    world.home.ml_intern(delete).run().await.assert_code(2);
    assert_eq!(listed(&world).await.len(), 2);
    let delete = ["sessions", "delete", "--yes", &id];
    world.home.ml_intern(delete).run().await.assert_code(0);
    let left = listed(&world).await;
    assert_eq!(
        (left.len(), &left[0]["id"]),
        (1, &Value::from(other.as_str()))
    );
    assert_eq!(world.home.sessions().len(), 1);
}

#[tokio::test]
async fn a_session_is_exported_for_other_programs() {
    let world = World::new(answers()).await;
    let id = turn(&world, &["one"]).await;
    turn(&world, &["--resume", &id, "two"]).await;
    let export = ["sessions", "export", &id];
    let done = world.home.ml_intern(export).run().await;
    done.assert_code(0);
    let lines = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["user", "assistant", "user", "assistant"]);
    assert_eq!(lines[3]["message"]["content"][0]["text"], "answer 2");
    assert_eq!(lines[3]["message"]["model"], "openai/fake-model");

    let to_file = ["sessions", "export", &id, "-o", "trace.jsonl"];
    world.home.ml_intern(to_file).run().await.assert_code(0);
    assert_eq!(world.home.read("trace.jsonl"), done.stdout);
    // It is not written over.
    world.home.ml_intern(to_file).run().await.assert_code(2);
}
