//! A list of models on the disk.

use super::{Listing, Model};
use serde::{Deserialize, Serialize};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a list.
const BYTES: u64 = 32 << 20;

/// Where a list is kept.
pub(super) struct Kept(PathBuf);

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    /// Seconds since the Unix epoch.
    said: u64,
    models: Vec<Model>,
}

const VERSION: u32 = 1;

impl Kept {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// What is there. A file that cannot be read is none: the service is asked again.
    pub(super) fn read(&self) -> Option<Listing> {
        let size = std::fs::metadata(&self.0).ok()?.len();
        let text = std::fs::read(&self.0).ok().filter(|_| size <= BYTES)?;
        let file: File = serde_json::from_slice(&text).ok()?;
        (file.version == VERSION).then(|| Listing {
            models: file.models,
            said: UNIX_EPOCH.checked_add(Duration::from_secs(file.said)),
            problem: None,
        })
    }

    /// Keeps what was said now. Where that does not work, the service is asked again next time.
    pub(super) fn write(&self, models: &[Model]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let file = File {
            version: VERSION,
            said: now.unwrap_or_default().as_secs(),
            models: models.to_vec(),
        };
        let write = || {
            let folder = self.0.parent()?;
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .ok()?;
            let aside = self.0.with_extension(format!("{}.tmp", std::process::id()));
            std::fs::write(&aside, serde_json::to_vec(&file).ok()?).ok()?;
            std::fs::rename(&aside, &self.0).ok()
        };
        let _asked_again_next_time = write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_nonsense_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::at(folder.path().join("models/openai-0.json"));
        assert!(kept.read().is_none());
        kept.write(&[]);
        let listing = kept.read().unwrap();
        assert!(
            listing.models.is_empty() && listing.said.unwrap().elapsed().unwrap().as_secs() < 60
        );
        for text in ["", "{", "[]", r#"{"version":2,"said":1,"models":[]}"#] {
            std::fs::write(&kept.0, text).unwrap();
            assert!(kept.read().is_none(), "{text}");
        }
    }
}
