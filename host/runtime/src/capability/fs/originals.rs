//! What files were before a call changed them, for whoever keeps it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FileType, Mode, OFlags};

use super::entry::Entry;
use super::mount::kind;
use super::refusal::Refused;

/// What a file was before a call changed it.
#[derive(Debug)]
pub enum Original {
    /// There was none.
    Absent,
    /// Its bytes.
    Bytes(Vec<u8>),
    /// No regular file, or one of more bytes than [`KeepsOriginals::most`].
    Unknown,
}

/// Told once for each call and file, before the file is changed. May block.
pub trait KeepsOriginals: Send + Sync {
    /// Bytes of a file that is worth keeping.
    fn most(&self) -> u64;
    /// `path` is below the workspace.
    ///
    /// # Errors
    /// What was there cannot be kept; the change is not made.
    fn changing(&self, call: &str, path: &str, original: Original) -> io::Result<()>;
}

/// The originals of one call.
pub(crate) struct Originals {
    pub(crate) keeper: Arc<dyn KeepsOriginals>,
    pub(crate) call: String,
    pub(crate) told: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Originals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Originals")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

impl Originals {
    /// The entry is about to be made, changed, moved or removed; `path` is where it is below the workspace.
    pub(super) fn before(&self, entry: &Entry, path: String) -> Result<(), Refused> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(&path) {
            let original = self.original(entry)?;
            self.keeper.changing(&self.call, &path, original)?;
            told.insert(path);
        }
        Ok(())
    }

    fn original(&self, entry: &Entry) -> Result<Original, Refused> {
        let Some(stat) = &entry.stat else {
            return Ok(Original::Absent);
        };
        if kind(stat) != FileType::RegularFile {
            return Ok(Original::Unknown);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let name = entry.name.as_str();
        let file = match rustix::fs::openat(&entry.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // What the user cannot read is not theirs to lose.
            Err(_) => return Ok(Original::Unknown),
        };
        let most = self.keeper.most();
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(match bytes.len() as u64 > most {
            true => Original::Unknown,
            false => Original::Bytes(bytes),
        })
    }
}
