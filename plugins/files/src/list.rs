//! `list`: the files of a folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::path::Workspace;
use crate::store;
use crate::text::MAX_OUTPUT;

pub(crate) const MAX_ENTRIES: usize = 1000;
pub(crate) const MAX_DEPTH: usize = 20;
/// What version control keeps for itself is rarely meant.
pub(crate) const SKIPPED: &str = ".git";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    path: Option<String>,
    depth: Option<usize>,
    #[serde(default)]
    git: bool,
}

pub(crate) fn run(workspace: &Workspace, call: &List) -> Result<String, Failure> {
    let asked = call.path.as_deref().unwrap_or(".");
    let place = workspace.place(asked)?;
    let metadata = fs::metadata(&place.path)
        .map_err(|error| format!("cannot list `{asked}`: {}", store::reason(&error)))?;
    if !metadata.is_dir() {
        let size = metadata.len();
        return Err(
            format!("`{asked}` is a file of {size} bytes, not a folder; use `read`").into(),
        );
    }
    let mut listing = Listing {
        text: String::new(),
        entries: 0,
        full: false,
        git: call.git,
    };
    let depth = call.depth.unwrap_or(1).clamp(1, MAX_DEPTH);
    listing
        .folder(&place.path, "", depth)
        .map_err(|error| format!("cannot list `{asked}`: {}", store::reason(&error)))?;
    Ok(listing.finish())
}

struct Listing {
    text: String,
    entries: usize,
    full: bool,
    git: bool,
}

impl Listing {
    fn folder(&mut self, path: &Path, prefix: &str, depth: usize) -> std::io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if self.git || name != SKIPPED {
                entries.push((name, entry.file_type()?));
            }
        }
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (name, kind) in entries {
            if self.full {
                return Ok(());
            }
            let below = path.join(&name);
            let shown = format!("{prefix}{name}");
            if kind.is_dir() {
                self.line(None, &format!("{shown}/"));
                if depth > 1
                    && let Err(error) = self.folder(&below, &format!("{shown}/"), depth - 1)
                {
                    self.line(None, &format!("{shown}/ ({})", store::reason(&error)));
                }
            } else if kind.is_symlink() {
                let target = fs::read_link(&below);
                let target = target.map(|target| target.to_string_lossy().into_owned());
                self.line(
                    None,
                    &format!("{shown} -> {}", target.as_deref().unwrap_or("?")),
                );
            } else {
                // A file may vanish between the listing and the look at it.
                self.line(fs::metadata(&below).ok().map(|found| found.len()), &shown);
            }
        }
        Ok(())
    }

    fn line(&mut self, size: Option<u64>, name: &str) {
        if self.entries == MAX_ENTRIES || self.text.len() + name.len() + 16 > MAX_OUTPUT {
            self.full = true;
            return;
        }
        self.entries += 1;
        // A newline in a name would read as another entry.
        let name = name.replace(['\n', '\r'], "\u{fffd}");
        match size {
            Some(size) => writeln!(self.text, "{size:>12}  {name}"),
            None => writeln!(self.text, "{:>12}  {name}", "-"),
        }
        .expect("writing to a string");
    }

    fn finish(mut self) -> String {
        if self.text.is_empty() {
            return "(the folder is empty)".to_owned();
        }
        if self.full {
            let shown = self.entries;
            write!(
                self.text,
                "\n[only the first {shown} entries; list a folder below, a smaller depth, or use `search`]"
            )
            .expect("writing to a string");
        } else {
            self.text.truncate(self.text.trim_end().len());
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(folder: &Path, raw: &str) -> Result<String, Failure> {
        run(
            &Workspace::new(folder, None),
            &serde_json::from_str(raw).unwrap(),
        )
    }

    fn sample() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src/deep")).unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        fs::write(folder.path().join(".git/HEAD"), "x").unwrap();
        fs::write(folder.path().join("src/main.py"), "12345").unwrap();
        fs::write(folder.path().join("README.md"), "1").unwrap();
        std::os::unix::fs::symlink("README.md", folder.path().join("link")).unwrap();
        folder
    }

    #[test]
    fn names_kinds_and_sizes_in_order() {
        let folder = sample();
        let text = list(folder.path(), "{}").unwrap();
        let expected =
            "           1  README.md\n           -  link -> README.md\n           -  src/";
        assert_eq!(text, expected);
        let text = list(folder.path(), r#"{"depth":3}"#).unwrap();
        assert!(
            text.ends_with("-  src/\n           -  src/deep/\n           5  src/main.py"),
            "{text}"
        );
        let text = list(folder.path(), r#"{"git":true,"depth":2}"#).unwrap();
        assert!(text.contains(".git/HEAD"), "{text}");
        assert_eq!(
            list(folder.path(), r#"{"path":"src/deep"}"#).unwrap(),
            "(the folder is empty)"
        );
    }

    #[test]
    fn is_bounded_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=MAX_ENTRIES {
            fs::write(folder.path().join(format!("f{number:04}")), "").unwrap();
        }
        let text = list(folder.path(), "{}").unwrap();
        assert!(text.ends_with("or use `search`]"), "{text}");
        assert!(!text.contains("f1000"));
        assert!(text.len() < MAX_OUTPUT + 200);
    }

    #[test]
    fn what_is_no_folder_is_explained() {
        let folder = sample();
        for (raw, part) in [
            (r#"{"path":"README.md"}"#, "is a file of 1 bytes"),
            (r#"{"path":"none"}"#, "not found"),
            (r#"{"path":"../x"}"#, "outside"),
        ] {
            let Err(Failure::Tool(text)) = list(folder.path(), raw) else {
                panic!("{raw}");
            };
            assert!(text.contains(part), "{text}");
        }
    }
}
