//! Whole files, in and out.
//!
//! WASI 0.2 has no file modes: a file that replaces another by renaming gets the default mode, and a
//! script would lose its executable bit. So a new file is written beside its place and renamed
//! into it, while an existing one keeps its identity (mode, owner, hard links): its new content is
//! first made durable in a file beside it, then written over the old one, then that file is removed.
//! Whatever breaks in between, one complete version is on disk, and the message names it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::path::Place;

/// Larger files are shown in parts and not edited: content, its copy and the difference
/// between them must fit in the plugin's memory together.
pub(crate) const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of the first read. A read of a regular file comes back short only at its end.
const FIRST_READ: usize = 32 * 1024;

/// A file's content, or why there is none.
pub(crate) enum Found {
    Missing,
    Folder,
    /// Over [`MAX_BYTES`]; opened, with its size.
    Large(File, u64),
    Content(Vec<u8>),
}

/// Reads a file whole when it is of ordinary size.
pub(crate) fn load(place: &Place) -> Result<Found, String> {
    let name = &place.name;
    let failed = |error: io::Error| format!("cannot read `{name}`: {}", reason(&error));
    let mut file = match File::open(&place.path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(Found::Missing),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Ok(Found::Folder),
        Err(error) => return Err(failed(error)),
    };
    // Most files end within one read, and each question more about one costs as much as reading it.
    let mut first = vec![0; FIRST_READ];
    if let Ok(length) = file.read(&mut first)
        && length < FIRST_READ
    {
        first.truncate(length);
        return Ok(Found::Content(first));
    }
    file.rewind()
        .or_else(|error| match file.metadata()?.is_dir() {
            true => Ok(()),
            false => Err(error),
        })
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Ok(Found::Folder);
    }
    if !metadata.is_file() {
        return Err(format!("`{name}` is not a regular file"));
    }
    if metadata.len() > MAX_BYTES {
        return Ok(Found::Large(file, metadata.len()));
    }
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    // The size may lie: a growing log, or a file that has none of its own.
    (&file)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    match content.len() as u64 > MAX_BYTES {
        true => Ok(Found::Large(file, content.len() as u64)),
        false => Ok(Found::Content(content)),
    }
}

/// Creates a file with its folders; it appears complete or not at all.
pub(crate) fn create(place: &Place, content: &[u8]) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot write `{}`: {}", place.name, reason(&error));
    if let Some(folder) = place.path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let beside = write_beside(&place.path, content).map_err(failed)?;
    fs::rename(&beside, &place.path).map_err(|error| {
        // The file beside is of no use any more; what counts is why there is no other.
        let _unused = fs::remove_file(&beside);
        failed(error)
    })
}

/// Replaces an existing file's content and nothing else of it.
pub(crate) fn replace(place: &Place, content: &[u8]) -> Result<(), String> {
    let name = &place.name;
    let beside = write_beside(&place.path, content)
        .map_err(|error| format!("cannot write `{name}`: {}", reason(&error)))?;
    if let Err(error) = overwrite(&place.path, content) {
        let kept = beside.file_name().unwrap_or_default().to_string_lossy();
        return Err(format!(
            "cannot write `{name}`: {}; its new content is in `{kept}` beside it",
            reason(&error)
        ));
    }
    // The content is in place; a copy that cannot be removed is only litter.
    let _litter = fs::remove_file(&beside);
    Ok(())
}

fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

/// Writes and syncs a new file in the same folder, under a name that was free.
fn write_beside(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    const ATTEMPTS: u32 = 16;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut attempt = 0;
    let (beside, mut file) = loop {
        let beside = path.with_file_name(format!(".{name}.new-{attempt}"));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)
        {
            Ok(file) => break (beside, file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    };
    let written = file.write_all(content).and_then(|()| file.sync_all());
    match written {
        Ok(()) => Ok(beside),
        Err(error) => {
            // Half a copy helps nobody.
            let _half = fs::remove_file(&beside);
            Err(error)
        }
    }
}

/// Also a path that goes on below a file.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// An I/O error in the words of this codebase: no number, lower case.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the workspace is granted for reading only".to_owned(),
        io::ErrorKind::StorageFull => "no space left".to_owned(),
        io::ErrorKind::NotADirectory => "a part of its path is a file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::NotFound => "not found".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Workspace;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn replacing_keeps_mode_and_identity_and_leaves_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let place = Workspace::new(folder.path(), None).place("run.sh").unwrap();
        fs::write(&place.path, "a long first version").unwrap();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o755)).unwrap();
        let before = fs::metadata(&place.path).unwrap();
        replace(&place, b"short").unwrap();
        let after = fs::metadata(&place.path).unwrap();
        assert_eq!(fs::read(&place.path).unwrap(), b"short");
        assert_eq!(after.mode(), before.mode());
        assert_eq!(after.ino(), before.ino());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn creating_makes_folders_and_leaves_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let place = Workspace::new(folder.path(), None)
            .place("a/b/c.txt")
            .unwrap();
        create(&place, b"x").unwrap();
        assert_eq!(fs::read(&place.path).unwrap(), b"x");
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn a_name_that_is_taken_beside_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".f.new-0"), "mine").unwrap();
        let place = Workspace::new(folder.path(), None).place("f").unwrap();
        create(&place, b"x").unwrap();
        assert_eq!(fs::read(folder.path().join(".f.new-0")).unwrap(), b"mine");
    }

    #[test]
    fn below_a_file_nothing_is_found_or_made() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f"), "x").unwrap();
        let place = Workspace::new(folder.path(), None).place("f/g").unwrap();
        assert!(matches!(load(&place), Ok(Found::Missing)));
        assert!(create(&place, b"x").is_err());
    }
}
