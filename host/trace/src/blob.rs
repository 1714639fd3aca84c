//! Large texts live beside the log, named by their SHA-256, so that a line stays readable.

use crate::error::TraceError;
use aho_corasick::AhoCorasick;
use rustix::fs::OFlags;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::LazyLock;

/// A string longer than this many bytes becomes a blob.
pub(crate) const INLINE_BYTES: usize = 64 * 1024;
/// Far above the largest result of a tool.
const MAX_BYTES: u64 = 1 << 30;
/// What a reference to a blob has, and what a line without one need not be searched for.
pub(crate) const KEY: &str = "$blob";
/// Holds an object that would be taken for a blob.
const LITERAL: &str = "$literal";

/// Moves every long string of `value` into `folder`.
pub(crate) fn store(folder: &Path, value: &mut Value) -> Result<(), TraceError> {
    match value {
        Value::String(text) if text.len() > INLINE_BYTES => {
            let name = write(folder, text)?;
            *value = json!({ KEY: name, "bytes": text.len() });
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| store(folder, item))?,
        // A tool's own object that looks like ours is marked, so that it names no file later.
        Value::Object(fields) if name(fields).is_some() => {
            *value = json!({ LITERAL: value.take() });
        }
        Value::Object(fields) => fields
            .values_mut()
            .try_for_each(|field| store(folder, field))?,
        _ => {}
    }
    Ok(())
}

/// Whether a line may name a blob: [`load`] changes no other.
pub(crate) fn may_be_in(line: &[u8]) -> bool {
    static FINDER: LazyLock<AhoCorasick> =
        LazyLock::new(|| AhoCorasick::new([KEY]).expect("one constant word"));
    FINDER.is_match(line)
}

/// Puts the strings back; empty ones where no folder is given.
pub(crate) fn load(folder: Option<&Path>, value: &mut Value) -> Result<(), TraceError> {
    match value {
        Value::Object(fields) => match name(fields) {
            Some(name) => {
                let text = folder.map(|folder| {
                    let path = folder.join(name);
                    read(&path, name).map_err(TraceError::io(&path))
                });
                *value = Value::String(text.transpose()?.unwrap_or_default());
            }
            None => match literal(fields) {
                Some(object) => *value = object,
                None => fields
                    .values_mut()
                    .try_for_each(|field| load(folder, field))?,
            },
        },
        Value::Array(items) => items.iter_mut().try_for_each(|item| load(folder, item))?,
        _ => {}
    }
    Ok(())
}

/// A blob is what its name says, or it is not read: it goes to a model as a tool's result.
fn read(path: &Path, name: &str) -> io::Result<String> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::Error::other("it is no file of this log"));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    if digest(text.as_bytes()) != name {
        return Err(io::Error::other("its content is not what its name says"));
    }
    Ok(text)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut name = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _infallible = write!(name, "{byte:02x}");
    }
    name
}

/// Only what [`store`] writes: an object of a tool's own that happens to look alike must not name a file.
fn name(fields: &Map<String, Value>) -> Option<&str> {
    let name = fields.get(KEY)?.as_str()?;
    let ours = fields.len() == 2
        && fields.contains_key("bytes")
        && name.len() == 64
        && name.bytes().all(|b| b.is_ascii_hexdigit());
    ours.then_some(name)
}

fn literal(fields: &Map<String, Value>) -> Option<Value> {
    let object = fields.get(LITERAL).filter(|_| fields.len() == 1)?;
    let marked = object
        .as_object()
        .is_some_and(|object| name(object).is_some());
    marked.then(|| object.clone())
}

fn write(folder: &Path, text: &str) -> Result<String, TraceError> {
    let name = digest(text.as_bytes());
    let path = folder.join(&name);
    if read(&path, &name).is_ok() {
        return Ok(name);
    }
    std::fs::create_dir_all(folder).map_err(TraceError::io(folder))?;
    // Written aside and renamed: a crash leaves no half blob under a whole blob's name.
    let temporary = folder.join(format!("{name}.{}.tmp", std::process::id()));
    let write = || {
        // What a process of the same number left behind, whatever it is now.
        std::fs::remove_file(&temporary).or_else(missing_is_fine)?;
        let mut file = File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&temporary, &path)
    };
    write().map_err(TraceError::io(&path))?;
    Ok(name)
}

/// Copies a blob to a new file, if it is one.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), TraceError> {
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let copy = || {
        let text = read(from, &name)?;
        let mut file = File::create_new(to)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    copy().map_err(TraceError::io(from))
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}
