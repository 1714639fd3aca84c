//! Publishing an image: its blobs, then its manifest.

use std::collections::BTreeMap;

use ml_intern_manifest::{Digest, OciRef};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode, Url};
use serde_json::json;

use super::challenge::Scope;
use super::{Oci, found};
use crate::error::Error;
use crate::net;

pub(super) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT: &str = "application/wasm";

/// What is published.
#[derive(Debug)]
pub struct Upload<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its configuration, as the ecosystem's tools write it: JSON.
    pub config: Vec<u8>,
    /// Words for whoever looks at the registry.
    pub annotations: BTreeMap<String, String>,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// SHA-256 of the manifest.
    pub manifest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
    /// SHA-256 of the component.
    pub component: Digest,
}

impl Oci<'_> {
    /// Publishes under the image's tag.
    ///
    /// # Errors
    /// Where the registry refuses, or says that it got other bytes.
    pub async fn push(&self, image: &OciRef, upload: &Upload<'_>) -> Result<Pushed, Error> {
        let component = self.push_blob(image, upload.component).await?;
        let config = self.push_blob(image, &upload.config).await?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": {"mediaType": CONFIG, "digest": config.to_string(), "size": upload.config.len()},
            "layers": [{"mediaType": COMPONENT, "digest": component.to_string(), "size": upload.component.len()}],
            "annotations": upload.annotations,
        });
        let bytes = manifest.to_string().into_bytes();
        let size = bytes.len() as u64;
        Ok(Pushed {
            manifest: self.push_manifest(image, bytes).await?,
            size,
            component,
        })
    }

    async fn push_manifest(&self, image: &OciRef, bytes: Vec<u8>) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        let response = self.put_manifest(image, image.tag(), IMAGE, bytes).await?;
        let said = response.headers().get("docker-content-digest");
        let said = said.and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        match said {
            Some(got) if got != digest => Err(Error::Digest {
                wanted: digest,
                got,
            }),
            _ => Ok(digest),
        }
    }

    pub(super) async fn push_blob(&self, image: &OciRef, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let request = self.request(image, Method::HEAD, &format!("blobs/{digest}"))?;
        if self
            .send(image, Scope::Push, request)
            .await?
            .status()
            .is_success()
        {
            return Ok(digest);
        }
        let request = self
            .request(image, Method::POST, "blobs/uploads/")?
            .body("");
        let response = found(image, self.send(image, Scope::Push, request).await?).await?;
        let place = self.upload_place(image, &response)?;
        let request = self
            .net
            .client()
            .put(place)
            .query(&[("digest", digest.to_string())]);
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec());
        let response = self.send(image, Scope::Push, request).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT => Ok(digest),
            _ => {
                found(image, response).await?;
                Err(Error::Server {
                    place: image.registry.clone(),
                    message: "it did not keep a blob".to_owned(),
                })
            }
        }
    }

    /// Where the registry wants the bytes: at itself, because the login goes there too.
    fn upload_place(&self, image: &OciRef, response: &reqwest::Response) -> Result<Url, Error> {
        let wrong = |message: String| Error::Server {
            place: image.registry.clone(),
            message,
        };
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let location =
            location.ok_or_else(|| wrong("it does not say where to upload to".to_owned()))?;
        let place = response
            .url()
            .join(location)
            .map_err(|error| wrong(error.to_string()))?;
        // Not the response's own address: a redirect may have led to another server.
        match place.origin() == self.url(image, "")?.origin() {
            true => Ok(place),
            false => Err(wrong(format!(
                "it wants the upload at {}, which is another server; nothing was sent there",
                net::place(&place)
            ))),
        }
    }
}
