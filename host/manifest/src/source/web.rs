//! A file on the web.

use std::fmt;

use url::Url;

use crate::digest::Digest;

/// An `https://` address with the SHA-256 of what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRef {
    /// Without the digest.
    pub url: Url,
    /// SHA-256 of the component.
    pub digest: Digest,
}

impl WebRef {
    /// Reads a whole address.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "write `https://HOST/PATH#sha256=` and 64 hexadecimal digits, as `sha256sum` prints them";
        let (address, digest) = text
            .split_once("#sha256=")
            .ok_or_else(|| format!("what is fetched from the web needs a digest; {SHAPE}"))?;
        let digest = format!("sha256:{digest}")
            .parse::<Digest>()
            .map_err(|_| SHAPE)?;
        let url = Url::parse(address).map_err(|error| format!("{error}; {SHAPE}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("a password has no place in an address; {SHAPE}"));
        }
        Ok(Self { url, digest })
    }
}

impl fmt::Display for WebRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#sha256={}", self.url, self.digest.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_digest_and_no_password() {
        let hex = "ab".repeat(32);
        let file = WebRef::parse(&format!("https://example.org/a.wasm#sha256={hex}")).unwrap();
        assert_eq!(
            (file.url.as_str(), file.digest.hex()),
            ("https://example.org/a.wasm", hex.clone())
        );
        for text in [
            "https://example.org/a.wasm".to_owned(),
            "https://example.org/a.wasm#sha256=ab".to_owned(),
            format!("https://example.org/a.wasm#sha256={}", hex.to_uppercase()),
            format!("https://u:p@example.org/a.wasm#sha256={hex}"),
            format!("https://u@example.org/a.wasm#sha256={hex}"),
            format!("https://#sha256={hex}"),
            format!("https://example.org:99999/a#sha256={hex}"),
        ] {
            assert!(WebRef::parse(&text).is_err(), "{text}");
        }
    }
}
