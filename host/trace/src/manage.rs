//! What is done with whole sessions: copied up to an entry, removed.

use crate::blob;
use crate::entry::head;
use crate::error::TraceError;
use crate::index;
use crate::log::{BLOBS, EVENTS, LOCK, ORIGINALS, lock};
use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What is being made or removed; no id begins so.
pub(crate) const HIDDEN: &str = ".";

/// Copies a session up to entry `at`, or all of it, to the new session `new`. The old one may be written meanwhile.
/// Returns the place of the last entry that was copied.
pub fn fork(sessions: &Path, id: &str, new: &str, at: Option<u64>) -> Result<u64, TraceError> {
    let from = sessions.join(id);
    let path = from.join(EVENTS);
    if !path.is_file() {
        return Err(TraceError::NotFound(id.to_owned()));
    }
    let text = std::fs::read(&path).map_err(TraceError::io(&path))?;
    let (kept, last) = entries(&text, &path, at)?;
    if last == 0 || at.is_some_and(|at| at != last) {
        return Err(TraceError::NoEntry {
            id: id.to_owned(),
            at: at.unwrap_or_default(),
            last: entries(&text, &path, None)?.1,
        });
    }
    let aside = sessions.join(format!("{HIDDEN}{new}"));
    let made = make(&aside, &from, kept);
    let target = sessions.join(new);
    made.and_then(|()| std::fs::rename(&aside, &target).map_err(TraceError::io(&target)))
        .inspect_err(|_| {
            // The first error is the one to tell.
            std::fs::remove_dir_all(&aside).unwrap_or_default();
        })?;
    Ok(last)
}

/// The whole lines up to entry `at`, and the place of the last.
fn entries<'a>(
    text: &'a [u8],
    path: &Path,
    at: Option<u64>,
) -> Result<(&'a [u8], u64), TraceError> {
    let (mut end, mut last) = (0, 0);
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") || at == Some(last) {
            break;
        }
        let head = head(line).map_err(|problem| TraceError::Damaged {
            path: path.to_owned(),
            line: number + 1,
            problem,
        })?;
        (end, last) = (end + line.len(), head.seq);
    }
    Ok((&text[..end], last))
}

fn make(folder: &Path, from: &Path, events: &[u8]) -> Result<(), TraceError> {
    private(folder)?;
    let text = String::from_utf8_lossy(events);
    carry(&from.join(BLOBS), &folder.join(BLOBS), &text, blob::copy)?;
    let whole = |from: &Path, to: &Path| match std::fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(error) => Err(TraceError::io(from)(error)),
    };
    carry(&from.join(ORIGINALS), &folder.join(ORIGINALS), &text, whole)?;
    let path = folder.join(EVENTS);
    let write = || {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(events)?;
        file.sync_all()
    };
    write().map_err(TraceError::io(&path))
}

fn private(path: &Path) -> Result<(), TraceError> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(TraceError::io(path))
}

/// Copies the files of a folder that the entries name, where there is one.
fn carry(
    from: &Path,
    to: &Path,
    entries: &str,
    copy: impl Fn(&Path, &Path) -> Result<(), TraceError>,
) -> Result<(), TraceError> {
    if !from.is_dir() {
        return Ok(());
    }
    private(to)?;
    let names = std::fs::read_dir(from).map_err(TraceError::io(from))?;
    for name in names.flatten().map(|entry| entry.file_name()) {
        if name.to_str().is_some_and(|name| entries.contains(name)) {
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

/// Removes a session that nobody writes.
pub fn delete(sessions: &Path, id: &str) -> Result<(), TraceError> {
    let folder = sessions.join(id);
    if !folder.join(EVENTS).is_file() && !folder.join(LOCK).is_file() {
        return Err(TraceError::NotFound(id.to_owned()));
    }
    let _nobody_writes = lock(&folder, id)?;
    // Gone at once, whatever stops the rest.
    let aside: PathBuf = sessions.join(format!("{HIDDEN}{id}"));
    std::fs::rename(&folder, &aside).map_err(TraceError::io(&folder))?;
    index::remove(sessions);
    std::fs::remove_dir_all(&aside).map_err(TraceError::io(&aside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SessionLog, list, read, summary};
    use ml_intern_agent::ports::Journal as _;
    use ml_intern_agent::{Event, Message, Role};

    fn session(sessions: &Path, id: &str) -> SessionLog {
        let log = SessionLog::create(sessions, id).unwrap();
        for turn in 1..=3 {
            let input = format!("{turn} {}", "long ".repeat(40_000));
            log.append(&Event::TurnStarted { turn, input }).unwrap();
            let message = Message::text(Role::Assistant, "answer");
            log.append(&Event::Message { message }).unwrap();
        }
        log
    }

    #[test]
    fn a_fork_has_what_was_there_up_to_its_entry() {
        let root = tempfile::tempdir().unwrap();
        let sessions = root.path();
        let writer = session(sessions, "a");
        assert_eq!(fork(sessions, "a", "b", Some(4)).unwrap(), 4);
        drop(writer);
        let (old, new) = (read(sessions, "a").unwrap(), read(sessions, "b").unwrap());
        assert_eq!(new, old[..4]);
        assert_eq!(summary(sessions, "b").unwrap().turn, 2);
        assert_eq!(
            std::fs::read_dir(sessions.join("b/blobs")).unwrap().count(),
            2
        );
        // Each goes on by itself.
        let opened = SessionLog::open(sessions, "b").unwrap();
        let message = Message::text(Role::User, "other");
        assert_eq!(
            opened.log.append(&Event::Message { message }).unwrap().seq,
            5
        );
        assert_eq!(read(sessions, "a").unwrap(), old);
        assert_eq!(fork(sessions, "a", "c", None).unwrap(), 6);
        assert_eq!(read(sessions, "c").unwrap(), old);
    }

    #[test]
    fn what_cannot_be_forked_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let sessions = root.path();
        drop(session(sessions, "a"));
        for at in [0, 7, u64::MAX] {
            let error = fork(sessions, "a", "b", Some(at)).unwrap_err();
            assert!(error.to_string().contains("1 to 6"), "{error}");
        }
        assert!(matches!(
            fork(sessions, "x", "b", None),
            Err(TraceError::NotFound(_))
        ));
        assert!(fork(sessions, "a", "a", None).is_err(), "it is there");
        let names = std::fs::read_dir(sessions).unwrap().flatten();
        assert_eq!(
            names.map(|entry| entry.file_name()).collect::<Vec<_>>(),
            ["a"]
        );
    }

    #[test]
    fn a_session_is_removed_when_nobody_writes_it() {
        let root = tempfile::tempdir().unwrap();
        let sessions = root.path();
        let writer = session(sessions, "a");
        assert!(matches!(delete(sessions, "a"), Err(TraceError::Locked(_))));
        assert_eq!(read(sessions, "a").unwrap().len(), 6);
        drop(writer);
        delete(sessions, "a").unwrap();
        assert!(list(sessions).unwrap().0.is_empty());
        assert_eq!(std::fs::read_dir(sessions).unwrap().count(), 0);
        assert!(matches!(
            delete(sessions, "a"),
            Err(TraceError::NotFound(_))
        ));
    }
}
