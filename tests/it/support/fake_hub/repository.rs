//! A repository: branches, and commits that stay.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::sha256;

/// A file at a commit.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// In the repository itself.
    Regular(Bytes),
    /// Among the large files, by its SHA-256 and size.
    Large { oid: String, size: usize },
}

impl Content {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Regular(bytes) => bytes.len(),
            Self::Large { size, .. } => *size,
        }
    }

    /// What stands in its place in git; the Hub's own are SHA-1.
    pub(super) fn git_oid(&self) -> String {
        let of = match self {
            Self::Regular(bytes) => sha256(bytes),
            Self::Large { oid, .. } => sha256(format!("pointer to {oid}").as_bytes()),
        };
        of[..40].to_owned()
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Commit {
    pub(super) files: BTreeMap<String, Content>,
}

pub(super) struct Repository {
    pub(super) id: String,
    pub(super) is_private: bool,
    branches: BTreeMap<String, String>,
    commits: BTreeMap<String, Commit>,
}

impl Repository {
    /// With an empty first commit.
    pub(super) fn new(id: &str) -> Self {
        let mut made = Self {
            id: id.to_owned(),
            is_private: false,
            branches: BTreeMap::new(),
            commits: BTreeMap::new(),
        };
        made.branches.insert("main".to_owned(), String::new());
        made.commit("main", "initial commit", |_| ());
        made
    }

    pub(super) fn private(self) -> Self {
        Self {
            is_private: true,
            ..self
        }
    }

    /// A commit by its id or by a branch.
    pub(super) fn find(&self, revision: &str) -> Option<(&str, &Commit)> {
        let id = self.branches.get(revision).map_or(revision, |id| id);
        let (id, commit) = self.commits.get_key_value(id)?;
        Some((id, commit))
    }

    pub(super) fn has_branch(&self, name: &str) -> bool {
        self.branches.contains_key(name)
    }

    /// A new commit at the end of a branch that is there.
    pub(super) fn commit(
        &mut self,
        branch: &str,
        title: &str,
        change: impl FnOnce(&mut BTreeMap<String, Content>),
    ) -> String {
        let parent = self.branches[branch].clone();
        let mut files = self.commits.get(&parent).cloned().unwrap_or_default().files;
        change(&mut files);
        let number = self.commits.len();
        let id = sha256(format!("{} {parent} {title} {number}", self.id).as_bytes());
        let id = id[..40].to_owned();
        self.commits.insert(id.clone(), Commit { files });
        self.branches.insert(branch.to_owned(), id.clone());
        id
    }

    /// A file as the repository's `.gitattributes` wants it.
    pub(super) fn content(&self, path: &str, bytes: &[u8]) -> Content {
        match is_large(path, bytes.len()) {
            true => Content::Large {
                oid: sha256(bytes),
                size: bytes.len(),
            },
            false => Content::Regular(Bytes::copy_from_slice(bytes)),
        }
    }
}

/// Bytes from which on a file is large, whatever its name.
const LARGE: usize = 10 << 20;
/// Some of the endings in the `.gitattributes` that each repository begins with.
const ENDINGS: [&str; 4] = [".wasm", ".safetensors", ".parquet", ".zip"];

pub(super) fn is_large(path: &str, size: usize) -> bool {
    size > 0 && (size > LARGE || ENDINGS.iter().any(|ending| path.ends_with(ending)))
}
