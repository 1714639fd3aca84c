//! What a list shows of each session, remembered so that it need not read every log again.
//!
//! One file in the sessions folder, `.index`. Only the logs are true: an entry is used while its log is the very file
//! that was read, unchanged, and anything wrong with the file means that it is not there. It is written aside and
//! renamed by one process at a time; whoever cannot write it does without. Nothing waits for the disk: what a crash
//! leaves half written has another digest.

mod file;
#[cfg(test)]
mod tests;

use crate::entry::{Blobs, Entries};
use crate::error::TraceError;
use crate::list::{SessionSummary, sort};
use crate::log::EVENTS;
use crate::manage::HIDDEN;
pub(crate) use file::remove;
use file::{Log, Row};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A log that changed within this time of being read may change again without its times showing it: file systems
/// count in steps of up to 2 s.
const SETTLING: Duration = Duration::from_secs(2);
/// Bytes of reading that the next list must save before the file is written again.
const WORTH_WRITING: u64 = 64 * 1024;
/// What opening a log costs, in bytes of reading.
const OPENING: u64 = 4 * 1024;

/// See [`crate::list`]; `now` is a time before this call.
pub(crate) fn list(
    sessions: &Path,
    now: SystemTime,
) -> Result<(Vec<SessionSummary>, Vec<TraceError>), TraceError> {
    let entries = match std::fs::read_dir(sessions) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(error) => return Err(TraceError::io(sessions)(error)),
    };
    // A third of the time goes to the file, the rest to looking at the logs.
    let (old, logs) = std::thread::scope(|scope| {
        let old = std::thread::Builder::new().spawn_scoped(scope, || file::load(sessions));
        let logs = logs(sessions, entries);
        // Where there is no thread to be had, or whatever else is wrong with the file, the logs are there.
        let old = old.map(|old| old.join().unwrap_or_default());
        (old.unwrap_or_default(), logs)
    });
    let mut listing = Listing::new(old, now);
    let problems = listing.add_all(sessions, logs?);
    if listing.is_worth_writing() {
        file::save(sessions, listing.kept());
    }
    let rows = listing.rows.into_iter();
    let mut found = rows.map(|row| row.summary).collect::<Vec<_>>();
    sort(&mut found);
    Ok((found, problems))
}

/// The ids of all sessions, and their logs as they are.
fn logs(sessions: &Path, entries: std::fs::ReadDir) -> Result<Vec<(String, Log)>, TraceError> {
    let mut logs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(TraceError::io(sessions))?;
        let id = entry.file_name().to_string_lossy().into_owned();
        // Being made, or being removed, or the index.
        if id.starts_with(HIDDEN) {
            continue;
        }
        let log = std::fs::metadata(sessions.join(&id).join(EVENTS));
        if let Some(log) = log.ok().filter(std::fs::Metadata::is_file) {
            logs.push((id, Log::of(&log)));
        }
    }
    Ok(logs)
}

struct Listing {
    settled_before: SystemTime,
    /// What the file held, less what was looked at.
    old: HashMap<String, Row>,
    rows: Vec<Row>,
    /// Bytes of reading that the next list saves if this one is remembered.
    saved: u64,
}

impl Listing {
    fn new(old: HashMap<String, Row>, now: SystemTime) -> Self {
        Self {
            settled_before: now.checked_sub(SETTLING).unwrap_or(SystemTime::UNIX_EPOCH),
            old,
            rows: Vec::new(),
            saved: 0,
        }
    }

    /// Looks at every session; returns the problems of those that cannot be read.
    fn add_all(&mut self, sessions: &Path, logs: Vec<(String, Log)>) -> Vec<TraceError> {
        let problems = logs
            .into_iter()
            .filter_map(|(id, log)| self.add(sessions, id, log).err());
        problems.collect()
    }

    fn is_worth_writing(&self) -> bool {
        // Words of sessions that were removed do not stay.
        !self.old.is_empty() || self.saved >= WORTH_WRITING
    }

    /// What can be trusted later.
    fn kept(&self) -> impl Iterator<Item = &Row> {
        let old = |row: &&Row| row.settled || row.log.existed_before(self.settled_before);
        self.rows.iter().filter(old)
    }

    fn add(&mut self, sessions: &Path, id: String, log: Log) -> Result<(), TraceError> {
        let folder = sessions.join(&id);
        if let Some(old) = self.old.remove(&id) {
            if old.settled && old.log == log {
                self.rows.push(old);
                return Ok(());
            }
            let grown = log.bytes > old.covered || log == old.log;
            // Anything wrong with what follows: the whole log says what it is.
            if grown && let Some(row) = self.follow(&folder, &old) {
                self.remember(row, old.covered);
                return Ok(());
            }
        }
        if let Some(row) = self.read(&folder, id)? {
            self.remember(row, 0);
        }
        Ok(())
    }

    fn remember(&mut self, row: Row, from: u64) {
        let read = row.covered - from;
        if row.settled {
            self.saved += OPENING + read;
        } else if row.log.existed_before(self.settled_before) {
            self.saved += read;
        }
        self.rows.push(row);
    }

    /// The whole log; `None` where it was removed meanwhile.
    fn read(&self, folder: &Path, id: String) -> Result<Option<Row>, TraceError> {
        let path = folder.join(EVENTS);
        let (file, log) = match open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TraceError::io(path)(error)),
        };
        let mut summary = SessionSummary::new(&id);
        let mut entries = Entries::of(folder, file, 0, log.bytes, Blobs::Listed);
        match summary.extend(&mut entries) {
            // Removed while it was read, with its large texts before it.
            Err(_) if !path.exists() => return Ok(None),
            result => result?,
        }
        Ok(Some(self.row(summary, log, entries.whole())))
    }

    /// What was added to a log since; whole lines of a log never change. `None` where it may be another log.
    fn follow(&self, folder: &Path, old: &Row) -> Option<Row> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let (mut file, log) = open(&folder.join(EVENTS)).ok()?;
        if !log.is_same_file(&old.log) || old.covered == 0 || log.bytes < old.covered {
            return None;
        }
        file.seek(SeekFrom::Start(old.covered - 1)).ok()?;
        let mut end = [0];
        file.read_exact(&mut end).ok()?;
        if end != *b"\n" {
            return None;
        }
        let mut last = old.summary.last.seq;
        let mut gap = false;
        let mut entries = Entries::of(folder, file, old.covered, log.bytes, Blobs::Listed);
        let checked = (&mut entries).inspect(|entry| {
            if let Ok((stamp, _)) = entry {
                gap |= stamp.seq != last + 1;
                last = stamp.seq;
            }
        });
        let mut summary = old.summary.clone();
        summary.extend(checked).ok()?;
        (!gap).then(|| self.row(summary, log, entries.whole()))
    }

    fn row(&self, summary: SessionSummary, log: Log, covered: u64) -> Row {
        Row {
            settled: log.changed_before(self.settled_before),
            log,
            covered,
            summary,
        }
    }
}

fn open(path: &PathBuf) -> std::io::Result<(File, Log)> {
    let file = File::open(path)?;
    let log = Log::of(&file.metadata()?);
    Ok((file, log))
}
