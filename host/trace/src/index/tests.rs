//! The list from the index is the list from the logs, whatever happens to either.

mod damage;

use super::*;
use crate::{SessionLog, delete, fold, fork, read};
use ml_intern_agent::event::{CallStatus, TurnEnd, Usage};
use ml_intern_agent::money::MicroUsd;
use ml_intern_agent::ports::Journal as _;
use ml_intern_agent::{Event, Message, Role};
use std::io::Write as _;

/// Steps of a file system's clock on the machines that run this: a log that rested for so long is settled.
const STEP: Duration = Duration::from_millis(20);

/// Lists as if [`SETTLING`] were no longer than [`STEP`].
fn listed(sessions: &Path) -> Vec<SessionSummary> {
    list(sessions, SystemTime::now() + SETTLING - STEP)
        .unwrap()
        .0
}

fn rest() {
    std::thread::sleep(STEP + STEP / 2);
}

/// What a list does without reading the index or writing it.
fn looked(sessions: &Path) -> Listing {
    let now = SystemTime::now() + SETTLING - STEP;
    let mut listing = Listing::new(file::load(sessions), now);
    let logs = logs(sessions, std::fs::read_dir(sessions).unwrap()).unwrap();
    assert!(listing.add_all(sessions, logs).is_empty());
    listing
}

/// The list by folding every log from its beginning.
fn folded(sessions: &Path) -> Vec<SessionSummary> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(sessions).unwrap() {
        let id = entry.unwrap().file_name().into_string().unwrap();
        if id.starts_with('.') {
            continue;
        }
        let Ok(session) = fold(sessions, &id) else {
            continue;
        };
        let events = read(sessions, &id).unwrap();
        found.push(SessionSummary {
            id,
            title: session.state.title,
            model: session.state.model,
            workspace: session.state.workspace,
            turn: session.state.turn,
            turn_open: session.state.turn_open,
            ended: session.state.ended,
            usage: session.state.usage,
            unpriced: session.state.unpriced,
            ledger: session.state.ledger,
            started_ms: events.first().map_or(0, |(stamp, _)| stamp.ms),
            last: session.last,
        });
    }
    sort(&mut found);
    found
}

/// Numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

fn event(numbers: &mut Numbers) -> Event {
    let word = format!("word {}", numbers.below(1000));
    match numbers.below(11) {
        0 => Event::SessionStarted {
            model: format!("openai/{word}"),
            workspace: format!("/{word}"),
            host: "0.1.0".into(),
            tools: Vec::new(),
            limits: None,
        },
        1 => Event::SessionResumed {
            model: format!("hub/{word}"),
            host: "0.1.0".into(),
            limits: None,
        },
        2 => Event::SessionRenamed {
            title: format!("{word}\n\u{1b} \"é\" {}", "long ".repeat(numbers.below(40))),
        },
        3 => Event::TurnStarted {
            turn: u32::try_from(numbers.below(50)).unwrap(),
            // Now and then it lives beside the log.
            input: format!("{word} {}", "y".repeat(numbers.below(12) / 11 * 80_000)),
        },
        4 => Event::TurnFinished {
            reason: [TurnEnd::Done, TurnEnd::Error, TurnEnd::Budget][numbers.below(3)],
            message: Some(word),
            iterations: 1,
            blocked: false,
        },
        5 => Event::Usage {
            usage: Usage {
                input: numbers.below(10_000) as u64,
                output: 7,
                cache_read: 3,
                cache_write: 2,
                reasoning: 1,
                assumed_usd: None,
                purpose: ml_intern_agent::event::Purpose::Conversation,
                cost_usd: (numbers.below(3) > 0)
                    .then(|| MicroUsd::new(numbers.below(1_000_000) as u64)),
            },
        },
        6 => Event::ToolFinished {
            call: "c1.0".into(),
            index: 0,
            tool: "read".into(),
            status: CallStatus::Ok,
            content: "z".repeat(numbers.below(3000)),
            images: Vec::new(),
            ms: 1,
        },
        7 => Event::Compacted {
            at: Some(2),
            longest: None,
            summary: word,
            before: 10,
            after: 5,
        },
        8 => Event::TurnUndone {
            turn: numbers.below(4) as u32,
            restored: Vec::new(),
            kept: Vec::new(),
        },
        9 => Event::JobUpdated {
            job: ml_intern_agent::event::JobNote {
                id: format!("j{}", numbers.below(3)),
                name: None,
                state: "running".into(),
                message: None,
                cost_usd: Some(MicroUsd::new(numbers.below(1_000_000) as u64)),
                price_usd: None,
                hold: None,
            },
        },
        _ => Event::Message {
            message: Message::text(Role::Assistant, word),
        },
    }
}

fn append(sessions: &Path, id: &str, numbers: &mut Numbers) {
    let log = match SessionLog::open(sessions, id) {
        Ok(opened) => opened.log,
        Err(TraceError::NotFound(_)) => SessionLog::create(sessions, id).unwrap(),
        // Damaged a moment ago.
        Err(_) => return,
    };
    for _ in 0..=numbers.below(6) {
        log.append(&event(numbers)).unwrap();
    }
}

fn append_raw(sessions: &Path, id: &str, bytes: &[u8]) {
    let path = sessions.join(id).join(EVENTS);
    let file = std::fs::OpenOptions::new().append(true).open(path);
    if let Ok(mut file) = file {
        file.write_all(bytes).unwrap();
    }
}

fn filled(count: usize, numbers: &mut Numbers) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for number in 0..count {
        append(root.path(), &format!("s{number}"), numbers);
    }
    root
}

/// One thing that happens to a folder of sessions.
fn change(sessions: &Path, numbers: &mut Numbers) {
    let id = format!("s{}", numbers.below(220));
    match numbers.below(30) {
        0 => {
            let new = format!("f{}", numbers.below(1000));
            // Where there is none, or the new one is there.
            fork(sessions, &id, &new, None).unwrap_or_default();
        }
        1 => delete(sessions, &id).unwrap_or_default(),
        2 => {
            delete(sessions, &id).unwrap_or_default();
            append(sessions, &id, numbers);
        }
        3..6 => append_raw(sessions, &id, &b"{\"v\":1,\"seq\":99"[..numbers.below(15)]),
        6 => append_raw(sessions, &id, b"{\"v\":1,\"seq\":1,garbage}\n"),
        7 => damage::any(sessions, numbers),
        8..11 => rest(),
        _ => append(sessions, &id, numbers),
    }
}

#[test]
fn the_list_from_the_index_is_the_list_from_the_logs_whatever_happened() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let root = filled(200, &mut numbers);
    let sessions = root.path();
    let mut used = 0;
    for step in 0..60 {
        used += usize::from(!file::load(sessions).is_empty());
        assert_eq!(listed(sessions), folded(sessions), "step {step}");
        for _ in 0..=numbers.below(12) {
            change(sessions, &mut numbers);
        }
    }
    assert!(used > 20, "the index was there {used} times");
}

#[test]
fn a_list_of_settled_logs_reads_none_of_them() {
    let root = filled(50, &mut Numbers(7));
    let sessions = root.path();
    assert!(looked(sessions).saved > 0);
    rest();
    let first = listed(sessions);
    let second = looked(sessions);
    assert_eq!((second.saved, second.rows.len()), (0, 50));
    assert!(second.rows.iter().all(|row| row.settled));
    assert_eq!(listed(sessions), first);
}

#[test]
fn of_a_log_that_grows_the_new_entries_are_read() {
    let root = filled(50, &mut Numbers(7));
    let sessions = root.path();
    let opened = SessionLog::open(sessions, "s7").unwrap();
    for _ in 0..200 {
        let message = Message::text(Role::Assistant, "x".repeat(1000));
        opened.log.append(&Event::Message { message }).unwrap();
    }
    rest();
    listed(sessions);
    let title = "another".to_owned();
    opened.log.append(&Event::SessionRenamed { title }).unwrap();
    rest();
    let listing = looked(sessions);
    assert!(
        listing.saved < OPENING + 1000,
        "{} bytes were read",
        listing.saved
    );
    let row = listing.rows.iter().find(|row| row.summary.id == "s7");
    assert_eq!(row.unwrap().summary.title, "another");
    // Written while it is listed, it is never taken as settled.
    opened.log.append(&event(&mut Numbers(3))).unwrap();
    let listing = Listing::new(file::load(sessions), SystemTime::now());
    let row = listing.row(
        SessionSummary::new("s7"),
        open(&sessions.join("s7").join(EVENTS)).unwrap().1,
        0,
    );
    assert!(!row.settled && !row.log.existed_before(listing.settled_before));
}

#[test]
fn what_a_removed_session_was_called_is_not_kept() {
    let root = filled(50, &mut Numbers(7));
    let sessions = root.path();
    let opened = SessionLog::open(sessions, "s7").unwrap();
    let title = "a name that nobody should read".to_owned();
    opened.log.append(&Event::SessionRenamed { title }).unwrap();
    drop(opened);
    rest();
    let named = || {
        let index = std::fs::read(sessions.join(".index")).unwrap_or_default();
        String::from_utf8_lossy(&index).contains("that nobody")
    };
    listed(sessions);
    assert!(named());
    delete(sessions, "s7").unwrap();
    assert!(!named());
    // Nor where somebody else removed it.
    listed(sessions);
    assert!(!named());
    std::fs::remove_dir_all(sessions.join("s8")).unwrap();
    assert_eq!(listed(sessions).len(), 48);
    assert!(!file::load(sessions).contains_key("s8"));
}

fn named(sessions: &Path, id: &str, title: &str) -> SessionLog {
    let log = SessionLog::create(sessions, id).unwrap();
    let title = title.to_owned();
    log.append(&Event::SessionRenamed { title }).unwrap();
    log
}

#[test]
fn another_log_in_the_place_of_one_is_not_taken_for_it() {
    let root = filled(50, &mut Numbers(7));
    let sessions = root.path();
    drop(named(sessions, "t", "aaaa"));
    for title in ["bbbb", "cccc"] {
        rest();
        assert_eq!(listed(sessions), folded(sessions));
        assert!(file::load(sessions).contains_key("t"));
        std::fs::remove_dir_all(sessions.join("t")).unwrap();
        // As long as the old one, and then more.
        let log = named(sessions, "t", title);
        assert_eq!(listed(sessions), folded(sessions));
        log.append(&event(&mut Numbers(3))).unwrap();
        assert_eq!(listed(sessions), folded(sessions));
    }
}

#[test]
fn a_log_that_was_changed_at_the_same_length_is_read_again() {
    use std::os::unix::fs::FileExt as _;
    let root = filled(50, &mut Numbers(7));
    let sessions = root.path();
    drop(named(sessions, "t", "aaaa"));
    rest();
    listed(sessions);
    let path = sessions.join("t").join(EVENTS);
    let at = std::fs::read_to_string(&path)
        .unwrap()
        .find("aaaa")
        .unwrap();
    let log = File::options().write(true).open(path).unwrap();
    log.write_all_at(b"bbbb", at as u64).unwrap();
    let list = listed(sessions);
    assert!(list.iter().any(|session| session.title == "bbbb"));
    assert_eq!(list, folded(sessions));
}

#[test]
fn what_is_only_just_there_is_not_remembered() {
    let root = filled(50, &mut Numbers(7));
    let sessions = root.path();
    list(sessions, SystemTime::now()).unwrap();
    assert!(file::load(sessions).is_empty());
    // Nor beside others that are.
    rest();
    drop(named(sessions, "t", "aaaa"));
    let log = std::fs::metadata(sessions.join("t").join(EVENTS)).unwrap();
    let mut listing = Listing::new(HashMap::new(), log.created().unwrap() + SETTLING);
    let logs = logs(sessions, std::fs::read_dir(sessions).unwrap()).unwrap();
    assert!(listing.add_all(sessions, logs).is_empty());
    assert!(listing.is_worth_writing());
    assert_eq!((listing.kept().count(), listing.rows.len()), (50, 51));
    // Nor what a clock that was set back takes for later.
    let past = SystemTime::now() - Duration::from_secs(3600);
    assert_eq!(list(sessions, past).unwrap().0, folded(sessions));
    assert!(file::load(sessions).is_empty());
}
