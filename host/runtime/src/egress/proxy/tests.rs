//! The proxy with real sockets: a service and a program on this machine.

use std::net::SocketAddr;
use std::sync::Mutex;

use ml_intern_manifest::NetworkRules;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::egress::resolve::Resolve;

/// Rules of which some can be taken back.
struct Rules {
    rules: Mutex<NetworkRules>,
    audits: Mutex<Vec<AuditRecord>>,
}

impl Gate for Rules {
    fn check(&self, host: &str, port: u16) -> Result<NetworkRule, Denial> {
        self.rules.lock().unwrap().check(host, port)
    }

    fn advice(&self, place: &str) -> String {
        self.rules.lock().unwrap().advice(place)
    }

    fn audit(&self, record: &AuditRecord) {
        self.audits.lock().unwrap().push(record.clone());
    }
}

fn rules(granted: &[&str]) -> NetworkRules {
    let granted: Vec<String> = granted.iter().map(|place| format!("{place:?}")).collect();
    let text = format!(
        "section = \"plugins.shell\"\nkind = \"process\"\nrequested = [\"public\", \"named\"]\ngranted = [{}]\n",
        granted.join(", ")
    );
    NetworkRules::from_text(&text).unwrap()
}

/// Names that lead to this machine.
#[derive(Debug)]
struct Names;

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match host {
            "private.test" | "localhost" => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
            "metadata.test" => Ok(vec![SocketAddr::from(([169, 254, 169, 254], port))]),
            _ => Err(io::Error::other("no such name")),
        }
    }
}

struct Bench {
    proxy: Option<Proxy>,
    address: SocketAddr,
    gate: Arc<Rules>,
}

impl Bench {
    fn new(granted: &[&str]) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(Rules {
            rules: Mutex::new(rules(granted)),
            audits: Mutex::default(),
        });
        let clients = Arc::new(Clients::new(None, Some(Arc::new(Names))));
        let proxy = Proxy::serve_with(listener, gate.clone(), clients).unwrap();
        Self {
            proxy: Some(proxy),
            address,
            gate,
        }
    }

    /// Sends text and reads to the end.
    async fn say(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(20), read).await;
        // A reset ends an answer as well as an end does.
        let _read = read.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn audits(&self, count: usize) -> Vec<AuditRecord> {
        for _ in 0..500 {
            if self.gate.audits.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.gate.audits.lock().unwrap().clone()
    }
}

/// A service that answers each connection with `answer` and keeps what it was told.
async fn service(answer: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                told.lock().unwrap().push(text);
                let _gone = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, heard)
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_granted_place_is_reached_and_what_passed_is_written_down() {
    let (port, heard) = service(HELLO).await;
    let bench = Bench::new(&[&format!("127.0.0.1:{port}")]);
    let request = format!(
        "GET http://127.0.0.1:{port}/a/b?secret=1 HTTP/1.1\r\nHost: elsewhere.test\r\nProxy-Authorization: x\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Kept: 1\r\n\r\n"
    );
    let answer = bench.say(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    let heard = heard.lock().unwrap().join("");
    assert!(
        heard.starts_with("GET /a/b?secret=1 HTTP/1.1\r\n"),
        "{heard}"
    );
    let heard = heard.to_lowercase();
    assert!(heard.contains(&format!("host: 127.0.0.1:{port}\r\n")));
    assert!(heard.contains("x-kept") && !heard.contains("x-hop") && !heard.contains("proxy-"));
    let audits = bench.audits(1).await;
    assert_eq!(audits[0].target, format!("GET http://127.0.0.1:{port}/a/b"));
    assert_eq!(audits[0].verdict, Verdict::Answered(200));
    assert_eq!(audits[0].received_bytes, 5);
    assert!(audits[0].rule.is_some());
}

#[tokio::test]
async fn an_ungranted_place_is_refused_with_what_would_allow_it() {
    let (port, heard) = service(HELLO).await;
    let bench = Bench::new(&["example.org"]);
    for request in [
        format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"),
        format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"),
    ] {
        let answer = bench.say(&request).await;
        let command = format!("ml-intern plugin grant shell --network 127.0.0.1:{port}");
        let (head, body) = answer.split_once("\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 403 ") && head.contains(&command),
            "{head}"
        );
        assert!(
            body.contains(&command) && body.contains("process = { network = "),
            "{body}"
        );
    }
    assert!(heard.lock().unwrap().is_empty());
    let audits = bench.audits(2).await;
    assert!(matches!(audits[0].verdict, Verdict::Denied(_)));
}

#[tokio::test]
async fn a_tunnel_goes_to_the_granted_port_only() {
    let (port, _) = service("pong").await;
    let (other, heard) = service(HELLO).await;
    let bench = Bench::new(&[&format!("localhost:{port}")]);
    let answer = bench
        .say(&format!(
            "CONNECT localhost:{other} HTTP/1.1\r\nHost: x\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(heard.lock().unwrap().is_empty());
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let connect = format!("CONNECT localhost:{port} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(connect.as_bytes()).await.unwrap();
    let mut head = vec![0; 4096];
    let count = stream.read(&mut head).await.unwrap();
    assert!(String::from_utf8_lossy(&head[..count]).starts_with("HTTP/1.1 200 "));
    stream.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"pong");
    drop(stream);
    let audits = bench.audits(2).await;
    let tunnel = audits.iter().find(|audit| audit.rule.is_some()).unwrap();
    assert_eq!((tunnel.sent_bytes, tunnel.received_bytes), (4, 4));
}

#[tokio::test]
async fn a_private_address_needs_its_port_named_and_metadata_is_never_reached() {
    let (port, heard) = service(HELLO).await;
    let bench = Bench::new(&["private.test", "metadata.test", "metadata.test:80"]);
    let answer = bench.say("GET http://private.test/ HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("--network private.test:80"), "{answer}");
    for request in [
        "GET http://metadata.test/ HTTP/1.1\r\n\r\n",
        "CONNECT metadata.test:80 HTTP/1.1\r\n\r\n",
    ] {
        let answer = bench.say(request).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    assert!(heard.lock().unwrap().is_empty());
    let named = Bench::new(&[&format!("private.test:{port}")]);
    let answer = named
        .say(&format!("GET http://private.test:{port}/ HTTP/1.1\r\n\r\n"))
        .await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let (port, heard) = service(HELLO).await;
    let bench = Bench::new(&[&format!("127.0.0.1:{port}"), "public"]);
    let bad = [
        format!("CONNECT 2130706433:{port} HTTP/1.1\r\n\r\n"),
        format!("CONNECT 0x7f.1:{port} HTTP/1.1\r\n\r\n"),
        format!("CONNECT 0177.0.0.1:{port} HTTP/1.1\r\n\r\n"),
        "CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n".to_owned(),
        format!("CONNECT user@127.0.0.1:{port} HTTP/1.1\r\n\r\n"),
        format!("CONNECT http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"),
        format!("GET http://2130706433:{port}/ HTTP/1.1\r\n\r\n"),
        format!("GET http://a@127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"),
        format!("GET https://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"),
        format!("GET ftp://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned(),
        format!("TRACE http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"),
        format!("GET http://127.0.0.1:{port}/\r\nX: y HTTP/1.1\r\n\r\n"),
        "nonsense\r\n\r\n".to_owned(),
        format!(
            "POST http://127.0.0.1:{port}/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
        ),
        format!(
            "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nX: {}\r\n\r\n",
            "x".repeat(200_000)
        ),
    ];
    for request in bad {
        let answer = bench.say(&request).await;
        let refused = answer.starts_with("HTTP/1.1 4") || answer.is_empty();
        assert!(refused, "{request:?} {answer}");
    }
    assert!(heard.lock().unwrap().is_empty(), "{heard:?}");
}

#[tokio::test]
async fn a_second_request_on_a_connection_is_not_heard() {
    let (port, heard) = service(HELLO).await;
    let bench = Bench::new(&[&format!("127.0.0.1:{port}")]);
    let smuggled = format!(
        "POST http://127.0.0.1:{port}/one HTTP/1.1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://127.0.0.1:{port}/two HTTP/1.1\r\n\r\n"
    );
    bench.say(&smuggled).await;
    let plain = format!(
        "GET http://127.0.0.1:{port}/one HTTP/1.1\r\n\r\nGET http://127.0.0.1:{port}/two HTTP/1.1\r\n\r\n"
    );
    let answer = bench.say(&plain).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let heard = heard.lock().unwrap().join("");
    assert!(!heard.contains("/two"), "{heard}");
    let both = heard.to_lowercase();
    assert!(!(both.contains("content-length") && both.contains("transfer-encoding")));
}

#[tokio::test]
async fn a_redirect_is_another_request() {
    let (port, _) = service(
        "HTTP/1.1 302 Found\r\nLocation: http://private.test/\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let bench = Bench::new(&[&format!("127.0.0.1:{port}")]);
    let answer = bench
        .say(&format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
    let followed = bench.say("GET http://private.test/ HTTP/1.1\r\n\r\n").await;
    assert!(followed.starts_with("HTTP/1.1 403 "), "{followed}");
}

#[tokio::test]
async fn a_tunnel_ends_with_its_grant_and_with_the_proxy() {
    for take_back in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut bench = Bench::new(&[&format!("localhost:{port}")]);
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let connect = format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n");
        stream.write_all(connect.as_bytes()).await.unwrap();
        let (_service, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        if take_back {
            *bench.gate.rules.lock().unwrap() = rules(&[]);
        } else {
            bench.proxy = None;
        }
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut head)).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))));
        let audits = bench.audits(1).await;
        assert_eq!(take_back, matches!(audits[0].verdict, Verdict::Denied(_)));
    }
}
