use super::{answer_all, asked, bash, write};
use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

/// A model that writes two files and runs a command, one after the other, in each turn.
async fn world() -> World {
    World::new(Script::new(|asked| {
        let replies = [
            Reply::calls([write("a.txt"), write("b.txt")]),
            Reply::calls([bash("true")]),
            Reply::text("done"),
        ];
        replies[asked.assistant_messages() % 3].clone()
    }))
    .await
}

#[tokio::test]
async fn an_answer_for_the_session_holds_for_the_session_and_its_effect() {
    let world = world().await;
    let running = world.run_json(["go"]).start();
    let (questions, done) = answer_all(running, 2, "allow_session").await;
    done.assert_code(0);
    assert_eq!(asked(&done.events()), ["edit", "process"]);
    let id = questions[0]["session"].as_str().unwrap().to_owned();

    // Another process, the same session.
    let running = world.run_json(["--resume", &id, "again"]).start();
    let (_, done) = answer_all(running, 0, "deny").await;
    done.assert_code(0);
    assert!(asked(&done.events()).is_empty());

    // Another session.
    let running = world.run_json(["go"]).start();
    let (_, done) = answer_all(running, 0, "deny").await;
    done.assert_code(4);
    assert_eq!(asked(&done.events()), ["edit", "edit", "process"]);
    assert!(
        !world
            .home
            .path()
            .join(".config/ml-intern/approvals.jsonl")
            .exists()
    );
}

#[tokio::test]
async fn an_answer_for_good_is_kept_and_not_asked_for_again() {
    let world = world().await;
    let running = world.run_json(["go"]).start();
    let (_, done) = answer_all(running, 2, "allow_always").await;
    done.assert_code(0);
    assert_eq!(asked(&done.events()), ["edit", "process"]);

    let kept = world.home.path().join(".config/ml-intern/approvals.jsonl");
    let lines = std::fs::read_to_string(&kept).unwrap();
    assert_eq!(
        lines,
        "{\"plugin\":\"ml-intern/files\",\"tool\":\"write\",\"effect\":\"edit\"}\n\
         {\"plugin\":\"ml-intern/shell\",\"tool\":\"bash\",\"effect\":\"process\"}\n"
    );

    let done = world.run_json(["go"]).run().await;
    done.assert_code(0);
    assert!(asked(&done.events()).is_empty());

    // A damaged line is no yes; the others still hold.
    let damaged = lines.replacen("\"tool\"", "\"tol\"", 1);
    std::fs::write(&kept, damaged).unwrap();
    let done = world.run_json(["go"]).run().await;
    done.assert_code(4);
    assert_eq!(asked(&done.events()), ["edit", "edit"]);

    // Plan only reads, whatever was allowed.
    let done = world.run(["--permission-mode=plan", "go"]).run().await;
    done.assert_code(0);
    assert!(
        world
            .results()
            .iter()
            .all(|result| result.contains("`plan`"))
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_holds_for_the_session() {
    let world = world().await;
    // Where the file should be, there is a folder.
    let kept = world.home.path().join(".config/ml-intern/approvals.jsonl");
    std::fs::create_dir_all(kept).unwrap();
    let running = world.run_json(["go"]).start();
    let (_, done) = answer_all(running, 2, "allow_always").await;
    done.assert_code(0);
    let events = done.events();
    assert_eq!(asked(&events), ["edit", "process"]);
    let notices = crate::support::world::of_type(&events, "notice");
    assert!(
        notices
            .iter()
            .any(|notice| notice["code"] == "approval_not_kept"),
        "{notices:?}"
    );
}
