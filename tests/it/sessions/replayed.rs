use std::path::PathBuf;

use serde_json::{Value, json};

use super::printed;
use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    guests::{Installed, install, ran, world},
    ml_intern::Home,
    world::World,
};

/// Looks, writes, runs a program and a job, and answers; the plan is left open once.
fn script() -> Script {
    Script::steps([
        Reply::calls([
            Call::new("read", json!({"path": "data.txt"})),
            Call::new("list", json!({})),
        ]),
        Reply::calls([
            Call::new("write", json!({"path": "notes.md", "content": "one\n"})),
            Call::new("bash", json!({"command": "wc -l data.txt"})),
            Call::new("nothing", json!({})),
        ]),
        Reply::call("job_run", json!({"script": "print(3)", "wait": 20})),
        Reply::text("done"),
    ])
}

async fn recorded(world: &World) -> PathBuf {
    world.home.write("data.txt", "a\nb\n");
    let done = world.run(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    world.home.session()
}

fn id(session: &std::path::Path) -> &str {
    session.file_name().unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_session_is_replayed_without_its_model_its_tools_and_its_folder() {
    let world = World::new(script()).await;
    let session = recorded(&world).await;
    let asked = world.fake.exchanges().len();
    std::fs::remove_dir_all(world.home.workspace()).unwrap();
    std::fs::create_dir(world.home.workspace()).unwrap();
    let report = printed(&world, &["sessions", "replay", id(&session), "--json"]).await;
    assert_eq!(report["divergence"], Value::Null, "{report}");
    assert_eq!(
        (&report["iterations"], &report["tool_calls"]),
        (&json!(4), &json!(6))
    );
    assert_eq!(world.fake.exchanges().len(), asked, "nothing is asked");
    let text = world
        .home
        .ml_intern(["sessions", "replay", "1"])
        .run()
        .await;
    text.assert_code(0);
    assert!(
        text.stdout.contains("comes out as it was recorded"),
        "{}",
        text.stdout
    );
}

#[tokio::test]
async fn the_first_entry_that_comes_out_differently_is_named() {
    let world = World::new(script()).await;
    let session = recorded(&world).await;
    let path = session.join("events.jsonl");
    let log = std::fs::read_to_string(&path).unwrap();
    let changed = log.replace(
        r#""reason":"done","message":"done""#,
        r#""reason":"done","message":"gone""#,
    );
    assert_ne!(log, changed);
    let line = changed
        .lines()
        .find(|line| line.contains(r#""gone""#))
        .unwrap();
    let seq = serde_json::from_str::<Value>(line).unwrap()["seq"].clone();
    std::fs::write(&path, &changed).unwrap();
    let done = world
        .home
        .ml_intern(["sessions", "replay", id(&session), "--json"])
        .run()
        .await;
    done.assert_code(1);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["divergence"]["seq"], seq);
    assert!(
        report["divergence"]["what"]
            .as_str()
            .unwrap()
            .contains("message"),
        "{report}"
    );
    let text = world
        .home
        .ml_intern(["sessions", "replay", id(&session)])
        .run()
        .await;
    text.assert_code(1);
    let named = format!("differently from entry {seq} on");
    assert!(
        text.stdout.contains(&named) && text.stdout.contains("gone"),
        "{}",
        text.stdout
    );
}

#[tokio::test]
async fn with_real_tools_only_the_model_is_as_recorded() {
    let world = World::new(script()).await;
    let session = recorded(&world).await;
    let live = [
        "sessions",
        "replay",
        id(&session),
        "--live-tools",
        "--permission-mode=auto",
        "--json",
    ];
    std::fs::remove_file(world.home.workspace().join("notes.md")).unwrap();
    let report = printed(&world, &live).await;
    assert_eq!(report["divergence"], Value::Null, "{report}");
    // The job has another id; all else is the same.
    let differing: Vec<_> = report["differing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| &call["tool"])
        .collect();
    assert_eq!(differing, ["job_run"], "{report}");
    assert_eq!(world.home.read("notes.md"), "one\n");

    world.home.write("data.txt", "a\nb\nc\n");
    std::fs::remove_file(world.home.workspace().join("notes.md")).unwrap();
    let report = printed(&world, &live).await;
    let differing = report["differing"].as_array().unwrap();
    assert!(
        differing.iter().any(|call| call["tool"] == "read"),
        "{report}"
    );
    assert!(
        differing
            .iter()
            .any(|call| call["tool"] == "bash" && call["found"].as_str().unwrap().contains('3')),
        "{report}"
    );
    assert_eq!(world.fake.chats().len(), 4, "the model is not asked");
    assert_eq!(world.home.sessions().len(), 1);
}

#[tokio::test]
async fn what_was_said_and_allowed_is_replayed_as_well() {
    let world = World::new(Script::new(|asked| match asked.last_text() {
        "write" => Reply::call("write", json!({"path": "a.txt", "content": "a"})),
        _ => Reply::text("fine"),
    }))
    .await;
    let mut running = world.run_json(["write"]).start();
    let question = running.question(0).await;
    let edited = json!({"path": "b.txt", "content": "b"});
    let answer = json!({"type": "permission.answer", "id": question["id"], "decision": "allow", "edited": edited});
    running.write_line(&answer).await;
    running.finish().await.assert_code(0);
    world.run(["--continue", "more"]).run().await.assert_code(0);
    let session = world.home.session();
    let undone = world.home.ml_intern(["sessions", "undo", "1"]).run().await;
    undone.assert_code(0);
    world
        .run(["--continue", "again"])
        .run()
        .await
        .assert_code(0);
    let report = printed(&world, &["sessions", "replay", id(&session), "--json"]).await;
    assert_eq!(report["divergence"], Value::Null, "{report}");
    assert_eq!(report["turns"], 3);
}

/// A tool that fetches, for a server that is gone afterwards.
#[tokio::test]
async fn recorded_answers_are_given_again_without_their_server() {
    let target = FakeOpenAi::start(Script::new(|_| Reply::text("unused"))).await;
    let url = target.base_url();
    let fetcher = || {
        Installed::guest("hostile-network")
            .config("target", &url)
            .grant("http = [{ base-url = \"target\" }]")
    };
    let home = Home::new();
    install(&home, &[fetcher()]).await;
    let call = Call::new("request", json!({"url": format!("{url}/models")}));
    let world = world(home, [call], |_| None).await;
    let (_, done) = ran(&world, &["--record"]).await;
    done.assert_code(0);
    let fetched = target.exchanges().len();
    assert_eq!(fetched, 1);
    drop(target);

    let live = [
        "sessions",
        "replay",
        "1",
        "--live-tools",
        "--permission-mode=auto",
        "--json",
    ];
    let recorded = [&live[..], &["--recorded"]].concat();
    let report = printed(&world, &recorded).await;
    assert_eq!(
        (&report["divergence"], &report["differing"]),
        (&Value::Null, &json!([])),
        "{report}"
    );
    // Without the recording the server is missed.
    let report = printed(&world, &live).await;
    assert_eq!(report["differing"].as_array().unwrap().len(), 1, "{report}");

    std::fs::remove_file(world.home.session().join("effects.jsonl")).unwrap();
    let done = world.home.ml_intern(&recorded).run().await;
    done.assert_code(2);
    assert!(done.stderr.contains("--record"), "{}", done.stderr);
}
