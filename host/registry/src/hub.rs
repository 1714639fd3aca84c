//! Files of repositories on the Hugging Face Hub, at a commit.
//!
//! The Hub names the commit that a branch or tag means, and its content is fetched at that commit. What the Hub says
//! of the content is not relied on: the bytes are hashed here.

mod commit;

use ml_intern_manifest::{Digest, HubRef, HubRepo};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::net::{self, Net, Progress};
use crate::store::Store;
use crate::web;

/// Bytes of what the Hub says of a revision. Repositories of many files have long lists.
const REVISION: usize = 32 << 20;

/// A Hub, and who the user is there.
#[derive(Clone)]
pub struct Hub {
    /// Where it is; a mirror of it, where the user has one.
    pub endpoint: Url,
    /// The user's token.
    pub token: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hub({})", self.endpoint)
    }
}

impl Hub {
    /// The file at the commit that its revision means now.
    pub(crate) async fn pin(&self, net: &Net, file: &HubRef) -> Result<HubRef, Error> {
        #[derive(Deserialize)]
        struct Revision {
            sha: String,
        }
        let kind = match file.repo {
            HubRepo::Model => "models",
            HubRepo::Dataset => "datasets",
            HubRepo::Space => "spaces",
        };
        let url = self.url(&[
            "api",
            kind,
            &file.owner,
            &file.name,
            "revision",
            file.revision(),
        ]);
        let response = net.send(self.request(net, url)).await?;
        let response = self.found(file, response).await?;
        let bytes = net::body(response, REVISION).await?;
        let revision = serde_json::from_slice::<Revision>(&bytes)
            .map_err(|error| self.odd(&error.to_string()))?;
        let is_commit =
            revision.sha.len() == 40 && revision.sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_commit {
            return Err(self.odd("what it calls a commit is none"));
        }
        Ok(HubRef {
            revision: Some(revision.sha.to_ascii_lowercase()),
            ..file.clone()
        })
    }

    /// Fetches a file at a commit into the store.
    pub(crate) async fn fetch(
        &self,
        net: &Net,
        file: &HubRef,
        wanted: Option<&Digest>,
        store: &Store,
        progress: Progress<'_>,
    ) -> Result<Digest, Error> {
        let url = self.file(file, "");
        let request = || self.request(net, url.clone());
        web::whole(net, &file.to_string(), request, wanted, store, progress).await
    }

    /// A small file beside it, whose name is longer by `ending`; none where there is none.
    pub(crate) async fn beside(
        &self,
        net: &Net,
        file: &HubRef,
        ending: &str,
        most: usize,
    ) -> Result<Option<Vec<u8>>, Error> {
        let request = self.request(net, self.file(file, ending));
        let response = net.send(request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = self.found(file, response).await?;
        net::body(response, most).await.map(Some)
    }

    fn file(&self, file: &HubRef, ending: &str) -> Url {
        let path = format!("{}{ending}", file.path);
        let prefix = file.repo.prefix().trim_end_matches('/');
        let mut parts = vec![
            file.owner.as_str(),
            file.name.as_str(),
            "resolve",
            file.revision(),
        ];
        if !prefix.is_empty() {
            parts.insert(0, prefix);
        }
        parts.extend(path.split('/'));
        self.url(&parts)
    }

    /// An address below the endpoint, each part of which is one segment.
    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    fn request(&self, net: &Net, url: Url) -> RequestBuilder {
        self.with_token(net.client().get(url))
    }

    /// The client drops it where a redirect leads to another server.
    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.as_str()),
            None => request,
        }
    }

    async fn found(
        &self,
        file: &HubRef,
        response: reqwest::Response,
    ) -> Result<reqwest::Response, Error> {
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Error::NotFound {
                name: file.to_string(),
                message: "is not on the Hub; check owner, repository and revision".to_owned(),
            }),
            // The Hub says this of repositories that are not there, too.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Error::Login {
                place: file.to_string(),
                message: "it is not there, or not open to you; check the name, accept its terms on its page, and log in with `ml-intern login hf`".to_owned(),
            }),
            _ => Err(net::refusal(response).await),
        }
    }

    fn odd(&self, why: &str) -> Error {
        Error::Server {
            place: net::place(&self.endpoint),
            message: format!("its answer is not what the Hub says ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ml_intern_manifest::Source;

    use super::*;

    #[test]
    fn a_revision_is_one_segment_and_a_path_several() {
        let hub = Hub {
            endpoint: "https://huggingface.co/".parse().unwrap(),
            token: None,
        };
        let Source::Hub(file) = "hf://datasets/acme/plugins@refs/pr/1/a b/c.wasm"
            .parse()
            .unwrap()
        else {
            panic!("another source");
        };
        assert_eq!(
            hub.file(&file, ".minisig").as_str(),
            "https://huggingface.co/datasets/acme/plugins/resolve/refs%2Fpr%2F1/a%20b/c.wasm.minisig"
        );
    }
}
