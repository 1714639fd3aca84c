//! What many sessions and long ones cost: `cargo bench -p ml-intern-trace`, optionally with the number of sessions
//! and of iterations behind `--`. Prints medians; the files are in the page cache, as they are for a second command.

#![expect(clippy::unwrap_used, reason = "a benchmark")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use ml_intern_agent::event::{CallStatus, TurnEnd, Usage};
use ml_intern_agent::message::{Call, Part};
use ml_intern_agent::ports::Journal as _;
use ml_intern_agent::{Event, Message, Role};
use ml_intern_trace::{SessionLog, list, read};
use std::path::Path;
use std::time::{Duration, Instant};

const RUNS: usize = 9;
/// Logs are remembered once they have rested for 2 s.
const SETTLED: Duration = Duration::from_millis(2100);

fn main() {
    // `cargo bench` adds `--bench`.
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let (sessions, iterations) = (
        numbers.next().unwrap_or(10_000),
        numbers.next().unwrap_or(2_000),
    );
    // First, while nothing has grown.
    a_long_session(iterations);
    many_sessions(sessions);
}

fn many_sessions(count: usize) {
    let root = tempfile::tempdir().unwrap();
    for number in 0..count {
        let id = format!("20260101-{:06}-{number:06x}", number % 240_000);
        let log = SessionLog::create(root.path(), &id).unwrap();
        start(&log);
        rounds(&log, 2, 1_000, usize::MAX);
        finish(&log);
    }
    let bytes = std::fs::metadata(
        root.path()
            .join("20260101-000000-000000")
            .join("events.jsonl"),
    );
    println!(
        "{count} sessions of {:.1} kB",
        bytes.unwrap().len() as f64 / 1e3
    );
    let found = || assert_eq!(list(root.path()).unwrap().0.len(), count);
    std::thread::sleep(SETTLED);
    let index = root.path().join(".index");
    let forgotten = || {
        std::fs::remove_file(&index).unwrap_or_default();
        found();
    };
    print("  list, nothing remembered", median(RUNS, forgotten));
    print("  list", median(RUNS, found));
    let size = std::fs::metadata(&index).unwrap().len();
    println!("  the index has {:.1} MB", size as f64 / 1e6);

    let opened = SessionLog::open(root.path(), "20260101-000000-000000").unwrap();
    rounds(&opened.log, 500, 2_000, usize::MAX);
    found();
    let written = || {
        rounds(&opened.log, 1, 2_000, usize::MAX);
        found();
    };
    print("  list, one of 1.4 MB being written", median(RUNS, written));
}

fn a_long_session(iterations: usize) {
    let root = tempfile::tempdir().unwrap();
    let log = SessionLog::create(root.path(), "s").unwrap();
    start(&log);
    let written = Instant::now();
    rounds(&log, iterations, 2_000, 50);
    let written = written.elapsed();
    finish(&log);
    drop(log);
    let bytes = std::fs::metadata(root.path().join("s/events.jsonl")).unwrap();
    println!(
        "{iterations} iterations, compacted every 50, {:.1} MB",
        bytes.len() as f64 / 1e6
    );
    print("  written", written);
    let before = memory();
    let opened = SessionLog::open(root.path(), "s").unwrap();
    println!(
        "  memory: {} kB more while opened, peak {} kB more; {} messages",
        memory().0 - before.0,
        memory().1 - before.1,
        opened.state.messages.len()
    );
    drop(opened);
    let open = || drop(SessionLog::open(root.path(), "s").unwrap());
    print("  open", median(RUNS, open));
    let whole = || drop(read(root.path(), "s").unwrap());
    print("  read all entries", median(RUNS, whole));
}

fn start(log: &SessionLog) {
    append(
        log,
        Event::SessionStarted {
            model: "openai/some-model-large".into(),
            workspace: "/home/someone/projects/classifier".into(),
            host: "0.1.0".into(),
            tools: ["read", "write", "run", "plan", "job"]
                .map(String::from)
                .into(),
            limits: None,
        },
    );
    let message = Message::text(Role::System, "You are an engineer. ".repeat(40));
    append(log, Event::Message { message });
    append(
        log,
        Event::TurnStarted {
            turn: 1,
            input: "Train a small classifier on the data in data/ and say how well it does".into(),
        },
    );
}

/// Iterations with one call each, of a result of `size` bytes.
fn rounds(log: &SessionLog, count: usize, size: usize, compacted: usize) {
    for round in 1..=count {
        append(log, usage());
        let mut message = Message::text(Role::Assistant, "Now the next file. ".repeat(8));
        message.parts.push(Part::Call(Call {
            id: format!("call_{round:08}"),
            name: "read".into(),
            arguments: format!("{{\"path\":\"src/part_{round}.py\",\"from\":{round}}}"),
        }));
        let seq = append(log, Event::Message { message });
        let call = format!("c{seq}.0");
        append(
            log,
            Event::ToolStarted {
                call: call.clone(),
                index: 0,
                tool: "read".into(),
                plugin: "ml-intern/files@0.1.0".into(),
                arguments: serde_json::json!({"path": format!("src/part_{round}.py"), "from": round}),
                repeatable: true,
            },
        );
        append(
            log,
            Event::ToolFinished {
                call,
                index: 0,
                tool: "read".into(),
                status: CallStatus::Ok,
                content: "    return \"a line of some file\"\n".repeat(size / 34),
                images: Vec::new(),
                ms: 3,
            },
        );
        if round % compacted == 0 {
            append(
                log,
                Event::Compacted {
                    at: Some(90),
                    longest: None,
                    summary: "What was done so far, in a few words. ".repeat(60),
                    before: 90_000,
                    after: 12_000,
                },
            );
        }
    }
}

fn usage() -> Event {
    Event::Usage {
        usage: Usage {
            input: 31_234,
            output: 187,
            cache_read: 30_001,
            cache_write: 1_100,
            reasoning: 40,
            cost_usd: Some(ml_intern_agent::money::MicroUsd::new(12_345)),
            assumed_usd: None,
            purpose: ml_intern_agent::event::Purpose::Conversation,
        },
    }
}

fn finish(log: &SessionLog) {
    append(log, usage());
    let answer = "It is right in 97 of 100 cases. ".repeat(10);
    let message = Message::text(Role::Assistant, answer.as_str());
    append(log, Event::Message { message });
    append(
        log,
        Event::TurnFinished {
            reason: TurnEnd::Done,
            message: Some(answer),
            iterations: 3,
            blocked: false,
        },
    );
}

fn append(log: &SessionLog, event: Event) -> u64 {
    log.append(&event).unwrap().seq
}

fn median(runs: usize, mut work: impl FnMut()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        work();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn print(what: &str, time: Duration) {
    println!("{what}: {:.1} ms", time.as_secs_f64() * 1e3);
}

/// Resident and peak memory of this process in kB.
fn memory() -> (i64, i64) {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (of("VmRSS"), of("VmHWM"))
}
