//! From what the model calls a file to where it is.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// Links followed in one path before it counts as a circle; Linux has the same number.
const MAX_LINKS: usize = 40;

/// The folder that every path is kept in.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    /// The same folder's path on the user's machine, which the model sees in program output.
    real: Option<String>,
}

/// A place in the workspace: no link, no `..`, and below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Relative to the workspace with `/` between names; empty for the workspace itself.
    pub(crate) name: String,
    /// What to open.
    pub(crate) path: PathBuf,
}

impl Workspace {
    pub(crate) fn new(root: impl Into<PathBuf>, real: Option<String>) -> Self {
        let real = real.map(|path| path.trim_end_matches('/').to_owned());
        Self {
            root: root.into(),
            real: real.filter(|path| path.starts_with('/')),
        }
    }

    /// Finds the place that `text` names, following links as long as they stay in the workspace.
    /// It need not exist.
    pub(crate) fn place(&self, text: &str) -> Result<Place, String> {
        if text.trim().is_empty() {
            return Err("no path given".to_owned());
        }
        if text.contains('\0') {
            return Err("the path contains a NUL character".to_owned());
        }
        let relative = self.relative(text).ok_or_else(|| self.outside(text))?;
        let mut ahead: VecDeque<String> = names(relative).map(str::to_owned).collect();
        let mut behind: Vec<String> = Vec::new();
        let mut links = 0;
        let mut missing = false;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                behind.pop().ok_or_else(|| self.outside(text))?;
                continue;
            }
            behind.push(name);
            if missing {
                continue;
            }
            match std::fs::read_link(self.join(&behind)) {
                Ok(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(format!("`{text}`: too many links"));
                    }
                    behind.pop();
                    self.follow(&target, text, &mut behind, &mut ahead)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing = true,
                // What is no link says so in different words on different systems.
                Err(_) => {}
            }
        }
        Ok(Place {
            path: self.join(&behind),
            name: behind.join("/"),
        })
    }

    /// Puts a link's target in front of what is still to be walked.
    fn follow(
        &self,
        target: &Path,
        text: &str,
        behind: &mut Vec<String>,
        ahead: &mut VecDeque<String>,
    ) -> Result<(), String> {
        let target = target.to_str().ok_or_else(|| self.outside(text))?;
        if target.starts_with('/') {
            behind.clear();
        }
        let relative = self.relative(target).ok_or_else(|| {
            format!("`{text}` is a link to `{target}`, which is outside the workspace")
        })?;
        for name in names(relative).rev() {
            ahead.push_front(name.to_owned());
        }
        Ok(())
    }

    /// Strips the workspace from an absolute path; none for one that leads elsewhere.
    fn relative<'a>(&self, text: &'a str) -> Option<&'a str> {
        if !text.starts_with('/') {
            return Some(text);
        }
        let roots = [self.real.as_deref(), Some(crate::MOUNT)];
        roots.into_iter().flatten().find_map(|root| {
            let rest = text.strip_prefix(root)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        })
    }

    fn join(&self, names: &[String]) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(names);
        path
    }

    fn outside(&self, text: &str) -> String {
        let root = self.real.as_deref().unwrap_or(crate::MOUNT);
        format!("`{text}` is outside the workspace `{root}`; only files in it can be reached")
    }
}

/// The names of a path, without empty ones and `.`.
fn names(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn workspace(folder: &tempfile::TempDir) -> Workspace {
        Workspace::new(folder.path(), Some("/home/ada/project/".to_owned()))
    }

    #[test]
    fn spellings_of_one_file_are_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = workspace(&folder);
        for text in [
            "a/b.txt",
            "./a//b.txt",
            "a/../a/./b.txt",
            "/workspace/a/b.txt",
            "/home/ada/project/a/b.txt",
        ] {
            assert_eq!(workspace.place(text).unwrap().name, "a/b.txt", "{text}");
        }
        assert_eq!(workspace.place("/home/ada/project").unwrap().name, "");
        assert_eq!(workspace.place(".").unwrap().path, folder.path());
    }

    #[test]
    fn outside_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = workspace(&folder);
        for text in [
            "..",
            "a/../../b",
            "/etc/passwd",
            "/workspacex/a",
            "/workspace/../etc",
            "/home/ada/project2/a",
            "/",
        ] {
            let error = workspace.place(text).unwrap_err();
            assert!(error.contains("outside the workspace"), "{text}: {error}");
        }
        assert!(workspace.place("a\0b").is_err());
        assert!(workspace.place(" ").is_err());
    }

    #[test]
    fn links_are_followed_inside_only() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = workspace(&folder);
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::fs::write(folder.path().join("real/f"), "x").unwrap();
        symlink("real", folder.path().join("dir")).unwrap();
        symlink("../real/f", folder.path().join("real/again")).unwrap();
        symlink("/home/ada/project/real/f", folder.path().join("absolute")).unwrap();
        symlink("/etc/passwd", folder.path().join("out")).unwrap();
        symlink("../../x", folder.path().join("up")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        for text in ["dir/f", "dir/again", "real/again", "absolute"] {
            assert_eq!(workspace.place(text).unwrap().name, "real/f", "{text}");
        }
        assert_eq!(workspace.place("dir/new/x").unwrap().name, "real/new/x");
        for text in ["out", "up", "loop"] {
            assert!(workspace.place(text).is_err(), "{text}");
        }
    }
}
