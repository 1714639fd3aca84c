//! Files on the web whose digest is known.

use ml_intern_manifest::{Digest, WebRef};
use reqwest::header::RANGE;
use reqwest::{RequestBuilder, StatusCode};

use crate::error::Error;
use crate::inspect::MAX_COMPONENT_BYTES;
use crate::net::{self, Net, Progress};
use crate::store::Store;

/// Fetches a file into the store; nothing where it is there.
pub(crate) async fn fetch(
    net: &Net,
    file: &WebRef,
    store: &Store,
    progress: Progress<'_>,
) -> Result<(), Error> {
    if store.has(&file.digest) {
        return Ok(());
    }
    let request = || net.client().get(file.url.clone());
    let got = whole(
        net,
        &file.to_string(),
        request,
        Some(&file.digest),
        store,
        progress,
    )
    .await?;
    debug_assert_eq!(got, file.digest);
    Ok(())
}

/// Fetches what a request leads to, from where an earlier try broke off.
pub(crate) async fn whole(
    net: &Net,
    name: &str,
    request: impl Fn() -> RequestBuilder,
    wanted: Option<&Digest>,
    store: &Store,
    progress: Progress<'_>,
) -> Result<Digest, Error> {
    let mut draft = store.draft(name).await?;
    if let Some(wanted) = wanted.filter(|wanted| store.has(wanted)) {
        // Another process was faster.
        draft.discard()?;
        return Ok(*wanted);
    }
    let mut first = request();
    if draft.written() > 0 {
        first = first.header(RANGE, format!("bytes={}-", draft.written()));
    }
    let mut response = net.send(first).await?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        draft.restart()?;
        response = net.send(request()).await?;
    }
    match response.status() {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND => {
            return Err(Error::NotFound {
                name: name.to_owned(),
                message: "is not there; check the address".to_owned(),
            });
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let said = net::refusal(response).await;
            return Err(Error::Login {
                place: name.to_owned(),
                message: format!("it is not open to everybody, or a login is missing ({said})"),
            });
        }
        _ => return Err(net::refusal(response).await),
    }
    let most = MAX_COMPONENT_BYTES as u64;
    net::download(response, &mut draft, most, progress).await?;
    draft.finish(wanted)
}

/// A small file, such as a signature; none where there is none.
pub(crate) async fn small(
    net: &Net,
    request: RequestBuilder,
    most: usize,
) -> Result<Option<Vec<u8>>, Error> {
    let response = net.send(request).await?;
    match response.status() {
        // Stores that let nobody list what is there refuse to say that something is not.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
        status if status.is_success() => net::body(response, most).await.map(Some),
        _ => Err(net::refusal(response).await),
    }
}
