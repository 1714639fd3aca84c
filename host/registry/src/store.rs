//! Components that were fetched, by the SHA-256 of their bytes.
//!
//! A file is written aside, hashed, synced and renamed, so that what stands under a digest has it. Two processes that
//! fetch the same component wait for one another; what a process left that was killed is gone on with or thrown away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ml_intern_manifest::Digest;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// How long a download that broke off is worth going on with.
const PARTIAL_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A folder of components.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// A component that is being written, and nobody else's to write.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    hasher: Sha256,
    written: u64,
    wanted: Digest,
}

impl Store {
    /// The store in this folder, which need not be there yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where a component lies, if it is there.
    pub fn find(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.path(digest);
        path.is_file().then_some(path)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.wasm", digest.hex()))
    }
}
