//! Appending to a log and opening one again.

use crate::blob;
use crate::entry::{Blobs, Entries};
use crate::error::TraceError;
use crate::line::{now_ms, render};
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
/// Folder in that of a session with what files were before its tools changed them, by SHA-256.
pub const ORIGINALS: &str = "originals";
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
        let folder = existing(sessions, id)?;
        let path = folder.join(EVENTS);
        let lock = lock(&folder, id)?;
        let mut entries = Entries::open(&folder, Blobs::All)?;
        let mut state = State::default();
        let mut last = Stamp { seq: 0, ms: 0 };
        for entry in &mut entries {
            let (stamp, event) = entry?;
            last = stamp;
            if let Some(event) = event {
                state.apply(&event, stamp);
            }
        }
        let (whole, cut) = (entries.whole(), entries.torn());
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(TraceError::io(&path))?;
        if cut > 0 {
            file.set_len(whole).map_err(TraceError::io(&path))?;
        }
        let log = Self::new(folder, file, lock, last.seq, whole);
        Ok(Opened {
            log,
            state,
            last,
            cut,
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
    let folder = existing(sessions, id)?;
    let entries = Entries::open(&folder, Blobs::All)?;
    let known = entries.filter_map(|entry| match entry {
        Ok((stamp, event)) => event.map(|event| Ok((stamp, event))),
        Err(error) => Some(Err(error)),
    });
    known.collect()
}

/// The folder of a session that has a log.
pub(crate) fn existing(sessions: &Path, id: &str) -> Result<PathBuf, TraceError> {
    let folder = sessions.join(id);
    if folder.join(EVENTS).is_file() {
        Ok(folder)
    } else {
        Err(TraceError::NotFound(id.to_owned()))
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
