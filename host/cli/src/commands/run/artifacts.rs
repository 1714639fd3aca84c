//! What a run left in the workspace.

use crate::adapters::processes::SPILL;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Files that are looked at; a workspace may hold a data set of millions.
const LOOKED_AT: usize = 20_000;
/// Files that are reported.
const REPORTED: usize = 200;
/// Folders that tools fill and nobody reads.
const SKIPPED: [&str; 6] = [
    ".git",
    "__pycache__",
    ".venv",
    "node_modules",
    "target",
    ".ml-intern",
];
/// File systems with coarse times round down.
const SLACK: Duration = Duration::from_millis(20);

/// Files below `workspace` that changed since then, as relative paths, sorted.
pub(crate) fn since(workspace: &Path, then: SystemTime) -> Vec<String> {
    debug_assert!(
        SPILL.starts_with(".ml-intern"),
        "the host's own files are no artifacts"
    );
    let then = then - SLACK;
    let mut found = Vec::new();
    let mut looked = 0;
    let mut folders = vec![workspace.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // What cannot be read is not ours to report.
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            looked += 1;
            if looked > LOOKED_AT || found.len() >= REPORTED {
                found.sort();
                return found;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
            if metadata.is_dir() && !skipped {
                folders.push(entry.path());
            } else if metadata.is_file() && metadata.modified().is_ok_and(|time| time >= then) {
                let path = entry.path();
                let relative = path.strip_prefix(workspace).unwrap_or(&path);
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}
