//! A bounded map, in memory or in a file of JSON lines: `{"set": [key, base64]}` or
//! `{"delete": key}`, the last word counts. Lines are appended whole under a lock, so that neither
//! a kill nor a second process loses more than a line that was never acknowledged; a torn last
//! line is left out. The file is rewritten when most of it is history.
//!
//! A key is text in such a line and never part of a path. The file is a regular one: a link, or
//! anything else in its place, is an error and not followed.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{FlockOperation, OFlags};
use serde::{Deserialize, Serialize};

use crate::meter::lock;

const MAX_KEY: usize = 512;
const MAX_VALUE: usize = 1 << 20;
const MAX_KEYS: usize = 4096;
const MAX_BYTES: usize = 8 << 20;
/// A file smaller than this is not worth rewriting.
const COMPACT_FROM: u64 = 1 << 20;
/// The most that is read of a file: what the map may hold in base64, and as much history again.
const MAX_FILE: u64 = 64 << 20;

/// Why a key was not set.
#[derive(Debug)]
pub(crate) enum NotSet {
    /// A limit of the bucket.
    Limit(String),
    /// What cannot be kept, or a store that cannot be used.
    Other(String),
}

impl From<String> for NotSet {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

/// One bucket.
#[derive(Debug)]
pub(crate) struct Shelf {
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    map: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    /// The file's identity and how far it has been read.
    seen: Option<(u64, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Set(std::borrow::Cow<'a, str>, String),
    Delete(std::borrow::Cow<'a, str>),
}

impl Shelf {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            inner: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let mut inner = lock(&self.inner);
        self.catch_up(&mut inner)?;
        Ok(inner.map.get(key).cloned())
    }

    /// Keys after the first `from`, in order.
    pub(crate) fn keys(&self, from: usize, most: usize) -> Result<Vec<String>, String> {
        let mut inner = lock(&self.inner);
        self.catch_up(&mut inner)?;
        Ok(inner
            .map
            .range::<str, _>((Bound::Unbounded, Bound::Unbounded))
            .skip(from)
            .take(most)
            .map(|(key, _)| key.clone())
            .collect())
    }

    pub(crate) fn set(&self, key: String, value: Vec<u8>) -> Result<(), NotSet> {
        if key.is_empty() || key.len() > MAX_KEY {
            let text = format!("a key has 1 to {MAX_KEY} bytes, not {}", key.len());
            return Err(NotSet::Other(text));
        }
        if value.len() > MAX_VALUE {
            return Err(NotSet::Limit(format!(
                "a value has at most {MAX_VALUE} bytes, not {}",
                value.len()
            )));
        }
        let mut inner = lock(&self.inner);
        let guard = self.lock_file()?;
        self.catch_up(&mut inner)?;
        let old = inner.map.get(&key).map(|old| key.len() + old.len());
        if old.is_none() && inner.map.len() >= MAX_KEYS {
            return Err(NotSet::Limit(format!(
                "the bucket is full: it holds at most {MAX_KEYS} keys; delete some"
            )));
        }
        if inner.bytes - old.unwrap_or(0) + key.len() + value.len() > MAX_BYTES {
            return Err(NotSet::Limit(format!(
                "the bucket is full: it holds at most {MAX_BYTES} bytes; delete some"
            )));
        }
        self.append(
            &mut inner,
            guard,
            &Line::Set(key.as_str().into(), STANDARD.encode(&value)),
        )?;
        inner.insert(key, value);
        Ok(())
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), String> {
        let mut inner = lock(&self.inner);
        let guard = self.lock_file()?;
        self.catch_up(&mut inner)?;
        if inner.map.contains_key(key) {
            self.append(&mut inner, guard, &Line::Delete(key.into()))?;
            inner.remove(key);
        }
        Ok(())
    }

    /// Holds off other processes until the file is closed.
    fn lock_file(&self) -> Result<Option<File>, String> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let take = || {
            if let Some(folder) = path.parent() {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)?;
            }
            let file = open(
                OpenOptions::new().create(true).append(true),
                &with_suffix(path, "lock"),
            )?;
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        take()
            .map(Some)
            .map_err(|error: io::Error| failed(path, &error))
    }

    /// Reads what was written since, by this process or another.
    fn catch_up(&self, inner: &mut Inner) -> Result<(), String> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let metadata = match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Err(failed(path, &not_regular())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *inner = Inner::default();
                return Ok(());
            }
            Err(error) => return Err(failed(path, &error)),
        };
        let from = match inner.seen {
            Some((id, read)) if id == metadata.ino() && read <= metadata.len() => read,
            _ => {
                *inner = Inner::default();
                0
            }
        };
        if from < metadata.len() || inner.seen.is_none() {
            inner
                .read(path, metadata.ino(), from)
                .map_err(|error| failed(path, &error))?;
        }
        Ok(())
    }

    fn append(
        &self,
        inner: &mut Inner,
        guard: Option<File>,
        line: &Line<'_>,
    ) -> Result<(), String> {
        let (Some(path), Some(_guard)) = (&self.path, guard) else {
            return Ok(());
        };
        let write = || -> io::Result<(u64, u64)> {
            let mut file = open(
                OpenOptions::new().create(true).read(true).append(true),
                path,
            )?;
            let length = file.metadata()?.len();
            // What a kill left of a line is closed off, or the next one would be lost with it.
            let torn = inner.seen.map_or(0, |(_, read)| read) < length;
            let mut text = if torn { "\n".to_owned() } else { String::new() };
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
            file.write_all(text.as_bytes())?;
            Ok((file.metadata()?.ino(), length + text.len() as u64))
        };
        let seen = write().map_err(|error| failed(path, &error))?;
        inner.seen = Some(seen);
        if seen.1 > COMPACT_FROM && seen.1 > 4 * (inner.bytes as u64 + MAX_VALUE as u64) {
            compact(path).map_err(|error| failed(path, &error))?;
            inner.seen = None;
        }
        Ok(())
    }
}

impl Inner {
    fn insert(&mut self, key: String, value: Vec<u8>) {
        self.remove(&key);
        self.bytes += key.len() + value.len();
        self.map.insert(key, value);
    }

    fn remove(&mut self, key: &str) {
        if let Some(old) = self.map.remove(key) {
            self.bytes -= key.len() + old.len();
        }
    }

    fn read(&mut self, path: &Path, id: u64, from: u64) -> io::Result<()> {
        let mut file = open(OpenOptions::new().read(true), path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut text)?;
        // A line without its end is torn, or still being written.
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in text[..whole].split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Set(key, value)) => {
                    if let Ok(value) = STANDARD.decode(value) {
                        self.insert(key.into_owned(), value);
                    }
                }
                Ok(Line::Delete(key)) => self.remove(&key),
                // A torn line was never acknowledged.
                Err(_) => {}
            }
        }
        self.seen = Some((id, from + whole as u64));
        Ok(())
    }
}

/// Writes the file anew, with the last word on each key only. Called under the lock.
fn compact(path: &Path) -> io::Result<()> {
    let mut live = Inner::default();
    live.read(path, 0, 0)?;
    let temporary = with_suffix(path, "new");
    let mut text = Vec::new();
    for (key, value) in &live.map {
        serde_json::to_writer(
            &mut text,
            &Line::Set(key.as_str().into(), STANDARD.encode(value)),
        )?;
        text.push(b'\n');
    }
    let mut file = open(
        OpenOptions::new().create(true).write(true).truncate(true),
        &temporary,
    )?;
    file.write_all(&text)?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)
}

/// Opens a file of the store, which no link leads to, and which is nothing that makes one wait.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.mode(0o600).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(not_regular())
    }
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file; remove it")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn failed(path: &Path, error: &io::Error) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("the store `{name}` cannot be used: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/kv.jsonl");
        (folder, path)
    }

    #[test]
    fn values_are_kept_across_processes() {
        let (_folder, path) = on_disk();
        let one = Shelf::new(Some(path.clone()));
        assert_eq!(one.get("a").unwrap(), None);
        one.set("a".to_owned(), vec![0, 255, 10]).unwrap();
        one.set("b".to_owned(), b"x".to_vec()).unwrap();
        one.delete("b").unwrap();
        one.delete("never").unwrap();
        let two = Shelf::new(Some(path));
        assert_eq!(two.get("a").unwrap(), Some(vec![0, 255, 10]));
        assert_eq!(two.keys(0, 10).unwrap(), ["a"]);
        two.set("c".to_owned(), b"y".to_vec()).unwrap();
        assert_eq!(one.get("c").unwrap(), Some(b"y".to_vec()));
    }

    #[test]
    fn a_torn_line_is_left_out_and_does_not_swallow_the_next() {
        let (_folder, path) = on_disk();
        Shelf::new(Some(path.clone()))
            .set("a".to_owned(), b"1".to_vec())
            .unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"set\":[\"a\",\"Mg=").unwrap();
        let shelf = Shelf::new(Some(path.clone()));
        assert_eq!(shelf.get("a").unwrap(), Some(b"1".to_vec()));
        shelf.set("b".to_owned(), b"2".to_vec()).unwrap();
        let again = Shelf::new(Some(path));
        assert_eq!(again.get("a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(again.get("b").unwrap(), Some(b"2".to_vec()));
        assert_eq!(shelf.keys(0, 10).unwrap(), ["a", "b"]);
    }

    #[test]
    fn sizes_are_bounded_and_deleting_makes_room() {
        let shelf = Shelf::new(None);
        assert!(shelf.set(String::new(), Vec::new()).is_err());
        assert!(shelf.set("k".repeat(513), Vec::new()).is_err());
        assert!(shelf.set("k".to_owned(), vec![0; MAX_VALUE + 1]).is_err());
        for key in 0..7 {
            shelf.set(key.to_string(), vec![0; MAX_VALUE]).unwrap();
        }
        let full = shelf.set("last".to_owned(), vec![0; MAX_VALUE]);
        assert!(matches!(full, Err(NotSet::Limit(text)) if text.contains("full")));
        shelf.set("0".to_owned(), vec![0; MAX_VALUE]).unwrap();
        shelf.delete("0").unwrap();
        shelf.set("last".to_owned(), vec![0; MAX_VALUE]).unwrap();
        let many = Shelf::new(None);
        for key in 0..MAX_KEYS {
            many.set(key.to_string(), Vec::new()).unwrap();
        }
        let full = many.set("one more".to_owned(), Vec::new());
        assert!(matches!(full, Err(NotSet::Limit(text)) if text.contains("keys")));
        assert_eq!(many.keys(MAX_KEYS - 1, 10).unwrap().len(), 1);
        assert!(many.keys(usize::MAX, 10).unwrap().is_empty());
    }

    #[test]
    fn a_key_is_text_and_no_path() {
        let (folder, path) = on_disk();
        let shelf = Shelf::new(Some(path.clone()));
        let keys = [
            "../../escape",
            "/etc/passwd",
            "a\0b",
            "..",
            "\n{\"delete\":\"..\"}",
            "ä",
        ];
        for key in keys {
            shelf.set(key.to_owned(), key.as_bytes().to_vec()).unwrap();
        }
        let again = Shelf::new(Some(path.clone()));
        for key in keys {
            assert_eq!(again.get(key).unwrap(), Some(key.as_bytes().to_vec()));
        }
        assert_eq!(again.keys(0, 10).unwrap().len(), keys.len());
        let files = |folder: &Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(files(path.parent().unwrap()), ["kv.jsonl", "kv.jsonl.lock"]);
        assert_eq!(files(folder.path()), ["deep"]);
    }

    #[test]
    fn a_link_or_a_fifo_in_place_of_the_store_is_not_followed() {
        let (folder, path) = on_disk();
        let other = folder.path().join("other.jsonl");
        std::fs::write(&other, "{\"set\":[\"a\",\"c2VjcmV0\"]}\n").unwrap();
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let places = [path.clone(), with_suffix(&path, "lock")];
        for place in &places {
            for old in &places {
                std::fs::remove_file(old).unwrap_or_default();
            }
            std::os::unix::fs::symlink(&other, place).unwrap();
            let shelf = Shelf::new(Some(path.clone()));
            if *place == path {
                assert!(shelf.get("a").unwrap_err().contains("regular"));
            }
            shelf.set("a".to_owned(), b"x".to_vec()).unwrap_err();
            std::fs::remove_file(place).unwrap();
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let fifo = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, place, fifo, mode, 0).unwrap();
            shelf.set("a".to_owned(), b"x".to_vec()).unwrap_err();
            std::fs::remove_file(place).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&other).unwrap().lines().count(), 1);
        let shelf = Shelf::new(Some(path));
        shelf.set("a".to_owned(), b"x".to_vec()).unwrap();
    }

    #[test]
    fn endless_writing_fills_no_disk() {
        let (_folder, path) = on_disk();
        let shelf = Shelf::new(Some(path.clone()));
        let largest = (0..120_u32).map(|round| {
            shelf
                .set((round % 5).to_string(), vec![0; MAX_VALUE])
                .unwrap();
            std::fs::metadata(&path).unwrap().len()
        });
        // Four times what the bucket holds, in base64, and one more line.
        assert!(largest.max().unwrap() < 40 << 20);
    }

    #[test]
    fn history_is_cut_off_and_other_processes_notice() {
        let (_folder, path) = on_disk();
        let (one, two) = (
            Shelf::new(Some(path.clone())),
            Shelf::new(Some(path.clone())),
        );
        for round in 0..12_u8 {
            one.set("a".to_owned(), vec![round; 600_000]).unwrap();
            assert_eq!(two.get("a").unwrap().map(|value| value[0]), Some(round));
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 6 << 20);
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let (_folder, path) = on_disk();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = path.clone();
                scope.spawn(move || {
                    let shelf = Shelf::new(Some(path));
                    for key in 0..50 {
                        shelf.set(format!("{writer}-{key}"), vec![1]).unwrap();
                    }
                });
            }
        });
        assert_eq!(Shelf::new(Some(path)).keys(0, 1000).unwrap().len(), 200);
    }
}
