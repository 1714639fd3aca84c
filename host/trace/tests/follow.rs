//! Reading a log while it is written.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use ml_intern_agent::ports::Journal;
use ml_intern_agent::{Event, Message, Role, Stamp};
use ml_intern_trace::{Follower, SessionLog, TraceError, delete, follow, read};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);
/// Entries of a writer at full speed.
const MANY: u64 = 5_000;
/// Names the folder for [`writes_until_it_is_killed`].
const FOLDER: &str = "ML_INTERN_TEST_SESSIONS";

fn said(text: impl Into<String>) -> Event {
    let message = Message::text(Role::Assistant, text);
    Event::Message { message }
}

async fn next(follower: &mut Follower) -> Result<Option<(Stamp, Event)>, TraceError> {
    let next = tokio::time::timeout(LONG, follower.next()).await;
    next.expect("an entry, an end or an error in time")
}

/// The next entries, whose places are these.
async fn entries(follower: &mut Follower, places: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    let mut events = Vec::new();
    for place in places {
        let (stamp, event) = next(follower).await.unwrap().unwrap();
        assert_eq!(stamp.seq, place);
        events.push(event);
    }
    events
}

/// Nothing comes for longer than two looks at the file take.
async fn nothing_comes(follower: &mut Follower) {
    let next = tokio::time::timeout(Duration::from_millis(350), follower.next()).await;
    assert!(next.is_err(), "{next:?}");
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("s/events.jsonl")
}

fn append_raw(folder: &TempDir, bytes: &[u8]) {
    let file = OpenOptions::new().append(true).open(path(folder));
    file.unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn entries_come_as_they_are_appended_with_their_large_texts() {
    let folder = TempDir::new().unwrap();
    let log = SessionLog::create(folder.path(), "s").unwrap();
    log.append(&said("before")).unwrap();
    let mut follower = follow(folder.path(), "s").unwrap();
    assert_eq!(entries(&mut follower, 1..=1).await, [said("before")]);
    nothing_comes(&mut follower).await;
    let large = said("x".repeat(300_000));
    log.append(&large).unwrap();
    log.append(&said("after")).unwrap();
    assert_eq!(entries(&mut follower, 2..=3).await, [large, said("after")]);
    // Of many texts that are each short enough, a line is longer than what is read at a time.
    let mut message = Message::text(Role::Assistant, "y".repeat(60_000));
    message.parts = vec![message.parts[0].clone(); 8];
    let long = Event::Message { message };
    log.append(&long).unwrap();
    assert_eq!(entries(&mut follower, 4..=4).await, [long]);
    // A newer version's entry is left out.
    append_raw(
        &folder,
        b"{\"v\":1,\"seq\":5,\"ts\":\"2026-01-01T00:00:00.000Z\",\"type\":\"moon.phase\"}\n",
    );
    nothing_comes(&mut follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_beside_a_writer_at_full_speed_get_every_entry_once() {
    let folder = TempDir::new().unwrap();
    let log = SessionLog::create(folder.path(), "s").unwrap();
    let writer = std::thread::spawn(move || {
        for number in 0..MANY {
            let text = format!(
                "{number} {}",
                "z".repeat(usize::try_from(number % 900).unwrap())
            );
            log.append(&said(text)).unwrap();
        }
    });
    let readers = (0..3).map(|_| {
        let mut follower = follow(folder.path(), "s").unwrap();
        tokio::spawn(async move { entries(&mut follower, 1..=MANY).await })
    });
    let mut all = Vec::new();
    for reader in readers.collect::<Vec<_>>() {
        all.push(reader.await.unwrap());
    }
    writer.join().unwrap();
    let written = read(folder.path(), "s").unwrap();
    for events in all {
        assert!(written.iter().map(|(_, event)| event).eq(&events));
    }
}

/// The other process of the next test.
#[test]
#[ignore = "does not end; another test starts and kills it"]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let log = match SessionLog::open(Path::new(&folder), "s") {
        Ok(opened) => opened.log,
        Err(_) => SessionLog::create(Path::new(&folder), "s").unwrap(),
    };
    // Bounded, should nobody kill it.
    for number in 0..2_000_000 {
        log.append(&said(format!("entry {number}"))).unwrap();
    }
}

fn writer(folder: &TempDir) -> Child {
    let itself = std::env::current_exe().unwrap();
    let arguments = ["writes_until_it_is_killed", "--exact", "--ignored"];
    let mut writer = Command::new(itself);
    writer.args(arguments).env(FOLDER, folder.path());
    writer.stdout(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn writers_that_are_killed_and_go_on_are_followed_without_a_gap() {
    let folder = TempDir::new().unwrap();
    drop(SessionLog::create(folder.path(), "s").unwrap());
    let mut follower = follow(folder.path(), "s").unwrap();
    let mut place = 0;
    for round in 0..3 {
        let mut writer = writer(&folder);
        let more = entries(&mut follower, place + 1..=place + 300).await;
        place += more.len() as u64;
        writer.kill().unwrap();
        writer.wait().unwrap();
        let left = read(folder.path(), "s").unwrap().len() as u64;
        entries(&mut follower, place + 1..=left).await;
        place = left;
        // As a killed machine leaves it: some bytes of a line.
        append_raw(&folder, &b"{\"v\":1,\"seq\":3"[..round * 5]);
    }
    nothing_comes(&mut follower).await;
}

#[tokio::test]
async fn half_a_line_that_is_cut_off_and_replaced_comes_once_and_whole() {
    let folder = TempDir::new().unwrap();
    drop(SessionLog::create(folder.path(), "s").unwrap());
    let mut follower = follow(folder.path(), "s").unwrap();
    let old =
        b"{\"v\":1,\"seq\":9,\"ts\":\"2026-01-01T00:00:00.000Z\",\"type\":\"plan\",\"items\":[]}\n";
    for (place, length) in (1..).zip((0..old.len()).step_by(7)) {
        append_raw(&folder, &old[..length]);
        // The follower sees the half now and then.
        if length % 3 == 0 {
            nothing_comes(&mut follower).await;
        }
        let opened = SessionLog::open(folder.path(), "s").unwrap();
        assert_eq!(opened.cut, length as u64);
        let event = said(format!("instead of {length}"));
        opened.log.append(&event).unwrap();
        assert_eq!(entries(&mut follower, place..=place).await, [event]);
    }
}

#[tokio::test]
async fn a_removed_session_ends_after_its_last_entry() {
    let folder = TempDir::new().unwrap();
    let log = SessionLog::create(folder.path(), "s").unwrap();
    log.append(&said("one")).unwrap();
    let mut waiting = follow(folder.path(), "s").unwrap();
    let mut late = follow(folder.path(), "s").unwrap();
    entries(&mut waiting, 1..=1).await;
    log.append(&said("two")).unwrap();
    drop(log);
    delete(folder.path(), "s").unwrap();
    entries(&mut waiting, 2..=2).await;
    assert_eq!(next(&mut waiting).await.unwrap(), None);
    entries(&mut late, 1..=2).await;
    // Another one of that name is another one.
    let log = SessionLog::create(folder.path(), "s").unwrap();
    log.append(&said("other")).unwrap();
    for follower in [&mut waiting, &mut late] {
        assert_eq!(next(follower).await.unwrap(), None);
    }
    assert!(matches!(
        follow(folder.path(), "nobody"),
        Err(TraceError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_follower_that_waits_is_given_up_at_once_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let log = SessionLog::create(folder.path(), "s").unwrap();
    let mut follower = follow(folder.path(), "s").unwrap();
    for place in 1..=50 {
        tokio::select! {
            biased;
            entry = follower.next() => panic!("{entry:?}"),
            () = tokio::task::yield_now() => {}
        }
        log.append(&said("x")).unwrap();
        entries(&mut follower, place..=place).await;
    }
    drop(follower);
    // It held nothing that a writer needs.
    drop(log);
    assert!(SessionLog::open(folder.path(), "s").is_ok());
}

#[tokio::test]
async fn damage_is_named_and_stays() {
    let folder = TempDir::new().unwrap();
    let log = SessionLog::create(folder.path(), "s").unwrap();
    log.append(&said("one")).unwrap();
    append_raw(&folder, b"{\"v\":1,garbage}\n");
    let mut follower = follow(folder.path(), "s").unwrap();
    entries(&mut follower, 1..=1).await;
    for _ in 0..2 {
        let error = next(&mut follower).await.unwrap_err();
        assert!(matches!(error, TraceError::Damaged { line: 2, .. }));
    }
    File::create(path(&folder)).unwrap();
    let error = next(&mut follower).await.unwrap_err();
    assert!(error.to_string().contains("lost entries"), "{error}");
}
