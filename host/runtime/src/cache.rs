//! The compile cache. What lies in it is code that this process will run, and an artifact with a
//! flipped byte loads without complaint; so every entry carries an HMAC-SHA-256 under a random key
//! that is kept elsewhere, checked on exactly the bytes that are then used. Folders and files
//! belong to the user alone, and no link is followed. Whatever is wrong with an entry, the answer
//! is to make it anew.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{KeyInit, Mac, SimpleHmac};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use sha2::Sha256;

type Hmac = SimpleHmac<Sha256>;

const TAG: usize = 32;
/// Larger than any artifact of a 64 MiB component that we have seen.
const MAX_ENTRY: u64 = 1 << 30;

/// Keeps entries by folder and name.
pub(crate) struct Cache {
    folder: PathBuf,
    key_file: PathBuf,
    key: OnceLock<Option<[u8; 32]>>,
}

/// Why an entry was not used. Nothing here fails a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("`{path}` {problem}")]
    Unsafe { path: String, problem: &'static str },
    #[error(
        "`{0}` does not carry this host's signature; it was changed or belongs to another installation"
    )]
    Forged(String),
    #[error("the key file cannot be used")]
    NoKey,
}

impl From<rustix::io::Errno> for CacheError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl Cache {
    pub(crate) fn new(folder: PathBuf, key_file: PathBuf) -> Self {
        Self {
            folder,
            key_file,
            key: OnceLock::new(),
        }
    }

    /// The authenticated body of an entry; none when there is no entry.
    pub(crate) fn read(&self, folders: &[&str], name: &str) -> Result<Option<Entry>, CacheError> {
        let path = describe(folders, name);
        let folder = match self.open_folder(folders, false) {
            Err(CacheError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            other => other?,
        };
        // Not to block on a FIFO that somebody put there.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => File::from(other?),
        };
        let size = check_own(&file, FileType::RegularFile, &path)?;
        if size > MAX_ENTRY || size < TAG as u64 {
            return Err(CacheError::Unsafe {
                path,
                problem: "has an impossible size",
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        file.take(MAX_ENTRY).read_to_end(&mut bytes)?;
        let entry = Entry(bytes);
        let (tag, body) = entry
            .0
            .split_at_checked(TAG)
            .ok_or_else(|| CacheError::Forged(path.clone()))?;
        self.mac(folders, name, body)?
            .verify_slice(tag)
            .map_err(|_| CacheError::Forged(path))?;
        Ok(Some(entry))
    }

    /// Whether there is an entry, be it good or not.
    pub(crate) fn has(&self, folders: &[&str], name: &str) -> bool {
        let folder = self.folder.join(folders.iter().collect::<PathBuf>());
        folder.join(name).is_file()
    }

    /// Stores an entry, whole or not at all.
    pub(crate) fn write(
        &self,
        folders: &[&str],
        name: &str,
        body: &[u8],
    ) -> Result<(), CacheError> {
        let tag = self.mac(folders, name, body)?.finalize().into_bytes();
        let folder = self.open_folder(folders, true)?;
        let temporary = temporary_name(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(
            &folder,
            &temporary,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?);
        // Not synced: an entry torn by a crash fails its signature and is made anew.
        let written = file
            .write_all(&tag)
            .and_then(|()| file.write_all(body))
            .and_then(|()| Ok(rustix::fs::renameat(&folder, &temporary, &folder, name)?));
        if let Err(error) = written {
            // The error to report is the first one.
            rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty()).ok();
            return Err(error.into());
        }
        Ok(())
    }

    /// The signature covers the place as well, so that no entry stands in for another.
    fn mac(&self, folders: &[&str], name: &str, body: &[u8]) -> Result<Hmac, CacheError> {
        let key = self
            .key
            .get_or_init(|| read_or_make_key(&self.key_file).ok())
            .ok_or(CacheError::NoKey)?;
        let mut mac = Hmac::new_from_slice(&key).map_err(|_| CacheError::NoKey)?;
        for part in folders.iter().chain([&name]) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(body);
        Ok(mac)
    }

    fn open_folder(&self, folders: &[&str], make: bool) -> Result<OwnedFd, CacheError> {
        if make {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut open = rustix::fs::openat(CWD, &self.folder, flags, Mode::empty())?;
        check_own(
            &open,
            FileType::Directory,
            &self.folder.display().to_string(),
        )?;
        for folder in folders {
            if make {
                match rustix::fs::mkdirat(&open, *folder, Mode::RWXU) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            open = rustix::fs::openat(&open, *folder, flags, Mode::empty())?;
            check_own(&open, FileType::Directory, folder)?;
        }
        Ok(open)
    }
}

/// An authenticated entry.
pub(crate) struct Entry(Vec<u8>);

impl Entry {
    pub(crate) fn body(&self) -> &[u8] {
        self.0.get(TAG..).unwrap_or_default()
    }
}

fn describe(folders: &[&str], name: &str) -> String {
    folders
        .iter()
        .chain([&name])
        .copied()
        .collect::<Vec<_>>()
        .join("/")
}

fn temporary_name(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(
        ".{name}.{}.{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Ours, of this type, and for nobody else. Returns the size in bytes.
fn check_own(file: &impl std::os::fd::AsFd, kind: FileType, path: &str) -> Result<u64, CacheError> {
    let found = rustix::fs::fstat(file)?;
    let wrong = |problem| {
        Err(CacheError::Unsafe {
            path: path.to_owned(),
            problem,
        })
    };
    if FileType::from_raw_mode(found.st_mode) != kind {
        return wrong("is not of the expected type");
    }
    if found.st_uid != rustix::process::geteuid().as_raw() {
        return wrong("belongs to another user");
    }
    if found.st_mode & 0o077 != 0 {
        return wrong("is open to other users; remove it, or `chmod go-rwx` it");
    }
    Ok(u64::try_from(found.st_size).unwrap_or(0))
}

fn read_or_make_key(path: &Path) -> Result<[u8; 32], CacheError> {
    match read_key(path) {
        Err(CacheError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let folder = path.parent().ok_or(CacheError::NoKey)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut key = [0; 32];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut key)
        .map_err(|_| CacheError::NoKey)?;
    let temporary = folder.join(temporary_name("key"));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(
        CWD,
        &temporary,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?);
    // A link fails where a rename would replace: of two processes at once, both use the first key.
    let made = file
        .write_all(&key)
        .and_then(|()| file.sync_all())
        .and_then(|()| match rustix::fs::link(&temporary, path) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        });
    // A name left behind does no harm.
    rustix::fs::unlink(&temporary).ok();
    made?;
    read_key(path)
}

fn read_key(path: &Path) -> Result<[u8; 32], CacheError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    check_own(&file, FileType::RegularFile, &path.display().to_string())?;
    let mut key = [0; 32];
    file.read_exact(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Place {
        root: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                root: tempfile::tempdir().unwrap(),
            }
        }

        fn cache(&self) -> Cache {
            Cache::new(
                self.root.path().join("cache"),
                self.root.path().join("state/key"),
            )
        }

        fn entry(&self) -> PathBuf {
            self.root.path().join("cache/aot/one")
        }
    }

    #[test]
    fn an_entry_reads_back_in_another_process_and_is_private() {
        let place = Place::new();
        assert!(place.cache().read(&["aot"], "one").unwrap().is_none());
        place.cache().write(&["aot"], "one", b"code").unwrap();
        assert_eq!(
            place.cache().read(&["aot"], "one").unwrap().unwrap().body(),
            b"code"
        );
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place.entry()), 0o600);
        assert_eq!(mode(&place.root.path().join("cache/aot")), 0o700);
        assert_eq!(mode(&place.root.path().join("state/key")), 0o600);
        assert_eq!(
            std::fs::read_dir(place.root.path().join("cache/aot"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn case_66_any_flipped_byte_truncation_or_other_key_is_refused() {
        let place = Place::new();
        place.cache().write(&["aot"], "one", b"code").unwrap();
        let good = std::fs::read(place.entry()).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(place.entry(), bad).unwrap();
            assert!(
                matches!(
                    place.cache().read(&["aot"], "one"),
                    Err(CacheError::Forged(_))
                ),
                "byte {at}"
            );
        }
        for length in [0, 31, 32, good.len() - 1] {
            std::fs::write(place.entry(), &good[..length]).unwrap();
            assert!(
                place.cache().read(&["aot"], "one").is_err(),
                "length {length}"
            );
        }
        std::fs::write(place.entry(), &good).unwrap();
        assert!(place.cache().read(&["aot"], "one").is_ok());
        std::fs::write(place.root.path().join("state/key"), [7; 32]).unwrap();
        assert!(matches!(
            place.cache().read(&["aot"], "one"),
            Err(CacheError::Forged(_))
        ));
    }

    #[test]
    fn case_66_entries_do_not_stand_in_for_one_another() {
        let place = Place::new();
        place.cache().write(&["aot"], "one", b"code").unwrap();
        place.cache().write(&["aot"], "two", b"other").unwrap();
        place.cache().write(&["describe"], "one", b"text").unwrap();
        std::fs::copy(place.root.path().join("cache/aot/two"), place.entry()).unwrap();
        assert!(matches!(
            place.cache().read(&["aot"], "one"),
            Err(CacheError::Forged(_))
        ));
        std::fs::copy(place.root.path().join("cache/describe/one"), place.entry()).unwrap();
        assert!(matches!(
            place.cache().read(&["aot"], "one"),
            Err(CacheError::Forged(_))
        ));
    }

    #[test]
    fn case_66_an_entry_that_is_replaced_after_the_check_is_not_what_is_used() {
        let place = Place::new();
        place.cache().write(&["aot"], "one", b"code").unwrap();
        let checked = place.cache().read(&["aot"], "one").unwrap().unwrap();
        let evil = place.root.path().join("evil");
        std::fs::write(&evil, [b'x'; 36]).unwrap();
        std::fs::write(place.entry(), [b'x'; 36]).unwrap();
        std::fs::rename(&evil, place.entry()).unwrap();
        // What was checked lies in memory of this process; the file is not looked at again.
        assert_eq!(checked.body(), b"code");
        assert!(place.cache().read(&["aot"], "one").is_err());
    }

    #[test]
    fn case_66_links_fifos_and_open_permissions_are_refused() {
        let place = Place::new();
        place.cache().write(&["aot"], "one", b"code").unwrap();
        let moved = place.root.path().join("moved");
        std::fs::rename(place.entry(), &moved).unwrap();
        std::os::unix::fs::symlink(&moved, place.entry()).unwrap();
        assert!(place.cache().read(&["aot"], "one").is_err());
        std::fs::remove_file(place.entry()).unwrap();
        std::fs::rename(&moved, place.entry()).unwrap();
        for (path, mode) in [
            ("cache/aot/one", 0o644),
            ("cache/aot", 0o755),
            ("cache", 0o777),
        ] {
            let path = place.root.path().join(path);
            let before = std::fs::metadata(&path).unwrap().permissions();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(
                    place.cache().read(&["aot"], "one"),
                    Err(CacheError::Unsafe { .. })
                ),
                "{path:?}"
            );
            std::fs::set_permissions(&path, before).unwrap();
        }
        std::fs::remove_file(place.entry()).unwrap();
        let fifo = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, place.entry(), FileType::Fifo, fifo, 0).unwrap();
        assert!(matches!(
            place.cache().read(&["aot"], "one"),
            Err(CacheError::Unsafe { .. })
        ));
        let aot = place.root.path().join("cache/aot");
        let away = place.root.path().join("away");
        std::fs::rename(&aot, &away).unwrap();
        std::os::unix::fs::symlink(&away, &aot).unwrap();
        assert!(place.cache().write(&["aot"], "one", b"code").is_err());
    }

    #[test]
    fn processes_at_once_agree_on_one_key_and_leave_whole_entries() {
        let place = Place::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| place.cache().write(&["aot"], "one", &[7; 100_000]).unwrap());
            }
        });
        assert_eq!(
            place.cache().read(&["aot"], "one").unwrap().unwrap().body(),
            [7; 100_000]
        );
        assert_eq!(
            std::fs::read_dir(place.root.path().join("cache/aot"))
                .unwrap()
                .count(),
            1
        );
        assert_eq!(
            std::fs::read_dir(place.root.path().join("state"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn a_cache_that_cannot_be_written_says_so() {
        let place = Place::new();
        std::fs::write(place.root.path().join("cache"), "a file").unwrap();
        assert!(place.cache().write(&["aot"], "one", b"code").is_err());
        assert!(place.cache().read(&["aot"], "one").is_err());
    }
}
