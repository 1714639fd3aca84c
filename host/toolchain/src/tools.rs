//! What is installed once for the plugins of a language, such as a Python environment: in the cache
//! folder that the caller names, or in the plugin's `build/`.

use std::fs;
use std::path::{Path, PathBuf};

use ml_intern_manifest::Digest;

use crate::error::Error;
use crate::workshop::Workshop;

/// Hexadecimal digits of a digest that tell one set of tools from another.
const DIGITS: usize = 16;

/// The place of a set of tools.
pub(crate) struct Tools {
    folder: PathBuf,
    part: PathBuf,
}

impl Tools {
    /// The place of the tools `name` that are made of these inputs: what is pinned, and by what it
    /// is installed. Others have another place.
    pub(crate) fn of(workshop: &Workshop<'_>, name: &str, inputs: &[&[u8]]) -> Self {
        let digests: Vec<String> = inputs
            .iter()
            .map(|input| Digest::of(input).to_string())
            .collect();
        let whole = Digest::of(digests.concat().as_bytes()).to_string();
        let key = whole.trim_start_matches("sha256:");
        let key = key.get(..DIGITS).unwrap_or(key);
        let cache = workshop.options.cache.as_deref();
        let folder = cache
            .unwrap_or(&workshop.build)
            .join(format!("{name}-{key}"));
        // Of this process alone: two builds may install the same at once.
        let part = folder.with_extension(format!("{}.part", std::process::id()));
        Self { folder, part }
    }

    /// Where they are, when they are whole.
    pub(crate) fn there(&self) -> Option<&Path> {
        self.folder.is_dir().then_some(self.folder.as_path())
    }

    /// An empty folder to install them in. What it becomes is found under another name, so nothing in
    /// it may know where it is.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn begin(&self) -> Result<&Path, Error> {
        if self.part.exists() {
            fs::remove_dir_all(&self.part).map_err(Error::file("remove", &self.part))?;
        }
        fs::create_dir_all(&self.part).map_err(Error::file("write", &self.part))?;
        Ok(&self.part)
    }

    /// Makes what [`begin`](Self::begin) began the tools, so that an install that broke off is never
    /// taken for a whole one.
    ///
    /// # Errors
    /// The folder cannot be renamed.
    pub(crate) fn finish(&self) -> Result<&Path, Error> {
        match fs::rename(&self.part, &self.folder) {
            Ok(()) => Ok(&self.folder),
            // Another build was faster.
            Err(_) if self.folder.is_dir() => {
                fs::remove_dir_all(&self.part).map_err(Error::file("remove", &self.part))?;
                Ok(&self.folder)
            }
            Err(error) => Err(Error::file("write", &self.folder)(error)),
        }
    }
}

/// The SDK in the plugin's folder.
///
/// # Errors
/// [`Error::Source`] where it is not there, or not of this language: `file` is one of its files.
pub(crate) fn sdk(workshop: &Workshop<'_>, file: &str) -> Result<PathBuf, Error> {
    let folder = workshop.folder.join("sdk");
    if folder.join(file).is_file() {
        return Ok(folder);
    }
    Err(Error::Source {
        folder,
        message: format!(
            "has no {file}; `ml-intern plugin build --renew-sdk` writes the SDK there"
        ),
    })
}

/// Whether the program's `--version` is at least `oldest`: `Python 3.11.7`, `v20.1.0`.
pub(crate) fn at_least(version: &str, oldest: (u32, u32)) -> bool {
    let digits = version.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let mut parts = digits.split('.').map(|part| part.trim().parse().ok());
    let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else {
        return false;
    };
    (major, minor) >= oldest
}

#[cfg(test)]
mod tests {
    use ml_intern_manifest::PluginManifest;

    use super::*;
    use crate::workshop::{Options, Progress};

    const MANIFEST: &str = "[plugin]\nid = \"acme/x\"\nversion = \"0.1.0\"\ndescription = \"x\"\n\
                            license = \"Apache-2.0\"\nabi = \"0.2\"\n";

    #[test]
    fn tools_are_there_when_they_are_whole() {
        let plugin = tempfile::tempdir().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let options = Options {
            cache: Some(cache.path().to_owned()),
            ..Options::default()
        };
        let manifest = PluginManifest::parse("plugin.toml", MANIFEST).unwrap();
        let mut quiet = |_: Progress<'_>| ();
        let workshop = Workshop::new(plugin.path(), &manifest, &options, &mut quiet).unwrap();
        let tools = Tools::of(&workshop, "js", &[b"1", b"2"]);
        assert_eq!(tools.there(), None);
        // An install that broke off leaves its part, and the next one begins anew.
        fs::write(tools.begin().unwrap().join("half"), "").unwrap();
        assert_eq!(tools.there(), None);
        fs::write(tools.begin().unwrap().join("whole"), "").unwrap();
        let folder = tools.finish().unwrap().to_owned();
        assert_eq!(tools.there(), Some(folder.as_path()));
        assert!(folder.starts_with(cache.path()) && folder.join("whole").exists());
        assert!(!folder.join("half").exists());
        // Another build that installed the same at once takes what is there.
        tools.begin().unwrap();
        assert_eq!(tools.finish().unwrap(), folder);
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
        // Other pins are other tools.
        assert_eq!(Tools::of(&workshop, "js", &[b"12"]).there(), None);
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(at_least("Python 3.11.7\n", (3, 10)));
        assert!(at_least("v20.1.0", (20, 0)));
        assert!(!at_least("Python 3.9.2", (3, 10)));
        assert!(!at_least("v18.19.0", (20, 0)));
        assert!(!at_least("", (1, 0)));
        assert!(!at_least("Python", (1, 0)));
    }
}
