//! Logs that earlier versions wrote open, and those of later ones are read as far as they can be.
//!
//! The fixtures are logs as version 1 of the format has them. They are never edited: where the format changes, the log
//! of today joins them, and `entry.rs` says where an old line gets today's fields.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use ml_intern_agent::event::{CallStatus, TurnEnd};
use ml_intern_agent::message::Part;
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::{Event, Role, Stamp};
use ml_intern_trace::{SessionLog, TraceError, claude_code, fold, list, read, summary};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// Every type that the first logs kept.
const TYPES: [&str; 20] = [
    "audit",
    "compacted",
    "error",
    "job.finished",
    "job.started",
    "job.updated",
    "message",
    "notice",
    "permission.requested",
    "permission.resolved",
    "plan",
    "repetition",
    "session.forked",
    "session.renamed",
    "session.resumed",
    "session.started",
    "tool.finished",
    "tool.started",
    "turn.finished",
    "turn.started",
];

/// A folder of sessions with a copy of a fixture as `s`.
fn fixture(name: &str) -> TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    let folder = TempDir::new().unwrap();
    for part in ["", "blobs"] {
        let Ok(files) = std::fs::read_dir(from.join(part)) else {
            continue;
        };
        let to = folder.path().join("s").join(part);
        std::fs::create_dir_all(&to).unwrap();
        for file in files.map(|file| file.unwrap().path()) {
            if file.is_file() {
                std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    folder
}

fn append(folder: &TempDir, line: &Value) {
    let path = folder.path().join("s/events.jsonl");
    let file = std::fs::OpenOptions::new().append(true).open(path);
    file.unwrap()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

fn exported(folder: &TempDir) -> Vec<Value> {
    let lines = claude_code("s", &read(folder.path(), "s").unwrap());
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_fixture_has_every_type_that_the_first_logs_kept() {
    let folder = fixture("v1");
    let text = std::fs::read_to_string(folder.path().join("s/events.jsonl")).unwrap();
    let types = text.lines().map(|line| {
        let line = serde_json::from_str::<Value>(line).unwrap();
        line["type"].as_str().unwrap().to_owned()
    });
    let mut all = TYPES.map(String::from).to_vec();
    all.push("usage".into());
    assert_eq!(
        types.collect::<BTreeSet<_>>(),
        all.into_iter().collect::<BTreeSet<_>>()
    );
    // Each of its lines is known.
    assert_eq!(
        read(folder.path(), "s").unwrap().len(),
        text.lines().count()
    );
}

#[test]
fn a_log_of_version_1_folds_to_the_state_that_it_had() {
    let folder = fixture("v1");
    let opened = SessionLog::open(folder.path(), "s").unwrap();
    let state = opened.state;
    let place = Stamp {
        seq: 36,
        ms: 1_767_225_636_036,
    };
    assert_eq!((opened.last, opened.cut), (place, 0));
    assert_eq!(
        (&*state.model, &*state.workspace, &*state.title),
        ("hub/m-2", "/home/someone/penguins", "Penguins")
    );
    assert_eq!(
        (state.turn, state.iterations, state.turn_open),
        (2, 1, true)
    );
    assert_eq!((state.ended, state.answer, state.error), (None, None, None));
    let usage = state.usage;
    assert_eq!((usage.input, usage.output), (4100, 230));
    assert_eq!(
        (usage.cache_read, usage.cache_write, usage.reasoning),
        (1000, 100, 20)
    );
    assert_eq!(
        (usage.cost_usd.map(MicroUsd::usd), state.unpriced),
        (Some(0.375), 1)
    );
    assert_eq!(state.plan.len(), 3);
    assert_eq!(state.remembered.len(), 1);
    assert_eq!(state.jobs["local-1"].state, "succeeded");
    assert_eq!(
        state.jobs["local-1"].cost_usd,
        Some(MicroUsd::from_usd(0.75))
    );
    // The second turn's call was running.
    assert_eq!(state.open.len(), 1);
    assert_eq!(
        (&*state.open[0].id, state.open[0].started),
        ("c32.0", Some(false))
    );
    // The calls before the cut are gone with their results; what the person said first stays.
    let roles = state.messages.iter().map(|message| message.role);
    assert_eq!(
        roles.collect::<Vec<_>>(),
        [
            Role::System,
            Role::User,
            Role::Assistant,
            Role::User,
            Role::Assistant
        ]
    );
    let task = state.messages[1].plain_text();
    assert!(task.starts_with("Train a classifier of penguins\nand say"));
    assert!(task.contains("training failed once"), "{task}");
}

#[test]
fn a_log_of_version_1_is_listed_and_goes_on() {
    let folder = fixture("v1");
    let listed = list(folder.path()).unwrap();
    assert!(listed.1.is_empty());
    assert_eq!(listed.0, [summary(folder.path(), "s").unwrap()]);
    assert_eq!(listed.0[0].title, "Penguins");
    assert_eq!(listed.0[0].started_ms, 1_767_225_601_001);
    assert!(listed.0[0].turn_open);
    let opened = SessionLog::open(folder.path(), "s").unwrap();
    let event = Event::TurnFinished {
        reason: TurnEnd::Interrupted,
        message: None,
        iterations: 1,
        blocked: false,
    };
    use ml_intern_agent::ports::Journal as _;
    assert_eq!(opened.log.append(&event).unwrap().seq, 37);
    let session = fold(folder.path(), "s").unwrap();
    assert_eq!(session.last.seq, 37);
    assert_eq!(session.state.ended, Some(TurnEnd::Interrupted));
}

#[test]
fn a_log_of_version_1_is_exported() {
    let lines = exported(&fixture("v1"));
    let kinds = lines.iter().map(|line| {
        let content = &line["message"]["content"];
        let kind = content[0]["type"].as_str().unwrap_or("text");
        (line["type"].as_str().unwrap(), kind)
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            ("user", "text"),
            ("assistant", "text"),
            ("user", "tool_result"),
            ("user", "tool_result"),
            ("user", "tool_result"),
            ("user", "text"),
            ("assistant", "text"),
            ("user", "text"),
            ("assistant", "tool_use"),
        ]
    );
    let calls = &lines[1]["message"]["content"];
    assert_eq!(calls[1]["input"], json!({"path": "data.csv"}));
    assert_eq!(calls[3]["input"], json!({"_raw": "{oops"}));
    assert_eq!(lines[1]["message"]["usage"]["input_tokens"], 100);
    assert_eq!(lines[0]["timestamp"], "2026-01-01T00:00:03.003Z");
    assert_eq!(lines[5]["isMeta"], true);
    assert_eq!(lines[0]["parentUuid"], Value::Null);
}

#[test]
fn large_texts_of_version_1_are_found() {
    let folder = fixture("v1-large");
    let opened = SessionLog::open(folder.path(), "s").unwrap();
    assert_eq!(
        opened.state.messages[0].plain_text(),
        "Train on this:\nspecies,mass"
    );
    let Part::Result(result) = &opened.state.messages[2].parts[0] else {
        panic!("{:?}", opened.state.messages[2]);
    };
    assert_eq!(result.content, "a long result");
    let events = read(folder.path(), "s").unwrap();
    let Event::ToolStarted { arguments, .. } = &events[3].1 else {
        panic!("{:?}", events[3]);
    };
    assert_eq!(arguments["bytes"], 27, "a tool's own object stays one");
    assert_eq!(summary(folder.path(), "s").unwrap().title, "Train on this:");
    // A list needs no result, only what it shows.
    let blobs = folder.path().join("s/blobs");
    let shown = blobs.join("8512ddada9f68736673fb54b27c0d44035c15e85d2898414721e810a270e33d0");
    for file in std::fs::read_dir(&blobs).unwrap() {
        let file = file.unwrap().path();
        if file != shown {
            std::fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(list(folder.path()).unwrap().0.len(), 1);
    assert!(SessionLog::open(folder.path(), "s").is_err());
    std::fs::remove_file(shown).unwrap();
    assert_eq!(list(folder.path()).unwrap().1.len(), 1);
}

#[test]
fn what_a_newer_minor_version_added_is_left_out() {
    let folder = fixture("v1");
    let before = exported(&folder);
    let ts = "2026-02-01T00:00:00.000Z";
    append(
        &folder,
        &json!({"v": 1, "seq": 37, "ts": ts, "type": "moon.phase", "phase": {"of": 3}}),
    );
    // A field that is not known yet changes nothing either.
    append(
        &folder,
        &json!({"v": 1, "seq": 38, "ts": ts, "type": "notice", "code": "x", "text": "y", "since": 1}),
    );
    let events = read(folder.path(), "s").unwrap();
    assert_eq!(events.last().unwrap().0.seq, 38);
    assert_eq!(events.len(), 37, "all but one");
    assert_eq!(exported(&folder), before);
    let opened = SessionLog::open(folder.path(), "s").unwrap();
    assert_eq!(opened.last.seq, 38);
    let statuses = events.iter().filter(|(_, event)| {
        matches!(event, Event::ToolFinished { status, .. } if *status == CallStatus::Ok)
    });
    assert_eq!(statuses.count(), 1);
}

#[test]
fn a_newer_format_is_refused_with_words_that_say_to_update() {
    let folder = fixture("v1");
    let ts = "2026-02-01T00:00:00.000Z";
    // Whatever else it says.
    append(
        &folder,
        &json!({"v": 2, "seq": 37, "ts": ts, "type": "notice", "code": 7}),
    );
    let refused = [
        SessionLog::open(folder.path(), "s").err().unwrap(),
        read(folder.path(), "s").unwrap_err(),
        fold(folder.path(), "s").unwrap_err(),
        list(folder.path()).unwrap().1.remove(0),
    ];
    for error in refused {
        assert!(matches!(&error, TraceError::Damaged { line: 37, .. }));
        let text = error.to_string();
        assert!(
            text.contains("version 2") && text.contains("update ml-intern"),
            "{text}"
        );
    }
}
