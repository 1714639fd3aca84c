use std::{path::Path, time::Duration};

use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::json;

use crate::support::ml_intern::{Home, Program};

fn sh(home: &Home, script: &str) -> Program {
    home.program(Path::new("/bin/sh"), ["-c", script])
}

#[tokio::test]
async fn the_binary_starts_in_an_empty_home() {
    let done = Home::new().ml_intern(["--help"]).run().await;
    done.assert_code(0);
    assert_eq!(done.stderr, "");
}

#[tokio::test]
async fn a_program_sees_its_own_world_only() {
    let home = Home::new();
    home.set("OPENAI_API_KEY", "sk-1");
    home.write("sub/in.txt", "hello");
    let done = sh(
        &home,
        "env; pwd; cat sub/in.txt; echo oops >&2; echo x >out.txt",
    )
    .run()
    .await;
    done.assert_code(0);
    let set = ["HOME", "LANG", "OPENAI_API_KEY", "PATH", "PWD", "TMPDIR"];
    let lines = done.stdout.lines().filter_map(|line| line.split_once('='));
    for (name, value) in lines {
        assert!(
            set.contains(&name)
                || name.starts_with("XDG_")
                || ["_", "SHLVL", "OLDPWD"].contains(&name),
            "{name}"
        );
        assert!(name != "HOME" || Path::new(value) == home.path());
    }
    let workspace = home.workspace().canonicalize().unwrap();
    assert!(done.stdout.contains(workspace.to_str().unwrap()));
    assert!(done.stdout.ends_with("hello"));
    assert_eq!(done.stderr, "oops\n");
    assert_eq!(home.read("out.txt"), "x\n");
}

#[tokio::test]
async fn standard_input_is_empty_given_or_open() {
    let home = Home::new();
    assert_eq!(sh(&home, "cat").run().await.stdout, "");
    assert_eq!(sh(&home, "cat").stdin("a\nb").run().await.stdout, "a\nb");

    let mut running = sh(&home, "read a; echo \"$a\"; read b; echo \"$b\"")
        .open_stdin()
        .start();
    running.write_line(&json!({"n": 1})).await;
    running
        .wait_for_event("the echo", |event| event["n"] == 1)
        .await;
    running.write_line(&json!({"n": 2})).await;
    assert_eq!(running.finish().await.stdout, "{\"n\":1}\n{\"n\":2}\n");
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    let home = Home::new();
    assert_eq!(sh(&home, "exit 7").run().await.code(), Some(7));
    let trapped = "trap 'echo bye; exit 130' INT; echo ready >&2; while :; do sleep 0.01; done";
    for (signal, code, number) in [
        (Signal::INT, Some(130), None),
        (Signal::KILL, None, Some(9)),
    ] {
        let running = sh(&home, trapped).start();
        running.wait_for_stderr("ready").await;
        running.signal(signal);
        let done = running.finish().await;
        assert_eq!((done.code(), done.signal()), (code, number));
        assert_eq!(done.stdout, if number.is_none() { "bye\n" } else { "" });
    }
}

#[tokio::test]
#[should_panic(expected = "still running after 1s\n--- standard output\nearly\n")]
async fn a_program_that_lives_too_long_fails_the_test_with_its_output() {
    let home = Home::new();
    sh(&home, "echo early; sleep 60")
        .life(Duration::from_secs(1))
        .run()
        .await;
}

#[tokio::test]
#[should_panic(expected = "output ended before a result")]
async fn an_event_that_cannot_come_any_more_is_not_waited_for() {
    let home = Home::new();
    sh(&home, "echo '{}'")
        .start()
        .wait_for_event("a result", |event| event["n"] == 1)
        .await;
}

#[tokio::test]
#[should_panic(expected = "the first event is")]
async fn output_that_is_no_stream_of_events_is_refused() {
    let home = Home::new();
    let line = r#"{"v":1,"type":"result","session":"a","seq":0,"ts":0}"#;
    sh(&home, &format!("echo '{line}'")).run().await.events();
}

#[tokio::test]
async fn a_stream_of_events_is_read() {
    let home = Home::new();
    let line = |kind: &str| format!(r#"{{"v":1,"type":"{kind}","session":"a","seq":0,"ts":0}}"#);
    let script = format!(
        "echo '{}'; echo '{}'",
        line("session.started"),
        line("result")
    );
    let done = sh(&home, &script).run().await;
    assert_eq!(done.events().len(), 2);
    assert_eq!(done.result()["type"], "result");
    assert!(done.elapsed < Duration::from_secs(30));
}

#[tokio::test]
async fn a_dropped_program_takes_what_it_started_with_it() {
    let home = Home::new();
    let running = sh(&home, "sleep 60 & echo \"$!\" >&2; echo ok >&2; wait").start();
    running.wait_for_stderr("ok").await;
    let grandchild = running
        .stderr_so_far()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let grandchild = Pid::from_raw(grandchild).unwrap();
    test_kill_process(grandchild).unwrap();
    drop(running);
    // The signal is sent at once; the process is gone when init has reaped it.
    for _ in 0..500 {
        if is_gone(grandchild) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {grandchild:?} outlived the program that started it");
}

/// Whether a process has ended, reaped or not.
fn is_gone(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // The state follows the name, which is in parentheses.
    status.map_or(true, |status| {
        status
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    })
}
