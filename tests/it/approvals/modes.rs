use super::{answer_all, asked, bash, calls, job, statuses, write};
use crate::support::world::World;

async fn world() -> World {
    let all = [write("a.txt"), bash("echo hi > b.txt"), job("print(6 * 7)")];
    World::new(calls(all)).await
}

#[tokio::test]
async fn each_mode_asks_about_its_own_effects() {
    let modes: [(&str, &[&str]); 3] = [
        ("ask", &["edit", "process", "job"]),
        ("auto-edit", &["process", "job"]),
        ("auto", &[]),
    ];
    for (mode, effects) in modes {
        let world = world().await;
        let running = world.run_json(["--permission-mode", mode, "go"]).start();
        let (_, done) = answer_all(running, effects.len(), "allow").await;
        done.assert_code(0);
        let events = done.events();
        assert_eq!(asked(&events), effects, "{mode}");
        assert_eq!(statuses(&events), ["ok", "ok", "ok"], "{mode}");
        assert_eq!(world.home.read("a.txt"), "by the model\n");
        assert_eq!(world.home.read("b.txt"), "hi\n");
    }
}

#[tokio::test]
async fn plan_asks_nobody_and_does_nothing() {
    let world = world().await;
    let running = world.run_json(["--permission-mode=plan", "go"]).start();
    let (_, done) = answer_all(running, 0, "allow").await;
    // That is what the user chose, not something that nobody was there to decide.
    done.assert_code(0);
    let events = done.events();
    assert!(asked(&events).is_empty());
    assert_eq!(statuses(&events), ["denied", "denied", "denied"]);
    for result in world.results() {
        assert!(
            result.contains("permission mode `plan` only reads"),
            "{result}"
        );
    }
    assert_eq!(
        std::fs::read_dir(world.home.workspace()).unwrap().count(),
        0
    );
    let jobs = world.home.ml_intern(["jobs", "list", "--json"]).run().await;
    assert_eq!(jobs.stdout, "[]\n");
}

#[tokio::test]
async fn with_nobody_there_the_model_and_the_exit_code_say_so() {
    let world = world().await;
    let done = world.run(["--permission-mode=ask", "go"]).run().await;
    done.assert_code(4);
    assert_eq!(done.stdout, "done\n");
    assert!(
        done.stderr
            .contains("hint: something was denied because nobody was there to ask")
    );
    for result in world.results() {
        assert!(result.contains("nobody is there to ask"), "{result}");
        assert!(result.contains("--permission-mode auto"), "{result}");
    }
    assert!(!world.home.workspace().join("b.txt").exists());

    // The next turn is another matter.
    let done = world.run(["--continue", "and now?"]).run().await;
    assert_ne!(done.code(), Some(4), "{}", done.stderr);
}

#[tokio::test]
async fn the_manifest_sets_the_mode_and_the_flag_beats_it() {
    let world = World::new(calls([write("a.txt")])).await;
    world
        .home
        .write("ml-intern.toml", "[agent]\npermission-mode = \"auto\"\n");
    world.run(["go"]).run().await.assert_code(0);
    std::fs::remove_file(world.home.workspace().join("a.txt")).unwrap();
    world
        .run(["--permission-mode=ask", "go"])
        .run()
        .await
        .assert_code(4);
    assert!(!world.home.workspace().join("a.txt").exists());
}
