//! What is attached to an image, such as its signature: an image of its own that names the first as its subject.
//! Registries find it by their list of referrers, older ones by an index under the tag `sha256-…`, both as the OCI
//! distribution specification has it.

use ml_intern_manifest::{Digest, OciRef};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::challenge::Scope;
use super::push::IMAGE;
use super::{Oci, found};
use crate::error::Error;
use crate::net;
use crate::signature::MAX_SIGNATURE_BYTES;

/// What a signature's image calls itself.
const KIND: &str = "application/vnd.minisign.signature";
/// What a statement's image calls itself, by the in-toto attestation specification.
const STATEMENT: &str = "application/vnd.in-toto+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Bytes of a list of referrers.
const REFERRERS: usize = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    #[serde(default)]
    manifests: Vec<Value>,
}

#[derive(Deserialize)]
struct Layers {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: String,
}

/// Something that belongs to an image.
#[derive(Debug)]
pub struct Attached<'a> {
    kind: &'static str,
    bytes: &'a [u8],
}

impl<'a> Attached<'a> {
    /// A signature of `minisign`.
    pub fn signature(bytes: &'a [u8]) -> Self {
        Self { kind: KIND, bytes }
    }

    /// A statement of where it came from.
    pub fn provenance(bytes: &'a [u8]) -> Self {
        Self {
            kind: STATEMENT,
            bytes,
        }
    }
}

impl Oci<'_> {
    /// The signature of a pinned image; none where there is none. The newest where there are several.
    pub(crate) async fn signature(&self, image: &OciRef) -> Result<Option<Vec<u8>>, Error> {
        let Some(subject) = &image.digest else {
            return Ok(None);
        };
        let listed = self.referrers(image, subject).await?.manifests;
        let of_kind = listed.iter().filter(|one| one["artifactType"] == KIND);
        let Some(digest) = of_kind
            .filter_map(|one| one["digest"].as_str()?.parse::<Digest>().ok())
            .next_back()
        else {
            return Ok(None);
        };
        let bytes = self
            .manifest(image, &digest.to_string(), Some(&digest))
            .await?;
        let layers = serde_json::from_slice::<Layers>(&bytes).map(|layers| layers.layers);
        let layers = layers.unwrap_or_default();
        let [layer] = layers.as_slice() else {
            return Ok(None);
        };
        match layer.digest.parse::<Digest>() {
            Ok(digest) => self
                .small_blob(image, &digest, MAX_SIGNATURE_BYTES)
                .await
                .map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Publishes something beside a pinned image, of which `to` is the digest and the size.
    ///
    /// # Errors
    /// Where the registry refuses.
    pub async fn attach(
        &self,
        image: &OciRef,
        to: (Digest, u64),
        what: &Attached<'_>,
    ) -> Result<(), Error> {
        let (subject, size) = to;
        let layer = self.push_blob(image, what.bytes).await?;
        let config = self.push_blob(image, b"{}").await?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "artifactType": what.kind,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.to_string(), "size": 2},
            "layers": [{"mediaType": what.kind, "digest": layer.to_string(), "size": what.bytes.len()}],
            "subject": {"mediaType": IMAGE, "digest": subject.to_string(), "size": size},
        });
        let bytes = manifest.to_string().into_bytes();
        let length = bytes.len();
        let digest = Digest::of(&bytes);
        let response = self
            .put_manifest(image, &digest.to_string(), IMAGE, bytes)
            .await?;
        if response.headers().contains_key("oci-subject") {
            return Ok(());
        }
        // An older registry: the list is kept by whoever pushes.
        let mut listed = self.index(image, &subject).await?.manifests;
        listed.retain(|one| one["digest"] != digest.to_string());
        listed.push(json!({"mediaType": IMAGE, "artifactType": what.kind, "digest": digest.to_string(), "size": length}));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed});
        let tag = format!("sha256-{}", subject.hex());
        self.put_manifest(image, &tag, INDEX, index.to_string().into_bytes())
            .await
            .map(drop)
    }

    async fn referrers(&self, image: &OciRef, subject: &Digest) -> Result<Index, Error> {
        let request = self.request(image, Method::GET, &format!("referrers/{subject}"))?;
        let response = self
            .send(image, Scope::Pull, request.header(ACCEPT, INDEX))
            .await?;
        if !response.status().is_success() {
            return self.index(image, subject).await;
        }
        let bytes = net::body(response, REFERRERS).await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn index(&self, image: &OciRef, subject: &Digest) -> Result<Index, Error> {
        let path = format!("manifests/sha256-{}", subject.hex());
        let request = self
            .request(image, Method::GET, &path)?
            .header(ACCEPT, INDEX);
        let response = self.send(image, Scope::Pull, request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(Index::default());
        }
        let bytes = net::body(found(image, response).await?, REFERRERS).await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub(super) async fn put_manifest(
        &self,
        image: &OciRef,
        reference: &str,
        kind: &str,
        bytes: Vec<u8>,
    ) -> Result<reqwest::Response, Error> {
        let request = self.request(image, Method::PUT, &format!("manifests/{reference}"))?;
        let request = request.header(CONTENT_TYPE, kind).body(bytes);
        found(image, self.send(image, Scope::Push, request).await?).await
    }
}
