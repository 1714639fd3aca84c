//! A job's output on disk: one JSON object `{"n": 1, "ms": …, "text": "…"}` a line.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::now_ms;
use crate::LogLine;

/// The longest log kept. A chatty training run writes some MiB a day; an endless loop of
/// `print` writes this much in a second.
pub(super) const MAX_LOG_BYTES: u64 = 64 << 20;

/// Lines remembered past that point and written at the end: a traceback is there.
const TAIL_LINES: usize = 500;

#[derive(Serialize, Deserialize)]
struct Entry {
    n: u32,
    ms: u64,
    text: String,
}

/// Appends lines; the supervisor's half.
pub(super) struct LogWriter {
    file: File,
    next: u32,
    written: u64,
    limit: u64,
    tail: VecDeque<Entry>,
    dropping: bool,
    dropped: u64,
    broken: bool,
}

impl LogWriter {
    pub(super) fn create(path: &Path, limit: u64) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = File::options()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            file,
            next: 1,
            written: 0,
            limit,
            tail: VecDeque::new(),
            dropping: false,
            dropped: 0,
            broken: false,
        })
    }

    pub(super) fn push(&mut self, text: &str) {
        let entry = self.entry(text.to_owned());
        if self.dropping {
            self.tail.push_back(entry);
            if self.tail.len() > TAIL_LINES {
                self.tail.pop_front();
                self.dropped += 1;
            }
            return;
        }
        self.write(&entry);
        if self.written >= self.limit {
            self.dropping = true;
            let mib = self.limit >> 20;
            let note = format!(
                "[the log reached {mib} MiB; of what follows, the last {TAIL_LINES} lines are kept]"
            );
            let entry = self.entry(note);
            self.write(&entry);
        }
    }

    /// Writes the remembered last lines. Returns false when a line could not be written.
    pub(super) fn finish(mut self) -> bool {
        if self.dropped > 0 {
            // A line of its own number would come after the lines it introduces.
            let first = self.tail.front().map_or(self.next, |entry| entry.n);
            let note = Entry {
                n: first.saturating_sub(1),
                ms: now_ms(),
                text: format!("[{} lines were dropped]", self.dropped),
            };
            self.write(&note);
        }
        for entry in std::mem::take(&mut self.tail) {
            self.write(&entry);
        }
        !self.broken
    }

    fn entry(&mut self, text: String) -> Entry {
        let entry = Entry {
            n: self.next,
            ms: now_ms(),
            text,
        };
        self.next = self.next.saturating_add(1);
        entry
    }

    /// A full disk must not end the job, so failure is only remembered.
    fn write(&mut self, entry: &Entry) {
        let Ok(mut bytes) = serde_json::to_vec(entry) else {
            self.broken = true;
            return;
        };
        bytes.push(b'\n');
        self.written += bytes.len() as u64;
        self.broken |= self.file.write_all(&bytes).is_err();
    }
}

/// Where the line after a cursor starts, so that a follower does not read from the start
/// each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) cursor: u32,
    pub(super) offset: u64,
}

/// Reads at most `limit` lines after the cursor `after`, from `known` if that helps. A line
/// without its end is still being written and left for later; a damaged one is skipped.
pub(super) fn read_after(
    path: &Path,
    after: u32,
    limit: usize,
    known: Position,
) -> io::Result<(Vec<LogLine>, Position)> {
    let mut position = if known.cursor <= after {
        known
    } else {
        Position::default()
    };
    let file = match File::open(path) {
        Ok(file) => file,
        // A queued job has no log yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Vec::new(), position));
        }
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(position.offset))?;
    let mut lines = Vec::new();
    let mut buffer = Vec::new();
    while lines.len() < limit {
        buffer.clear();
        reader.read_until(b'\n', &mut buffer)?;
        if buffer.last() != Some(&b'\n') {
            break;
        }
        position.offset += buffer.len() as u64;
        let Ok(entry) = serde_json::from_slice::<Entry>(&buffer) else {
            continue;
        };
        position.cursor = entry.n;
        if entry.n > after {
            lines.push(LogLine {
                cursor: entry.n,
                at_ms: entry.ms,
                text: entry.text,
            });
        }
    }
    Ok((lines, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn a_reader_follows_by_cursor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let start = Position::default();
        assert!(read_after(&path, 0, 10, start).unwrap().0.is_empty());
        let mut writer = LogWriter::create(&path, MAX_LOG_BYTES).unwrap();
        for text in ["a", "b", "c"] {
            writer.push(text);
        }
        let (lines, position) = read_after(&path, 0, 2, start).unwrap();
        assert_eq!(texts(&lines), ["a", "b"]);
        assert_eq!(position.cursor, 2);
        let (lines, position) = read_after(&path, 2, 10, position).unwrap();
        assert_eq!(texts(&lines), ["c"]);
        // An earlier cursor than the remembered one starts over.
        let (lines, _) = read_after(&path, 1, 10, position).unwrap();
        assert_eq!(texts(&lines), ["b", "c"]);
        assert!(read_after(&path, 99, 10, start).unwrap().0.is_empty());
    }

    #[test]
    fn a_torn_line_waits_and_a_damaged_one_is_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let torn = "{\"n\":1,\"ms\":1,\"text\":\"a\"}\nnonsense\n{\"n\":3,\"ms\":1,\"te";
        std::fs::write(&path, torn).unwrap();
        let (lines, position) = read_after(&path, 0, 10, Position::default()).unwrap();
        assert_eq!(texts(&lines), ["a"]);
        std::fs::write(&path, format!("{torn}xt\":\"c\"}}\n")).unwrap();
        let (lines, _) = read_after(&path, 1, 10, position).unwrap();
        assert_eq!(texts(&lines), ["c"]);
    }

    #[test]
    fn a_flood_keeps_its_beginning_and_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let mut writer = LogWriter::create(&path, 1000).unwrap();
        for number in 0..5000 {
            writer.push(&format!("line {number}"));
        }
        assert!(writer.finish());
        let (lines, _) = read_after(&path, 0, 100_000, Position::default()).unwrap();
        assert_eq!(lines[0].text, "line 0");
        assert_eq!(lines.last().unwrap().text, "line 4999");
        assert!(lines.len() < TAIL_LINES + 50);
        assert!(
            lines
                .iter()
                .any(|line| line.text.ends_with("lines were dropped]"))
        );
        assert!(lines.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    }
}
