//! Images of OCI registries, by the OCI distribution specification 1.1: one layer is a component.
//!
//! What a tag means is taken from the manifest's own bytes, which are hashed here; what a header says of them is a
//! claim, and a wrong one ends the fetch. Credentials go to the registry itself and to where [`challenge`] allows.

mod challenge;
mod login;
mod manifest;
mod push;
mod signed;

use std::collections::BTreeMap;
use std::sync::Mutex;

use ml_intern_manifest::{Digest, OciRef};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use crate::error::Error;
use crate::net::{self, Net, Progress};
use crate::store::Store;
use challenge::Scope;

pub use login::{Login, Logins};
pub use manifest::{Image, Layer};
pub use push::{Pushed, Upload};
pub use signed::Attached;

/// Bytes of a manifest. That of a component has one kilobyte.
const MANIFEST: usize = 4 << 20;
/// Bytes of a page of tags.
const TAGS: usize = 4 << 20;
/// Pages of tags.
const PAGES: usize = 100;
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// A client of registries.
pub struct Oci<'a> {
    net: &'a Net,
    logins: &'a Logins,
    /// What is sent as `authorization`, by registry and scope.
    tokens: Mutex<BTreeMap<(String, String), HeaderValue>>,
}

impl<'a> Oci<'a> {
    /// A client with these logins.
    pub fn new(net: &'a Net, logins: &'a Logins) -> Self {
        Self {
            net,
            logins,
            tokens: Mutex::default(),
        }
    }

    /// Reads an image's manifest.
    ///
    /// # Errors
    /// Where the registry does not have it, or what it has holds no component.
    pub async fn image(&self, image: &OciRef) -> Result<Image, Error> {
        let name = image.to_string();
        let wanted = image.digest.map(|digest| digest.to_string());
        let reference = wanted.as_deref().unwrap_or(image.tag());
        let bytes = self
            .manifest(image, reference, image.digest.as_ref())
            .await?;
        match manifest::read(&name, &bytes)? {
            manifest::Read::Image(image) => Ok(image),
            manifest::Read::Index(digest) => {
                let bytes = self
                    .manifest(image, &digest.to_string(), Some(&digest))
                    .await?;
                match manifest::read(&name, &bytes)? {
                    manifest::Read::Image(image) => Ok(image),
                    manifest::Read::Index(_) => Err(Error::NotAComponent {
                        name,
                        message: "is an index of indexes; name the image itself".to_owned(),
                    }),
                }
            }
        }
    }

    /// The bytes of a manifest, checked against the digest that is known and against the server's own word.
    async fn manifest(
        &self,
        image: &OciRef,
        reference: &str,
        wanted: Option<&Digest>,
    ) -> Result<Vec<u8>, Error> {
        let path = format!("manifests/{reference}");
        let request = self
            .request(image, Method::GET, &path)?
            .header(ACCEPT, ACCEPTED);
        let response = self.send(image, Scope::Pull, request).await?;
        let claimed = response.headers().get("docker-content-digest").cloned();
        let response = found(image, response).await?;
        let bytes = net::body(response, MANIFEST).await?;
        let got = Digest::of(&bytes);
        let claimed = claimed
            .as_ref()
            .and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        match wanted.copied().or(claimed) {
            Some(wanted) if wanted != got => Err(Error::Digest { wanted, got }),
            _ => match claimed {
                Some(claimed) if claimed != got => Err(Error::Digest {
                    wanted: claimed,
                    got,
                }),
                _ => Ok(bytes),
            },
        }
    }

    /// Fetches a layer into the store; nothing where it is there.
    ///
    /// # Errors
    /// Where the registry does not have it, or sends other bytes.
    pub async fn pull(
        &self,
        image: &OciRef,
        layer: &Layer,
        store: &Store,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        if store.has(&layer.digest) {
            return Ok(());
        }
        let address = format!("{}/{}/{}", image.registry, image.repository, layer.digest);
        let mut draft = store.draft(&address).await?;
        if store.has(&layer.digest) {
            // Another process was faster.
            return draft.discard();
        }
        let mut request = self.request(image, Method::GET, &format!("blobs/{}", layer.digest))?;
        if draft.written() > 0 {
            request = request.header(RANGE, format!("bytes={}-", draft.written()));
        }
        let mut response = self.send(image, Scope::Pull, request).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            draft.restart()?;
            let request = self.request(image, Method::GET, &format!("blobs/{}", layer.digest))?;
            response = self.send(image, Scope::Pull, request).await?;
        }
        let response = found(image, response).await?;
        net::download(response, &mut draft, layer.size, progress).await?;
        if draft.written() < layer.size {
            return Err(Error::Server {
                place: image.registry.clone(),
                message: format!(
                    "it sent {} of {} bytes; what came is kept for the next try",
                    draft.written(),
                    layer.size
                ),
            });
        }
        draft.finish(Some(&layer.digest)).map(drop)
    }

    /// A small blob, such as a signature.
    ///
    /// # Errors
    /// Where the registry does not have it, or sends other bytes.
    pub async fn small_blob(
        &self,
        image: &OciRef,
        digest: &Digest,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let request = self.request(image, Method::GET, &format!("blobs/{digest}"))?;
        let response = self.send(image, Scope::Pull, request).await?;
        let bytes = net::body(found(image, response).await?, most).await?;
        let got = Digest::of(&bytes);
        match got == *digest {
            true => Ok(bytes),
            false => Err(Error::Digest {
                wanted: *digest,
                got,
            }),
        }
    }

    /// Every tag of a repository; none where there is no such repository.
    ///
    /// # Errors
    /// Where the registry refuses.
    pub async fn tags(&self, image: &OciRef) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut last = String::new();
        for _ in 0..PAGES {
            let request = self.request(image, Method::GET, "tags/list")?;
            let mut request = request.query(&[("n", "1000")]);
            if !last.is_empty() {
                request = request.query(&[("last", &last)]);
            }
            let response = self.send(image, Scope::Pull, request).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(tags);
            }
            let more = response.headers().contains_key(reqwest::header::LINK);
            let bytes = net::body(found(image, response).await?, TAGS).await?;
            let page = serde_json::from_slice::<Page>(&bytes).map_err(|error| Error::Server {
                place: image.registry.clone(),
                message: format!("its list of tags cannot be read ({error})"),
            })?;
            let page = page.tags.unwrap_or_default();
            let next = page.last().cloned().unwrap_or_default();
            tags.extend(page);
            if !more || next.is_empty() || next == last {
                break;
            }
            last = next;
        }
        Ok(tags)
    }

    fn request(&self, image: &OciRef, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        let url = self.url(image, path)?;
        Ok(self.net.client().request(method, url))
    }

    /// An address of the registry itself, or of its mirror.
    fn url(&self, image: &OciRef, path: &str) -> Result<Url, Error> {
        let host = self.logins.mirror(&image.registry);
        let url = format!(
            "{}://{host}/v2/{}/{path}",
            self.logins.scheme(host),
            image.repository
        );
        Url::parse(&url).map_err(|error| Error::Server {
            place: image.registry.clone(),
            message: error.to_string(),
        })
    }

    /// Sends a request with what the registry wants to know of the caller: asked once, and never again and again.
    async fn send(
        &self,
        image: &OciRef,
        scope: Scope,
        request: RequestBuilder,
    ) -> Result<Response, Error> {
        let host = self.logins.mirror(&image.registry).to_owned();
        let key = (host.clone(), scope.of(&image.repository));
        let known = self.token(&key);
        let again = request.try_clone();
        let request = match known.clone() {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let response = self.net.send(request).await?;
        let (StatusCode::UNAUTHORIZED, None, Some(again)) = (response.status(), known, again)
        else {
            return Ok(response);
        };
        let challenges = response.headers().get_all(WWW_AUTHENTICATE);
        let challenges = challenges.iter().filter_map(|value| value.to_str().ok());
        let asked = challenge::read(challenges.collect::<Vec<_>>().as_slice());
        let login = self.logins.find(&host).await;
        let value = challenge::answer(self.net, self.logins, &host, asked, login, &key.1).await?;
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.insert(key, value.clone());
        }
        self.net.send(again.header(AUTHORIZATION, value)).await
    }

    fn token(&self, key: &(String, String)) -> Option<HeaderValue> {
        self.tokens.lock().ok()?.get(key).cloned()
    }
}

/// A response with what was asked for.
async fn found(image: &OciRef, response: Response) -> Result<Response, Error> {
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::NOT_FOUND => Err(Error::NotFound {
            name: image.to_string(),
            message: "is not in the registry; check repository and tag".to_owned(),
        }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let said = net::refusal(response).await;
            Err(Error::Login {
                place: image.registry.clone(),
                message: format!(
                    "the login is missing or does not allow this ({said}); log in with `docker login {0}`, `podman login {0}` or `oras login {0}`",
                    image.registry
                ),
            })
        }
        _ => Err(net::refusal(response).await),
    }
}
