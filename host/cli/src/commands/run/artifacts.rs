//! What a run left in the workspace.

use crate::adapters::processes::SPILL;
use std::fs::File;
use std::path::{Path, PathBuf};
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
    // What cannot be read is not ours to report.
    let Ok(root) = File::open(workspace) else {
        return found;
    };
    let mut folders = vec![PathBuf::from(".")];
    while let Some(folder) = folders.pop() {
        // Whoever puts a link in the place of a folder meanwhile is not followed out of the workspace.
        let Ok(entries) = cap_primitives::fs::read_dir(&root, &folder) else {
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
            let changed = |time: cap_primitives::time::SystemTime| time.into_std() >= then;
            let name = entry.file_name();
            let skipped = SKIPPED.iter().any(|own| name == *own);
            let path = folder.join(name);
            if metadata.is_dir() && !skipped {
                folders.push(path);
            } else if metadata.is_file() && metadata.modified().is_ok_and(changed) {
                let below = path.strip_prefix(".").unwrap_or(&path);
                found.push(below.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_links_lead_to_is_not_reported() {
        let root = tempfile::tempdir().unwrap();
        let (workspace, outside) = (root.path().join("workspace"), root.path().join("outside"));
        std::fs::create_dir_all(workspace.join("sub")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret.txt"), "x").unwrap();
        symlink(&outside, workspace.join("link")).unwrap();
        symlink(outside.join("secret.txt"), workspace.join("link.txt")).unwrap();
        std::fs::write(workspace.join("sub/made.txt"), "x").unwrap();
        std::fs::create_dir(workspace.join(".git")).unwrap();
        std::fs::write(workspace.join(".git/index"), "x").unwrap();
        assert_eq!(
            since(&workspace, SystemTime::UNIX_EPOCH + SLACK),
            ["sub/made.txt"]
        );
        assert!(since(&workspace, SystemTime::now() + Duration::from_secs(60)).is_empty());
    }
}
