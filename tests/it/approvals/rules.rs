use serde_json::json;

use super::{answer, answer_all, asked, bash, calls, job, statuses, write};
use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

/// Writes two files, runs two commands and submits a job.
async fn world() -> World {
    World::new(calls([
        write("docs/a.txt"),
        write("b.txt"),
        bash("echo hi"),
        bash("echo hi; touch c.txt"),
        job("print(1)"),
    ]))
    .await
}

#[tokio::test]
async fn flags_say_what_needs_no_question_and_what_never_happens() {
    let world = world().await;
    let rules = [
        "--allow=edit:write(docs/*)",
        "--allow=process:bash(echo *)",
        "--allow=job:job_run(timeout_seconds=60)",
        "go",
    ];
    let running = world.run_json(rules).start();
    let (_, done) = answer_all(running, 2, "deny").await;
    done.assert_code(0);
    let events = done.events();
    assert_eq!(asked(&events), ["edit", "process"]);
    assert_eq!(statuses(&events), ["ok", "denied", "ok", "denied", "ok"]);

    let world = self::world().await;
    let rules = [
        "--permission-mode=auto",
        "--deny=write(b*)",
        "--deny=bash(*touch*)",
        "--deny=job:*",
        "go",
    ];
    let done = world.run_json(rules).run().await;
    done.assert_code(0);
    let events = done.events();
    assert!(asked(&events).is_empty());
    assert_eq!(
        statuses(&events),
        ["ok", "denied", "ok", "denied", "denied"]
    );
    let results = world.results();
    assert!(
        results[1].contains("denied by the rule `write(b*)`"),
        "{results:?}"
    );
}

#[tokio::test]
async fn the_manifest_has_rules_and_denying_wins() {
    let world = world().await;
    let manifest = "[agent]\nallow = [\"*\"]\ndeny = [\"bash(*touch*)\"]\n";
    world.home.write("ml-intern.toml", manifest);
    let done = world.run_json(["--allow=bash(*touch*)", "go"]).run().await;
    done.assert_code(0);
    assert_eq!(statuses(&done.events()), ["ok", "ok", "ok", "denied", "ok"]);

    for (flags, wrong) in [
        (&["--allow=(x", "go"][..], "(x"),
        (&["--deny=dance:bash", "go"], "dance:bash"),
    ] {
        let done = world.run(flags).run().await;
        done.assert_code(2);
        assert!(
            done.stderr.contains(wrong) && done.stderr.contains("for example"),
            "{}",
            done.stderr
        );
    }
    world
        .home
        .write("ml-intern.toml", "[agent]\nallow = [\"bash(\"]\n");
    let done = world.run(["go"]).run().await;
    done.assert_code(2);
    assert!(done.stderr.contains("[agent] allow"), "{}", done.stderr);
}

#[tokio::test]
async fn an_answer_may_hold_for_some_commands_only() {
    let script = Script::steps([
        Reply::calls([
            bash("echo a"),
            bash("echo b"),
            bash("ls"),
            bash("echo c; ls"),
        ]),
        Reply::text("done"),
    ]);
    let world = World::new(script).await;
    let mut running = world.run_json(["go"]).start();
    let question = running.question(0).await;
    let mut line = answer(&question, "allow_session");
    line["pattern"] = json!("echo *");
    running.write_line(&line).await;
    for number in 1..3 {
        let question = running.question(number).await;
        running.write_line(&answer(&question, "deny")).await;
    }
    let done = running.finish().await;
    done.assert_code(0);
    assert_eq!(statuses(&done.events()), ["ok", "ok", "denied", "denied"]);
}

#[tokio::test]
async fn an_answer_for_the_folder_holds_there_and_nowhere_else() {
    let world = World::new(Script::new(|asked| match asked.last_text() {
        "go" => Reply::calls([write("a.txt")]),
        _ => Reply::text("done"),
    }))
    .await;
    let running = world.run_json(["go"]).start();
    let (_, done) = answer_all(running, 1, "allow_project").await;
    done.assert_code(0);

    let done = world.run_json(["go"]).run().await;
    done.assert_code(0);
    assert!(asked(&done.events()).is_empty());

    let elsewhere = world.home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let done = world.run_json(["go"]).current_dir(&elsewhere).run().await;
    done.assert_code(4);
    assert_eq!(asked(&done.events()), ["edit"]);
}
