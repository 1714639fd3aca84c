//! Which session a person means, and the line that a list shows of it.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use ml_intern_agent::Event;
use ml_intern_agent::ports::Journal;
use ml_intern_trace::{SessionLog, TraceError, choose, complete_id, delete, summary};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Sessions of these ids and first words, the last one the newest.
fn sessions(all: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (id, input) in all {
        say(folder.path(), id, input);
        // Entries carry milliseconds.
        std::thread::sleep(Duration::from_millis(2));
    }
    folder
}

fn say(sessions: &Path, id: &str, input: &str) {
    let log = SessionLog::create(sessions, id).unwrap();
    let input = input.to_owned();
    log.append(&Event::TurnStarted { turn: 1, input }).unwrap();
}

fn preview(input: &str) -> String {
    let folder = sessions(&[("s", input)]);
    summary(folder.path(), "s").unwrap().preview()
}

#[test]
fn digits_are_a_place_in_the_list_from_1_for_the_newest() {
    let folder = sessions(&[("20260101-a", "one"), ("20260102-b", "two")]);
    let chosen = |text| choose(folder.path(), text).unwrap();
    assert_eq!(chosen("1"), "20260102-b");
    assert_eq!(chosen("2"), "20260101-a");
    say(folder.path(), "20260101-c", "the newest, whatever its id");
    assert_eq!(chosen("1"), "20260101-c");
    delete(folder.path(), "20260101-c").unwrap();
    assert_eq!(chosen("1"), "20260102-b");
    // More than there are sessions: the beginning of an id.
    assert_eq!(chosen("20260101"), "20260101-a");
    for none in ["0", "3", "00", "99999999999999999999999"] {
        assert!(
            matches!(choose(folder.path(), none), Err(TraceError::NotFound(text)) if text == none)
        );
    }
}

#[test]
fn a_beginning_that_one_id_has_is_that_session() {
    let folder = sessions(&[("20260101-a", "one"), ("20260102-b", "two"), ("2026", "x")]);
    assert_eq!(choose(folder.path(), "20260101").unwrap(), "20260101-a");
    assert_eq!(choose(folder.path(), "20260102-b").unwrap(), "20260102-b");
    assert_eq!(
        choose(folder.path(), "2026").unwrap(),
        "2026",
        "a whole id is no beginning of others"
    );
    std::fs::write(folder.path().join("20260102-b/events.jsonl"), "garbage\n").unwrap();
    assert_eq!(
        choose(folder.path(), "20260102").unwrap(),
        "20260102-b",
        "also where it cannot be read"
    );
}

#[test]
fn a_title_is_taken_where_no_id_begins_like_it() {
    let folder = sessions(&[
        ("a-1", "fix the tests"),
        ("a-2", "a-1"),
        ("a-3", "version 1.2/beta"),
    ]);
    let chosen = |text| choose(folder.path(), text).unwrap();
    assert_eq!(chosen("fix the tests"), "a-1");
    assert_eq!(chosen("version 1.2/beta"), "a-3");
    assert_eq!(chosen("a-1"), "a-1");
    assert!(matches!(
        choose(folder.path(), "fix the"),
        Err(TraceError::NotFound(_))
    ));
    assert!(matches!(
        complete_id(folder.path(), "fix the tests"),
        Err(TraceError::NotFound(_))
    ));
}

#[test]
fn an_unknown_session_is_an_error_that_says_where_all_are() {
    let folder = sessions(&[("a", "")]);
    for unknown in ["b", "", ".", "..", "../a", ".index", "a/..", "/", "ä"] {
        let error = choose(folder.path(), unknown).unwrap_err();
        assert!(matches!(error, TraceError::NotFound(_)), "{unknown}");
        let text = error.to_string();
        assert!(text.contains("sessions list"), "{text}");
    }
    let nothing = folder.path().join("nothing");
    for text in ["1", "a"] {
        assert!(matches!(
            choose(&nothing, text),
            Err(TraceError::NotFound(_))
        ));
    }
}

#[test]
fn what_may_be_several_sessions_names_five_and_counts_the_rest() {
    let all = ["k0", "k1", "k2", "k3", "k4", "k5", "k6"];
    let folder = sessions(&all.map(|id| (id, "the same")));
    let error = choose(folder.path(), "k").unwrap_err().to_string();
    assert_eq!(
        error,
        "`k` may be `k6` (the same) or `k5` (the same) or `k4` (the same) or `k3` (the same) or `k2` (the same) or one of \
         2 others; give more of its id"
    );
    let error = choose(folder.path(), "the same").unwrap_err().to_string();
    assert!(error.starts_with("`the same` may be `k6` (the same) or"));
    for id in &all[2..] {
        delete(folder.path(), id).unwrap();
    }
    std::fs::write(folder.path().join("k1/events.jsonl"), "garbage\n").unwrap();
    let error = choose(folder.path(), "k").unwrap_err().to_string();
    assert_eq!(
        error,
        "`k` may be `k1` or `k0` (the same); give more of its id"
    );
}

#[test]
fn a_preview_of_80_letters_has_71_and_an_ellipsis() {
    assert_eq!(preview(&"a".repeat(80)), format!("{}…", "a".repeat(71)));
    assert_eq!(preview(&"é".repeat(73)), format!("{}…", "é".repeat(71)));
    assert_eq!(preview(&"a".repeat(72)), "a".repeat(72));
}

#[test]
fn white_space_of_a_preview_is_collapsed() {
    assert_eq!(preview("  train \t a   model\u{a0} "), "train a model");
    assert_eq!(preview(""), "(no user prompt preview)");
    assert_eq!(preview("  \t "), "(no user prompt preview)");
}
