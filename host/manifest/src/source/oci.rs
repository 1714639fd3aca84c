//! An image of an OCI registry.

use std::fmt;

use crate::digest::Digest;

/// Bytes of a repository's name that registries take.
const REPOSITORY: usize = 255;
/// Bytes of a tag, by the OCI distribution specification.
const TAG: usize = 128;

/// `HOST/REPOSITORY`, with a tag, a digest or both. The digest is the manifest's, and where there is one it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciRef {
    /// The registry's host, with its port where that is not the scheme's own.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// A name that the registry's owner may move.
    pub tag: Option<String>,
    /// SHA-256 of the image's manifest.
    pub digest: Option<Digest>,
}

impl OciRef {
    /// The tag that is asked for; `latest` unless said otherwise.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// Reads what follows `oci://`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest
                    .parse::<Digest>()
                    .map_err(|error| error.to_string())?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let shape = || "write `oci://HOST/REPOSITORY:TAG` or `oci://HOST/REPOSITORY@sha256:…`";
        let (registry, path) = name.split_once('/').ok_or_else(shape)?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (path, None),
        };
        if !is_host(registry) {
            return Err(format!(
                "no host with or without a port comes after `oci://`; {}",
                shape()
            ));
        }
        if repository.len() > REPOSITORY || !repository.split('/').all(is_component) {
            return Err(format!(
                "a repository is lower-case letters and digits, with `.`, `_`, `-` between them and `/` between its parts; {}",
                shape()
            ));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(format!(
                "a tag is letters, digits, `.`, `_` and `-`, at most {TAG}; {}",
                shape()
            ));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }
}

impl fmt::Display for OciRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// A name or address, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253
        && host.split('.').all(label)
        && port.is_none_or(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
}

/// A part of a repository's name.
fn is_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word);
    // Between two words: one dot, one or two underscores, or any number of dashes.
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators
        .filter(|between| !between.is_empty())
        .all(|between| {
            matches!(between, "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=TAG).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_reference_are_told_apart() {
        let one = OciRef::parse("localhost:5000/acme/arxiv-tool:1.2.0").unwrap();
        assert_eq!(
            (one.registry.as_str(), one.repository.as_str(), one.tag()),
            ("localhost:5000", "acme/arxiv-tool", "1.2.0")
        );
        assert_eq!(OciRef::parse("ghcr.io/a").unwrap().tag(), "latest");
        let hex = "0f".repeat(32);
        let pinned = OciRef::parse(&format!("ghcr.io/a:1@sha256:{hex}")).unwrap();
        assert_eq!(pinned.digest.unwrap().hex(), hex);
    }

    #[test]
    fn what_a_registry_would_refuse_is_refused() {
        for text in [
            "ghcr.io",
            "ghcr.io/",
            "/a",
            "ghcr.io/A",
            "ghcr.io/a//b",
            "ghcr.io/a/",
            "ghcr.io/../a",
            "ghcr.io/a:",
            "ghcr.io/a:-x",
            "ghcr.io/a:b c",
            "ghcr.io:0/a",
            "ghcr.io:port/a",
            "u:p@ghcr.io/a",
            "ghcr.io/a@sha256:00",
            "gh cr.io/a",
            "ghcr..io/a",
            "ghcr.io/a..b",
            "ghcr.io/-a",
            "ghcr.io/a___b",
            "ghcr.io/a?x",
            "ghcr.io/a#x",
            "[::1]:5000/a",
        ] {
            assert!(OciRef::parse(text).is_err(), "{text}");
        }
        let long = "a".repeat(256);
        assert!(OciRef::parse(&format!("ghcr.io/{long}")).is_err());
        assert!(OciRef::parse(&format!("ghcr.io/a:{}", "t".repeat(129))).is_err());
    }
}
