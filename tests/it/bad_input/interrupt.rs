use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    fake_openai::{Reply, Script},
    ml_intern::Home,
    world::{World, of_type},
};

use super::{answer_of_next, call_started, statuses};

const SLEEP: &str = "sleep 600 & echo $! > child; echo $$ > pid; echo ready; wait";

/// Does `first` with the first prompt, and answers `fine` to one that says `again`.
async fn doing(first: Reply) -> World {
    let script = Script::new(move |asked| match asked.last_text() {
        "again" => Reply::text("fine"),
        _ => first.clone(),
    });
    World::new(script).await
}

/// Waits until nothing is left of the programs of a workspace, of which one has written `file`. They
/// are known by their folder: the ids that they see are those of their own namespace.
pub(super) async fn assert_gone(home: &Home, file: &str) {
    assert!(!home.read(file).trim().is_empty());
    let workspace = home.workspace().canonicalize().unwrap();
    for _ in 0..500 {
        if running_in(&workspace).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let left = running_in(&workspace);
    panic!("{left:?} of `{file}` still run");
}

/// The command lines of the processes that work in `folder`.
fn running_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let inside = processes.filter(|entry| {
        std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    });
    let lines = inside.map(|entry| std::fs::read_to_string(entry.path().join("cmdline")));
    // One that has ended meanwhile has none.
    lines.flatten().filter(|line| !line.is_empty()).collect()
}

/// Waits until a tool has written `file`.
async fn written(home: &Home, file: &str) {
    let file = home.workspace().join(file);
    for _ in 0..2000 {
        if std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n')) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing wrote {}", file.display());
}

#[tokio::test]
async fn an_interrupt_ends_a_tool_with_all_that_it_started() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let world = doing(Reply::call("bash", json!({ "command": SLEEP }))).await;
        let running = world
            .run(["--json", "--permission-mode=auto", "go"])
            .start();
        call_started(&running).await;
        written(&world.home, "pid").await;
        running.signal(signal);
        let done = running.finish().await;
        done.assert_code(code);
        let result = done.result();
        assert_eq!(result["reason"], "interrupted");
        assert_eq!(result["exit_code"], code);
        assert_eq!(statuses(&done.events()), ["cancelled"]);
        assert_gone(&world.home, "pid").await;
        assert_gone(&world.home, "child").await;
        assert_eq!(answer_of_next(&world, "again").await, "fine");
        world.fake.assert_all_accepted();
    }
}

#[tokio::test]
async fn an_interrupt_in_a_stream_keeps_what_was_read() {
    let world = doing(Reply::text("one two three four").hang_after(3)).await;
    let running = world.run(["--json", "go"]).start();
    running
        .wait_for_event("text", |event| event["type"] == "text.delta")
        .await;
    running.signal(Signal::INT);
    let done = running.finish().await;
    done.assert_code(130);
    assert_eq!(done.result()["reason"], "interrupted");
    world
        .fake
        .wait_for("the end of the request", |all| all[0].ended.is_some())
        .await;
    assert_eq!(answer_of_next(&world, "again").await, "fine");
    let last = world.fake.chats().pop().unwrap();
    assert!(last.messages().contains("one "), "{}", last.messages());
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn an_interrupt_while_a_job_runs_cancels_it() {
    let script = "import os, time\nprint('up', flush=True)\n\
        with open('job.pid', 'w') as file:\n    file.write(f'{os.getpid()}\\n')\ntime.sleep(600)\n";
    let world = doing(Reply::call(
        "job_run",
        json!({"script": script, "wait": 300}),
    ))
    .await;
    let running = world
        .run(["--json", "--permission-mode=auto", "go"])
        .start();
    let job = running
        .wait_for_event("the job", |event| event["type"] == "job.started")
        .await;
    let id = job["job"]["id"].as_str().unwrap().to_owned();
    written(&world.home, "job.pid").await;
    running.signal(Signal::INT);
    let done = running.finish().await;
    done.assert_code(130);
    assert_gone(&world.home, "job.pid").await;
    let show = world
        .home
        .ml_intern(["jobs", "show", &id, "--json"])
        .run()
        .await;
    show.assert_code(0);
    assert!(show.stdout.contains("\"cancelled\""), "{}", show.stdout);
    assert_eq!(
        of_type(&done.events(), "tool.finished")[0]["status"],
        "cancelled"
    );
    assert_eq!(answer_of_next(&world, "again").await, "fine");
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn a_second_interrupt_ends_the_program_at_once() {
    let world = doing(Reply::call("bash", json!({ "command": SLEEP }))).await;
    let running = world
        .run(["--json", "--permission-mode=auto", "go"])
        .start();
    call_started(&running).await;
    written(&world.home, "pid").await;
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    let done = running.finish().await;
    done.assert_code(130);
    assert_gone(&world.home, "child").await;
    assert_eq!(answer_of_next(&world, "again").await, "fine");
    world.fake.assert_all_accepted();
}
