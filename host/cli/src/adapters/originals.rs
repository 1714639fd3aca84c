//! What files were before tools changed them: kept beside the session's log, so that a turn can be taken back.

use ml_intern_agent::event::{FileChange, FileState, KeptFile};
use ml_intern_agent::{Event, Session};
use ml_intern_manifest::Digest;
use ml_intern_runtime::{KeepsOriginals, Original, read_below, restore_below};
use ml_intern_trace::ORIGINALS;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a file that is kept.
const FILE_BYTES: u64 = 8 << 20;
/// Bytes that one process keeps for a session.
const SESSION_BYTES: u64 = 512 << 20;

/// Keeps originals for one session.
pub(crate) struct Originals {
    session: Arc<Session>,
    folder: PathBuf,
    workspace: PathBuf,
    left: AtomicU64,
    /// Changes of calls that are under way.
    open: Mutex<BTreeMap<String, Vec<FileChange>>>,
}

impl Originals {
    /// `session_folder` is where the session's log is.
    pub(crate) fn new(session: Arc<Session>, session_folder: &Path, workspace: PathBuf) -> Self {
        Self {
            session,
            folder: session_folder.join(ORIGINALS),
            workspace,
            left: AtomicU64::new(SESSION_BYTES),
            open: Mutex::default(),
        }
    }

    /// Writes down what the call left of the files, when the guard is dropped.
    pub(crate) fn watch(self: &Arc<Self>, call: &str) -> Watched {
        Watched {
            originals: self.clone(),
            call: call.to_owned(),
        }
    }

    fn keep(&self, bytes: &[u8]) -> io::Result<FileState> {
        let size = bytes.len() as u64;
        let took = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(size)
            });
        if took.is_err() {
            return Ok(FileState::Unknown);
        }
        let digest = digest(bytes);
        let path = self.folder.join(&digest);
        if !path.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)?;
            let aside = self.folder.join(format!(".{digest}"));
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&aside)?;
            file.write_all(bytes)?;
            std::fs::rename(&aside, &path)?;
        }
        Ok(FileState::Sha256(digest))
    }

    fn record(&self, change: FileChange) -> io::Result<()> {
        let recorded = self.session.record(Event::FileChanged { change });
        recorded.map(drop).map_err(io::Error::other)
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<FileChange>>> {
        // Nothing that is done under the lock can panic half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeepsOriginals for Originals {
    fn most(&self) -> u64 {
        FILE_BYTES
    }

    fn changing(&self, call: &str, path: &str, original: Original) -> io::Result<()> {
        let before = match original {
            Original::Absent => FileState::Absent,
            Original::Bytes(bytes) => self.keep(&bytes)?,
            Original::Unknown => FileState::Unknown,
        };
        let change = FileChange {
            call: call.to_owned(),
            path: path.to_owned(),
            before,
            after: None,
        };
        self.record(change.clone())?;
        self.changes()
            .entry(change.call.clone())
            .or_default()
            .push(change);
        Ok(())
    }
}

/// A call that may change files.
pub(crate) struct Watched {
    originals: Arc<Originals>,
    call: String,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let changes = self
            .originals
            .changes()
            .remove(&self.call)
            .unwrap_or_default();
        for mut change in changes {
            let after = now(&self.originals.workspace, &change.path);
            // A file that a call made and moved on is no news.
            if after == change.before && after == FileState::Absent {
                continue;
            }
            change.after = Some(after);
            // A log that cannot be written stops the turn itself, at its next step.
            let _the_turn_stops = self.originals.record(change);
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).hex()
}

/// What a file is at this moment.
fn now(workspace: &Path, path: &str) -> FileState {
    match read_below(workspace, path, FILE_BYTES + 1) {
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES => FileState::Unknown,
        Ok(bytes) => FileState::Sha256(digest(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileState::Absent,
        Err(_) => FileState::Unknown,
    }
}

/// What a turn did to one file, from before its first change to after its last.
struct Span<'a> {
    before: &'a FileState,
    after: Option<&'a FileState>,
}

/// Makes the files what they were before `changes`; those that somebody changed since stay. Returns the paths of the
/// first, and the others with the reason.
pub(crate) fn restore(
    session_folder: &Path,
    workspace: &Path,
    changes: &[FileChange],
) -> (Vec<String>, Vec<KeptFile>) {
    let mut spans: BTreeMap<&str, Span<'_>> = BTreeMap::new();
    for change in changes {
        let after = change.after.as_ref();
        spans
            .entry(&change.path)
            .and_modify(|span| span.after = after)
            .or_insert(Span {
                before: &change.before,
                after,
            });
    }
    let (mut restored, mut kept) = (Vec::new(), Vec::new());
    for (path, span) in spans {
        let path = path.to_owned();
        match restore_one(session_folder, workspace, &path, &span) {
            Ok(true) => restored.push(path),
            Ok(false) => {}
            Err(why) => kept.push(KeptFile { path, why }),
        }
    }
    (restored, kept)
}

/// Whether anything was done.
fn restore_one(
    session_folder: &Path,
    workspace: &Path,
    path: &str,
    span: &Span<'_>,
) -> Result<bool, String> {
    let now = now(workspace, path);
    if now == *span.before && now != FileState::Unknown {
        return Ok(false);
    }
    if span.after != Some(&now) || now == FileState::Unknown {
        return Err("it was changed since".into());
    }
    let bytes = match span.before {
        FileState::Absent => None,
        FileState::Sha256(digest) => Some(original(session_folder, digest)?),
        FileState::Unknown => return Err("what it was before was not kept".into()),
    };
    let done = restore_below(workspace, path, bytes.as_deref());
    done.map(|()| true).map_err(|error| error.to_string())
}

fn original(session_folder: &Path, sha256: &str) -> Result<Vec<u8>, String> {
    let path = session_folder.join(ORIGINALS).join(sha256);
    let bytes = std::fs::read(path).map_err(|error| format!("its original is gone: {error}"))?;
    match digest(&bytes) == sha256 {
        true => Ok(bytes),
        false => Err("its original is damaged".into()),
    }
}
