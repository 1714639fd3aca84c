use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, Reply, Script},
    ml_intern::{Finished, Running},
    world::{World, of_type},
};

mod edited;
mod modes;
mod remembered;
mod rules;
mod standard_input;

/// A model that makes `calls` in one message and then says `done`.
fn calls(calls: impl IntoIterator<Item = Call>) -> Script {
    Script::steps([Reply::calls(calls), Reply::text("done")])
}

fn write(path: &str) -> Call {
    Call::new("write", json!({"path": path, "content": "by the model\n"}))
}

fn bash(command: &str) -> Call {
    Call::new("bash", json!({ "command": command }))
}

fn job(script: &str) -> Call {
    Call::new(
        "job_run",
        json!({"script": script, "timeout": 60, "wait": 40}),
    )
}

/// The line that answers a question.
fn answer(question: &Value, decision: &str) -> Value {
    json!({"type": "permission.answer", "id": question["id"], "decision": decision})
}

/// Answers the next `count` questions the same way, waits for the end, and returns the questions.
pub(crate) async fn answer_all(
    mut running: Running,
    count: usize,
    decision: &str,
) -> (Vec<Value>, Finished) {
    let mut questions = Vec::new();
    for number in 0..count {
        let question = running.question(number).await;
        running.write_line(&answer(&question, decision)).await;
        questions.push(question);
    }
    (questions, running.finish().await)
}

/// How each call ended, in order.
fn statuses(events: &[Value]) -> Vec<&str> {
    let finished = of_type(events, "tool.finished");
    finished
        .iter()
        .filter_map(|event| event["status"].as_str())
        .collect()
}

/// The effects that were asked about, in order.
pub(crate) fn asked(events: &[Value]) -> Vec<&str> {
    let questions = of_type(events, "permission.requested");
    questions
        .iter()
        .filter_map(|event| event["effect"].as_str())
        .collect()
}

#[tokio::test]
async fn a_question_carries_all_that_a_person_needs() {
    let world = World::new(calls([
        write("a.txt"),
        bash("echo hi > b.txt"),
        job("print('x' * 3)"),
    ]))
    .await;
    let running = world.run_json(["--permission-mode=ask", "go"]).start();
    let (questions, done) = answer_all(running, 3, "allow").await;
    done.assert_code(0);
    let [edit, process, submit] = &questions[..] else {
        panic!("{questions:#?}")
    };

    assert_eq!(
        (&edit["effect"], &edit["tool"]),
        (&json!("edit"), &json!("write"))
    );
    assert!(
        edit["plugin"]
            .as_str()
            .unwrap()
            .starts_with("ml-intern/files@")
    );
    assert_eq!(
        edit["detail"],
        json!({"path": "a.txt", "content": "by the model\n"})
    );
    assert_eq!(
        edit["grants"],
        json!(["reads and writes files below the workspace"])
    );
    assert_eq!(edit.get("price_usd"), None);

    assert_eq!(
        (&process["effect"], &process["tool"]),
        (&json!("process"), &json!("bash"))
    );
    assert!(
        process["plugin"]
            .as_str()
            .unwrap()
            .starts_with("ml-intern/shell@")
    );
    assert_eq!(process["detail"]["program"], "sh");
    assert_eq!(
        process["detail"]["arguments"],
        json!(["-c", "echo hi > b.txt"])
    );
    assert_eq!(process["grants"], json!(["runs programs: sh"]));

    assert_eq!(
        (&submit["effect"], &submit["tool"]),
        (&json!("job"), &json!("job_run"))
    );
    assert_eq!(submit["detail"]["script"], "print('x' * 3)");
    assert_eq!(submit["detail"]["timeout_seconds"], 60);
    // This machine costs nothing, which is something else than an unknown price.
    assert_eq!(submit["price_usd"], 0.0);

    let events = done.events();
    let calls = of_type(&events, "tool.started");
    for (question, call) in questions.iter().zip(calls) {
        assert_eq!(question["call"], call["call"]);
    }
    let resolved = of_type(&events, "permission.resolved");
    assert!(
        resolved
            .iter()
            .all(|one| one["by"] == "user" && one["decision"] == "allow")
    );
    assert_eq!(statuses(&events), ["ok", "ok", "ok"]);
    assert_eq!(world.home.read("b.txt"), "hi\n");
    assert!(world.results()[2].contains("xxx"), "{:?}", world.results());
}

#[tokio::test]
async fn a_denial_reaches_the_model_with_the_persons_words() {
    let world = World::new(calls([write("a.txt"), bash("echo hi > b.txt")])).await;
    let mut running = world.run_json(["--permission-mode=ask", "go"]).start();
    for (number, words) in [json!("keep it\u{1b}[31m small"), json!(null)]
        .iter()
        .enumerate()
    {
        let question = running.question(number).await;
        let mut line = answer(&question, "deny");
        line["feedback"] = words.clone();
        running.write_line(&line).await;
    }
    let done = running.finish().await;
    // A person decided: the turn came to its end as it should.
    done.assert_code(0);
    let events = done.events();
    assert_eq!(statuses(&events), ["denied", "denied"]);
    assert!(!world.home.workspace().join("a.txt").exists());
    assert!(!world.home.workspace().join("b.txt").exists());
    let results = world.results();
    assert_eq!(
        results[0],
        "the user denied the request to change files of the workspace with `write`: keep it[31m small"
    );
    assert!(
        results[1].contains("the user denied the request to run `sh`"),
        "{results:?}"
    );
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn a_persons_time_is_not_the_commands_time() {
    let slow = Call::new(
        "bash",
        json!({"command": "sleep 0.2; echo through", "timeout": 1}),
    );
    let world = World::new(calls([slow])).await;
    let mut running = world.run_json(["--permission-mode=ask", "go"]).start();
    let question = running.question(0).await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    running.write_line(&answer(&question, "allow")).await;
    let done = running.finish().await;
    done.assert_code(0);
    assert_eq!(world.results(), ["through"]);
}
