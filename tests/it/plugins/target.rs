//! A server for the guest's requests, which keeps what it sees.

use std::sync::{Arc, Mutex};

use hyper::Response;

use crate::support::http::{Listening, full, listen};

pub(crate) struct Target {
    listening: Listening,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Target {
    /// Answers `/away` with a redirect to `away`, `/token` with the credential that came, and
    /// everything else with `hello`.
    pub(crate) async fn start(away: String) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let answer = move |_, request: hyper::Request<hyper::body::Incoming>| {
            let path = request.uri().path().to_owned();
            kept.lock()
                .unwrap()
                .push(format!("{} {path}", request.method()));
            let token = request.headers().get("authorization").cloned();
            let away = away.clone();
            async move {
                match (path.as_str(), token) {
                    ("/away", _) => Response::builder()
                        .status(302)
                        .header("location", away)
                        .body(full("")),
                    ("/token", Some(token)) => {
                        Response::builder().body(full(token.as_bytes().to_vec()))
                    }
                    _ => Response::builder().body(full("hello")),
                }
                .unwrap()
            }
        };
        Self {
            listening: listen(answer).await,
            seen,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listening.addr)
    }

    /// Method and path of each request.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}
