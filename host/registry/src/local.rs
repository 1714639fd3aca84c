//! Reading a plugin from a file or folder of the user's, through a size cap.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::inspect::{MAX_COMPONENT_BYTES, Policy, too_large};

/// Far more than any manifest; what is longer is some other file.
const MAX_MANIFEST_BYTES: usize = 256 * 1024;
/// Far more than any list of permissions.
const MAX_POLICY_BYTES: usize = 64 * 1024;

/// Where `cargo build --release --target wasm32-wasip2` leaves a component.
const CARGO_OUTPUT: &str = "target/wasm32-wasip2/release";
/// Where `ml-intern plugin build` leaves a component.
const BUILD_OUTPUT: &str = "build";

/// A component's bytes and the `plugin.toml` that belongs to it, if there is one.
pub(crate) struct Files {
    /// The component's own path.
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) manifest: Option<String>,
    /// Whether the source is a folder, whose `plugin.toml` is what the component is built from.
    pub(crate) is_folder: bool,
}

/// The component of a source: the file itself, or the one that a plugin's folder holds.
///
/// # Errors
/// Where a folder holds none, or several.
pub fn component_file(path: &Path) -> Result<PathBuf, Error> {
    match path.is_dir() {
        true => component_in(path),
        false => Ok(path.to_owned()),
    }
}

/// Reads a `.wasm` file, or a folder that holds `plugin.toml` and one component.
pub(crate) fn read(path: &Path) -> Result<Files, Error> {
    let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
    let (component, folder) = if metadata.is_dir() {
        (component_in(path)?, path)
    } else {
        (path.to_owned(), path.parent().unwrap_or(Path::new(".")))
    };
    let manifest_path = folder.join("plugin.toml");
    let manifest = match read_up_to(&manifest_path, MAX_MANIFEST_BYTES) {
        Err(Error::NotFound { .. }) => None,
        other => Some(text(&manifest_path, other?)?),
    };
    if metadata.is_dir() && manifest.is_none() {
        return Err(Error::Manifest {
            name: path.display().to_string(),
            message: "holds no `plugin.toml`; write one, or name the `.wasm` file itself"
                .to_owned(),
        });
    }
    let bytes = read_up_to(&component, MAX_COMPONENT_BYTES)?;
    Ok(Files {
        path: component,
        bytes,
        manifest,
        is_folder: metadata.is_dir(),
    })
}

/// The `policy.yaml` that belongs to a component: `NAME.policy.yaml`, else `policy.yaml`, both
/// beside it. Read only where it counts.
pub(crate) fn policy(component: &Path) -> Result<Policy, Error> {
    let named = component.with_extension("policy.yaml");
    for path in [named, component.with_file_name("policy.yaml")] {
        match read_up_to(&path, MAX_POLICY_BYTES) {
            Err(Error::NotFound { .. }) => {}
            other => return Ok(Some((path.display().to_string(), text(&path, other?)?))),
        }
    }
    Ok(None)
}

/// The one component of a plugin's folder: in it, else where our build or cargo leaves it.
fn component_in(folder: &Path) -> Result<PathBuf, Error> {
    let places = ["", BUILD_OUTPUT, CARGO_OUTPUT].map(|place| folder.join(place));
    for place in places {
        let mut found = components(&place)?;
        found.sort();
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            count => {
                let names: Vec<String> = found
                    .iter()
                    .take(8)
                    .filter_map(|path| path.file_name())
                    .map(|name| name.display().to_string())
                    .collect();
                return Err(Error::NotFound {
                    name: place.display().to_string(),
                    message: format!(
                        "holds {count} `.wasm` files ({}); name the one to load",
                        names.join(", ")
                    ),
                });
            }
        }
    }
    Err(Error::NotFound {
        name: folder.display().to_string(),
        message: format!(
            "holds no `.wasm` file, nor does its {BUILD_OUTPUT} or {CARGO_OUTPUT}; build it, for example with `ml-intern plugin build`"
        ),
    })
}

/// The `.wasm` files right in `folder`; none when there is no such folder.
fn components(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| failed(folder, source))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| failed(folder, source))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && path.is_file()
        {
            found.push(path);
        }
    }
    Ok(found)
}

fn read_up_to(path: &Path, max: usize) -> Result<Vec<u8>, Error> {
    // Asked before opening: opening a FIFO would wait for a writer.
    let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
    if !metadata.is_file() {
        return Err(Error::NotAComponent {
            name: path.display().to_string(),
            message: "is not a regular file; name a file".to_owned(),
        });
    }
    let limit = max as u64;
    let too_large = |size: u64| Error::NotAComponent {
        name: path.display().to_string(),
        message: if max == MAX_COMPONENT_BYTES {
            too_large(size)
        } else {
            format!("has {size} bytes; at most {max} are read")
        },
    };
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let file = File::open(path).map_err(|source| failed(path, source))?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // One byte more than allowed tells a file that grew since.
    let read = file
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| failed(path, source))?;
    if read > max {
        Err(too_large(read as u64))
    } else {
        Ok(bytes)
    }
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| Error::Manifest {
        name: path.display().to_string(),
        message: format!(
            "is not UTF-8 from its byte {} on; save it as UTF-8",
            error.utf8_error().valid_up_to()
        ),
    })
}

fn failed(path: &Path, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::NotFound {
        return Error::NotFound {
            name: path.display().to_string(),
            message: "does not exist; check the path".to_owned(),
        };
    }
    Error::Read {
        path: path.to_owned(),
        source,
    }
}
