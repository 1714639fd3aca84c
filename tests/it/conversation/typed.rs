use std::time::Duration;

use serde_json::json;

use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

fn answers() -> Script {
    Script::new(|asked| Reply::text(format!("answer to {}", asked.last_text())))
}

#[tokio::test]
async fn a_person_talks_and_ends_the_conversation() {
    let world = World::new(answers()).await;
    world.home.set("TERM", "xterm-256color");
    let mut terminal = world
        .home
        .ml_intern(["-m", "openai/fake-model"])
        .at_terminal(100);
    terminal.wait_for("> ").await;
    terminal.type_line("hello");
    terminal.wait_for("answer to hello").await;
    terminal.type_line("/help");
    terminal.wait_for("/compact").await;
    terminal.type_line("/status");
    terminal.wait_for("openai/fake-model").await;
    terminal.type_line("/unod");
    terminal.wait_for("there is no command `/unod`").await;
    terminal.type_line("/undo");
    terminal.wait_for("turn 1 is taken back").await;
    terminal.type_line("again");
    terminal.wait_for("answer to again").await;
    terminal.type_line("/quit");
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    assert!(written.contains("ml-intern resume"), "{written}");
    let last = world.fake.chats().pop().unwrap().json();
    assert!(!last.to_string().contains("hello"), "{last}");
}

#[tokio::test]
async fn the_end_of_input_at_the_prompt_ends_the_conversation() {
    let world = World::new(answers()).await;
    let mut terminal = world
        .home
        .ml_intern(["-m", "openai/fake-model", "hello"])
        .at_terminal(100);
    terminal.wait_for("answer to hello").await;
    terminal
        .wait_until("a prompt", |text| {
            text.ends_with("> ") || text.ends_with("> \u{1b}[0m")
        })
        .await;
    terminal.type_end();
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
}

#[tokio::test]
async fn a_session_is_gone_on_with_by_its_own_command() {
    let world = World::new(answers()).await;
    world.run(["one"]).run().await.assert_code(0);
    let mut terminal = world
        .home
        .ml_intern(["resume", "-m", "openai/fake-model"])
        .at_terminal(100);
    terminal.wait_for("> ").await;
    terminal.type_line("two");
    terminal.wait_for("answer to two").await;
    terminal.type_line("exit");
    assert_eq!(terminal.finish().await.0, Some(0));
    let last = world.fake.chats().pop().unwrap().json();
    assert!(last.to_string().contains("answer to one"), "{last}");
}

#[tokio::test]
async fn two_questions_are_asked_one_after_the_other() {
    use crate::support::fake_openai::Call;
    let write = |path: &str| Call::new("write", json!({"path": path, "content": "x"}));
    let script = Script::steps([
        Reply::calls([write("a.txt"), write("b.txt")]),
        Reply::text("fine"),
    ]);
    let world = World::new(script).await;
    let mut terminal = world.run(["go"]).at_terminal(100);
    let seen = terminal.wait_for("words to the model: ").await;
    assert!(seen.contains("a.txt") && !seen.contains("b.txt"), "{seen}");
    terminal.type_line("y");
    terminal
        .wait_until("the second question", |text| {
            text.matches("words to the model: ").count() == 2
        })
        .await;
    terminal.type_line("n");
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    assert!(world.home.workspace().join("a.txt").exists());
    assert!(!world.home.workspace().join("b.txt").exists());
}

#[tokio::test]
async fn a_mistyped_command_is_no_conversation() {
    let world = World::new(answers()).await;
    let terminal = world
        .home
        .ml_intern(["-m", "openai/fake-model", "sesions"])
        .at_terminal(100);
    let (code, written) = tokio::time::timeout(Duration::from_secs(20), terminal.finish())
        .await
        .unwrap();
    assert_eq!(code, Some(2), "{written}");
    assert!(written.contains("sessions"), "{written}");
    assert!(world.fake.chats().is_empty());
}
