//! The SDKs and templates that this crate carries; `build.rs` lists them.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::language::Language;

/// Path below the folder, and content.
pub(crate) type File = (&'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// The files of a language's SDK, by path below `sdk/` in the plugin's folder.
pub(crate) fn files(language: Language) -> &'static [File] {
    find(SDKS, language.sdk())
}

/// The files of a new plugin; none where nobody wrote a template.
pub(crate) fn template(language: Language, kind: &str) -> &'static [File] {
    find(TEMPLATES, &format!("{}/{kind}", language.as_str()))
}

fn find(all: &[(&str, &'static [File])], wanted: &str) -> &'static [File] {
    let found = all.iter().find(|(name, _)| *name == wanted);
    found.map_or(&[], |(_, files)| files)
}

/// Writes the SDK of a language into `folder`, in place of what is there.
pub(crate) fn write(folder: &Path, language: Language) -> Result<(), Error> {
    let sdk = folder.join("sdk");
    if sdk.exists() {
        fs::remove_dir_all(&sdk).map_err(Error::file("remove", &sdk))?;
    }
    for (path, content) in files(language) {
        write_file(&sdk.join(path), content)?;
    }
    Ok(())
}

pub(crate) fn write_file(file: &Path, content: &[u8]) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(Error::file("write", folder))?;
    }
    fs::write(file, content).map_err(Error::file("write", file))
}
