use serde_json::{Value, json};

use super::{answer, bash, calls, statuses, write};
use crate::support::world::{World, of_type};

#[tokio::test]
async fn lines_that_answer_nothing_change_nothing() {
    let world = World::new(calls([write("a.txt")])).await;
    let mut running = world.run_json(["go"]).start();
    let question = running.question(0).await;
    let id = question["id"].as_str().unwrap();
    for line in [
        json!({"type": "permission.answer", "id": "nobody-asked", "decision": "allow"}),
        json!({"type": "permission.answer", "id": id, "decision": "perhaps"}),
        json!({"type": "permission.answer", "decision": "allow"}),
        json!({"type": "steer", "text": "faster"}),
        json!([1, 2, 3]),
        json!("\u{1b}]0;x\u{7}"),
        json!(null),
    ] {
        running.write_line(&line).await;
    }
    running.write_line(&answer(&question, "deny")).await;
    let done = running.finish().await;
    done.assert_code(0);
    assert_eq!(statuses(&done.events()), ["denied"]);
    let complaints = done.stderr.matches("was ignored: ").count();
    assert_eq!(complaints, 6, "{}", done.stderr);
    assert!(!done.stderr.contains('\u{1b}'), "{}", done.stderr);
}

#[tokio::test]
async fn an_answer_may_come_before_its_question() {
    let script = || calls([write("a.txt")]);
    let first = World::new(script()).await;
    let running = first.run_json(["go"]).start();
    let id = running.question(0).await["id"].clone();
    drop(running);

    // The same conversation asks the same questions, so a driver that knows it can answer ahead.
    let second = World::new(script()).await;
    let mut running = second.run_json(["go"]).start();
    running
        .write_line(&answer(&json!({ "id": id }), "allow"))
        .await;
    let done = running.finish().await;
    done.assert_code(0);
    assert_eq!(second.home.read("a.txt"), "by the model\n");
}

#[tokio::test]
async fn the_end_of_the_input_is_nobody_there() {
    let world = World::new(calls([write("a.txt"), bash("echo > b.txt")])).await;
    let mut running = world.run_json(["go"]).start();
    running.question(0).await;
    running.close_stdin();
    let done = running.finish().await;
    done.assert_code(4);
    assert_eq!(done.result()["exit_code"], 4);
    let events = done.events();
    let by = |event: &&Value| event["by"] == "nobody" && event["decision"] == "deny";
    // Both: the one that was open, and the one that came after the end.
    assert_eq!(
        of_type(&events, "permission.resolved")
            .iter()
            .filter(|one| by(one))
            .count(),
        2
    );
    assert_eq!(statuses(&events), ["denied", "denied"]);
    for result in world.results() {
        assert!(result.contains("nobody is there to ask"), "{result}");
    }
    assert!(!world.home.workspace().join("b.txt").exists());
}

#[tokio::test]
async fn the_prompt_and_the_answers_cannot_share_standard_input() {
    let world = World::new(calls([])).await;
    let done = world.run_json(["-"]).run().await;
    done.assert_code(2);
    assert!(
        done.stderr
            .contains("the prompt cannot come from standard input"),
        "{}",
        done.stderr
    );
    assert!(world.fake.exchanges().is_empty());
}
