//! Bodies on their way out while something ends the request: the guest learns what.

use http::HeaderMap;

use super::*;

const TOKEN: &str = "hf_0123456789";
const ROUNDS: usize = 100;

fn pieces(count: usize) -> Vec<Bytes> {
    vec![Bytes::from_static(&[b'x'; 4096]); count]
}

#[tokio::test]
async fn a_refusal_is_typed_while_the_body_is_still_written_every_time() {
    let server = Server::answering(OK).await;
    let mut rules = Rules::granting(&server).with_token(&server, TOKEN);
    rules.limits.requests_per_minute = 6000;
    let network = network();
    let caller = rules.caller(&network);
    let denied = format!("http://127.0.0.2:{}/", server.address.port());
    let mut secret = pieces(20);
    secret.insert(10, TOKEN[..6].into());
    secret.insert(11, TOKEN[6..].into());
    for round in 0..ROUNDS {
        let (answer, taken) = caller.stream(Request::post(&denied), pieces(20)).await;
        let error = answer.unwrap_err();
        assert!(
            matches!(error, Error::HttpRequestDenied),
            "{round}: {error}"
        );
        assert!(taken, "{round}");
        let (answer, taken) = caller
            .stream(Request::post(server.url("/")), secret.clone())
            .await;
        let error = answer.unwrap_err();
        assert!(
            matches!(error, Error::HttpRequestDenied),
            "{round}: {error}"
        );
        assert!(taken, "{round}");
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| !request.contains(TOKEN))
    );
    assert!(caller.denial().contains("holds a secret"));
}

#[tokio::test]
async fn a_prohibited_address_and_a_refused_connection_are_typed_while_the_body_is_written() {
    let network = network();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let place = |host: &str| format!("host = \"{host}\", port = {port}, scheme = \"http\"");
    let (own, metadata) = (place("127.0.0.1"), place("169.254.169.254"));
    let mut rules = Rules::naming("127.0.0.1", "http", port);
    rules.request += &format!(
        "[[request.http]]\n{}\nmethods = [\"POST\"]\n",
        metadata.replace(", ", "\n")
    );
    rules.grant = format!("http = [{{ {own} }}, {{ {metadata} }}]");
    let caller = rules.caller(&network);
    for round in 0..ROUNDS {
        let url = format!("http://169.254.169.254:{port}/");
        let (answer, taken) = caller.stream(Request::post(&url), pieces(20)).await;
        let error = answer.unwrap_err();
        assert!(
            taken && matches!(error, Error::DestinationIpProhibited),
            "{round}: {error}"
        );
        let url = format!("http://127.0.0.1:{port}/");
        let (answer, taken) = caller.stream(Request::post(&url), pieces(20)).await;
        let error = answer.unwrap_err();
        assert!(
            taken && matches!(error, Error::ConnectionRefused),
            "{round}: {error}"
        );
    }
}

#[tokio::test]
async fn a_secret_after_the_answer_began_ends_the_answer_with_the_reason() {
    // Answers before it has read the body, and holds the answer open.
    let server = Server::start(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await?;
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(stream)
    })
    .await;
    let caller = Rules::granting(&server)
        .with_token(&server, TOKEN)
        .caller(&network());
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok(http_body::Frame::data(piece)), receiver))
    });
    let body = StreamBody::new(Box::pin(frames)).boxed_unsync();
    let request = Request::post(server.url("/")).header("x-early", "1");
    let request = request.body(body).unwrap();
    let response = send(caller.call.clone(), request, RequestOptions::default())
        .await
        .unwrap();
    sender.send("harmless".into()).await.unwrap();
    sender.send(TOKEN.into()).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    assert!(caller.denial().contains("holds a secret"));
    assert!(matches!(caller.audits()[0].verdict, Verdict::Denied(_)));
}

#[tokio::test]
async fn a_body_of_another_length_than_declared_ends_the_exchange_and_its_connection() {
    let server = Server::answering(OK).await;
    let network = network();
    let caller = Rules::granting(&server).caller(&network);
    caller.text(get(&server.url("/")), "").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    for (declared, written) in [(20, 10), (10, 20)] {
        let request = Request::post(server.url("/")).header("content-length", declared);
        let body = Bytes::from(vec![b'x'; written]);
        let (answer, _) = caller.stream(request, vec![body]).await;
        let error = answer.unwrap_err();
        assert!(
            matches!(error, Error::HttpRequestBodySize(Some(size)) if size == written as u64),
            "{error}"
        );
        let audits = caller.audits();
        let Verdict::Failed(text) = &audits.last().unwrap().verdict else {
            panic!("{audits:?}");
        };
        assert!(
            text.contains(&format!("{declared} bytes and wrote {written}")),
            "{text}"
        );
    }
    // The first connection was taken for the short body and is gone, and so is the next one.
    caller.text(get(&server.url("/")), "").await.unwrap();
    assert_eq!(server.connections(), 3);
    assert_eq!(server.requests().len(), 2, "{:?}", server.requests());
}

#[tokio::test]
async fn trailers_of_a_request_are_dropped() {
    let server = Server::answering(OK).await;
    let caller = Rules::granting(&server)
        .with_token(&server, TOKEN)
        .caller(&network());
    let mut trailers = HeaderMap::new();
    trailers.insert("x-late", TOKEN.parse().unwrap());
    let frames = [
        Ok(http_body::Frame::data(Bytes::from_static(b"body"))),
        Ok(http_body::Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let request = Request::post(server.url("/"))
        .header("content-length", 4)
        .body(body)
        .unwrap();
    let answer = send(caller.call.clone(), request, RequestOptions::default()).await;
    assert_eq!(answer.unwrap().status(), 200);
    let seen = server.requests();
    assert!(seen.len() == 1 && !seen[0].contains("x-late"), "{seen:?}");
    let audit = caller.audits();
    assert_eq!(audit[0].sent_bytes, 4);
}

#[tokio::test]
async fn requests_are_limited_over_all_calls_of_a_plugin() {
    let server = Server::answering(OK).await;
    let mut rules = Rules::granting(&server);
    rules.limits.requests_per_minute = 3;
    rules.timeout = Duration::from_secs(2);
    let caller = rules.caller(&network());
    for _ in 0..3 {
        caller.text(get(&server.url("/")), "").await.unwrap();
    }
    for _ in 0..3 {
        let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
        assert!(matches!(error, Error::ConnectionLimitReached), "{error}");
    }
    assert_eq!(server.requests().len(), 3);
    let audits = caller.audits();
    assert_eq!(audits.len(), 4, "{audits:?}");
    assert_eq!(audits[3].target, "limits.requests-per-minute");
    assert!(matches!(&audits[3].verdict, Verdict::Limited(text) if text.contains("more than 3")));

    let mut rules = Rules::granting(&server);
    rules.limits.requests_at_once = 2;
    rules.timeout = Duration::from_millis(300);
    let caller = rules.caller(&network());
    let open = [
        caller.send(get(&server.url("/")), "").await.unwrap(),
        caller.send(get(&server.url("/")), "").await.unwrap(),
    ];
    let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLimitReached), "{error}");
    drop(open);
    let audits = caller.audits();
    assert_eq!(
        audits
            .iter()
            .filter(|audit| audit.capability == "limits")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_grant_that_is_taken_back_ends_what_is_under_way() {
    let mute = Server::start(|stream| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(stream)
    })
    .await;
    let drip = Server::start(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        loop {
            stream.write_all(b"1\r\nx\r\n").await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let nothing = || Setup::bare(Limits::default()).policy.effective();
    let network = network();
    let caller = Rules::granting(&mute).caller(&network);
    let waiting = caller.text(get(&mute.url("/")), "");
    let (error, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        caller.call.setup.policy.replace((*nothing()).clone());
    });
    assert!(matches!(error, Err(Error::HttpRequestDenied)));
    let caller = Rules::granting(&drip).caller(&network);
    let response = caller.send(get(&drip.url("/")), "").await.unwrap();
    caller.call.setup.policy.replace((*nothing()).clone());
    let error = response.into_body().collect().await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    // A connection that was opened under the grant is of no use without it.
    let server = Server::answering(OK).await;
    let caller = Rules::granting(&server).caller(&network);
    caller.text(get(&server.url("/")), "").await.unwrap();
    caller.call.setup.policy.replace((*nothing()).clone());
    let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    assert_eq!(server.requests().len(), 1);
}
