//! Sources that lie elsewhere: what a name means now, and its bytes.

use ml_intern_manifest::{Digest, HubRef, OciRef, Source};

use crate::error::Error;
use crate::hub::Hub;
use crate::net::{Net, Progress};
use crate::oci::{Logins, Oci};
use crate::signature::MAX_SIGNATURE_BYTES;
use crate::store::Store;
use crate::{package, web};

/// Ending of the name of a signature beside a file.
const SIGNATURE: &str = ".minisig";

/// Everything that fetching takes.
#[derive(Debug)]
pub struct Remote {
    /// The client.
    pub net: Net,
    /// The user's configuration of registries.
    pub logins: Logins,
    /// The Hub.
    pub hub: Hub,
    /// Where components go.
    pub store: Store,
}

impl Remote {
    /// What a source means now: an address that always leads to the same bytes. Tags, branches and versions are looked
    /// up; nothing is fetched.
    ///
    /// # Errors
    /// Where the server does not have it or refuses.
    pub async fn pin(&self, source: &Source) -> Result<Source, Error> {
        match source {
            Source::Oci(image) => self.pin_image(image.clone()).await,
            Source::Package(package) => {
                let image = package::image(&self.net, &self.logins, package).await?;
                self.pin_image(image).await
            }
            Source::Hub(file) => self.hub.pin(&self.net, file).await.map(Source::Hub),
            Source::Builtin(_) | Source::Local(_) | Source::Web(_) => Ok(source.clone()),
        }
    }

    async fn pin_image(&self, image: OciRef) -> Result<Source, Error> {
        let found = Oci::new(&self.net, &self.logins).image(&image).await?;
        Ok(Source::Oci(OciRef {
            digest: Some(found.digest),
            ..image
        }))
    }

    /// Fetches what a pinned source leads to into the store. Where `wanted` is there, nothing is asked.
    ///
    /// # Errors
    /// Where the server does not have it, or sends other bytes than `wanted`.
    pub async fn fetch(
        &self,
        pinned: &Source,
        wanted: Option<&Digest>,
        progress: Progress<'_>,
    ) -> Result<Digest, Error> {
        if let Some(wanted) = wanted.filter(|wanted| self.store.has(wanted)) {
            return Ok(*wanted);
        }
        match pinned {
            Source::Oci(image) => {
                let oci = Oci::new(&self.net, &self.logins);
                let layer = oci.image(image).await?.layer;
                if let Some(wanted) = wanted.filter(|wanted| **wanted != layer.digest) {
                    return Err(Error::Digest {
                        wanted: *wanted,
                        got: layer.digest,
                    });
                }
                oci.pull(image, &layer, &self.store, progress).await?;
                Ok(layer.digest)
            }
            Source::Hub(file) => {
                self.hub
                    .fetch(&self.net, file, wanted, &self.store, progress)
                    .await
            }
            Source::Web(file) => {
                web::fetch(&self.net, file, &self.store, progress).await?;
                Ok(file.digest)
            }
            Source::Builtin(_) | Source::Local(_) | Source::Package(_) => Err(Error::NotFound {
                name: pinned.to_string(),
                message: "is nothing that is fetched".to_owned(),
            }),
        }
    }

    /// The text of the signature beside a pinned source; none where there is none.
    ///
    /// # Errors
    /// Where the server cannot be asked.
    pub async fn signature(&self, pinned: &Source) -> Result<Option<String>, Error> {
        let bytes = match pinned {
            Source::Oci(image) => Oci::new(&self.net, &self.logins).signature(image).await?,
            Source::Hub(file) => self.beside(file).await?,
            Source::Web(file) => {
                let mut url = file.url.clone();
                url.set_path(&format!("{}{SIGNATURE}", url.path()));
                web::small(&self.net, self.net.client().get(url), MAX_SIGNATURE_BYTES).await?
            }
            Source::Builtin(_) | Source::Local(_) | Source::Package(_) => None,
        };
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn beside(&self, file: &HubRef) -> Result<Option<Vec<u8>>, Error> {
        self.hub
            .beside(&self.net, file, SIGNATURE, MAX_SIGNATURE_BYTES)
            .await
    }
}
