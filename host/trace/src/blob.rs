//! Large texts live beside the log, named by their SHA-256, so that a line stays readable.

use crate::error::TraceError;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// A string longer than this many bytes becomes a blob.
pub(crate) const INLINE_BYTES: usize = 64 * 1024;
const KEY: &str = "$blob";

/// Moves every long string of `value` into `folder`.
pub(crate) fn store(folder: &Path, value: &mut Value) -> Result<(), TraceError> {
    match value {
        Value::String(text) if text.len() > INLINE_BYTES => {
            let name = write(folder, text)?;
            *value = json!({ KEY: name, "bytes": text.len() });
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| store(folder, item))?,
        Value::Object(fields) => fields
            .values_mut()
            .try_for_each(|field| store(folder, field))?,
        _ => {}
    }
    Ok(())
}

/// Puts the strings back.
pub(crate) fn load(folder: &Path, value: &mut Value) -> Result<(), TraceError> {
    match value {
        Value::Object(fields) => match name(fields) {
            Some(name) => {
                let path = folder.join(name);
                *value =
                    Value::String(std::fs::read_to_string(&path).map_err(TraceError::io(path))?);
            }
            None => fields
                .values_mut()
                .try_for_each(|field| load(folder, field))?,
        },
        Value::Array(items) => items.iter_mut().try_for_each(|item| load(folder, item))?,
        _ => {}
    }
    Ok(())
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

fn write(folder: &Path, text: &str) -> Result<String, TraceError> {
    let mut name = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _infallible = write!(name, "{byte:02x}");
    }
    let path = folder.join(&name);
    if path.exists() {
        return Ok(name);
    }
    std::fs::create_dir_all(folder).map_err(TraceError::io(folder))?;
    // Written aside and renamed: a crash leaves no half blob under a whole blob's name.
    let temporary = folder.join(format!("{name}.{}.tmp", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&temporary, &path)
    };
    write().map_err(TraceError::io(&path))?;
    Ok(name)
}
