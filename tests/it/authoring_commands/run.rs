use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    plugins::target::Target,
    support::{
        guests::{Installed, install},
        ml_intern::Home,
    },
};

use super::{authors, guest, plugin, with_manifest};

#[tokio::test]
async fn a_call_prints_its_output_and_what_it_touched() {
    let home = Home::new();
    home.write("a.txt", "one two three\n");
    let read = plugin(&home, &["run", "read", "--args", r#"{"path": "a.txt"}"#]).await;
    read.assert_code(0);
    assert!(read.stdout.contains("one two three"), "{}", read.stdout);
    for says in [
        "touched",
        "of processor time",
        "read     a.txt",
        "state    session/seen:a.txt kept",
    ] {
        assert!(read.stderr.contains(says), "{says}: {}", read.stderr);
    }
    let arguments = r#"{"path": "b.txt", "content": "x"}"#;
    home.write("arguments.json", arguments);
    let written = plugin(
        &home,
        &[
            "run",
            "write",
            "--plugin",
            "files",
            "--args",
            "@arguments.json",
            "--json",
        ],
    )
    .await;
    written.assert_code(0);
    let told: Value = serde_json::from_str(&written.stdout).unwrap();
    assert_eq!(told["outcome"], "output");
    assert_eq!(told["touched"]["written"], json!(["b.txt"]));
    assert_eq!(told["touched"]["removed"], json!([]));
    assert!(told["touched"]["used"]["memory_bytes"].as_u64().unwrap() > 100_000);
    let piped = home.ml_intern(["plugin", "run", "read", "--args", "-"]);
    let piped = piped.stdin(r#"{"path": "b.txt"}"#).run().await;
    piped.assert_code(0);
}

#[tokio::test]
async fn bad_arguments_tools_and_plugins_say_what_to_write() {
    let home = Home::new();
    for (args, code, says) in [
        (&["run", "read", "--args", "{"][..], 2, "--args: not JSON"),
        (&["run", "read", "--args", "[1]"], 2, "one JSON object"),
        (&["run", "read", "--args", "@none.json"], 2, "none.json"),
        (
            &["run", "read", "--args", r#"{"path": 3}"#],
            1,
            "do not match its schema",
        ),
        (
            &["run", "red"],
            2,
            "no plugin of the run manifest has a tool `red`",
        ),
        (
            &["run", "red", "--plugin", "files"],
            2,
            "did you mean `read`?",
        ),
        (&["run", "--plugin", "files"], 2, "several tools"),
        (&["run"], 2, "no tool is named"),
        (
            &["run", "read", "--plugin", "nobody"],
            2,
            "there is no plugin `nobody`",
        ),
        (
            &["run", "read", "--plugin", "./none.wasm"],
            2,
            "cannot read ./none.wasm",
        ),
        (
            &["run", "x", "--plugin", "openai"],
            2,
            "is a provider plugin",
        ),
        (
            &["run", "read", "--plugin", "files", "--config", "a=b"],
            2,
            "of a plugin of a file",
        ),
    ] {
        let done = plugin(&home, args).await;
        done.assert_code(code);
        assert!(done.stderr.contains(says), "{args:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{args:?}");
    }
}

#[tokio::test]
async fn a_plugin_of_a_file_gets_what_it_asks_for_after_a_yes() {
    let target = Target::start(String::new()).await;
    let home = authors("");
    let refused = plugin(&home, &["run", "good"]).await;
    refused.assert_code(4);
    for says in ["asks for:", "runs programs: env, sh, sleep", "--yes"] {
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
    let yes = plugin(&home, &["run", "good", "--yes"]).await;
    yes.assert_code(0);
    assert_eq!(yes.stdout, "good\n");
    let url = format!("{{\"url\": \"{}/ok\"}}", target.url());
    let config = format!("target={}", target.url());
    let fetch = [
        "run", "fetch", "--yes", "--plugin", ".", "--config", &config, "--args", &url,
    ];
    let fetched = plugin(&home, &fetch).await;
    fetched.assert_code(0);
    assert_eq!(target.seen(), ["GET /ok"]);
    assert!(
        fetched.stderr.contains("allowed, status 200"),
        "{}",
        fetched.stderr
    );
    assert!(
        fetched.stderr.contains("0 B out, 5 B in"),
        "{}",
        fetched.stderr
    );
}

#[tokio::test]
async fn the_exit_code_says_how_it_ended() {
    let home = Home::new();
    let grant =
        "fs = [{ mount = \"/workspace\", access = \"read\" }]\nprocess = { programs = [\"env\"] }";
    install(&home, &[Installed::guest("naughty").grant(grant)]).await;
    for (args, code, says) in [
        (&["good"][..], 0, ""),
        (
            &["read_outside", "--args", r#"{"path": "/workspace/none"}"#],
            1,
            "not found",
        ),
        (&["write_file"], 4, "[plugins.naughty.grant]"),
        (
            &[
                "fetch",
                "--args",
                r#"{"url": "https://asked.example.org/"}"#,
            ],
            4,
            "is not granted",
        ),
        (
            &["run_program", "--args", r#"{"program": "env"}"#],
            4,
            "nobody is there to ask",
        ),
        (
            &["run_program", "--yes", "--args", r#"{"program": "env"}"#],
            0,
            "allowed: runs programs: env",
        ),
        (&["trap"], 7, "trapped"),
        (&["spin"], 7, "limits.cpu"),
        (&["huge_result"], 7, "limits.output"),
        (&["bad_result_json"], 7, "JSON"),
    ] {
        let done = plugin(&home, &[&["run"], args].concat()).await;
        assert_eq!(
            done.code(),
            Some(code),
            "{args:?}: {}{}",
            done.stdout,
            done.stderr
        );
        assert!(done.stderr.contains(says), "{args:?}: {}", done.stderr);
    }
    // A call leaves no session behind, and other bytes than those that are locked are not called.
    assert!(home.sessions().is_empty());
    home.write(
        "naughty.wasm",
        with_manifest(guest("naughty"), &super::guest_manifest("naughty")),
    );
    let changed = plugin(&home, &["run", "good", "--plugin", "naughty"]).await;
    changed.assert_code(7);
    assert!(changed.stderr.contains("plugin lock"), "{}", changed.stderr);
}

#[tokio::test]
async fn what_a_call_says_meanwhile_is_bounded_and_commands_no_terminal() {
    let home = authors("");
    let done = plugin(&home, &["run", "flood_log", "--yes"]).await;
    done.assert_code(0);
    assert!(done.stderr.len() < 1 << 20, "{}", done.stderr.len());
    assert!(!done.stderr.contains('\u{1b}'));
    assert_snapshot!(done.stdout, @"flooded");
}
