//! Digests of requests, by which a replay knows them again.

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use ml_intern_manifest::Digest;
use sha2::{Digest as _, Sha256};

use crate::egress::secret::Secrets;

/// Of all headers in their order. A secret counts as stars: its digest could be guessed at.
pub(super) fn of_headers(secrets: &Secrets, headers: &HeaderMap) -> String {
    let mut hash = Sha256::new();
    for (name, value) in headers {
        for text in [name.as_str().as_bytes(), value.as_bytes()] {
            let text = secrets.replace(text);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(&text);
        }
    }
    Digest::from_bytes(hash.finalize().into()).to_string()
}

/// Of a body, as it passes.
pub(super) struct BodyDigest {
    hash: Option<Sha256>,
    length: u64,
    declared: Option<u64>,
}

impl BodyDigest {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let declared = headers.get(CONTENT_LENGTH);
        Self {
            hash: Some(Sha256::new()),
            length: 0,
            declared: declared.and_then(|length| length.to_str().ok()?.parse().ok()),
        }
    }

    /// The digest of a body that is known to be empty before it is read. Nobody may ask it for its
    /// end.
    pub(super) fn of_none(&mut self, over: bool) -> Option<String> {
        match over || self.declared == Some(0) {
            true => self.end(),
            false => None,
        }
    }

    /// The digest, once the body has its declared length: nobody asks for more.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Option<String> {
        self.length = self.length.saturating_add(chunk.len() as u64);
        if let Some(hash) = &mut self.hash {
            hash.update(chunk);
        }
        match self.declared {
            Some(declared) if self.length >= declared => self.end(),
            _ => None,
        }
    }

    /// The digest at the end; none where it was told already.
    pub(super) fn end(&mut self) -> Option<String> {
        let hash = self.hash.take()?;
        Some(Digest::from_bytes(hash.finalize().into()).to_string())
    }

    /// The body was left unfinished. False where its digest was told already.
    pub(super) fn leave(&mut self) -> bool {
        self.hash.take().is_some()
    }
}
