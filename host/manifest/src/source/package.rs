//! A package reference of the WebAssembly component ecosystem.

use std::fmt;

/// `NAMESPACE:NAME`, with an exact version or the newest. Which registry has it is the user's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRef {
    /// Before the colon.
    pub namespace: String,
    /// After the colon.
    pub name: String,
    /// Exactly this version; none = the newest that is no pre-release.
    pub version: Option<semver::Version>,
}

impl PackageRef {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (package, version) = match text.split_once('@') {
            Some((package, version)) => (package, Some(version)),
            None => (text, None),
        };
        let Some((namespace, name)) = package.split_once(':') else {
            return Err("a package is `NAMESPACE:NAME@VERSION`".to_owned());
        };
        if !is_kebab(namespace) || !is_kebab(name) {
            return Err(
                "namespace and name of a package are lower-case words with `-` between them"
                    .to_owned(),
            );
        }
        let version = version
            .map(semver::Version::parse)
            .transpose()
            .map_err(|error| {
                format!("the version of a package is exact, such as `1.2.0` ({error})")
            })?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            version,
        })
    }
}

impl fmt::Display for PackageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

/// An identifier of WIT in lower case, at most 64 bytes: each word begins with a letter.
fn is_kebab(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= 64 && text.split('-').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_exact_or_the_newest() {
        let package = PackageRef::parse("acme:arxiv-search@1.2.0").unwrap();
        assert_eq!(
            (package.namespace.as_str(), package.name.as_str()),
            ("acme", "arxiv-search")
        );
        assert_eq!(package.version, Some(semver::Version::new(1, 2, 0)));
        assert_eq!(PackageRef::parse("acme:arxiv").unwrap().version, None);
    }

    #[test]
    fn other_names_and_versions_are_refused() {
        for text in [
            "acme",
            "acme:",
            ":arxiv",
            "Acme:arxiv",
            "acme:2x",
            "acme:a--b",
            "acme:a/b",
            "a:b:c",
            "acme:arxiv@",
            "acme:arxiv@1.2",
            "acme:arxiv@^1.2.0",
            "acme:arxiv@latest",
            "acme:a b",
        ] {
            assert!(PackageRef::parse(text).is_err(), "{text}");
        }
    }
}
