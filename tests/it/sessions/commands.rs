//! What the program says about itself: help, completion, the check of the machine.

use serde_json::Value;

use super::{answers, printed};
use crate::support::{ml_intern::Home, world::World};

const COMMANDS: [&[&str]; 26] = [
    &[],
    &["run"],
    &["plugin"],
    &["plugin", "list"],
    &["plugin", "info"],
    &["plugin", "add"],
    &["plugin", "lock"],
    &["plugin", "remove"],
    &["sessions"],
    &["sessions", "list"],
    &["sessions", "show"],
    &["sessions", "usage"],
    &["sessions", "undo"],
    &["sessions", "replay"],
    &["sessions", "fork"],
    &["resume"],
    &["plugin", "inspect"],
    &["plugin", "run"],
    &["plugin", "test"],
    &["plugin", "dev"],
    &["jobs"],
    &["jobs", "list"],
    &["jobs", "logs"],
    &["jobs", "cancel"],
    &["doctor"],
    &["completion"],
];

#[tokio::test]
async fn the_program_says_what_it_can_do() {
    let done = Home::new().ml_intern(["--help"]).run().await;
    done.assert_code(0);
    insta::assert_snapshot!(done.stdout);
}

#[tokio::test]
async fn every_command_explains_itself() {
    let home = Home::new();
    for command in COMMANDS {
        let done = home.ml_intern([command, &["--help"]].concat()).run().await;
        done.assert_code(0);
        let usage = format!("Usage: ml-intern {}", command.join(" "));
        assert!(done.stdout.contains(usage.trim_end()), "{}", done.stdout);
        assert_eq!(done.stderr, "");
        // Hidden, and of no use to a person.
        assert!(!done.stdout.contains("supervise"), "{}", done.stdout);
    }
}

#[tokio::test]
async fn what_is_no_command_is_refused_with_a_suggestion() {
    let home = Home::new();
    for (args, hint) in [
        (&["runn"][..], "run"),
        (&["run", "--modle", "x"], "--model"),
        (&["sessions", "lst"], "list"),
        (&["run", "--permission-mode", "aut"], "auto"),
    ] {
        let done = home.ml_intern(args).run().await;
        done.assert_code(2);
        assert_eq!(done.stdout, "");
        assert!(done.stderr.contains(hint), "{}", done.stderr);
    }
}

#[tokio::test]
async fn shells_accept_their_completion() {
    let home = Home::new();
    for (shell, word) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef ml-intern"),
        ("fish", "complete -c ml-intern"),
    ] {
        let done = home.ml_intern(["completion", shell]).run().await;
        done.assert_code(0);
        assert!(done.stdout.contains(word), "{shell}");
        assert!(done.stdout.contains("sessions") && done.stdout.contains("permission-mode"));
        home.write(&format!("completion.{shell}"), &done.stdout);
    }
    let bash = home
        .program("bash".as_ref(), ["-n", "completion.bash"])
        .run()
        .await;
    bash.assert_code(0);
    assert_eq!(bash.stderr, "");
    home.ml_intern(["completion", "tcl"])
        .run()
        .await
        .assert_code(2);
}

#[tokio::test]
async fn the_doctor_checks_all_that_a_run_needs() {
    let world = World::new(answers()).await;
    let checks = printed(&world, &["doctor", "--json"]).await;
    let checks = checks.as_array().unwrap();
    let health = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name);
        check.unwrap_or_else(|| panic!("{name} in {checks:#?}"))["health"].clone()
    };
    for name in [
        "session log",
        "compile cache",
        "workspace",
        "programs",
        "job back end",
        "plugins.files",
        "plugins.shell",
    ] {
        assert_eq!(health(name), "good", "{name}");
    }
    // Without a key it works, but somebody may miss it; and so without isolation by the system.
    assert_eq!(health("providers.openai"), "weak");
    assert_ne!(health("programs run"), "bad");

    let done = world.home.ml_intern(["doctor"]).run().await;
    done.assert_code(0);
    assert_eq!(done.stdout.lines().count(), checks.len());
    assert!(done.stdout.contains("✓ plugins.files"), "{}", done.stdout);
    assert!(
        done.stdout.contains("no key in OPENAI_API_KEY"),
        "{}",
        done.stdout
    );
}

#[tokio::test]
async fn the_doctor_finds_what_is_broken() {
    let home = Home::new();
    home.write(
        "ml-intern.toml",
        "[plugins.files]\n[plugins.mine]\nsource = \"./nowhere\"\n",
    );
    let done = home.ml_intern(["doctor", "--json"]).run().await;
    done.assert_code(1);
    let checks: Value = serde_json::from_str(&done.stdout).unwrap();
    let bad = checks
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["health"] == "bad");
    let bad = bad
        .map(|check| check["check"].as_str().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(bad, ["plugins.mine"], "{checks:#}");
}
