//! Components that were fetched, by the SHA-256 of their bytes.
//!
//! A file is written aside, hashed, synced and renamed, so that what stands under a digest has it. Two processes that
//! fetch the same thing wait for one another; what a process left that was killed is gone on with.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ml_intern_manifest::{Digest, Kind};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::inspect::{MAX_COMPONENT_BYTES, inspect, too_large};
use crate::signature::MAX_SIGNATURE_BYTES;

/// How long a download that broke off is worth going on with.
const PARTIAL_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a process waits for another one that fetches the same.
const PATIENCE: Duration = Duration::from_secs(600);
const RETRY: Duration = Duration::from_millis(50);

/// Ending of the name of what was found in a component.
const FACTS: &str = "json";
/// Ending of the name of a component's signature.
const SIGNATURE: &str = "minisig";
/// Name of the note of the lockfiles that use the store.
const LOCKFILES: &str = "lockfiles";
/// Bytes of what was found: a manifest and names.
const MAX_FACTS: u64 = 1 << 20;

/// What starting a session needs to know of a component.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct Facts {
    /// The plugin manifest as its author wrote it.
    pub(crate) manifest: String,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) abi: String,
    pub(crate) imports: Vec<String>,
}

/// A folder of components.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store in this folder, which need not be there yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where the component with this digest lies or would lie.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.wasm", digest.hex()))
    }

    /// Whether it is there. Its bytes are looked at when they are read.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Its bytes; none where it is not there.
    ///
    /// # Errors
    /// Where the file cannot be read, or has other bytes than its name says.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| failed(&path, source))?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_COMPONENT_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| failed(&path, source))?;
        match Digest::of(&bytes) == *digest {
            true => Ok(Some(bytes)),
            false => Err(Error::Changed {
                path,
                message: format!(
                    "is not what was fetched: its SHA-256 is no longer {digest}; delete the file, and it is fetched again"
                ),
            }),
        }
    }

    /// What an earlier look into the component found. It is as trustworthy as the folder, like what is compiled from
    /// the component: [`verify`](Self::verify) looks anew.
    pub(crate) fn facts(&self, digest: &Digest) -> Option<Facts> {
        let path = self.path(digest).with_extension(FACTS);
        let file = File::open(path).ok()?;
        let mut text = Vec::new();
        file.take(MAX_FACTS).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Reads a component and keeps what was found in it.
    pub(crate) fn look_into(&self, name: &str, digest: &Digest) -> Result<Facts, Error> {
        let facts = self.found(name, digest)?;
        self.keep_facts(digest, &facts)?;
        Ok(facts)
    }

    /// Looks into a component as if for the first time, and holds what was kept of it to that.
    ///
    /// # Errors
    /// Where the component or what was kept of it was changed.
    pub fn look_again(&self, digest: &Digest, name: &str) -> Result<(), Error> {
        let found = self.found(name, digest)?;
        match self.facts(digest) {
            Some(kept) if kept != found => Err(Error::Changed {
                path: self.path(digest).with_extension(FACTS),
                message: "does not say what the component says; delete it".to_owned(),
            }),
            _ => self.keep_facts(digest, &found),
        }
    }

    fn found(&self, name: &str, digest: &Digest) -> Result<Facts, Error> {
        let Some(bytes) = self.read(digest)? else {
            return Err(Error::NotFound {
                name: name.to_owned(),
                message: format!("is not among the plugins that were fetched ({digest})"),
            });
        };
        let inspected = inspect(name, &bytes, None)?;
        Ok(Facts {
            manifest: inspected.manifest_text,
            kinds: inspected.kinds,
            abi: inspected.abi.to_string(),
            imports: inspected.imports,
        })
    }

    /// Keeps them for the next time. A start that has to look again is slower, and no worse.
    pub(crate) fn keep_facts(&self, digest: &Digest, facts: &Facts) -> Result<(), Error> {
        let text = serde_json::to_vec(facts).unwrap_or_default();
        self.keep_beside(digest, FACTS, &text)
    }

    /// Keeps a component's signature beside it.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn keep_signature(&self, digest: &Digest, text: &str) -> Result<(), Error> {
        self.keep_beside(digest, SIGNATURE, text.as_bytes())
    }

    /// The signature that came with a component.
    pub fn signature(&self, digest: &Digest) -> Option<String> {
        let file = File::open(self.path(digest).with_extension(SIGNATURE)).ok()?;
        let mut text = String::new();
        let most = MAX_SIGNATURE_BYTES as u64;
        file.take(most).read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn keep_beside(&self, digest: &Digest, ending: &str, bytes: &[u8]) -> Result<(), Error> {
        fs::create_dir_all(&self.folder).map_err(|source| failed(&self.folder, source))?;
        let path = self.path(digest).with_extension(ending);
        let aside = path.with_extension(format!("{ending}.{}", std::process::id()));
        let written = fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, &path));
        written.map_err(|source| failed(&path, source))
    }

    /// A place to write what `address` leads to, at the point where an earlier try broke off. Waits
    /// for another process that has it.
    ///
    /// # Errors
    /// Where the folder cannot be written, or the other process takes more than ten minutes.
    pub async fn draft(&self, address: &str) -> Result<Draft, Error> {
        fs::create_dir_all(&self.folder).map_err(|source| failed(&self.folder, source))?;
        let key = Digest::of(address.as_bytes()).hex();
        let path = self.folder.join(format!("{key}.part"));
        let began = tokio::time::Instant::now();
        loop {
            if let Some(file) = open(&path)? {
                return Draft::at_its_end(file, path, self.clone());
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::Changed {
                    path,
                    message: "is being fetched by another process that does not end; stop that one"
                        .to_owned(),
                });
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Puts a component here whose bytes are at hand.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub async fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        if self.has(&digest) {
            return Ok(digest);
        }
        let mut draft = self.draft(&digest.to_string()).await?;
        draft.restart()?;
        draft.write(bytes)?;
        draft.finish(Some(&digest))
    }

    /// Notes that a lockfile may name components of this store, for whoever deletes what no lockfile names.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn remember(&self, lockfile: &Path) -> Result<(), Error> {
        let path = self.folder.join(LOCKFILES);
        if self.lockfiles()?.iter().any(|known| known == lockfile) {
            return Ok(());
        }
        let Some(line) = lockfile.to_str().filter(|text| !text.contains('\n')) else {
            // Such a name has no line. What it names is fetched again after a prune.
            return Ok(());
        };
        fs::create_dir_all(&self.folder).map_err(|source| failed(&self.folder, source))?;
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.map_err(|source| failed(&path, source))
    }

    /// Lockfiles that were noted, whether or not they are still there.
    ///
    /// # Errors
    /// Where the note cannot be read.
    pub fn lockfiles(&self) -> Result<Vec<PathBuf>, Error> {
        let path = self.folder.join(LOCKFILES);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            text => {
                let text = text.map_err(|source| failed(&path, source))?;
                Ok(text.lines().map(PathBuf::from).collect())
            }
        }
    }

    /// Every component, with its size in bytes.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn list(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let mut found = Vec::new();
        for path in self.files()? {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let digest = name
                .strip_suffix(".wasm")
                .map(|hex| format!("sha256:{hex}").parse::<Digest>());
            if let Some(Ok(digest)) = digest {
                let size = fs::metadata(&path)
                    .map(|facts| facts.len())
                    .unwrap_or_default();
                found.push((digest, size));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Deletes a component.
    ///
    /// # Errors
    /// Where it is there and cannot be deleted.
    pub fn remove(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.path(digest);
        for ending in [FACTS, SIGNATURE] {
            delete(&path.with_extension(ending))?;
        }
        delete(&path)
    }

    /// Deletes downloads that broke off and are too old to go on with, and says how many bytes they had.
    ///
    /// # Errors
    /// Where the folder cannot be read, or a file in it not be deleted.
    pub fn remove_leftovers(&self, now: SystemTime) -> Result<u64, Error> {
        let mut bytes = 0;
        for path in self.files()? {
            if path.extension().is_none_or(|extension| extension != "part") {
                continue;
            }
            let Ok(facts) = fs::metadata(&path) else {
                continue;
            };
            let age = facts
                .modified()
                .ok()
                .and_then(|at| now.duration_since(at).ok());
            if age.is_some_and(|age| age > PARTIAL_AGE) && open(&path)?.is_some() {
                delete(&path)?;
                bytes += facts.len();
            }
        }
        Ok(bytes)
    }

    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| failed(&self.folder, source))?,
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| failed(&self.folder, source))
    }
}

/// A component that is being written, and nobody else's to write.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    store: Store,
    hasher: Sha256,
    written: u64,
}

impl Draft {
    fn at_its_end(mut file: File, path: PathBuf, store: Store) -> Result<Self, Error> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut written = 0;
        loop {
            let read = file
                .read(&mut buffer)
                .map_err(|source| failed(&path, source))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            written += read as u64;
        }
        Ok(Self {
            file,
            path,
            store,
            hasher,
            written,
        })
    }

    /// Bytes that are there.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn restart(&mut self) -> Result<(), Error> {
        let emptied = self.file.set_len(0);
        let at_start = emptied.and_then(|()| self.file.seek(SeekFrom::Start(0)));
        at_start.map_err(|source| failed(&self.path, source))?;
        self.hasher = Sha256::new();
        self.written = 0;
        Ok(())
    }

    /// Gives up its place: what it was for is there.
    ///
    /// # Errors
    /// Where the file cannot be deleted.
    pub fn discard(self) -> Result<(), Error> {
        delete(&self.path)
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// Where there is no room on the disk, in which case what is there is thrown away; and where it would become
    /// larger than a component may be.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        if self.written > MAX_COMPONENT_BYTES as u64 {
            self.restart()?;
            return Err(Error::NotAComponent {
                name: self.path.display().to_string(),
                message: too_large(MAX_COMPONENT_BYTES as u64 + 1),
            });
        }
        if let Err(source) = self.file.write_all(bytes) {
            if source.kind() == io::ErrorKind::StorageFull {
                // Somebody else needs the room more than a download that cannot end.
                self.restart()?;
            }
            return Err(failed(&self.path, source));
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Gives the component its name.
    ///
    /// # Errors
    /// Where its digest is not `wanted`, in which case it is thrown away, and where it cannot be written.
    pub fn finish(mut self, wanted: Option<&Digest>) -> Result<Digest, Error> {
        let digest = Digest::from_bytes(self.hasher.clone().finalize().into());
        if let Some(wanted) = wanted.filter(|wanted| **wanted != digest) {
            self.restart()?;
            delete(&self.path)?;
            return Err(Error::Digest {
                wanted: *wanted,
                got: digest,
            });
        }
        self.file
            .sync_data()
            .map_err(|source| failed(&self.path, source))?;
        let target = self.store.path(&digest);
        fs::rename(&self.path, &target).map_err(|source| failed(&target, source))?;
        // The name lasts as well as the bytes.
        let folder = File::open(&self.store.folder).and_then(|folder| folder.sync_all());
        folder.map_err(|source| failed(&self.store.folder, source))?;
        Ok(digest)
    }
}

/// Opens a draft that nobody else has open; none where somebody has.
fn open(path: &Path) -> Result<Option<File>, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).map_err(|source| failed(path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(source)) => return Err(failed(path, source)),
    }
    // Whoever had it may have renamed it meanwhile: then this file has another name.
    let same = || -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let (here, there) = (file.metadata()?, fs::metadata(path)?);
        Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
    };
    Ok(same().unwrap_or(false).then_some(file))
}

fn delete(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Read {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("components"));
        (folder, store)
    }

    #[tokio::test]
    async fn what_is_put_in_is_read_back_and_checked() {
        let (_folder, store) = store();
        let digest = store.put(b"component").await.unwrap();
        assert_eq!(store.read(&digest).unwrap().unwrap(), b"component");
        assert_eq!(store.list().unwrap(), [(digest, 9)]);
        fs::write(store.path(&digest), b"changed").unwrap();
        let error = store.read(&digest).unwrap_err().to_string();
        assert!(error.contains("is not what was fetched"), "{error}");
        store.remove(&digest).unwrap();
        assert_eq!(store.read(&digest).unwrap(), None);
        assert!(store.list().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_download_that_broke_off_goes_on() {
        let (_folder, store) = store();
        let mut draft = store.draft("oci://a").await.unwrap();
        draft.write(b"compo").unwrap();
        drop(draft);
        let mut draft = store.draft("oci://a").await.unwrap();
        assert_eq!(draft.written(), 5);
        draft.write(b"nent").unwrap();
        let wanted = Digest::of(b"component");
        assert_eq!(draft.finish(Some(&wanted)).unwrap(), wanted);
        assert!(store.has(&wanted));
    }

    #[tokio::test]
    async fn other_bytes_than_wanted_leave_nothing() {
        let (_folder, store) = store();
        let mut draft = store.draft("oci://a").await.unwrap();
        draft.write(b"evil").unwrap();
        let error = draft.finish(Some(&Digest::of(b"good"))).unwrap_err();
        assert!(matches!(error, Error::Digest { .. }), "{error}");
        assert!(store.files().unwrap().is_empty());
    }

    #[tokio::test]
    async fn two_that_fetch_the_same_wait_for_one_another() {
        let (_folder, store) = store();
        let mut first = store.draft("oci://a").await.unwrap();
        let second = tokio::spawn({
            let store = store.clone();
            async move { store.draft("oci://a").await.unwrap().written() }
        });
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert!(!second.is_finished());
        first.write(b"all").unwrap();
        first.finish(None).unwrap();
        // It begins anew: the name of the draft is free again.
        assert_eq!(second.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_is_too_large_is_thrown_away() {
        let (_folder, store) = store();
        let mut draft = store.draft("oci://a").await.unwrap();
        let piece = vec![0; MAX_COMPONENT_BYTES / 2];
        draft.write(&piece).unwrap();
        draft.write(&piece).unwrap();
        let error = draft.write(b"x").unwrap_err().to_string();
        assert!(error.contains("at most"), "{error}");
        assert_eq!(draft.written(), 0);
    }

    #[tokio::test]
    async fn leftovers_go_when_they_are_old() {
        let (_folder, store) = store();
        let mut draft = store.draft("oci://a").await.unwrap();
        draft.write(b"half").unwrap();
        drop(draft);
        let now = SystemTime::now();
        assert_eq!(store.remove_leftovers(now).unwrap(), 0);
        assert_eq!(store.remove_leftovers(now + 2 * PARTIAL_AGE).unwrap(), 4);
        assert_eq!(store.files().unwrap().len(), 0);
    }
}
