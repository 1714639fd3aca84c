//! Requests that the host signs, against a server that checks them as AWS does.

use super::*;
use crate::egress::sign::MAX_SIGNED_BODY;
use crate::egress::sign::tests::{Received, Scope, signature};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVz";

fn keys(session: bool) -> String {
    match session {
        true => format!("{ID}:{SECRET}:{SESSION}"),
        false => format!("{ID}:{SECRET}"),
    }
}

/// The headers of a request, once its signature is right.
fn verified(request: &str) -> BTreeMap<String, String> {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let told = &headers["authorization"];
    let (rest, told) = told.rsplit_once(", Signature=").unwrap();
    let (rest, signed) = rest.rsplit_once(", SignedHeaders=").unwrap();
    let date = &headers["x-amz-date"][..8];
    assert_eq!(
        rest,
        format!("AWS4-HMAC-SHA256 Credential={ID}/{date}/eu-west-1/bedrock/aws4_request")
    );
    let received = Received {
        method: first.next().unwrap(),
        target: first.next().unwrap(),
        headers: headers.clone(),
        body: body.as_bytes(),
    };
    let scope = Scope {
        secret: SECRET,
        region: "eu-west-1",
        service: "bedrock",
    };
    let signed: Vec<&str> = signed.split(';').collect();
    assert!(signed.contains(&"host") && signed.contains(&"x-amz-content-sha256"));
    assert_eq!(signature(&scope, &received, &signed), told);
    headers
}

#[tokio::test]
async fn what_arrives_is_signed_and_the_record_names_the_credential() {
    let server = Server::answering(OK).await;
    let network = network();
    for session in [false, true] {
        let keys = keys(session);
        let rules = Rules::granting(&server).with_keys(&server, Some(&keys));
        let caller = rules.caller(&network);
        for path in [
            "/model/m-v2:0/converse",
            "/model/m-v2%3A0/converse?b=1&a=%20",
        ] {
            let request =
                Request::post(server.url(path)).header("content-type", "application/json");
            assert_eq!(caller.text(request, "{\"a\": 1}").await.unwrap(), "ok");
        }
        caller.text(get(&server.url("/models")), "").await.unwrap();
        let pieces = vec![Bytes::from_static(b"part"); 3];
        let streamed = caller.stream(Request::post(server.url("/")), pieces).await;
        assert_eq!(streamed.0.unwrap().status(), 200);
        let audits = caller.audits();
        assert_eq!(audits.len(), 4);
        for audit in audits {
            assert!(
                audit
                    .rule
                    .as_ref()
                    .unwrap()
                    .ends_with(", signed with the credential `aws` (AWS SigV4, service bedrock)"),
                "{audit:?}"
            );
        }
    }
    let seen = server.requests();
    assert_eq!(seen.len(), 8);
    for (number, request) in seen.iter().enumerate() {
        let headers = verified(request);
        let token = headers.get("x-amz-security-token").map(String::as_str);
        assert_eq!(token, (number >= 4).then_some(SESSION));
        assert!(!request.contains(SECRET));
        assert!(!headers.contains_key("transfer-encoding"), "{request}");
    }
    assert!(seen[3].ends_with("\r\n\r\npartpartpart"));
}

#[tokio::test]
async fn a_service_that_echoes_what_it_got_gives_no_key_away() {
    let server = Server::answering(&format!(
        "HTTP/1.1 200 OK\r\nx-echo: {ID}\r\ncontent-length: {}\r\n\r\n{ID} {SESSION}",
        ID.len() + 1 + SESSION.len()
    ))
    .await;
    let keys = keys(true);
    let rules = Rules::granting(&server).with_keys(&server, Some(&keys));
    let caller = rules.caller(&network());
    let response = caller.send(get(&server.url("/")), "").await.unwrap();
    assert_eq!(response.headers()["x-echo"], "*".repeat(ID.len()));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.iter().all(|byte| b"* ".contains(byte)), "{body:?}");
    for text in [ID, SECRET, SESSION] {
        let error = caller
            .text(Request::post(server.url("/")), text)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{error}");
        assert!(caller.denial().contains("holds a secret"));
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_plugin_says_nothing_of_what_the_host_signs() {
    let server = Server::answering(OK).await;
    let keys = keys(false);
    let rules = Rules::granting(&server).with_keys(&server, Some(&keys));
    let caller = rules.caller(&network());
    for name in [
        "authorization",
        "x-amz-date",
        "x-amz-security-token",
        "x_amz_target",
        "x-amz-content-sha256",
    ] {
        let request = get(&server.url("/")).header(name, "mine");
        let error = caller.text(request, "").await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{name}: {error}");
        let denial = caller.denial();
        assert!(denial.contains("adds the credential `aws`"), "{denial}");
    }
    let request = get(&server.url("/")).header("x-amzn-bedrock-trace", "ENABLED");
    caller.text(request, "").await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_signed_is_refused_before_anything_leaves() {
    let server = Server::answering(OK).await;
    let keys = keys(false);
    let rules = Rules::granting(&server).with_keys(&server, Some(&keys));
    let caller = rules.caller(&network());
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let pieces = vec![piece; (MAX_SIGNED_BODY >> 20) + 1];
    let (answer, taken) = caller.stream(Request::post(server.url("/")), pieces).await;
    let error = answer.unwrap_err();
    let over = MAX_SIGNED_BODY as u64 + (1 << 20);
    assert!(
        taken && matches!(error, Error::HttpRequestBodySize(Some(size)) if size == over),
        "{error}"
    );
    let audits = caller.audits();
    assert_eq!(audits[0].sent_bytes, 0);
    assert!(
        matches!(&audits[0].verdict, Verdict::Failed(text) if text.contains("33554432 bytes")),
        "{audits:?}"
    );
    let declared = Request::post(server.url("/")).header("content-length", 20);
    let error = caller.text(declared, "short").await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestBodySize(_)), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn without_keys_the_service_says_what_is_missing_and_without_a_region_the_host() {
    let server = Server::answering(OK).await;
    let network = network();
    let rules = Rules::granting(&server).with_keys(&server, None);
    rules
        .caller(&network)
        .text(get(&server.url("/")), "")
        .await
        .unwrap();
    assert!(!server.requests()[0].contains("authorization"));
    let keys = keys(false);
    let mut rules = Rules::granting(&server).with_keys(&server, Some(&keys));
    rules.request = rules.request.replace("default = \"eu-west-1\"", "");
    let caller = rules.caller(&network);
    let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    let denial = caller.denial();
    assert!(
        denial.contains("set the configuration key `region`"),
        "{denial}"
    );
}

#[tokio::test]
async fn a_credential_that_is_taken_back_while_the_body_is_written_signs_nothing() {
    let server = Server::answering(OK).await;
    let keys = keys(false);
    let rules = Rules::granting(&server).with_keys(&server, Some(&keys));
    let without = Rules::granting(&server).caller(&network());
    let caller = rules.caller(&network());
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok(http_body::Frame::data(piece)), receiver))
    });
    let body = StreamBody::new(Box::pin(frames)).boxed_unsync();
    let request = Request::post(server.url("/")).body(body).unwrap();
    let answer = send(caller.call.clone(), request, RequestOptions::default());
    let (answer, ()) = tokio::join!(answer, async {
        sender.send("begun".into()).await.unwrap();
        let less = without.call.effective();
        caller.call.setup.policy.replace((*less).clone());
        drop(sender);
    });
    assert!(matches!(answer, Err(Error::HttpRequestDenied)));
    assert!(caller.denial().contains("has changed"));
    assert_eq!(server.connections(), 0);
}
