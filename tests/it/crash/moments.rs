use std::{io::Write, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use super::model::{ANSWER, World, events_file};
use crate::support::{
    fake_openai::{Reply, Script},
    world::{of_type, results},
};

/// The words of a reply that was cut are nowhere; the reply comes again, once and whole.
#[tokio::test]
async fn killed_during_a_stream() {
    let words = "several words that come slowly ".repeat(4);
    let slow = Reply::text(words.clone()).pace(Duration::from_millis(50));
    let world = World::with(Script::steps([
        Reply::call("list", json!({})),
        slow.then(Reply::text(words.clone())),
    ]))
    .await;
    let running = world.home.ml_intern(world.command().await).start();
    running
        .wait_for_event("words", |event| event["type"] == "text.delta")
        .await;
    running.signal(Signal::KILL);
    assert_eq!(running.finish().await.signal(), Some(Signal::KILL.as_raw()));
    assert!(!world.is_done().await);

    let done = world.finish().await;
    assert_eq!(done.result()["message"], words);
    world.fake.assert_all_accepted();
    assert_eq!(world.fake.prefix_breaks(), [0; 0]);
    let chats = world.fake.chats();
    assert_eq!(chats.len(), 3);
    assert_eq!(chats[1].messages(), chats[2].messages());
    let log = world.log().await;
    let said = of_type(&log, "message").into_iter();
    assert_eq!(said.filter(|one| one["role"] == "assistant").count(), 2);
}

/// An open question is asked again, and what it is about happens once.
#[tokio::test]
async fn killed_while_a_question_is_open() {
    let world = World::with(Script::steps([
        Reply::call("write", json!({"path": "a.txt", "content": "a"})),
        Reply::text("done"),
    ]))
    .await;
    let start = |args: &[&str]| {
        let base = [
            "run",
            "--json",
            "--input-format=stream-json",
            "--permission-mode=ask",
            "-m",
            "openai/fake-model",
        ];
        let args = base.iter().chain(args);
        world.home.ml_intern(args).open_stdin().start()
    };
    let running = start(&["write a file"]);
    running.question(0).await;
    running.signal(Signal::KILL);
    running.finish().await;
    assert!(!world.home.workspace().join("a.txt").exists());

    let mut running = start(&["--continue"]);
    let question = running.question(0).await;
    assert_eq!(question["tool"], "write");
    let answer = json!({"type": "permission.answer", "id": question["id"], "decision": "allow"});
    running.write_line(&answer).await;
    running.finish().await.assert_code(0);
    assert_eq!(world.home.read("a.txt"), "a");
    assert_eq!(world.fake.chats().len(), 2);
    assert!(results(&world.fake.chats()[1])[0].contains("created"));
}

/// A call that asks before it has done anything asks again, with the same question.
#[tokio::test]
async fn killed_while_a_question_about_a_program_is_open() {
    let world = World::with(Script::steps([
        Reply::call("bash", json!({"command": "echo once >>ran"})),
        Reply::text("done"),
    ]))
    .await;
    let base = [
        "run",
        "--json",
        "--input-format=stream-json",
        "-m",
        "openai/fake-model",
    ];
    let running = world.home.ml_intern(base.iter().chain(&["go"]));
    let running = running.open_stdin().start();
    let first = running.question(0).await;
    running.signal(Signal::KILL);
    running.finish().await;
    assert!(!world.home.workspace().join("ran").exists());

    let again = world.home.ml_intern(base.iter().chain(&["--continue"]));
    let mut running = again.open_stdin().start();
    let question = running.question(0).await;
    assert_eq!(
        (&question["id"], &question["detail"]),
        (&first["id"], &first["detail"])
    );
    let answer = json!({"type": "permission.answer", "id": question["id"], "decision": "allow"});
    running.write_line(&answer).await;
    running.finish().await.assert_code(0);
    assert_eq!(world.home.read("ran"), "once\n");
    assert_eq!(world.fake.chats().len(), 2);
}

/// Calls that have ended are not asked about again, and those that wait are.
#[tokio::test]
async fn killed_while_the_second_of_two_calls_is_asked_about() {
    let answers = |questions: usize| async move {
        let script = Script::steps([
            Reply::calls([
                crate::support::fake_openai::Call::new(
                    "bash",
                    json!({"command": "echo one >>ran"}),
                ),
                crate::support::fake_openai::Call::new(
                    "bash",
                    json!({"command": "echo two >>ran"}),
                ),
            ]),
            Reply::text("done"),
        ]);
        let world = World::with(script).await;
        let base = [
            "run",
            "--json",
            "--input-format=stream-json",
            "-m",
            "openai/fake-model",
        ];
        let start = |more: &[&str]| {
            let arguments = base.iter().chain(more);
            world.home.ml_intern(arguments).open_stdin().start()
        };
        let mut running = start(&["go"]);
        for number in 0..questions {
            let question = running.question(number).await;
            let allow =
                json!({"type": "permission.answer", "id": question["id"], "decision": "allow"});
            running.write_line(&allow).await;
        }
        running.question(questions).await;
        running.signal(Signal::KILL);
        running.finish().await;
        let mut running = start(&["--continue"]);
        for number in 0..2 - questions {
            let question = running.question(number).await;
            let allow =
                json!({"type": "permission.answer", "id": question["id"], "decision": "allow"});
            running.write_line(&allow).await;
        }
        running.finish().await.assert_code(0);
        world.home.read("ran")
    };
    assert_eq!(answers(0).await, "one\ntwo\n");
    assert_eq!(answers(1).await, "one\ntwo\n");
}

/// A program does not outlive its host into the next one's look at what it did.
#[tokio::test]
async fn a_program_that_the_dead_host_left_is_ended_first() {
    let world = World::with(Script::steps([
        Reply::call(
            "bash",
            json!({"command": "touch began; sleep 3; touch late"}),
        ),
        Reply::call("bash", json!({"command": "sleep 3.5; ls"})),
        Reply::text("done"),
    ]))
    .await;
    let running = world.home.ml_intern(world.command().await).start();
    let began = world.home.workspace().join("began");
    for _ in 0..1000 {
        if began.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.signal(Signal::KILL);
    running.finish().await;
    world.finish().await;
    let results = results(world.fake.chats().last().unwrap());
    assert!(results[0].contains("was interrupted"), "{results:?}");
    assert!(results[1].contains("began"), "{results:?}");
    assert!(!results[1].contains("late"), "{results:?}");
}

/// Half an entry at the end, as a crash of the machine leaves it, is cut off and told.
#[tokio::test]
async fn a_torn_last_line_costs_only_itself() {
    let world = World::new().await;
    let running = world.home.ml_intern(world.command().await).start();
    running
        .wait_for_event("the edit", |event| {
            event["type"] == "tool.finished" && event["tool"] == "edit"
        })
        .await;
    running.signal(Signal::KILL);
    running.finish().await;
    let file = events_file(&world.home.session());
    let whole = std::fs::read(&file).unwrap();
    let mut log = std::fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .unwrap();
    let torn = b"{\"v\":1,\"seq\":99,\"ts\":\"2026-";
    log.write_all(torn).unwrap();

    let done = world.finish().await;
    assert_eq!(done.result()["message"], ANSWER);
    let events = done.events();
    let told = of_type(&events, "notice");
    let cut = told.iter().find(|notice| notice["code"] == "log_cut");
    let text = cut.expect("a notice")["text"].as_str().unwrap();
    assert!(text.contains(&format!("{} bytes", torn.len())), "{text}");
    assert!(std::fs::read(&file).unwrap().starts_with(&whole));
    world.assert_whole().await;
}

/// A line in the middle that is no entry is damage, not a crash: nothing goes on over it.
#[tokio::test]
async fn damage_in_the_middle_is_an_error_that_names_the_line() {
    let world = World::new().await;
    world.finish().await;
    let file = events_file(&world.home.session());
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[3] = &lines[3][..lines[3].len() / 2];
    let damaged = lines.join("\n") + "\n";
    std::fs::write(&file, &damaged).unwrap();
    let id = world.home.session();
    let id = id.file_name().unwrap().to_str().unwrap();
    let args = ["run", "-m", "openai/fake-model", "--resume", id, "go on"];
    let done = world.home.ml_intern(args).run().await;
    done.assert_code(2);
    assert!(done.stderr.contains("line 4"), "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged);
}
