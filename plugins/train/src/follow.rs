//! Waiting for a job: its log as it grows, bounded, until it ends or time is up.

use std::collections::VecDeque;

use ml_intern_plugin::Error;
use ml_intern_plugin::jobs::{Job, LogLine, State};

/// Characters of log in one answer.
const MAX_LOG: usize = 12_000;
const MAX_LINE: usize = 1_000;
/// One wait for a line: short enough to notice a job that ends in silence.
const STEP_MS: u32 = 2_000;
/// Left of a call's time for answering.
const RESERVE_MS: u32 = 3_000;
/// Pages of log fetched after a job's end.
const LAST_PAGES: usize = 50;

/// What following asks of the host; a script in tests.
pub(crate) trait Source {
    fn logs(&self, after: u32, wait_ms: u32) -> Result<Vec<LogLine>, Error>;
    fn get(&self) -> Result<Job, Error>;
    fn elapsed_ms(&self) -> u32;
    /// False when the call should end.
    fn show(&self, line: &str) -> bool;
}

pub(crate) struct Followed {
    pub(crate) job: Job,
    pub(crate) tail: String,
    /// Whether the start of the log is missing in `tail`.
    pub(crate) cut: bool,
    pub(crate) cursor: u32,
}

pub(crate) struct Follow {
    lines: VecDeque<String>,
    characters: usize,
    cut: bool,
    cursor: u32,
    stopped: bool,
}

impl Follow {
    pub(crate) fn new(cursor: u32) -> Self {
        Self {
            lines: VecDeque::new(),
            characters: 0,
            cut: false,
            cursor,
            stopped: false,
        }
    }

    pub(crate) fn run(
        mut self,
        source: &impl Source,
        mut job: Job,
        wait_ms: u32,
    ) -> Result<Followed, Error> {
        while !is_final(job.state) && !self.stopped {
            let left = wait_ms.saturating_sub(source.elapsed_ms());
            if left == 0 {
                break;
            }
            self.take(source, source.logs(self.cursor, left.min(STEP_MS))?);
            job = source.get()?;
        }
        if is_final(job.state) {
            for _ in 0..LAST_PAGES {
                let lines = source.logs(self.cursor, 0)?;
                if lines.is_empty() {
                    break;
                }
                self.take(source, lines);
            }
        }
        let lines: Vec<String> = self.lines.into();
        Ok(Followed {
            job,
            tail: lines.join("\n"),
            cut: self.cut,
            cursor: self.cursor,
        })
    }

    fn take(&mut self, source: &impl Source, lines: Vec<LogLine>) {
        for line in lines {
            // A back end that starts over after a broken connection repeats lines.
            if line.cursor <= self.cursor {
                continue;
            }
            self.cursor = line.cursor;
            self.stopped |= !source.show(&line.text);
            let text = shortened(&line.text);
            self.characters += text.chars().count() + 1;
            self.lines.push_back(text);
            while self.characters > MAX_LOG {
                let Some(first) = self.lines.pop_front() else {
                    break;
                };
                self.characters -= first.chars().count() + 1;
                self.cut = true;
            }
        }
    }
}

/// Lines from the first on that fit in an answer, the cursor to go on from, and whether
/// some were left for it.
pub(crate) fn page(lines: impl Iterator<Item = (u32, String)>, after: u32) -> (String, u32, bool) {
    let mut text = String::new();
    let mut characters = 0;
    let mut cursor = after;
    for (at, line) in lines {
        let line = shortened(&line);
        characters += line.chars().count() + 1;
        if characters > MAX_LOG {
            return (text, cursor, true);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
        cursor = cursor.max(at);
    }
    (text, cursor, false)
}

/// Milliseconds to wait when `seconds` are asked for and the call has `deadline_ms`.
pub(crate) fn within(seconds: u32, deadline_ms: u32) -> u32 {
    seconds
        .saturating_mul(1000)
        .min(deadline_ms.saturating_sub(RESERVE_MS))
}

pub(crate) fn is_final(state: State) -> bool {
    has_failed(state) || state == State::Succeeded
}

pub(crate) fn has_failed(state: State) -> bool {
    matches!(state, State::Failed | State::Cancelled | State::TimedOut)
}

pub(crate) fn word(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Running => "running",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
        State::TimedOut => "timed-out",
        State::Scheduled => "scheduled",
        State::Suspended => "suspended",
    }
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    struct Script {
        pages: RefCell<VecDeque<Vec<(u32, &'static str)>>>,
        ends_after: u32,
        state: State,
        clock: Cell<u32>,
        shown: RefCell<Vec<String>>,
        stop_at: usize,
    }

    fn script(pages: &[&[(u32, &'static str)]], ends_after: u32, state: State) -> Script {
        Script {
            pages: RefCell::new(pages.iter().map(|page| page.to_vec()).collect()),
            ends_after,
            state,
            clock: Cell::new(0),
            shown: RefCell::default(),
            stop_at: usize::MAX,
        }
    }

    fn job(state: State) -> Job {
        Job {
            id: "j".to_owned(),
            state,
            message: None,
            flavor: None,
            url: None,
            created_ms: 0,
            started_ms: None,
            finished_ms: None,
            cost_usd: None,
        }
    }

    impl Source for Script {
        fn logs(&self, _after: u32, wait_ms: u32) -> Result<Vec<LogLine>, Error> {
            self.clock.set(self.clock.get() + wait_ms);
            let page = self.pages.borrow_mut().pop_front().unwrap_or_default();
            let line = |(cursor, text): (u32, &str)| LogLine {
                cursor,
                at_ms: 0,
                text: text.to_owned(),
            };
            Ok(page.into_iter().map(line).collect())
        }

        fn get(&self) -> Result<Job, Error> {
            let ended = self.clock.get() >= self.ends_after;
            Ok(job(if ended { self.state } else { State::Running }))
        }

        fn elapsed_ms(&self) -> u32 {
            self.clock.get()
        }

        fn show(&self, line: &str) -> bool {
            self.shown.borrow_mut().push(line.to_owned());
            self.shown.borrow().len() < self.stop_at
        }
    }

    #[test]
    fn follows_to_the_end_and_takes_each_line_once() {
        let source = script(
            &[&[(1, "a"), (2, "b")], &[(1, "a"), (2, "b")], &[(3, "c")]],
            4000,
            State::Failed,
        );
        let followed = Follow::new(0)
            .run(&source, job(State::Queued), 60_000)
            .unwrap();
        assert_eq!((followed.tail.as_str(), followed.cursor), ("a\nb\nc", 3));
        assert!(has_failed(followed.job.state) && !followed.cut);
        assert_eq!(*source.shown.borrow(), ["a", "b", "c"]);
    }

    #[test]
    fn time_and_a_stop_end_the_wait_not_the_job() {
        let source = script(&[], u32::MAX, State::Succeeded);
        let followed = Follow::new(0)
            .run(&source, job(State::Queued), 5000)
            .unwrap();
        assert_eq!(
            (followed.job.state, source.clock.get()),
            (State::Running, 5000)
        );
        let mut source = script(&[&[(1, "a")], &[(2, "b")]], u32::MAX, State::Succeeded);
        source.stop_at = 1;
        let followed = Follow::new(0)
            .run(&source, job(State::Queued), 5000)
            .unwrap();
        assert_eq!(followed.tail, "a");
    }

    #[test]
    fn the_log_is_bounded_at_its_start() {
        let line: &'static str = "x".repeat(3000).leak();
        let page: Vec<(u32, &'static str)> = (1..=40).map(|cursor| (cursor, line)).collect();
        let source = script(&[&page], 2000, State::Succeeded);
        let followed = Follow::new(0)
            .run(&source, job(State::Running), 9000)
            .unwrap();
        assert!(followed.cut && followed.tail.chars().count() <= MAX_LOG);
        assert_eq!(followed.cursor, 40);
        let (text, cursor, cut) = page_of(&page);
        assert!(cut && cursor < 40 && text.chars().count() <= MAX_LOG);
    }

    fn page_of(lines: &[(u32, &str)]) -> (String, u32, bool) {
        page(lines.iter().map(|(at, line)| (*at, (*line).to_owned())), 0)
    }

    #[test]
    fn waiting_leaves_time_to_answer() {
        assert_eq!(within(60, 1_000_000), 60_000);
        assert_eq!(within(60, 10_000), 7_000);
        assert_eq!(within(u32::MAX, 1_000), 0);
    }
}
