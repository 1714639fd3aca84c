//! Recordings in the network's place: what is asked before, and what is done to their answers.

use super::*;
use crate::egress::recordings::{Expected, Lost, Recorded, Recording, Recordings};

fn recording(method: &str, url: &str, answer: Recorded) -> Recording {
    Recording {
        method: method.to_owned(),
        url: url.to_owned(),
        body: Expected::Any,
        answer,
        repeated: true,
    }
}

fn answer(body: &str, headers: &[(&str, &str)]) -> Recorded {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Recorded::Answer {
        status: 200,
        headers: headers.collect(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// A caller that may send GET and POST to `https://recorded.example` and nothing else.
fn caller(all: Vec<Recording>) -> (Caller, Arc<Recordings>) {
    let recordings = Arc::new(Recordings::new(all).unwrap());
    let rules = Rules {
        recordings: Some(recordings.clone()),
        token: Some("hf_of_the_case"),
        ..Rules::naming("recorded.example", "https", 443)
    };
    (rules.caller(&network()), recordings)
}

#[tokio::test]
async fn a_recording_answers_where_the_network_would() {
    let url = "https://recorded.example/a?b=c";
    let (caller, recordings) = caller(vec![recording("POST", url, answer("hello", &[]))]);
    let text = caller.text(Request::post(url), "a body").await.unwrap();
    assert_eq!(text, "hello");
    let audit = caller.audits.0.lock().unwrap().pop().unwrap();
    assert_eq!(audit.verdict, Verdict::Answered(200));
    assert_eq!((audit.sent_bytes, audit.received_bytes), (6, 5));
    assert_eq!(recordings.times(), [1]);
}

#[tokio::test]
async fn what_is_not_granted_does_not_reach_a_recording() {
    let elsewhere = "https://elsewhere.example/";
    let (caller, recordings) = caller(vec![
        recording("GET", elsewhere, answer("secret", &[])),
        recording("GET", "http://recorded.example/", answer("secret", &[])),
    ]);
    for url in [elsewhere, "http://recorded.example/"] {
        let denied = caller.send(get(url), "").await.unwrap_err();
        assert!(matches!(denied, Error::HttpRequestDenied), "{denied:?}");
    }
    // A plugin sends no secret, also not to a recording.
    let url = "https://recorded.example/?q=hf_of_the_case";
    assert!(caller.send(get(url), "").await.is_err());
    assert_eq!(recordings.times(), [0, 0]);
    assert!(recordings.strays().is_empty());
}

#[tokio::test]
async fn an_answer_is_cleared_and_bounded_as_one_from_the_network() {
    let large = "x".repeat(9 << 20);
    let (caller, _) = caller(vec![
        recording(
            "GET",
            "https://recorded.example/echo",
            answer("Bearer hf_of_the_case", &[("x-echo", "hf_of_the_case")]),
        ),
        recording("GET", "https://recorded.example/large", answer(&large, &[])),
        recording(
            "GET",
            "https://recorded.example/lost",
            Recorded::Lost(Lost::Timeout),
        ),
    ]);
    let echo = caller.send(get("https://recorded.example/echo"), "").await;
    let echo = echo.unwrap();
    assert!(!format!("{:?}", echo.headers()).contains("hf_of"));
    let bytes = echo.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains("hf_of"));
    let large = caller.text(get("https://recorded.example/large"), "").await;
    assert!(
        matches!(large, Err(Error::HttpResponseBodySize(_))),
        "{large:?}"
    );
    let lost = caller.send(get("https://recorded.example/lost"), "").await;
    assert!(matches!(lost, Err(Error::HttpResponseTimeout)), "{lost:?}");
}

#[tokio::test]
async fn without_a_recording_nothing_is_sent_and_the_request_is_kept() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let recordings = Arc::new(Recordings::new(Vec::new()).unwrap());
    let rules = Rules {
        recordings: Some(recordings.clone()),
        ..Rules::granting(&server)
    };
    let caller = rules.caller(&network());
    let url = server.url("/a");
    let refused = caller.send(Request::post(&url), "a body").await;
    assert!(
        matches!(refused, Err(Error::InternalError(Some(_)))),
        "{refused:?}"
    );
    assert_eq!(server.connections(), 0);
    let strays = recordings.strays();
    assert_eq!(
        (strays[0].method.as_str(), strays[0].url.as_str()),
        ("POST", &*url)
    );
    assert_eq!(strays[0].body, "a body");
}
