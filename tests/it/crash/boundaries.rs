//! A session with jobs and approvals that dies after any of its events ends as one that never died.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::model::World;
use crate::support::ml_intern::Running;

/// One event in so many is the last of a process; the first is another one every time. With `ML_INTERN_CRASH_ALL` in
/// the environment each of them is.
const SPARSE: u64 = 12;
/// A session takes a few seconds.
const LONGEST: Duration = Duration::from_secs(50);

/// Starts or goes on, with every question put to this test.
async fn start(world: &World) -> Running {
    let mut command = world.command().await;
    for argument in &mut command {
        if argument == "--permission-mode=auto" {
            "--permission-mode=ask".clone_into(argument);
        }
    }
    command.push("--input-format=stream-json".to_owned());
    world.home.ml_intern(command).open_stdin().start()
}

/// Answers every question, and kills the process once it has written the event number `last`. Whether it lived.
async fn drive(mut running: Running, last: Option<u64>) -> bool {
    let mut answered = 0;
    let began = Instant::now();
    while running.is_running() {
        assert!(began.elapsed() < LONGEST, "{}", running.stderr_so_far());
        let events = running.events_so_far();
        let questions = events
            .iter()
            .filter(|event| event["type"] == "permission.requested");
        for question in questions.skip(answered) {
            answered += 1;
            let id = &question["id"];
            let allow = json!({"type": "permission.answer", "id": id, "decision": "allow"});
            running.write_line(&allow).await;
        }
        let newest = events
            .iter()
            .filter_map(|event| event["seq"].as_u64())
            .max();
        if last.is_some_and(|last| newest >= Some(last)) {
            running.signal(Signal::KILL);
            running.finish().await;
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.finish().await.assert_code(0);
    true
}

async fn events_of_a_whole_session() -> u64 {
    let world = World::long().await;
    assert!(drive(start(&world).await, None).await);
    world.assert_whole().await;
    assert_eq!(world.fake.chats().len(), 30);
    world
        .log()
        .await
        .last()
        .and_then(|event: &Value| event["seq"].as_u64())
        .unwrap()
}

/// Each part takes its own share of the events, so that two can run at once.
async fn part(part: u64, parts: u64) {
    let all = std::env::var_os("ML_INTERN_CRASH_ALL").is_some();
    let step = if all { 1 } else { SPARSE };
    let events = events_of_a_whole_session().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = 1 + now.unwrap().as_secs() % step;
    let lasts = (first..events).step_by(usize::try_from(step).unwrap());
    for (number, last) in lasts.enumerate() {
        if number as u64 % parts != part {
            continue;
        }
        let world = World::long().await;
        let lived = drive(start(&world).await, Some(last)).await;
        if !lived && !world.is_done().await {
            assert!(drive(start(&world).await, None).await, "after event {last}");
        }
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn a_session_that_dies_after_any_event_ends_the_same_first_half() {
    part(0, 2).await;
}

#[tokio::test]
async fn a_session_that_dies_after_any_event_ends_the_same_second_half() {
    part(1, 2).await;
}
