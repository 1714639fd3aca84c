//! `credentials.toml` on the disk.

use crate::config::text_of;
use crate::error::{Failure, Kind, OrFail, Result};
use ml_intern_manifest::CredentialMap;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What the user said; nothing where there is no file.
pub(crate) fn load(path: &Path) -> Result<CredentialMap> {
    let text = text_of(path)?.unwrap_or_default();
    CredentialMap::parse(&path.display().to_string(), &text).or_fail(Kind::Usage)
}

/// Changes the file: `change` gets its name for errors and its text, and returns the new text, or `None` to leave it.
pub(crate) fn edit(
    path: &Path,
    change: impl FnOnce(&str, &str) -> Result<Option<String>>,
) -> Result<()> {
    let cannot = |error: std::io::Error| {
        Failure::new(
            Kind::Failed,
            anyhow::anyhow!("cannot write {}: {error}", path.display()),
        )
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(cannot)?;
    // Two logins at one time must not lose one of the two.
    let lock = File::open(folder).map_err(cannot)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| cannot(error.into()))?;
    let text = text_of(path)?.unwrap_or_default();
    let Some(text) = change(&path.display().to_string(), &text)? else {
        return Ok(());
    };
    // Who keeps the file elsewhere has a link here, which stays.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let aside = real.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, &real)
    };
    write().map_err(cannot)
}
