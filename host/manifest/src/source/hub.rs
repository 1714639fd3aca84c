//! A file of a repository on the Hugging Face Hub.

use std::fmt;

/// `ORG/REPO/PATH` at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRef {
    /// What kind of repository.
    pub repo: HubRepo,
    /// Its owner: a user or an organisation.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// A branch, tag or commit; none = the main branch.
    pub revision: Option<String>,
    /// The file in it.
    pub path: String,
}

/// What a repository of the Hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubRepo {
    /// Models: the kind without a prefix.
    Model,
    /// `datasets/`.
    Dataset,
    /// `spaces/`.
    Space,
}

impl HubRepo {
    /// What comes before the owner, as on the Hub's own pages.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
            Self::Space => "spaces/",
        }
    }
}

impl HubRef {
    /// The revision that is asked for.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// Reads what follows `hf://`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "write `hf://ORG/REPO/PATH`, with `@REVISION` after the repository where it is not the main branch";
        let (repo, rest) = [HubRepo::Dataset, HubRepo::Space]
            .into_iter()
            .find_map(|repo| Some((repo, text.strip_prefix(repo.prefix())?)))
            .unwrap_or((HubRepo::Model, text));
        let (owner, rest) = rest.split_once('/').ok_or(SHAPE)?;
        let (name, revision, path) = match rest.split_once('@') {
            // An `@` of the path stands after its slash.
            Some((name, rest)) if !name.contains('/') => {
                let (revision, path) = revision_of(rest).ok_or(SHAPE)?;
                (name, Some(revision.to_owned()), path)
            }
            _ => {
                let (name, path) = rest.split_once('/').ok_or(SHAPE)?;
                (name, None, path)
            }
        };
        let revision_is_good = revision
            .as_deref()
            .is_none_or(|revision| revision.split('/').all(is_plain));
        if !is_plain(owner) || !is_plain(name) || !revision_is_good {
            return Err(format!(
                "owner, repository and revision are letters, digits, `.`, `_` and `-`; {SHAPE}"
            ));
        }
        if path.len() > 1024 || !path.split('/').all(is_file) {
            return Err(format!("the path names a file of the repository; {SHAPE}"));
        }
        Ok(Self {
            repo,
            owner: owner.to_owned(),
            name: name.to_owned(),
            revision,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for HubRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf://{}{}/{}", self.repo.prefix(), self.owner, self.name)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        write!(f, "/{}", self.path)
    }
}

/// A revision and the path after it. Those of pull requests and conversions have three parts.
fn revision_of(text: &str) -> Option<(&str, &str)> {
    let parts = match text.starts_with("refs/pr/") || text.starts_with("refs/convert/") {
        true => 3,
        false => 1,
    };
    let (end, _) = text.match_indices('/').nth(parts - 1)?;
    Some((&text[..end], &text[end + 1..]))
}

fn is_plain(text: &str) -> bool {
    (1..=96).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !matches!(text, "." | "..")
}

fn is_file(text: &str) -> bool {
    !text.is_empty() && !matches!(text, "." | "..") && !text.contains(['\\', '?', '#', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_file_are_told_apart() {
        let file = HubRef::parse("acme/plugins@refs/pr/3/dir/a@2.wasm").unwrap();
        assert_eq!(
            (file.owner.as_str(), file.name.as_str()),
            ("acme", "plugins")
        );
        assert_eq!(
            (file.revision(), file.path.as_str()),
            ("refs/pr/3", "dir/a@2.wasm")
        );
        let plain = HubRef::parse("acme/plugins/a@2.wasm").unwrap();
        assert_eq!(
            (plain.revision(), plain.path.as_str()),
            ("main", "a@2.wasm")
        );
        assert_eq!(
            HubRef::parse("spaces/a/b/c.wasm").unwrap().repo,
            HubRepo::Space
        );
    }

    #[test]
    fn what_is_no_file_of_a_repository_is_refused() {
        for text in [
            "acme",
            "acme/plugins",
            "acme/plugins/",
            "/plugins/a",
            "acme/plugins@/a",
            "acme/plugins@v1",
            "acme/plugins@v1/",
            "acme/plugins/../a",
            "acme/plugins//a",
            "acme/plugins/a?x",
            "acme/../a/b",
            "acme/plugins@../a.wasm",
            "acme/plugins@refs/pr/1",
            "ac me/plugins/a",
            "acme/plugins/a%2e",
        ] {
            assert!(HubRef::parse(text).is_err(), "{text}");
        }
    }
}
