use std::time::Duration;

use serde_json::json;

use super::{said, say, talk};
use crate::support::{
    fake_openai::{FakeOpenAi, Reply, Script},
    world::{World, of_type, results},
};

fn bash(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command }))
}

#[tokio::test]
async fn turns_follow_each_other_in_one_session_and_one_program() {
    let world = World::new(Script::new(|asked| {
        Reply::text(format!("answer to {}", asked.last_text()))
    }))
    .await;
    let mut running = talk(&world, ["one"]).start();
    let end = running.nth_event("turn.finished", 1).await;
    assert_eq!(end["message"], "answer to one");
    let end = say(&mut running, "two", 2).await;
    assert_eq!(
        (&end["message"], &end["reason"]),
        (&json!("answer to two"), &json!("done"))
    );
    running.write_line(&json!({"type": "shutdown"})).await;
    let done = running.finish().await;
    done.assert_code(0);
    let events = done.events();
    assert_eq!(of_type(&events, "session.started").len(), 1);
    assert_eq!(done.result()["message"], "answer to two");
    assert_eq!(said(&world), ["one", "two"]);
    assert_eq!(world.fake.prefix_breaks(), Vec::<usize>::new());
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn the_end_of_input_ends_the_conversation_after_the_turn() {
    let script = Script::steps([Reply::text("slow").wait(Duration::from_millis(400))]);
    let world = World::new(script).await;
    let done = talk(&world, ["one"]).start().finish().await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "slow");
}

#[tokio::test]
async fn words_join_the_turn_that_runs_after_its_calls() {
    let script = Script::steps([bash("sleep 1; echo first"), Reply::text("both")]);
    let world = World::new(script).await;
    let mut running = talk(&world, ["--permission-mode=auto", "one"]).start();
    running.nth_event("tool.started", 1).await;
    let words = json!({"type": "user.message", "text": "and two"});
    running.write_line(&words).await;
    running.nth_event("input.queued", 1).await;
    let end = running.nth_event("turn.finished", 1).await;
    assert_eq!(
        (&end["turn"], &end["message"]),
        (&json!(null), &json!("both"))
    );
    let done = running.finish().await;
    let events = done.events();
    let order = |kind: &str| events.iter().position(|event| event["type"] == kind);
    assert!(order("input.queued") < order("tool.finished"), "{events:?}");
    assert!(order("tool.finished") < order("input.taken"), "{events:?}");
    let last = world.fake.chats().pop().unwrap();
    assert!(results(&last)[0].contains("first"));
    assert_eq!(said(&world), ["one", "and two"]);
    assert_eq!(of_type(&events, "turn.started").len(), 1);
}

#[tokio::test]
async fn words_in_a_task_that_runs_alone_join_it_as_well() {
    let script = Script::steps([bash("sleep 1"), Reply::text("both")]);
    let world = World::new(script).await;
    let mut running = world.run_json(["--permission-mode=auto", "one"]).start();
    running.nth_event("tool.started", 1).await;
    let words = json!({"type": "user.message", "text": "and two"});
    running.write_line(&words).await;
    running.nth_event("input.taken", 1).await;
    running.finish().await.assert_code(0);
    assert_eq!(said(&world), ["one", "and two"]);
}

#[tokio::test]
async fn words_abandon_what_waits_for_an_answer() {
    let script = Script::steps([bash("touch made"), Reply::text("as you say")]);
    let world = World::new(script).await;
    let mut running = talk(&world, ["one"]).start();
    let question = running.question(0).await;
    let words = json!({"type": "user.message", "text": "never mind"});
    running.write_line(&words).await;
    let resolved = running.nth_event("permission.resolved", 1).await;
    assert_eq!(
        (&resolved["id"], &resolved["by"]),
        (&question["id"], &json!("input"))
    );
    // An answer that comes too late changes nothing.
    let answer = json!({"type": "permission.answer", "id": question["id"], "decision": "allow"});
    running.write_line(&answer).await;
    running.nth_event("turn.finished", 1).await;
    running.finish().await.assert_code(0);
    assert!(!world.home.workspace().join("made").exists());
    let result = &results(&world.fake.chats()[1])[0];
    assert!(result.contains("went on without answering"), "{result}");
    assert_eq!(said(&world), ["one", "never mind"]);
}

#[tokio::test]
async fn an_interrupt_ends_the_turn_and_not_the_conversation() {
    let script = Script::steps([bash("sleep 30"), Reply::text("better")]);
    let world = World::new(script).await;
    let mut running = talk(&world, ["--permission-mode=auto", "one"]).start();
    running.nth_event("tool.started", 1).await;
    running.write_line(&json!({"type": "interrupt"})).await;
    let end = running.nth_event("turn.finished", 1).await;
    assert_eq!(end["reason"], "interrupted");
    let end = say(&mut running, "two", 2).await;
    assert_eq!(end["message"], "better");
    let done = running.finish().await;
    done.assert_code(0);
    assert!(done.elapsed < Duration::from_secs(20), "{:?}", done.elapsed);
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn another_model_goes_on_with_the_same_conversation() {
    let script = Script::new(|asked| Reply::text(format!("answer to {}", asked.last_text())));
    let fake = FakeOpenAi::start_with(script, None, &["fake-model", "other"]).await;
    let world = World {
        home: crate::support::ml_intern::Home::new(),
        fake,
    };
    world.home.set("OPENAI_BASE_URL", world.fake.base_url());
    let mut running = talk(&world, ["one"]).start();
    running.nth_event("turn.finished", 1).await;
    for wrong in ["nobody/x y", "no-provider"] {
        let switch = json!({"type": "model", "model": wrong});
        running.write_line(&switch).await;
    }
    running.nth_event("notice", 2).await;
    running
        .write_line(&json!({"type": "model", "model": "openai/other"}))
        .await;
    say(&mut running, "two", 2).await;
    let done = running.finish().await;
    done.assert_code(0);
    assert_eq!(said(&world), ["one", "two"]);
    let last = world.fake.chats().pop().unwrap().json();
    assert_eq!(last["model"], "other");
    let events = done.events();
    let refused = of_type(&events, "notice");
    assert!(
        refused.iter().all(|notice| notice["code"] == "refused"),
        "{refused:?}"
    );
    assert_eq!(
        of_type(&events, "session.started")[1]["model"],
        "openai/other"
    );
    assert_eq!(world.home.sessions().len(), 1);
}

#[tokio::test]
async fn another_session_is_begun_and_the_first_gone_on_with() {
    let world = World::new(Script::new(|_| Reply::text("fine"))).await;
    let mut running = talk(&world, ["one"]).start();
    let first = running.nth_event("turn.finished", 1).await["session"].clone();
    running.write_line(&json!({"type": "new"})).await;
    let end = say(&mut running, "two", 2).await;
    assert_ne!(end["session"], first);
    assert_eq!(said(&world), ["two"]);
    running
        .write_line(&json!({"type": "resume", "id": "nothing"}))
        .await;
    running.nth_event("notice", 1).await;
    running
        .write_line(&json!({"type": "resume", "id": first}))
        .await;
    let end = say(&mut running, "three", 3).await;
    assert_eq!(end["session"], first);
    assert_eq!(said(&world), ["one", "three"]);
    running.finish().await.assert_code(0);
    assert_eq!(world.home.sessions().len(), 2);
}

#[tokio::test]
async fn a_conversation_is_shortened_when_somebody_wants_it() {
    let script = Script::new(|asked| {
        let last = asked.messages.last().map(ToString::to_string);
        match last.is_some_and(|last| last.contains("about to be cut")) {
            true => Reply::text("we counted sheep"),
            false => Reply::text("fine ".repeat(2000)),
        }
    });
    let world = World::new(script).await;
    let mut running = talk(&world, ["--no-stream", "one"]).start();
    running.nth_event("turn.finished", 1).await;
    let compact = json!({"type": "compact"});
    running.write_line(&compact).await;
    let notice = running.nth_event("notice", 1).await;
    assert_eq!(notice["code"], "nothing_to_compact");
    for turn in 2..=5 {
        say(&mut running, "more", turn).await;
    }
    running.write_line(&compact).await;
    let compacted = running.nth_event("compacted", 1).await;
    assert!(
        compacted["after"].as_u64() < compacted["before"].as_u64(),
        "{compacted}"
    );
    say(&mut running, "last", 6).await;
    running.finish().await.assert_code(0);
    let said = said(&world);
    assert!(said[0].contains("we counted sheep"), "{said:?}");
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn a_line_that_is_no_operation_is_told_and_costs_nothing() {
    let world = World::new(Script::new(|_| Reply::text("fine"))).await;
    let mut running = talk(&world, ["one"]).start();
    running.nth_event("turn.finished", 1).await;
    for line in [
        json!([]),
        json!({"type": "dance"}),
        json!({"type": "undo", "n": 1}),
    ] {
        running.write_line(&line).await;
    }
    say(&mut running, "two", 2).await;
    let done = running.finish().await;
    done.assert_code(0);
    assert_eq!(
        done.stderr.matches("was ignored").count(),
        3,
        "{}",
        done.stderr
    );
}

#[tokio::test]
async fn nobody_to_talk_to_and_nothing_to_do_is_a_usage_error() {
    let world = World::new(Script::new(|_| Reply::text("fine"))).await;
    let done = world
        .home
        .ml_intern(["--model=openai/fake-model"])
        .run()
        .await;
    done.assert_code(2);
    assert!(
        done.stderr.contains("there is nothing to do"),
        "{}",
        done.stderr
    );
    let done = world
        .home
        .ml_intern(["--model=openai/fake-model", "do it"])
        .run()
        .await;
    done.assert_code(0);
    assert_eq!(done.stdout, "fine\n");
}

#[tokio::test]
async fn termination_ends_the_conversation_whatever_it_does() {
    use rustix::process::Signal;
    let script = || {
        Script::new(|asked| {
            let last = asked.messages.last().map(ToString::to_string);
            match last.unwrap_or_default() {
                last if last.contains("about to be cut") => Reply::never(),
                last if last.contains("sleep") => bash("sleep 30"),
                _ => Reply::text("fine ".repeat(2000)),
            }
        })
    };
    for busy in [None, Some("turn"), Some("compact")] {
        let world = World::new(script()).await;
        let mut running = talk(&world, ["--no-stream", "--permission-mode=auto", "one"]).start();
        for turn in 1..=4 {
            running.nth_event("turn.finished", turn).await;
            if turn < 4 {
                let words = json!({"type": "user.message", "text": "more"});
                running.write_line(&words).await;
            }
        }
        match busy {
            Some("turn") => {
                let words = json!({"type": "user.message", "text": "sleep"});
                running.write_line(&words).await;
                running.nth_event("tool.started", 1).await;
            }
            Some(_) => {
                running.write_line(&json!({"type": "compact"})).await;
                world
                    .fake
                    .wait_for("the summary", |all| all.len() >= 5)
                    .await;
            }
            None => {}
        }
        running.signal(Signal::TERM);
        let ended = running.nth_event("result", 1).await;
        assert_eq!(ended["exit_code"], 143, "{busy:?}");
        let done = running.finish().await;
        assert_eq!(done.code(), Some(143), "{busy:?}: {}", done.stderr);
    }
}
