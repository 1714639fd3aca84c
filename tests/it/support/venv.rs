//! The Python environments that scripts make once below the target directory.

use std::path::PathBuf;

/// The interpreter of the environment `name`, which the script of this name makes.
pub(crate) fn python(name: &str, script: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let mut candidates = test
        .ancestors()
        .map(|dir| dir.join(name).join("bin/python"));
    candidates
        .find(|python| python.is_file())
        .unwrap_or_else(|| panic!("there is no {name} in the target directory: run {script}"))
}
