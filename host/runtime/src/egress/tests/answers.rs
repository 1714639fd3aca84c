//! Answers that want to be too much: packed, switching protocols, dripping, echoing.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const TOKEN: &str = "hf_0123456789";

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A server that answers with this body under these headers.
async fn serving(headers: &str, body: Vec<u8>) -> Server {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    let answer = [head.into_bytes(), body].concat();
    Server::start(move |mut stream| {
        let answer = answer.clone();
        async move { stream.write_all(&answer).await.map(|()| stream) }
    })
    .await
}

const GZIP: &str = "content-encoding: gzip\r\n";

#[tokio::test]
async fn a_packed_answer_is_unpacked_counted_and_cleared_of_secrets() {
    let text = format!("{} and {TOKEN}", "plain ".repeat(1000));
    let server = serving(GZIP, packed(text.as_bytes())).await;
    let caller = Rules::granting(&server)
        .with_token(&server, TOKEN)
        .caller(&network());
    let asking = get(&server.url("/")).header("accept-encoding", "br, gzip");
    let response = caller.send(asking, "").await.unwrap();
    for gone in ["content-encoding", "content-length"] {
        assert!(!response.headers().contains_key(gone), "{gone}");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, text.replace(TOKEN, "*************"));
    assert_eq!(caller.audits()[0].received_bytes, text.len() as u64);
    let silent = get(&server.url("/"));
    caller.text(silent, "").await.unwrap();
    let asked: Vec<bool> = server
        .requests()
        .iter()
        .map(|request| request.contains("accept-encoding: gzip\r\n"))
        .collect();
    assert_eq!(asked, [true, false]);
    assert!(server.requests()[1].contains("accept-encoding: identity\r\n"));
}

#[tokio::test]
async fn a_gzip_bomb_ends_at_the_cap() {
    // A hundred megabytes in a hundred kilobytes.
    let bomb = packed(&vec![0; 100 << 20]);
    assert!(bomb.len() < 200 << 10);
    let server = serving(GZIP, bomb).await;
    let caller = Rules::granting(&server).caller(&network());
    let began = Instant::now();
    let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
    assert!(
        matches!(error, Error::HttpResponseBodySize(Some(limit)) if limit == 8 << 20),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    let audit = &caller.audits()[0];
    assert!(audit.received_bytes <= 8 << 20);
    assert!(matches!(&audit.verdict, Verdict::Failed(text) if text.contains("max-response")));
    // Packed bytes that become nothing are counted as well: an endless row of empty blocks.
    let head = &packed(b"")[..10];
    let empty = [head, &[0, 0, 0, 0xff, 0xff].repeat(40_000)].concat();
    let server = serving(GZIP, empty).await;
    let mut rules = Rules::granting(&server);
    rules.request.push_str("max-response = \"1KiB\"\n");
    let error = rules
        .caller(&network())
        .text(get(&server.url("/")), "")
        .await;
    assert!(matches!(
        error,
        Err(Error::HttpResponseBodySize(Some(1024)))
    ));
}

#[tokio::test]
async fn codings_that_cannot_be_undone_are_refused() {
    for (headers, body) in [
        ("content-encoding: br\r\n", b"x".to_vec()),
        ("content-encoding: gzip, gzip\r\n", packed(&packed(b"x"))),
        (GZIP, b"no gzip".to_vec()),
    ] {
        let server = serving(headers, body).await;
        let caller = Rules::granting(&server).caller(&network());
        let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
        assert!(
            matches!(error, Error::HttpResponseContentCoding(Some(_))),
            "{headers}: {error}"
        );
        assert!(matches!(caller.audits()[0].verdict, Verdict::Failed(_)));
    }
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    )
    .await;
    let caller = Rules::granting(&server).caller(&network());
    let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
    assert!(
        matches!(error, Error::HttpResponseTransferCoding(Some(_))),
        "{error}"
    );
    // An answer without a body is none of this.
    let server =
        Server::answering("HTTP/1.1 304 Not Modified\r\ncontent-encoding: br\r\n\r\n").await;
    let caller = Rules::granting(&server).caller(&network());
    assert_eq!(caller.text(get(&server.url("/")), "").await.unwrap(), "");
}

#[tokio::test]
async fn another_protocol_is_not_switched_to() {
    let server = Server::answering(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nraw bytes",
    )
    .await;
    let caller = Rules::granting(&server).caller(&network());
    let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
    assert!(
        matches!(error, Error::HttpUpgradeFailed | Error::HttpProtocolError),
        "{error}"
    );
    assert!(matches!(caller.audits()[0].verdict, Verdict::Failed(_)));
}

#[tokio::test]
async fn what_drips_ends_with_the_time_of_the_call() {
    async fn dripping(head: &'static str, drop: &'static str) -> Server {
        Server::start(move |mut stream| async move {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(drop.as_bytes()).await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
    let ok = "HTTP/1.1 200 OK\r\n";
    for (what, server) in [
        ("header", dripping(ok, "x").await),
        ("headers", dripping(ok, "x: y\r\n").await),
        (
            "answers",
            dripping("", "HTTP/1.1 103 Early Hints\r\n\r\n").await,
        ),
        (
            "body",
            dripping(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "1\r\nx\r\n",
            )
            .await,
        ),
    ] {
        let rules = Rules {
            timeout: Duration::from_millis(400),
            ..Rules::granting(&server)
        };
        let caller = rules.caller(&network());
        let began = Instant::now();
        let ended = tokio::time::timeout(
            Duration::from_secs(3),
            caller.text(get(&server.url("/")), ""),
        );
        // A body that drips is read for as long as the call lasts, which the call sees to itself.
        let ended = tokio::select! {
            ended = ended => ended.unwrap().unwrap_err().to_string(),
            () = caller.call.clock.expired() => "expired".to_owned(),
        };
        assert!(
            !ended.is_empty() && began.elapsed() < Duration::from_secs(2),
            "{what}: {ended}"
        );
    }
}

#[tokio::test]
async fn a_service_that_echoes_gives_no_secret_away_wherever_it_puts_it() {
    let split: Vec<String> = TOKEN.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    let answers = [
        format!(
            "HTTP/1.1 302 Found\r\nlocation: https://evil.test/?t={TOKEN}\r\ncontent-length: 0\r\n\r\n"
        ),
        format!("HTTP/1.1 400 {TOKEN}\r\nx-echo: {TOKEN}\r\ncontent-length: 13\r\n\r\n{TOKEN}"),
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\n\r\n{}0\r\nx-late: {TOKEN}\r\n\r\n",
            split.concat()
        ),
        // The rest never comes.
        format!("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{TOKEN}"),
    ];
    for answer in answers {
        let server = Server::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                stream.write_all(answer.as_bytes()).await?;
                Err(std::io::ErrorKind::Other.into())
            }
        })
        .await;
        let caller = Rules::granting(&server)
            .with_token(&server, TOKEN)
            .caller(&network());
        let response = caller.send(get(&server.url("/")), "").await.unwrap();
        let (parts, body) = response.into_parts();
        let mut seen = format!("{:?}", parts.headers);
        let mut body = body;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    assert!(!frame.is_trailers());
                    seen += &String::from_utf8_lossy(frame.data_ref().unwrap());
                }
                Err(error) => seen += &format!("{error} {error:?}"),
            }
        }
        assert!(
            seen.contains("*************") && !seen.contains("hf_01"),
            "{seen}"
        );
        assert!(server.requests()[0].contains(TOKEN));
    }
}

#[tokio::test]
async fn what_is_left_of_a_secret_shows_neither_in_denials_nor_in_records() {
    let server = Server::answering(OK).await;
    let caller = Rules::granting(&server)
        .with_token(&server, TOKEN)
        .caller(&network());
    for url in [
        server.url(&format!("/{TOKEN}")),
        format!("http://127.0.0.1:1/{TOKEN}"),
        format!("https://{TOKEN}.evil.test/"),
    ] {
        caller.text(get(&url), "").await.unwrap_err();
        let seen = format!("{} {:?}", caller.denial(), caller.audits());
        assert!(!seen.contains(TOKEN), "{seen}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_error_that_names_a_coding_tells_no_secret() {
    for header in ["content-encoding", "transfer-encoding"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{header}: {TOKEN}\r\nconnection: close\r\n\r\nx");
        let server = Server::answering(&answer).await;
        let rules = Rules::granting(&server).with_token(&server, TOKEN);
        let caller = rules.caller(&network());
        let error = caller.text(get(&server.url("/a")), "").await.unwrap_err();
        assert!(
            error.to_string().contains(&"*".repeat(TOKEN.len())),
            "{error}"
        );
        assert!(!format!("{:?}", caller.audits()).contains(TOKEN));
    }
}
