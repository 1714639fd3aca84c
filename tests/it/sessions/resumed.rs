use std::time::Duration;

use super::{answers, conversation, turn};
use crate::support::{
    fake_openai::{FakeOpenAi, Reply, Script},
    world::World,
};

#[tokio::test]
async fn a_session_goes_on_by_its_id_or_the_start_of_it() {
    let world = World::new(answers()).await;
    let id = turn(&world, &["one"]).await;
    let other = turn(&world, &["another"]).await;
    assert_eq!(turn(&world, &["--resume", &id, "two"]).await, id);
    let said = ["user: one", "assistant: answer 1", "user: two"];
    assert_eq!(conversation(&world), said);

    // As much of the id as tells it from the other one.
    let same = id
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count();
    assert_eq!(turn(&world, &["--resume", &id[..=same], "three"]).await, id);
    assert_eq!(
        conversation(&world)[2..],
        ["user: two", "assistant: answer 2", "user: three"]
    );
    assert!(
        world.fake.prefix_breaks().contains(&1),
        "another session is another conversation"
    );
    world.fake.assert_all_accepted();

    let done = world.run(["--resume", &id[..same], "four"]).run().await;
    done.assert_code(2);
    assert!(
        done.stderr.contains("give more of its id"),
        "{}",
        done.stderr
    );
    for unknown in ["20990101", "", "../sessions", "."] {
        let done = world.run(["--resume", unknown, "four"]).run().await;
        done.assert_code(2);
        let text = format!("there is no session `{unknown}`");
        assert!(done.stderr.contains(&text), "{}", done.stderr);
    }
}

#[tokio::test]
async fn continue_takes_the_newest_session_of_this_folder() {
    let world = World::new(answers()).await;
    let done = world.run(["--continue", "one"]).run().await;
    done.assert_code(2);
    assert!(
        done.stderr.contains("there is no session of"),
        "{}",
        done.stderr
    );

    let old = turn(&world, &["one"]).await;
    let new = turn(&world, &["two"]).await;
    world.home.write("below/a.txt", "");
    let elsewhere = turn(&world, &["-C", "below", "three"]).await;
    assert_eq!(turn(&world, &["--continue", "four"]).await, new);
    assert_eq!(
        conversation(&world),
        ["user: two", "assistant: answer 1", "user: four"]
    );
    // Newest is who was used last.
    assert_eq!(turn(&world, &["--resume", &old, "five"]).await, old);
    assert_eq!(turn(&world, &["--continue", "six"]).await, old);
    assert_eq!(
        turn(&world, &["-C", "below", "--continue", "seven"]).await,
        elsewhere
    );
}

#[tokio::test]
async fn a_complete_turn_needs_a_prompt_to_go_on_and_a_stopped_one_does_not() {
    let script = Script::new(|asked| match asked.last_text() {
        "stop" => Reply::server_error(),
        text => Reply::text(format!("to {text}")),
    });
    let world = World::new(script).await;
    turn(&world, &["one"]).await;
    let done = world.run(["--continue"]).run().await;
    done.assert_code(2);
    assert!(
        done.stderr.contains("the session's last turn is complete"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("hint: give a prompt to go on with"),
        "{}",
        done.stderr
    );

    let done = world
        .run(["--continue", "--max-iterations=1", "--timeout=1s", "stop"])
        .run()
        .await;
    done.assert_code(6);
    assert!(done.stderr.contains("goes on"), "{}", done.stderr);
    let done = world.run(["--continue", "--timeout=1s"]).run().await;
    done.assert_code(6);
    assert_eq!(
        conversation(&world),
        ["user: one", "assistant: to one", "user: stop"]
    );
}

#[tokio::test]
async fn two_programs_cannot_write_one_session() {
    let script = Script::new(|asked| match asked.last_text() {
        "slow" => Reply::text("slow answer").wait(Duration::from_secs(3)),
        _ => Reply::text("answer"),
    });
    let world = World::new(script).await;
    let id = turn(&world, &["one"]).await;
    let first = world.run(["--resume", &id, "slow"]).start();
    world
        .fake
        .wait_for("the slow request", |all| {
            let chats = all.iter().filter(|one| one.path.ends_with("/completions"));
            chats.count() >= 2
        })
        .await;
    for args in [
        ["--resume", &id, "two"],
        ["--continue", "--color=never", "two"],
    ] {
        let done = world.run(args).run().await;
        done.assert_code(2);
        let text = format!("the session `{id}` is open in another ml-intern");
        assert!(done.stderr.contains(&text), "{}", done.stderr);
    }
    let done = first.finish().await;
    done.assert_code(0);
    assert_eq!(done.stdout, "slow answer\n");
    assert_eq!(turn(&world, &["--resume", &id, "three"]).await, id);
    assert_eq!(conversation(&world).len(), 5);
}

#[tokio::test]
async fn a_session_keeps_its_model_until_another_is_named() {
    let script = answers();
    let world = World::new(script.clone()).await;
    let fake = FakeOpenAi::start_with(script, None, &["fake-model", "other-model"]).await;
    world.home.set("OPENAI_BASE_URL", fake.base_url());
    let run = |args: &[&str]| {
        let all = [&["run"], args].concat();
        world.home.ml_intern(all).run()
    };
    run(&["-m", "openai/fake-model", "one"])
        .await
        .assert_code(0);
    run(&["--continue", "-m", "openai/other-model", "two"])
        .await
        .assert_code(0);
    run(&["--continue", "three"]).await.assert_code(0);
    let models = fake
        .chats()
        .iter()
        .map(|chat| chat.json()["model"].clone())
        .collect::<Vec<_>>();
    assert_eq!(models, ["fake-model", "other-model", "other-model"]);
    // What was said before stays as it was said.
    assert!(fake.prefix_breaks().is_empty());
}

#[tokio::test]
async fn the_answer_is_written_to_a_file_as_well() {
    let world = World::new(answers()).await;
    let done = world.run(["-o", "out.md", "one"]).run().await;
    done.assert_code(0);
    assert_eq!(done.stdout, "answer 1\n");
    assert_eq!(world.home.read("out.md"), "answer 1");
    let done = world.run(["-o", "no/such/folder.md", "one"]).run().await;
    done.assert_code(2);
    assert!(
        done.stderr.contains("cannot write no/such/folder.md"),
        "{}",
        done.stderr
    );
}
