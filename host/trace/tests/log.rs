//! Writing a log, breaking it, opening it again.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use ml_intern_agent::event::{CallStatus, Usage};
use ml_intern_agent::ports::Journal;
use ml_intern_agent::{Event, Message, Role};
use ml_intern_trace::{SessionLog, TraceError, list, read};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

fn started() -> Event {
    Event::SessionStarted {
        model: "openai/m".into(),
        workspace: "/w".into(),
        host: "0.1.0".into(),
        tools: vec!["read".into()],
        limits: None,
    }
}

fn turn(input: &str) -> Event {
    Event::TurnStarted {
        turn: 1,
        input: input.into(),
    }
}

fn finished(content: String) -> Event {
    Event::ToolFinished {
        call: "c1.0".into(),
        index: 0,
        tool: "read".into(),
        status: CallStatus::Ok,
        content,
        images: Vec::new(),
        ms: 1,
    }
}

fn written(events: &[Event]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let log = SessionLog::create(folder.path(), "s").unwrap();
    for event in events {
        log.append(event).unwrap();
    }
    folder
}

fn events_file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("s/events.jsonl")
}

fn append_raw(folder: &TempDir, bytes: &[u8]) {
    fs::OpenOptions::new()
        .append(true)
        .open(events_file(folder))
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

#[test]
fn what_was_written_is_read_and_goes_on_where_it_stopped() {
    let message = Event::Message {
        message: Message::text(Role::Assistant, "hello"),
    };
    let usage = Event::Usage {
        usage: Usage {
            input: 3,
            output: 4,
            cost_usd: Some(ml_intern_agent::money::MicroUsd::from_usd(0.5)),
            ..Usage::default()
        },
    };
    let events = [started(), turn("go"), usage, message];
    let folder = written(&events);
    let read_back = read(folder.path(), "s").unwrap();
    assert_eq!(
        read_back
            .iter()
            .map(|(_, event)| event.clone())
            .collect::<Vec<_>>(),
        events
    );
    assert_eq!(
        read_back
            .iter()
            .map(|(stamp, _)| stamp.seq)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );

    let opened = SessionLog::open(folder.path(), "s").unwrap();
    assert_eq!(
        (opened.last.seq, opened.cut, opened.state.messages.len()),
        (4, 0, 2)
    );
    assert_eq!(opened.log.append(&turn("more")).unwrap().seq, 5);
}

#[test]
fn a_torn_last_line_is_cut_off_at_every_length() {
    let whole = written(&[started(), turn("go")]);
    let bytes = fs::read(events_file(&whole)).unwrap();
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in first..bytes.len() {
        let folder = written(&[]);
        append_raw(&folder, &bytes[..length]);
        let opened = SessionLog::open(folder.path(), "s").unwrap();
        assert_eq!(
            (opened.last.seq, opened.cut),
            (1, (length - first) as u64),
            "{length}"
        );
        assert_eq!(opened.log.append(&turn("again")).unwrap().seq, 2);
        drop(opened);
        assert_eq!(read(folder.path(), "s").unwrap().len(), 2);
    }
}

#[test]
fn damage_in_the_middle_is_named_and_nothing_is_changed() {
    let folder = written(&[started()]);
    append_raw(&folder, b"{\"v\":1,\"seq\":2,garbage}\n");
    append_raw(&folder, b"{\"v\":1,\"seq\":3}\n");
    let before = fs::read(events_file(&folder)).unwrap();
    let error = SessionLog::open(folder.path(), "s").err().unwrap();
    assert!(
        matches!(&error, TraceError::Damaged { line: 2, .. }),
        "{error}"
    );
    assert_eq!(fs::read(events_file(&folder)).unwrap(), before);
    let (found, problems) = list(folder.path()).unwrap();
    assert_eq!((found.len(), problems.len()), (0, 1));
}

#[test]
fn entries_of_a_newer_version_are_skipped_and_a_newer_format_is_refused() {
    let folder = written(&[started()]);
    append_raw(&folder, b"{\"v\":1,\"seq\":2,\"ts\":\"2026-01-01T00:00:00.000Z\",\"type\":\"moon.phase\",\"phase\":3}\n");
    let opened = SessionLog::open(folder.path(), "s").unwrap();
    assert_eq!(opened.last.seq, 2);
    drop(opened);
    append_raw(
        &folder,
        b"{\"v\":2,\"seq\":3,\"ts\":\"2026-01-01T00:00:00.000Z\",\"type\":\"plan\",\"items\":[]}\n",
    );
    let error = SessionLog::open(folder.path(), "s")
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("newer") && error.contains("update"),
        "{error}"
    );
}

#[test]
fn one_writer_at_a_time() {
    let folder = written(&[started()]);
    let first = SessionLog::open(folder.path(), "s").unwrap();
    let second = SessionLog::open(folder.path(), "s").err().unwrap();
    assert!(matches!(second, TraceError::Locked(_)), "{second}");
    assert_eq!(read(folder.path(), "s").unwrap().len(), 1, "readers follow");
    drop(first);
    assert!(SessionLog::open(folder.path(), "s").is_ok());
    assert!(matches!(
        SessionLog::open(folder.path(), "nobody").err().unwrap(),
        TraceError::NotFound(_)
    ));
}

#[test]
fn large_texts_live_beside_the_log() {
    let large = "x".repeat(300_000);
    let folder = written(&[started(), finished(large.clone()), finished(large.clone())]);
    assert!(fs::metadata(events_file(&folder)).unwrap().len() < 4096);
    assert_eq!(
        fs::read_dir(folder.path().join("s/blobs")).unwrap().count(),
        1,
        "the same text is kept once"
    );
    let events = read(folder.path(), "s").unwrap();
    assert!(matches!(&events[2].1, Event::ToolFinished { content, .. } if *content == large));
}

#[test]
fn a_tool_cannot_name_a_file_by_looking_like_a_blob() {
    let secret = Path::new("../../../../etc/passwd").display().to_string();
    let blob = json!({ "$blob": "a".repeat(64), "bytes": 1 });
    for arguments in [
        json!({ "$blob": secret, "bytes": 1 }),
        blob.clone(),
        json!({ "$literal": blob }),
        json!([{ "$literal": { "$literal": blob } }, { "$literal": 1 }]),
    ] {
        let folder = written(&[asked_for(arguments.clone())]);
        let events = read(folder.path(), "s").unwrap();
        assert!(
            matches!(&events[0].1, Event::ToolStarted { arguments: read, .. } if *read == arguments),
            "{arguments}"
        );
    }
}

fn asked_for(arguments: Value) -> Event {
    Event::ToolStarted {
        call: "c1.0".into(),
        index: 0,
        tool: "read".into(),
        plugin: "p".into(),
        arguments,
        repeatable: true,
    }
}

#[test]
fn a_blob_that_is_another_file_is_named_and_not_read() {
    let large = "x".repeat(300_000);
    let folder = written(&[started(), finished(large.clone())]);
    let blobs = folder.path().join("s/blobs");
    let blob = fs::read_dir(&blobs)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let other = folder.path().join("other.txt");
    fs::write(&other, &large).unwrap();
    fs::write(&blob, "y".repeat(300_000)).unwrap();
    let refused = |says: &str| {
        let error = read(folder.path(), "s").unwrap_err();
        let text = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(text.contains(says), "{text}");
    };
    refused("not what its name says");
    fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink(&other, &blob).unwrap();
    refused("blobs");
    fs::remove_file(&blob).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &blob, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    refused("no file of this log");
}

#[tokio::test]
async fn syncing_twice_costs_once() {
    let folder = TempDir::new().unwrap();
    let log = SessionLog::create(folder.path(), "s").unwrap();
    log.append(&started()).unwrap();
    log.sync().await.unwrap();
    log.sync().await.unwrap();
    assert!(
        SessionLog::create(folder.path(), "s").is_err(),
        "an id is used once"
    );
}
