//! The file of the index: a line that says what the rest is and has its SHA-256, then a session a line.

use crate::blob::digest;
use crate::list::SessionSummary;
use ml_intern_agent::Stamp;
use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::ledger::Ledger;
use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

const NAME: &str = ".index";
const ASIDE: &str = ".index.tmp";
/// The format, and the version whose fold made it: another one may give a session another title.
const FORMAT: &str = concat!("ml-intern sessions 2 ", env!("CARGO_PKG_VERSION"), " ");
/// Some hundred thousand sessions.
const MAX_BYTES: u64 = 256 << 20;

/// What tells one file from another, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Log {
    inode: u64,
    /// Nanoseconds since the Unix epoch; `None` where the file system does not say.
    created: Option<u64>,
    /// Of the inode, which no program can set: nanoseconds since the Unix epoch.
    changed: u64,
    pub(super) bytes: u64,
}

/// One session.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The log that was read.
    pub(super) log: Log,
    /// Whether any later change shows in `log`.
    pub(super) settled: bool,
    /// Bytes of whole lines that the summary is of.
    pub(super) covered: u64,
    pub(super) summary: SessionSummary,
}

impl Log {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
        let nanoseconds = u64::try_from(metadata.ctime_nsec()).unwrap_or_default();
        Self {
            inode: metadata.ino(),
            created: metadata.created().ok().map(nanoseconds_of),
            changed: seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(nanoseconds),
            bytes: metadata.len(),
        }
    }

    pub(super) fn changed_before(&self, time: SystemTime) -> bool {
        self.changed < nanoseconds_of(time)
    }

    /// Whether a file made from `time` on cannot be taken for this one.
    pub(super) fn existed_before(&self, time: SystemTime) -> bool {
        self.created
            .is_some_and(|created| created < nanoseconds_of(time))
    }

    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.inode == other.inode && self.created.is_some() && self.created == other.created
    }
}

fn nanoseconds_of(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO).as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// What is there and in order; else nothing.
pub(super) fn load(sessions: &Path) -> HashMap<String, Row> {
    // Whatever is wrong with it, the logs are there.
    let text = read(&sessions.join(NAME)).unwrap_or_default();
    rows(&text).unwrap_or_default()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::Error::other("it is no index"));
    }
    let mut text = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

fn rows(text: &[u8]) -> Option<HashMap<String, Row>> {
    let rest = text.strip_prefix(FORMAT.as_bytes())?;
    let (head, rest) = rest.split_at_checked(rest.iter().position(|byte| *byte == b'\n')?)?;
    let rest = &rest[1..];
    if head != digest(rest).as_bytes() {
        return None;
    }
    let lines = serde_json::Deserializer::from_slice(rest).into_iter::<Line<'_>>();
    let rows = lines.map(|line| line.map(|line| (line.0.clone().into_owned(), line.row())));
    rows.collect::<Result<_, _>>().ok()
}

/// Puts the file in the place of the old one. Where it cannot, the next list is slower, and nothing else.
pub(super) fn save<'a>(sessions: &Path, rows: impl Iterator<Item = &'a Row>) {
    let mut text = Vec::new();
    for row in rows {
        // It holds strings and numbers only: serialising it into memory cannot fail.
        if serde_json::to_writer(&mut text, &Line::of(row)).is_err() {
            return;
        }
        text.push(b'\n');
    }
    if text.is_empty() {
        return remove(sessions);
    }
    write(sessions, &text).unwrap_or_default();
}

fn write(sessions: &Path, rows: &[u8]) -> io::Result<()> {
    // Of two processes, one writes it.
    let folder = File::open(sessions)?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    let aside = sessions.join(ASIDE);
    // What a process that died left.
    std::fs::remove_file(&aside).unwrap_or_default();
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    let written = file
        .write_all(format!("{FORMAT}{}\n", digest(rows)).as_bytes())
        .and_then(|()| file.write_all(rows))
        .and_then(|()| std::fs::rename(&aside, sessions.join(NAME)));
    written.inspect_err(|_| std::fs::remove_file(&aside).unwrap_or_default())
}

/// Removes the file, with what it says of sessions that are being removed.
pub(crate) fn remove(sessions: &Path) {
    // Where there is none, or it cannot be removed, the next list puts another in its place.
    std::fs::remove_file(sessions.join(NAME)).unwrap_or_default();
}

/// A row as it is written: id, title, model, workspace; turn, turn is open, end of the last turn; tokens, calls of
/// unknown price, and money; beginning and end; the log, and what of it
/// is covered.
#[derive(Serialize, Deserialize)]
struct Line<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    (u32, bool, Option<TurnEnd>),
    (Usage, u32, Ledger),
    (u64, u64, u64),
    (Log, u64, bool),
);

impl<'a> Line<'a> {
    fn of(row: &'a Row) -> Self {
        let summary = &row.summary;
        Self(
            Cow::Borrowed(&summary.id),
            Cow::Borrowed(&summary.title),
            Cow::Borrowed(&summary.model),
            Cow::Borrowed(&summary.workspace),
            (summary.turn, summary.turn_open, summary.ended),
            (summary.usage, summary.unpriced, summary.ledger.clone()),
            (summary.started_ms, summary.last.seq, summary.last.ms),
            (row.log, row.covered, row.settled),
        )
    }

    fn row(self) -> Row {
        let Self(id, title, model, workspace, turns, usage, times, log) = self;
        let (started_ms, seq, ms) = times;
        Row {
            log: log.0,
            covered: log.1,
            settled: log.2,
            summary: SessionSummary {
                id: id.into_owned(),
                title: title.into_owned(),
                model: model.into_owned(),
                workspace: workspace.into_owned(),
                turn: turns.0,
                turn_open: turns.1,
                ended: turns.2,
                usage: usage.0,
                unpriced: usage.1,
                ledger: usage.2,
                started_ms,
                last: Stamp { seq, ms },
            },
        }
    }
}
