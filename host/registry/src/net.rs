//! Requests to servers that have plugins. Everything that comes back is bounded in size and time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::Error;
use crate::store::Draft;

/// A server is there or it is not.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence while something comes.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest time for a whole component, however slowly it comes.
const WHOLE: Duration = Duration::from_secs(900);
/// Longest time for anything that is no component.
const SHORT: Duration = Duration::from_secs(60);
/// Steps from an address to where its content lies.
const REDIRECTS: usize = 5;
/// Characters of a server's own words that are shown.
const WORDS: usize = 300;

/// Bytes that came, and bytes that will have come in the end, where the server says so.
pub type Progress<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// A client.
#[derive(Debug, Clone)]
pub struct Net {
    client: Client,
}

impl Net {
    /// A client that trusts the usual roots, those in the PEM file `roots` and those in the texts `more`.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn new(roots: Option<&Path>, more: &[String]) -> Result<Self, Error> {
        let client = Client::builder()
            .user_agent(concat!("ml-intern/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(Policy::custom(|attempt| {
                let steps = attempt.previous();
                let encrypted = steps.first().is_some_and(|first| first.scheme() == "https");
                if steps.len() > REDIRECTS {
                    attempt.error("it redirects again and again")
                } else if encrypted && attempt.url().scheme() != "https" {
                    attempt.error("it redirects to an address that is not encrypted")
                } else {
                    attempt.follow()
                }
            }))
            .tls_backend_preconfigured(tls(roots, more)?);
        let client = client.build().map_err(|error| Error::Server {
            place: "the network".to_owned(),
            message: causes(&error),
        })?;
        Ok(Self { client })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request. Any status is a response.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let request = request
            .build()
            .map_err(|error| unreachable("the request", &error))?;
        let place = place(request.url());
        let sent = tokio::time::timeout(SHORT, self.client.execute(request)).await;
        match sent {
            Ok(response) => response.map_err(|error| unreachable(&place, &error)),
            Err(_) => Err(Error::Server {
                place,
                message: format!("no answer within {} s", SHORT.as_secs()),
            }),
        }
    }
}

/// The body of a response, where it has at most `most` bytes.
pub(crate) async fn body(response: Response, most: usize) -> Result<Vec<u8>, Error> {
    let place = place(response.url());
    let read = async {
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| unreachable(&place, &error))?;
            if bytes.len() + piece.len() > most {
                return Err(Error::Server {
                    place: place.clone(),
                    message: format!("it sent more than {most} bytes where that many are enough"),
                });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(SHORT, read).await {
        Ok(read) => read,
        Err(_) => Err(Error::Server {
            place: place.clone(),
            message: format!("its answer did not end within {} s", SHORT.as_secs()),
        }),
    }
}

/// Writes a component's bytes down as they come, at most `most`. `response` answers a request for what is after the
/// draft's bytes; a server that sends everything is followed.
pub(crate) async fn download(
    response: Response,
    draft: &mut Draft,
    most: u64,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let place = place(response.url());
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
        && starts_at(response.headers()) == Some(draft.written());
    if !goes_on {
        draft.restart()?;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            return Err(Error::Server {
                place,
                message: "it sent another part than it was asked for; nothing was kept".to_owned(),
            });
        }
    }
    let total = response.content_length();
    let total = total.map(|rest| rest.saturating_add(draft.written()));
    let too_much = || Error::Server {
        place: place.clone(),
        message: format!("it sends more than the {most} bytes that are expected; nothing was kept"),
    };
    if total.is_some_and(|total| total > most) {
        draft.restart()?;
        return Err(too_much());
    }
    let copy = async {
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| unreachable(&place, &error))?;
            if draft.written() + piece.len() as u64 > most {
                draft.restart()?;
                return Err(too_much());
            }
            draft.write(&piece)?;
            progress(draft.written(), total);
        }
        Ok(())
    };
    match tokio::time::timeout(WHOLE, copy).await {
        Ok(copied) => copied,
        Err(_) => Err(Error::Server {
            place: place.clone(),
            message: format!(
                "it sends so slowly that {} s were not enough; what came is kept for the next try",
                WHOLE.as_secs()
            ),
        }),
    }
}

/// The first byte that a partial answer has.
fn starts_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(reqwest::header::CONTENT_RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

/// What a server said with a status that is no success, in one line.
pub(crate) async fn refusal(response: Response) -> Error {
    let (place, status) = (place(response.url()), response.status());
    let said = body(response, 64 << 10).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let words = words_of(&said);
    let words = if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    };
    Error::Server {
        place,
        message: format!("it answered {}{words}", status.as_u16()),
    }
}

/// The message in an error's JSON, which is much alike everywhere; nothing of a web page.
fn words_of(said: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(said).unwrap_or_default();
    let found = ["/errors/0/message", "/error", "/message", "/details"]
        .iter()
        .find_map(|at| json.pointer(at)?.as_str());
    ml_intern_manifest::printable(found.unwrap_or_default(), WORDS)
}

/// Scheme, host and port.
pub(crate) fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn unreachable(place: &str, error: &reqwest::Error) -> Error {
    Error::Server {
        place: place.to_owned(),
        message: match error {
            error if error.is_connect() => format!("it cannot be reached ({})", causes(error)),
            error if error.is_timeout() => format!("it said nothing for {} s", SILENCE.as_secs()),
            error => causes(error),
        },
    }
}

/// The last cause in a chain of errors, which is the one that says something. Never the address: it may hold a
/// signature that opens a file.
fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    ml_intern_manifest::printable(&last.to_string(), WORDS)
}

fn unread(place: &str, why: &str) -> Error {
    Error::Server {
        place: place.to_owned(),
        message: format!("no certificates can be read from it ({why})"),
    }
}

fn tls(roots: Option<&Path>, more: &[String]) -> Result<rustls::ClientConfig, Error> {
    let mut store = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let file = roots.map(|path| {
        let text = std::fs::read_to_string(path);
        let place = path.display().to_string();
        text.map(|text| (place.clone(), text))
            .map_err(|error| unread(&place, &error.to_string()))
    });
    let configured = more
        .iter()
        .map(|text| ("extra_root_certificates".to_owned(), text.clone()));
    for (place, text) in file.transpose()?.into_iter().chain(configured) {
        for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let certificate = certificate.map_err(|error| unread(&place, &error.to_string()))?;
            store
                .add(certificate)
                .map_err(|error| unread(&place, &error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Server {
            place: "TLS".to_owned(),
            message: error.to_string(),
        })?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_are_found_and_no_web_page_is_shown() {
        let oci =
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#;
        assert_eq!(words_of(oci), "manifest unknown");
        assert_eq!(
            words_of(r#"{"error":"Entry not found"}"#),
            "Entry not found"
        );
        assert_eq!(words_of("<html>502 Bad Gateway</html>"), "");
    }

    #[test]
    fn a_partial_answer_says_where_it_begins() {
        let headers = |text: &str| {
            HeaderMap::from_iter([(reqwest::header::CONTENT_RANGE, text.parse().unwrap())])
        };
        assert_eq!(starts_at(&headers("bytes 5-9/10")), Some(5));
        assert_eq!(starts_at(&headers("bytes */10")), None);
        assert_eq!(starts_at(&HeaderMap::new()), None);
    }
}
