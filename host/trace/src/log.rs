//! Appending to a log and opening one again.

use crate::blob;
use crate::error::TraceError;
use crate::line::{Head, VERSION, milliseconds, now_ms, render};
use async_trait::async_trait;
use ml_intern_agent::ports::{Journal, JournalError};
use ml_intern_agent::{Event, Stamp, State};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) const EVENTS: &str = "events.jsonl";
pub(crate) const BLOBS: &str = "blobs";
pub(crate) const LOCK: &str = "lock";

/// The writer of one session's log. One at a time: it holds the session's lock until it is dropped.
pub struct SessionLog {
    folder: PathBuf,
    file: Arc<File>,
    tail: Mutex<Tail>,
    /// Position of the newest entry known to be on the disk.
    synced: AtomicU64,
    _lock: File,
}

struct Tail {
    seq: u64,
    /// Bytes of whole lines in the file.
    bytes: u64,
    /// A failed write may have left half a line; nothing may follow it.
    broken: bool,
}

/// A log that was opened again.
pub struct Opened {
    /// The writer.
    pub log: SessionLog,
    /// What the entries fold to.
    pub state: State,
    /// Place of the last entry.
    pub last: Stamp,
    /// Bytes of a torn last line that were cut off.
    pub cut: u64,
}

impl SessionLog {
    /// Starts the log of a new session in `sessions/<id>`.
    pub fn create(sessions: &Path, id: &str) -> Result<Self, TraceError> {
        let folder = sessions.join(id);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(TraceError::io(&folder))?;
        let lock = lock(&folder, id)?;
        let path = folder.join(EVENTS);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(TraceError::io(&path))?;
        Ok(Self::new(folder, file, lock, 0, 0))
    }

    /// Opens the log of an existing session for writing and folds its entries. A torn last line is cut off.
    pub fn open(sessions: &Path, id: &str) -> Result<Opened, TraceError> {
        let folder = sessions.join(id);
        let path = folder.join(EVENTS);
        if !path.is_file() {
            return Err(TraceError::NotFound(id.to_owned()));
        }
        let lock = lock(&folder, id)?;
        let Entries {
            events,
            whole,
            total,
        } = read_entries(&folder)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(TraceError::io(&path))?;
        if whole < total {
            file.set_len(whole).map_err(TraceError::io(&path))?;
        }
        let mut state = State::default();
        let mut last = Stamp { seq: 0, ms: 0 };
        for (stamp, event) in &events {
            last = *stamp;
            if let Some(event) = event {
                state.apply(event, *stamp);
            }
        }
        let log = Self::new(folder, file, lock, last.seq, whole);
        Ok(Opened {
            log,
            state,
            last,
            cut: total - whole,
        })
    }

    /// The session's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn new(folder: PathBuf, file: File, lock: File, seq: u64, bytes: u64) -> Self {
        let tail = Mutex::new(Tail {
            seq,
            bytes,
            broken: false,
        });
        Self {
            folder,
            file: Arc::new(file),
            tail,
            synced: AtomicU64::new(seq),
            _lock: lock,
        }
    }

    fn line(&self, stamp: Stamp, event: &Event) -> Result<String, TraceError> {
        let line = render(stamp, None, event);
        if line.len() <= blob::INLINE_BYTES && !line.contains(blob::KEY) {
            return Ok(line);
        }
        let path = self.folder.join(EVENTS);
        let unreadable = |error: serde_json::Error| TraceError::Io {
            path,
            source: error.into(),
        };
        let mut value = serde_json::from_str::<Value>(&line).map_err(unreadable)?;
        blob::store(&self.folder.join(BLOBS), &mut value)?;
        Ok(format!("{value}\n"))
    }

    /// Removes what a failed write left of a line, so that a later one does not follow half a line.
    fn mend(&self, tail: &mut Tail) -> std::io::Result<()> {
        if tail.broken {
            self.file.set_len(tail.bytes)?;
            tail.broken = false;
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for SessionLog {
    fn append(&self, event: &Event) -> Result<Stamp, JournalError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp {
            seq: tail.seq + 1,
            ms: now_ms(),
        };
        let line = self
            .line(stamp, event)
            .map_err(|error| JournalError(error.to_string()))?;
        let mut write = || {
            self.mend(&mut tail)?;
            tail.broken = true;
            (&*self.file).write_all(line.as_bytes())?;
            tail.broken = false;
            Ok(())
        };
        write().map_err(|error: std::io::Error| {
            JournalError(format!("{}: {error}", self.folder.join(EVENTS).display()))
        })?;
        tail.bytes += line.len() as u64;
        tail.seq = stamp.seq;
        Ok(stamp)
    }

    async fn sync(&self) -> Result<(), JournalError> {
        let seq = self.tail.lock().unwrap_or_else(PoisonError::into_inner).seq;
        if self.synced.load(Ordering::Acquire) >= seq {
            return Ok(());
        }
        let file = self.file.clone();
        let done = tokio::task::spawn_blocking(move || file.sync_data()).await;
        let result = done.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        result.map_err(|error| {
            JournalError(format!("{}: {error}", self.folder.join(EVENTS).display()))
        })?;
        self.synced.fetch_max(seq, Ordering::AcqRel);
        Ok(())
    }
}

/// Reads a session's entries without its lock; a writer may be at work. A torn last line is left out.
pub fn read(sessions: &Path, id: &str) -> Result<Vec<(Stamp, Event)>, TraceError> {
    let folder = sessions.join(id);
    if !folder.join(EVENTS).is_file() {
        return Err(TraceError::NotFound(id.to_owned()));
    }
    let entries = read_entries(&folder)?;
    Ok(entries
        .events
        .into_iter()
        .filter_map(|(stamp, event)| Some((stamp, event?)))
        .collect())
}

struct Entries {
    /// `None` for a type of event that a newer version wrote.
    events: Vec<(Stamp, Option<Event>)>,
    /// Bytes of whole lines.
    whole: u64,
    /// Bytes of the file.
    total: u64,
}

fn read_entries(folder: &Path) -> Result<Entries, TraceError> {
    let path = folder.join(EVENTS);
    let bytes = std::fs::read(&path).map_err(TraceError::io(&path))?;
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let mut events = Vec::new();
    for (number, line) in bytes[..whole]
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
    {
        let parsed = parse(folder, line).map_err(|problem| TraceError::Damaged {
            path: path.clone(),
            line: number + 1,
            problem,
        })?;
        events.push(parsed);
    }
    Ok(Entries {
        events,
        whole: whole as u64,
        total: bytes.len() as u64,
    })
}

fn parse(folder: &Path, line: &[u8]) -> Result<(Stamp, Option<Event>), String> {
    let head = serde_json::from_slice::<Head>(line).map_err(|error| error.to_string())?;
    if head.v > VERSION {
        return Err(format!(
            "version {} of the log is newer than this ml-intern reads ({VERSION}); update ml-intern",
            head.v
        ));
    }
    let ms = milliseconds(&head.ts).ok_or_else(|| format!("`{}` is no time", head.ts))?;
    let stamp = Stamp { seq: head.seq, ms };
    let mut value = serde_json::from_slice::<Value>(line).map_err(|error| error.to_string())?;
    blob::load(&folder.join(BLOBS), &mut value).map_err(|error| error.to_string())?;
    match serde_json::from_value(value) {
        Ok(event) => Ok((stamp, Some(event))),
        Err(error) if error.to_string().starts_with("unknown variant") => Ok((stamp, None)),
        Err(error) => Err(format!("{} ({error})", head.r#type)),
    }
}

pub(crate) fn lock(folder: &Path, id: &str) -> Result<File, TraceError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(TraceError::io(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(TraceError::Locked(id.to_owned())),
        Err(error) => Err(TraceError::io(path)(error.into())),
    }
}
