//! Files that hold secrets: the user's own, and a folder of ours.

use super::LONGEST;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What others may do with a file or a folder.
const OTHERS: u32 = 0o077;

/// Why a file is not read, and what mends it.
#[derive(Debug)]
pub(crate) struct Unsafe {
    pub(crate) problem: String,
    pub(crate) mend: Option<String>,
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl Unsafe {
    pub(super) fn new(problem: impl Into<String>, mend: impl Into<Option<String>>) -> Self {
        Self {
            problem: problem.into(),
            mend: mend.into(),
        }
    }

    fn too_long(path: &Path, limit: usize) -> Self {
        Self::new(
            format!("{} holds more than {limit} bytes", path.display()),
            None,
        )
    }

    fn io(what: &str, path: &Path, error: impl fmt::Display) -> Self {
        Self::new(format!("cannot {what} {}: {error}", path.display()), None)
    }
}

/// How strict to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The file must be the user's alone.
    Private,
    /// Another program's file, whose mode is that program's business.
    Foreign,
}

/// The one line in a file; `None` where there is no file, or nothing in it.
pub(crate) fn read(path: &Path, trust: Trust) -> Result<Option<Zeroizing<String>>, Unsafe> {
    read_in(rustix::fs::CWD, path, path, trust)
}

/// The text of a file of at most `limit` bytes; `None` where there is no file.
pub(crate) fn read_text(
    path: &Path,
    trust: Trust,
    limit: usize,
) -> Result<Option<Zeroizing<String>>, Unsafe> {
    text_in(rustix::fs::CWD, path, path, trust, limit)
}

/// The one line of `name` below `folder`; `path` is what errors show.
fn read_in(
    folder: impl std::os::fd::AsFd,
    name: &Path,
    path: &Path,
    trust: Trust,
) -> Result<Option<Zeroizing<String>>, Unsafe> {
    // A line end is no part of it.
    let Some(text) = text_in(folder, name, path, trust, LONGEST + 2)? else {
        return Ok(None);
    };
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(Unsafe::too_long(path, LONGEST));
    }
    if text.chars().any(char::is_control) {
        return Err(Unsafe::new(
            format!(
                "{} holds more than one line, or control characters",
                path.display()
            ),
            None,
        ));
    }
    Ok((!text.is_empty()).then(|| Zeroizing::new(text.to_owned())))
}

fn text_in(
    folder: impl std::os::fd::AsFd,
    name: &Path,
    path: &Path,
    trust: Trust,
    limit: usize,
) -> Result<Option<Zeroizing<String>>, Unsafe> {
    // A pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {
            return Err(Unsafe::new(
                format!("{} is a link, which is not followed", path.display()),
                Some(format!(
                    "name the file itself: $(readlink -f {})",
                    quoted(path)
                )),
            ));
        }
        Err(error) => return Err(Unsafe::io("read", path, error)),
    };
    check(&file, path, FileType::RegularFile, trust)?;
    // Room for all of it: a vector that grows leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    let read = File::from(file)
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| Unsafe::io("read", path, error))?;
    if bytes.len() > limit {
        return Err(Unsafe::too_long(path, limit));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Unsafe::new(format!("{} holds no text", path.display()), None))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

fn check(file: &OwnedFd, path: &Path, kind: FileType, trust: Trust) -> Result<(), Unsafe> {
    let stat = fstat(file).map_err(|error| Unsafe::io("look at", path, error))?;
    let shown = path.display();
    if FileType::from_raw_mode(stat.st_mode) != kind {
        let word = if kind == FileType::Directory {
            "folder"
        } else {
            "file"
        };
        return Err(Unsafe::new(format!("{shown} is no {word}"), None));
    }
    let user = rustix::process::geteuid();
    if stat.st_uid != user.as_raw() {
        return Err(Unsafe::new(
            format!("{shown} belongs to another user ({})", stat.st_uid),
            Some(format!("chown {} {}", user.as_raw(), quoted(path))),
        ));
    }
    if trust == Trust::Private && stat.st_mode & OTHERS != 0 {
        let mode = if kind == FileType::Directory {
            700
        } else {
            600
        };
        return Err(Unsafe::new(
            format!(
                "{shown} can be opened by others (mode {:o})",
                stat.st_mode & 0o777
            ),
            Some(format!("chmod {mode} {}", quoted(path))),
        ));
    }
    Ok(())
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',' | '@');
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The folder in which the host keeps what the key store of the system does not: `credentials/NAME`.
pub(crate) struct OwnFolder(PathBuf);

impl OwnFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The file of a credential.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Zeroizing<String>>, Unsafe> {
        match self.open()? {
            Some(folder) => read_in(&folder, Path::new(name), &self.path(name), Trust::Private),
            None => Ok(None),
        }
    }

    /// Written aside and renamed: a crash leaves the old value or the new one.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<(), Unsafe> {
        let path = self.path(name);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0);
        made.map_err(|error| Unsafe::io("make", &self.0, error))?;
        let folder = self.open()?;
        let folder = folder.ok_or_else(|| Unsafe::io("open", &self.0, Errno::NOENT))?;
        let aside = format!(".{name}.{}", std::process::id());
        let write = || {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(openat(&folder, &aside, flags, Mode::RUSR | Mode::WUSR)?);
            file.write_all(value.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            renameat(&folder, &aside, &folder, name)?;
            rustix::fs::fsync(&folder)?;
            Ok(())
        };
        write().map_err(|error: io::Error| {
            // Whatever went wrong before, half a secret is not left lying about.
            let _not_there = unlinkat(&folder, &aside, AtFlags::empty());
            Unsafe::io("write", &path, error)
        })
    }

    /// Whether there was one.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, Unsafe> {
        let Some(folder) = self.open()? else {
            return Ok(false);
        };
        match unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(Unsafe::io("remove", &self.path(name), error)),
        }
    }

    /// Every credential in it.
    pub(crate) fn names(&self) -> Result<Vec<String>, Unsafe> {
        if self.open()?.is_none() {
            return Ok(Vec::new());
        }
        let entries =
            std::fs::read_dir(&self.0).map_err(|error| Unsafe::io("list", &self.0, error))?;
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let names = names.filter(|name| ml_intern_manifest::check_credential_name(name).is_ok());
        Ok(names.collect())
    }

    fn open(&self) -> Result<Option<OwnedFd>, Unsafe> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(rustix::fs::CWD, &self.0, flags, Mode::empty()) {
            Ok(folder) => {
                check(&folder, &self.0, FileType::Directory, Trust::Private)?;
                Ok(Some(folder))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(Unsafe::new(
                format!(
                    "{} is a link or no folder, and is not used",
                    self.0.display()
                ),
                Some(format!("rm {}", quoted(&self.0))),
            )),
            Err(error) => Err(Unsafe::io("open", &self.0, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn folder() -> (tempfile::TempDir, OwnFolder) {
        let root = tempfile::tempdir().unwrap();
        let own = OwnFolder::new(root.path().join("a/credentials"));
        (root, own)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_the_users_alone() {
        let (_root, own) = folder();
        assert!(own.get("hf").unwrap().is_none() && own.names().unwrap().is_empty());
        assert!(!own.remove("hf").unwrap());
        own.set("hf", "one").unwrap();
        own.set("hf", "two").unwrap();
        assert_eq!(own.get("hf").unwrap().unwrap().as_str(), "two");
        assert_eq!((mode(&own.0), mode(&own.path("hf"))), (0o700, 0o600));
        assert_eq!(own.names().unwrap(), ["hf"]);
        assert!(own.remove("hf").unwrap() && !own.remove("hf").unwrap());
        assert_eq!(std::fs::read_dir(&own.0).unwrap().count(), 0);
    }

    #[test]
    fn what_others_can_open_is_refused_with_the_command_that_mends_it() {
        let (_root, own) = folder();
        own.set("hf", "one").unwrap();
        set_permissions(own.path("hf"), Permissions::from_mode(0o640)).unwrap();
        let refused = own.get("hf").unwrap_err();
        assert!(refused.problem.contains("mode 640"), "{refused}");
        assert_eq!(
            refused.mend.unwrap(),
            format!("chmod 600 {}", own.path("hf").display())
        );
        set_permissions(own.path("hf"), Permissions::from_mode(0o600)).unwrap();
        set_permissions(&own.0, Permissions::from_mode(0o755)).unwrap();
        assert!(
            own.get("hf")
                .unwrap_err()
                .mend
                .unwrap()
                .starts_with("chmod 700 ")
        );
        assert!(own.set("hf", "two").is_err());
    }

    #[test]
    fn links_and_what_is_no_file_are_refused() {
        let (root, own) = folder();
        own.set("hf", "one").unwrap();
        symlink(own.path("hf"), own.path("link")).unwrap();
        assert!(own.get("link").unwrap_err().problem.contains("a link"));
        let pipe = root.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(
            read(&pipe, Trust::Private)
                .unwrap_err()
                .problem
                .contains("is no file")
        );
        let moved = root.path().join("moved");
        std::fs::rename(&own.0, &moved).unwrap();
        symlink(&moved, &own.0).unwrap();
        assert!(own.get("hf").is_err() && own.set("hf", "x").is_err());
    }

    #[test]
    fn one_line_is_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("it's");
        let reads = |content: &[u8]| {
            write(&path, content).unwrap();
            set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            read(&path, Trust::Private).map(|text| text.map(|text| text.to_string()))
        };
        assert_eq!(reads(b" abc\r\n").unwrap().as_deref(), Some("abc"));
        assert_eq!(reads(b"\r\n").unwrap(), None);
        assert!(reads(b"a\nb").is_err() && reads(b"a\xff").is_err());
        assert!(
            reads(&vec![b'a'; LONGEST + 1])
                .unwrap_err()
                .problem
                .contains("more than 65536")
        );
        assert_eq!(reads(&vec![b'a'; LONGEST]).unwrap().unwrap().len(), LONGEST);
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let refused = read(&path, Trust::Private).unwrap_err();
        assert!(refused.mend.unwrap().ends_with(r"it'\''s'"));
        assert!(read(&path, Trust::Foreign).is_ok());
    }
}
