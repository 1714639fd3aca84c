//! Answers that were written down, in the network's place: for an author's tests. The grant is asked before, as for the
//! network, and an answer is unpacked, bounded and cleared after, as one from there.

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use url::Url;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::egress::body::Sent;
use crate::egress::failure::Failure;
use crate::egress::sign::collect;
use crate::egress::transport::{Incoming, Transport, Way};
use crate::meter::lock;

/// Requests without a recording that are kept; more say nothing new.
const MAX_STRAYS: usize = 16;

/// A request, and what answers it.
#[derive(Debug, Clone)]
pub struct Recording {
    /// In upper case.
    pub method: String,
    /// Whole, with its query. Compared as it is sent: `HTTPS://Example.org` is `https://example.org/`.
    pub url: String,
    /// What its body has to be.
    pub body: Expected,
    /// What it gets.
    pub answer: Recorded,
    /// Answers any number of requests, not only one.
    pub repeated: bool,
}

/// What a body has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Anything.
    Any,
    /// These bytes.
    Bytes(Bytes),
    /// JSON of this value, however it is written.
    Json(serde_json::Value),
}

/// What comes back for a request.
#[derive(Debug, Clone)]
pub enum Recorded {
    /// An answer.
    Answer {
        /// 100 to 599.
        status: u16,
        /// As the service would send them.
        headers: Vec<(String, String)>,
        /// The whole of it.
        body: Bytes,
    },
    /// None.
    Lost(Lost),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The name leads nowhere.
    Lookup,
    /// Nobody listens there.
    Refused,
    /// The service took too long.
    Timeout,
    /// The connection broke off.
    Broken,
}

/// A request that no recording answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// In upper case.
    pub method: String,
    /// As it was sent.
    pub url: String,
    /// As it was sent.
    pub body: Bytes,
    /// What keeps the recordings of the same URL from answering it, in words; empty where there is none.
    pub near: Vec<String>,
}

/// Recordings of one place and time, and what has become of them. Each answers one request, the first that fits goes
/// first.
pub struct Recordings {
    all: Vec<Recording>,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// How often each has answered.
    times: Vec<u32>,
    strays: Vec<Stray>,
}

impl fmt::Debug for Recordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recordings")
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

impl Recordings {
    /// Recordings whose parts make sense.
    ///
    /// # Errors
    /// The number of the recording from 0, and what is wrong with it.
    pub fn new(mut all: Vec<Recording>) -> Result<Self, (usize, String)> {
        for (number, recording) in all.iter_mut().enumerate() {
            check(recording).map_err(|problem| (number, problem))?;
        }
        Ok(Self {
            used: Mutex::new(Used {
                times: vec![0; all.len()],
                strays: Vec::new(),
            }),
            all,
        })
    }

    /// How often each recording has answered, in their order.
    pub fn times(&self) -> Vec<u32> {
        lock(&self.used).times.clone()
    }

    /// Requests that found no recording, oldest first; the first 16 of them.
    pub fn strays(&self) -> Vec<Stray> {
        lock(&self.used).strays.clone()
    }

    fn find(&self, method: &str, url: &str, body: &Bytes) -> Option<&Recorded> {
        let mut used = lock(&self.used);
        let fits = |(number, recording): &(usize, &Recording)| {
            (recording.repeated || used.times.get(*number) == Some(&0))
                && recording.misfit(method, url, body).is_none()
        };
        if let Some((number, found)) = self.all.iter().enumerate().find(fits) {
            if let Some(times) = used.times.get_mut(number) {
                *times = times.saturating_add(1);
            }
            return Some(&found.answer);
        }
        if used.strays.len() < MAX_STRAYS {
            let same = self.all.iter().filter(|recording| recording.url == url);
            let near = same.map(|recording| match recording.misfit(method, url, body) {
                Some(why) => why.to_owned(),
                None => "it has answered a request already; `repeated = true` lets it answer more"
                    .to_owned(),
            });
            let stray = Stray {
                method: method.to_owned(),
                url: url.to_owned(),
                body: body.clone(),
                near: near.collect(),
            };
            used.strays.push(stray);
        }
        None
    }
}

fn check(recording: &mut Recording) -> Result<(), String> {
    let url = Url::parse(&recording.url).map_err(|error| format!("`url` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("`url` has to begin with `https://` or `http://`".to_owned());
    }
    if url.fragment().is_some() {
        return Err("`url` has a fragment (`#…`), which is never sent".to_owned());
    }
    recording.url = url.into();
    if let Recorded::Answer {
        status, headers, ..
    } = &recording.answer
    {
        StatusCode::from_u16(*status)
            .ok()
            .filter(|status| status.as_u16() < 600)
            .ok_or_else(|| format!("`status` is 100 to 599, not {status}"))?;
        for (name, value) in headers {
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is not the name of a header"))?;
            HeaderValue::from_str(value)
                .map_err(|_| format!("the header `{name}` holds what no header may"))?;
        }
    }
    Ok(())
}

impl Recording {
    /// Why it does not answer a request.
    fn misfit(&self, method: &str, url: &str, body: &Bytes) -> Option<&'static str> {
        if self.url != url {
            return Some("it has another URL");
        }
        if self.method != method {
            return Some("it has another method");
        }
        match &self.body {
            Expected::Any => None,
            Expected::Bytes(bytes) => (bytes != body).then_some("it has another request body"),
            Expected::Json(value) => {
                let same = serde_json::from_slice::<serde_json::Value>(body)
                    .is_ok_and(|sent| sent == *value);
                (!same).then_some("it has another JSON as its request body")
            }
        }
    }
}

#[async_trait]
impl Transport for Recordings {
    async fn exchange(
        &self,
        request: Request<WasiBody>,
        _: &Way,
        sent: &Sent,
    ) -> Result<Response<Incoming>, Failure> {
        let (parts, body) = request.into_parts();
        let body = collect(body, sent).await?;
        let url = parts.uri.to_string();
        match self.find(parts.method.as_str(), &url, &body) {
            Some(Recorded::Answer {
                status,
                headers,
                body,
            }) => answer(*status, headers, body.clone()),
            Some(Recorded::Lost(lost)) => Err(lost.failure()),
            None => {
                let text = format!("there is no recording of {} {url}", parts.method);
                Err(Failure::new(Error::InternalError(Some(text.clone())), text))
            }
        }
    }
}

fn answer(
    status: u16,
    headers: &[(String, String)],
    body: Bytes,
) -> Result<Response<Incoming>, Failure> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let body = Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync();
    response.body(body).map_err(|error| {
        let text = format!("the recording is no answer: {error}");
        Failure::new(Error::InternalError(Some(text.clone())), text)
    })
}

impl Lost {
    fn failure(self) -> Failure {
        let (error, text) = match self {
            Self::Lookup => (
                Error::DnsError {
                    rcode: Some("no such name".to_owned()),
                    info_code: None,
                },
                "the name cannot be resolved, as recorded",
            ),
            Self::Refused => (Error::ConnectionRefused, "cannot connect, as recorded"),
            Self::Timeout => (Error::HttpResponseTimeout, "no answer, as recorded"),
            Self::Broken => (
                Error::ConnectionTerminated,
                "the connection broke off, as recorded",
            ),
        };
        Failure::new(error, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(method: &str, url: &str, body: Expected) -> Recording {
        Recording {
            method: method.to_owned(),
            url: url.to_owned(),
            body,
            answer: Recorded::Lost(Lost::Refused),
            repeated: false,
        }
    }

    #[test]
    fn each_recording_answers_once_and_in_order() {
        let all = vec![
            recording("GET", "HTTPS://Example.org", Expected::Any),
            recording("GET", "https://example.org/", Expected::Any),
            Recording {
                repeated: true,
                ..recording("GET", "https://example.org/again", Expected::Any)
            },
        ];
        let recordings = Recordings::new(all).unwrap();
        let find = |url: &str| recordings.find("GET", url, &Bytes::new()).is_some();
        assert!(find("https://example.org/"));
        assert_eq!(recordings.times(), [1, 0, 0]);
        assert!(find("https://example.org/"));
        assert!(!find("https://example.org/"));
        assert!(find("https://example.org/again") && find("https://example.org/again"));
        assert_eq!(recordings.times(), [1, 1, 2]);
        let strays = recordings.strays();
        assert_eq!(strays.len(), 1);
        assert!(strays[0].near[0].contains("answered a request already"));
    }

    #[test]
    fn a_request_that_fits_nothing_is_kept_with_what_was_near() {
        let body = Expected::Json(serde_json::json!({ "a": 1, "b": [2] }));
        let all = vec![
            recording("POST", "https://example.org/x", body),
            recording(
                "GET",
                "https://example.org/x",
                Expected::Bytes(Bytes::from_static(b"y")),
            ),
        ];
        let recordings = Recordings::new(all).unwrap();
        let post = |body: &'static str| {
            recordings
                .find(
                    "POST",
                    "https://example.org/x",
                    &Bytes::from_static(body.as_bytes()),
                )
                .is_some()
        };
        assert!(!post("{\"a\": 2}"));
        assert!(post(" {\"b\":[2],\n\"a\":1}"));
        for _ in 0..100 {
            assert!(!post("no json"));
        }
        let strays = recordings.strays();
        assert_eq!(strays.len(), MAX_STRAYS);
        assert_eq!(
            strays[0].near,
            [
                "it has another JSON as its request body",
                "it has another method"
            ]
        );
    }

    #[test]
    fn recordings_that_make_no_sense_are_refused() {
        let refused = |change: &dyn Fn(&mut Recording)| {
            let mut one = recording("GET", "https://example.org/", Expected::Any);
            change(&mut one);
            Recordings::new(vec![recording("GET", "http://a/", Expected::Any), one]).unwrap_err()
        };
        let answer = |status, name: &str, value: &str| Recorded::Answer {
            status,
            headers: vec![(name.to_owned(), value.to_owned())],
            body: Bytes::new(),
        };
        for (number, text) in [
            refused(&|one| one.url = "nowhere".into()),
            refused(&|one| one.url = "ftp://example.org/".into()),
            refused(&|one| one.url = "https://example.org/#part".into()),
            refused(&|one| one.answer = answer(99, "a", "b")),
            refused(&|one| one.answer = answer(600, "a", "b")),
            refused(&|one| one.answer = answer(200, "a b", "b")),
            refused(&|one| one.answer = answer(200, "a", "b\n")),
        ] {
            assert_eq!(number, 1, "{text}");
        }
    }
}
