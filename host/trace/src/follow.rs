//! A log that is read while it is written.
//!
//! The file's length is looked at every [`INTERVAL`]: that works on every file system, costs one call, and a reader
//! that is a tenth of a second late is late for nobody. Only whole lines count, each time from the end of the last
//! one, so that half a line is never taken for a line, whatever a resuming writer puts in its place.

use crate::entry::{Blobs, parse};
use crate::error::TraceError;
use crate::log::{EVENTS, existing};
use ml_intern_agent::{Event, Stamp};
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks at a log that does not grow.
const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes that are read at a time; more where a line is longer.
const PIECE: usize = 64 * 1024;

/// The entries of a session from the first on, and then each as its writer appends it.
///
/// It takes no lock, and no writer waits for it. Dropping it ends it.
pub struct Follower {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// Bytes of the lines that were read.
    offset: u64,
    /// How many they were.
    lines: usize,
    ready: VecDeque<(Stamp, Event)>,
    /// A line that could not be read the last time.
    failed: Option<Vec<u8>>,
}

/// Follows the log of an existing session from its first entry on.
///
/// # Errors
///
/// [`TraceError::NotFound`] where there is no such session, [`TraceError::Io`] where its log cannot be opened.
pub fn follow(sessions: &Path, id: &str) -> Result<Follower, TraceError> {
    let folder = existing(sessions, id)?;
    let path = folder.join(EVENTS);
    Ok(Follower {
        file: File::open(&path).map_err(TraceError::io(&path))?,
        folder,
        path,
        offset: 0,
        lines: 0,
        ready: VecDeque::new(),
        failed: None,
    })
}

impl Follower {
    /// The next entry, as soon as it is there; `None` once the session was removed and its last entry was given.
    /// Entries of types that a newer version wrote are left out.
    ///
    /// The future may be dropped at any time, for example in a `select!`: no entry is lost. It reads small pieces of
    /// the file on the thread that polls it.
    ///
    /// # Errors
    ///
    /// [`TraceError::Damaged`] for a line that stays unreadable, and for a log that lost entries;
    /// [`TraceError::Io`] where the log cannot be read.
    pub async fn next(&mut self) -> Result<Option<(Stamp, Event)>, TraceError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            // Looked at first: what was written before the session was removed can still be read.
            let removed = self.is_removed();
            match self.read() {
                Ok(true) => tokio::task::yield_now().await,
                // Its large texts go before it.
                Ok(false) | Err(_) if removed => return Ok(None),
                Ok(false) => tokio::time::sleep(INTERVAL).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the path no longer leads to the file.
    fn is_removed(&self) -> bool {
        let own = self.file.metadata().map(|file| (file.dev(), file.ino()));
        let named = std::fs::metadata(&self.path).map(|file| (file.dev(), file.ino()));
        match (own, named) {
            (Ok(own), Ok(named)) => own != named,
            (_, Err(error)) => error.kind() == std::io::ErrorKind::NotFound,
            (Err(_), _) => false,
        }
    }

    /// Reads some more whole lines; false where there are none yet.
    fn read(&mut self) -> Result<bool, TraceError> {
        let piece = self.piece().map_err(TraceError::io(&self.path))?;
        let Some(piece) = piece else {
            return Err(self.damaged("the log lost entries".to_owned()));
        };
        let mut any = false;
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            match parse(&self.folder, line, Blobs::All) {
                Ok((stamp, event)) => self.ready.extend(event.map(|event| (stamp, event))),
                Err(problem) => {
                    // A writer that cuts off half a line may be putting another in its place at this very moment.
                    if any {
                        return Ok(true);
                    }
                    if self.failed.as_deref() != Some(line) {
                        self.failed = Some(line.to_owned());
                        return Ok(false);
                    }
                    return Err(self.damaged(problem));
                }
            }
            any = true;
            self.failed = None;
            self.lines += 1;
            self.offset += line.len() as u64;
        }
        Ok(any)
    }

    /// What follows the last line, up to some length, or to the end of the first line where that is longer. `None`
    /// where the file ends before it.
    fn piece(&self) -> std::io::Result<Option<Vec<u8>>> {
        let length = self.file.metadata()?.len();
        let Some(rest) = length.checked_sub(self.offset) else {
            return Ok(None);
        };
        let rest = usize::try_from(rest).unwrap_or(usize::MAX);
        let mut piece = Vec::new();
        let mut size = PIECE;
        loop {
            piece.resize(size.min(rest), 0);
            let mut filled = 0;
            while filled < piece.len() {
                match self
                    .file
                    .read_at(&mut piece[filled..], self.offset + filled as u64)?
                {
                    0 => break,
                    read => filled += read,
                }
            }
            piece.truncate(filled);
            if size >= rest || piece.contains(&b'\n') {
                return Ok(Some(piece));
            }
            size *= 2;
        }
    }

    fn damaged(&self, problem: String) -> TraceError {
        TraceError::Damaged {
            path: self.path.clone(),
            line: self.lines + 1,
            problem,
        }
    }
}
