//! Requests against servers on this machine, each a few lines of HTTP.

mod answers;
mod bodies;
mod instead;
mod names;
mod recorded;
mod signed;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{Full, StreamBody};
use ml_intern_manifest::{Effective, Limits, PluginManifest, RunManifest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::call::{CallContext, CallParts, LogLine, Observer, Stream};
use crate::egress::connect::Clients;
use crate::egress::credential::{AwsKeys, Credential, CredentialValue};
use crate::egress::secret::{Secret, Secrets};
use crate::egress::traffic::Traffic;
use crate::meter::lock;
use crate::plugin::Setup;
use crate::services::{Effects, Services};
use crate::types::Control;

#[derive(Default)]
struct Audits(Mutex<Vec<AuditRecord>>);

impl Observer for Audits {
    fn log(&self, _: LogLine<'_>) {}
    fn progress(&self, _: &str, _: Option<f32>) -> Control {
        Control::Proceed
    }
    fn output(&self, _: Stream, _: &str) {}
    fn audit(&self, record: &AuditRecord) {
        lock(&self.0).push(record.clone());
    }
}

/// A server that answers each request of a connection with the same bytes.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(response: &str) -> Self {
        let response = response.to_owned();
        Self::start(move |mut stream| {
            let response = response.clone();
            async move { stream.write_all(response.as_bytes()).await.map(|()| stream) }
        })
        .await
    }

    /// `answer` is called after each request's header and body.
    async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(TcpStream) -> A + Clone + Send + 'static,
        A: Future<Output = std::io::Result<TcpStream>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let (count, seen) = (connections.clone(), requests.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (answer, seen) = (answer.clone(), seen.clone());
                tokio::spawn(async move {
                    while let Some(request) = read_request(&mut stream).await {
                        lock(&seen).push(request);
                        match answer(stream).await {
                            Ok(same) => stream = same,
                            Err(_) => return,
                        }
                    }
                });
            }
        });
        Self {
            address,
            connections,
            requests,
        }
    }

    /// The place of a server that the test runs itself.
    fn at(address: SocketAddr) -> Self {
        Self {
            address,
            connections: Arc::default(),
            requests: Arc::default(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads a request to its end, or its header alone where that says `x-early`.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut read_to = async |end: &[u8]| {
        while !text.ends_with(end) {
            text.push(stream.read_u8().await.ok()?);
        }
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let header = read_to(b"\r\n\r\n").await?;
    if header.contains("transfer-encoding: chunked") && !header.contains("x-early") {
        return read_to(b"\r\n0\r\n\r\n").await;
    }
    let length = header
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(header + &String::from_utf8(body).unwrap())
}

/// A call of a plugin that may go to the servers it is told of.
struct Caller {
    call: Arc<Call>,
    audits: Arc<Audits>,
}

struct Rules<'a> {
    request: String,
    grant: String,
    token: Option<&'a str>,
    keys: Option<&'a str>,
    read_only: bool,
    timeout: Duration,
    limits: Limits,
    effects: Option<Effects>,
    recordings: Option<Arc<crate::egress::recordings::Recordings>>,
}

impl<'a> Rules<'a> {
    /// Everything at this server, granted as a private address.
    fn granting(server: &Server) -> Self {
        Self::naming("127.0.0.1", "http", server.address.port())
    }

    /// Everything at this place, granted as a private address.
    fn naming(host: &str, scheme: &str, port: u16) -> Self {
        let place = format!("host = \"{host}\", port = {port}, scheme = \"{scheme}\"");
        Self {
            request: format!(
                "[[request.http]]\n{}\nmethods = [\"GET\", \"POST\"]\n",
                place.replace(", ", "\n")
            ),
            grant: format!("http = [{{ {place} }}]"),
            token: None,
            keys: None,
            read_only: false,
            timeout: Duration::from_secs(20),
            limits: Limits::default(),
            effects: None,
            recordings: None,
        }
    }

    fn with_token(mut self, server: &Server, token: &'a str) -> Self {
        let url = server.url("");
        self.request.push_str(&format!(
            "[[request.config]]\nkey = \"base-url\"\ndefault = \"{url}\"\n[[request.credential]]\nname = \"hf\"\nbase-url = \"base-url\"\n"
        ));
        self.grant.push_str(", credentials = [\"hf\"]");
        self.token = Some(token);
        self
    }

    /// Requests to the server are signed with these keys, where there are any.
    fn with_keys(mut self, server: &Server, keys: Option<&'a str>) -> Self {
        let url = server.url("");
        self.request.push_str(&format!(
            "[[request.config]]\nkey = \"base-url\"\ndefault = \"{url}\"\n[[request.config]]\nkey = \"region\"\ndefault = \"eu-west-1\"\n[[request.credential]]\nname = \"aws\"\nbase-url = \"base-url\"\nsign = \"aws-sigv4\"\nservice = \"bedrock\"\nregion = \"region\"\n"
        ));
        self.grant.push_str(", credentials = [\"aws\"]");
        self.keys = keys;
        self
    }

    fn caller(&self, network: &Arc<Clients>) -> Caller {
        let plugin = format!(
            "[plugin]\nid = \"t/t\"\nversion = \"0.1.0\"\ndescription = \"x\"\nlicense = \"MIT\"\nabi = \"0.1\"\n{}",
            self.request
        );
        let plugin = PluginManifest::parse("plugin.toml", &plugin).unwrap();
        let run = format!(
            "[plugins.t]\nsource = \"./t.wasm\"\ngrant = {{ {} }}",
            self.grant
        );
        let run = RunManifest::parse("ml-intern.toml", &run).unwrap();
        let grant = run.plugins[0].grant_for(&plugin.request);
        let effective =
            Effective::compute("plugins.t", &plugin.request, &grant, &BTreeMap::new()).unwrap();
        let token = self.token.map(|token| Credential {
            name: "hf".to_owned(),
            value: CredentialValue::Text(Secret::new(token)),
        });
        let keys = self.keys.map(|keys| Credential {
            name: "aws".to_owned(),
            value: CredentialValue::AwsKeys(AwsKeys::parse(keys).unwrap()),
        });
        let credentials: Vec<Credential> = token.into_iter().chain(keys).collect();
        let audits = Arc::new(Audits::default());
        let call = Call::new(CallParts {
            plugin: "t/t".to_owned(),
            secrets: Arc::new(Secrets::new(
                credentials.iter().flat_map(Credential::secrets),
            )),
            traffic: Arc::new(Traffic::new(&self.limits)),
            setup: Arc::new(Setup {
                policy: effective.into(),
                credentials,
                services: Services {
                    effects: self.effects.clone(),
                    recordings: self.recordings.clone(),
                    ..Services::default()
                },
                ..Setup::bare(Limits::default())
            }),
            context: CallContext {
                read_only: self.read_only,
                ..CallContext::default()
            },
            observer: audits.clone(),
            sink: None,
            cancel: tokio_util::sync::CancellationToken::new(),
            network: network.clone(),
            timeout: self.timeout,
        });
        Caller { call, audits }
    }
}

fn network() -> Arc<Clients> {
    Arc::new(Clients::new(None, None))
}

fn body_of(text: &str) -> WasiBody {
    Full::new(Bytes::copy_from_slice(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn get(url: &str) -> http::request::Builder {
    Request::get(url)
}

impl Caller {
    async fn send(
        &self,
        request: http::request::Builder,
        body: &str,
    ) -> Result<Response<WasiBody>, Error> {
        send(
            self.call.clone(),
            request.body(body_of(body)).unwrap(),
            RequestOptions::default(),
        )
        .await
    }

    async fn text(&self, request: http::request::Builder, body: &str) -> Result<String, Error> {
        let response = self.send(request, body).await?;
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Sends a body that is written as fast as it is taken, whatever happens to the request, and
    /// tells whether all of it was taken.
    async fn stream(
        &self,
        request: http::request::Builder,
        pieces: Vec<Bytes>,
    ) -> (Result<Response<WasiBody>, Error>, bool) {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok(http_body::Frame::data(piece)), receiver))
        });
        let writer = tokio::spawn(async move {
            for piece in pieces {
                if sender.send(piece).await.is_err() {
                    return false;
                }
            }
            true
        });
        let body = StreamBody::new(Box::pin(frames)).boxed_unsync();
        let request = request.body(body).unwrap();
        let answer = send(self.call.clone(), request, RequestOptions::default()).await;
        (answer, writer.await.unwrap())
    }

    fn audits(&self) -> Vec<AuditRecord> {
        lock(&self.audits.0).clone()
    }

    fn denial(&self) -> String {
        self.call.take_denials().pop().unwrap().detail
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn connections_are_kept_across_calls_even_when_a_guest_leaves_early() {
    let server = Server::answering(OK).await;
    let network = network();
    for round in 0..6 {
        let caller = Rules::granting(&server).caller(&network);
        if round % 2 == 0 {
            assert_eq!(
                caller.text(get(&server.url("/a?b=c")), "").await.unwrap(),
                "ok"
            );
        } else {
            drop(caller.send(get(&server.url("/a?b=c")), "").await.unwrap());
        }
        // What is left of the body is read in the background.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let audit = lock(&caller.audits.0).clone();
        assert_eq!(audit.len(), 1);
        assert_eq!(audit[0].verdict, Verdict::Answered(200));
        assert_eq!(audit[0].target, format!("GET {}", server.url("/a")));
        let rule = audit[0].rule.as_deref().unwrap();
        assert!(rule.starts_with("reaches http://127.0.0.1:"), "{rule}");
    }
    assert_eq!(server.connections(), 1);
    assert!(server.requests()[0].starts_with("GET /a?b=c HTTP/1.1\r\n"));
    let host = format!("host: {}\r\n", server.address);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.matches("host:").count() == 1 && request.contains(&host))
    );
}

#[tokio::test]
async fn what_is_not_granted_does_not_leave_and_the_reason_is_kept() {
    let server = Server::answering(OK).await;
    let network = network();
    let caller = Rules::granting(&server).caller(&network);
    let url = server.url("/");
    let refused = [
        get(&url.replace("127.0.0.1", "127.0.0.2")),
        get(&url.replace("127.0.0.1", "localhost")),
        get(&url.replace("http:", "https:")),
        get("http://127.0.0.1:1/"),
        Request::delete(&url),
        Request::options(&url),
        Request::builder().method("CONNECT").uri(&url),
        Request::builder().method("TRACE").uri(&url),
        get(&url.replace("http://", "http://user@")),
        get(&url.replace("127.0.0.1", "2130706433")),
    ];
    for request in refused {
        let asked = format!("{request:?}");
        let error = caller.text(request, "body").await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::HttpRequestDenied | Error::HttpRequestUriInvalid
            ),
            "{asked}: {error}"
        );
        assert!(!caller.denial().is_empty());
    }
    assert!(
        lock(&caller.audits.0)
            .iter()
            .all(|audit| matches!(&audit.verdict, Verdict::Denied(reason) if !reason.is_empty()))
    );
    let held = Rules {
        read_only: true,
        ..Rules::granting(&server)
    }
    .caller(&network);
    assert!(held.text(Request::post(&url), "x").await.is_err());
    assert!(held.denial().contains("read-only"));
    held.text(get(&url), "").await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_private_address_needs_its_port_named_and_pools_are_apart() {
    let server = Server::answering(OK).await;
    let network = network();
    let granted = Rules::granting(&server).caller(&network);
    granted.text(get(&server.url("/")), "").await.unwrap();
    // The same place as a public grant, while a connection to it lies in the private pool.
    let public = network.get(false, false).unwrap();
    let request = get(&server.url("/")).body(body_of("")).unwrap();
    let failure = Failure::of_client(
        &public.request(request).await.unwrap_err(),
        server.address.port(),
        &Sent::default(),
    );
    assert!(
        matches!(failure.error, Error::DestinationIpProhibited),
        "{}",
        failure.error
    );
    assert!(
        failure
            .denial
            .unwrap()
            .contains(&format!("port = {}", server.address.port()))
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow() {
    let target = Server::answering(OK).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n",
        target.url("/")
    );
    let server = Server::answering(&redirect).await;
    let caller = Rules::granting(&server).caller(&network());
    let response = caller.send(get(&server.url("/")), "").await.unwrap();
    assert_eq!(response.status(), 302);
    assert!(response.headers().get("set-cookie").is_none());
    let next = response.headers()["location"].to_str().unwrap().to_owned();
    caller.send(get(&next), "").await.unwrap_err();
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_credential_goes_to_its_place_only_and_never_comes_back() {
    const TOKEN: &str = "hf_0123456789";
    let echo = Server::answering(&format!(
        "HTTP/1.1 200 OK\r\nx-echo: a {TOKEN} b\r\ntransfer-encoding: chunked\r\n\r\n9\r\nyour hf_0\r\nc\r\n123456789 ok\r\n0\r\n\r\n"
    ))
    .await;
    let other = Server::answering(OK).await;
    let network = network();
    let caller = Rules::granting(&echo)
        .with_token(&echo, TOKEN)
        .caller(&network);
    let response = caller.send(get(&echo.url("/")), "").await.unwrap();
    assert_eq!(response.headers()["x-echo"], "a ************* b");
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "your ************* ok"
    );
    assert!(echo.requests()[0].contains(&format!("authorization: Bearer {TOKEN}\r\n")));
    // Another place that the plugin may reach.
    let elsewhere = Rules::granting(&other)
        .with_token(&echo, TOKEN)
        .caller(&network);
    elsewhere.text(get(&other.url("/")), "").await.unwrap();
    assert!(!other.requests()[0].contains("authorization"));
}

#[tokio::test]
async fn a_plugin_sends_no_keys_and_no_secrets() {
    const TOKEN: &str = "hf_0123456789";
    let server = Server::answering(OK).await;
    let caller = Rules::granting(&server)
        .with_token(&server, TOKEN)
        .caller(&network());
    for header in ["authorization", "cookie", "x-api-key"] {
        let error = caller
            .text(get(&server.url("/")).header(header, "mine"), "")
            .await
            .unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{error}");
        assert!(caller.denial().contains(header));
    }
    let hex: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    for url in [format!("/?t={TOKEN}"), format!("/{hex}")] {
        caller.text(get(&server.url(&url)), "").await.unwrap_err();
        assert!(caller.denial().contains("secret"));
    }
    caller
        .text(get(&server.url("/")).header("x-note", TOKEN), "")
        .await
        .unwrap_err();
    assert_eq!(server.requests().len(), 0);
    let parts = [&TOKEN[..5], &TOKEN[5..]]
        .map(|part| Ok(http_body::Frame::data(Bytes::from_static(part.as_bytes()))));
    let body = StreamBody::new(futures_util::stream::iter(parts)).boxed_unsync();
    let request = Request::post(server.url("/"))
        .header("content-length", "13")
        .body(body)
        .unwrap();
    let error = send(caller.call.clone(), request, RequestOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| !request.contains(TOKEN))
    );
}

#[tokio::test]
async fn a_response_beyond_the_cap_ends_with_an_error() {
    let announced = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n").await;
    let endless = Server::start(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        loop {
            stream.write_all(b"80\r\n").await?;
            stream.write_all(&[b'x'; 0x80]).await?;
            stream.write_all(b"\r\n").await?;
        }
    })
    .await;
    for server in [announced, endless] {
        let mut rules = Rules::granting(&server);
        rules.request.push_str("max-response = \"1KiB\"\n");
        let caller = rules.caller(&network());
        let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
        assert!(
            matches!(error, Error::HttpResponseBodySize(Some(1024))),
            "{error}"
        );
        let audit = lock(&caller.audits.0).clone();
        assert!(
            audit.len() == 1 && matches!(audit[0].verdict, Verdict::Failed(_)),
            "{audit:?}"
        );
    }
}

#[tokio::test]
async fn a_header_flood_is_refused() {
    let flood: String = (0..1000).map(|n| format!("x-{n}: y\r\n")).collect();
    let server = Server::answering(&format!(
        "HTTP/1.1 200 OK\r\n{flood}content-length: 0\r\n\r\n"
    ))
    .await;
    let caller = Rules::granting(&server).caller(&network());
    let error = caller.text(get(&server.url("/")), "").await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::HttpResponseHeaderSectionSize(_) | Error::HttpProtocolError
        ),
        "{error}"
    );
}

#[tokio::test]
async fn silence_ends_before_the_first_byte_between_bytes_and_with_the_call() {
    let mute = Server::start(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(stream)
    })
    .await;
    let half = Server::start(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(stream)
    })
    .await;
    let network = network();
    let began = Instant::now();
    let soon = Some(Duration::from_millis(100));
    let options = RequestOptions {
        connect_timeout: soon,
        first_byte_timeout: soon,
        between_bytes_timeout: soon,
    };
    let caller = Rules::granting(&mute).caller(&network);
    let request = || get(&mute.url("/")).body(body_of("")).unwrap();
    let error = send(caller.call.clone(), request(), options)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
    let brief = Rules {
        timeout: Duration::from_millis(100),
        ..Rules::granting(&mute)
    }
    .caller(&network);
    let error = send(brief.call.clone(), request(), RequestOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HttpResponseTimeout), "{error}");
    for (rules, options) in [
        (Rules::granting(&half), options),
        (
            Rules {
                timeout: Duration::from_millis(200),
                ..Rules::granting(&half)
            },
            RequestOptions::default(),
        ),
    ] {
        let caller = rules.caller(&network);
        let request = get(&half.url("/")).body(body_of("")).unwrap();
        let response = send(caller.call.clone(), request, options).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, Error::ConnectionReadTimeout), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn streamed_bytes_arrive_when_they_are_sent() {
    let server = Server::start(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(stream)
    })
    .await;
    let caller = Rules::granting(&server)
        .with_token(&server, "hf_0123456789")
        .caller(&network());
    let mut body = caller
        .send(get(&server.url("/")), "")
        .await
        .unwrap()
        .into_body();
    let frame = tokio::time::timeout(Duration::from_secs(5), body.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(frame.into_data().unwrap(), "first");
}

#[tokio::test]
async fn a_refused_request_is_answered_after_its_body_was_taken() {
    let server = Server::answering(OK).await;
    let caller = Rules::granting(&server).caller(&network());
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver
            .recv()
            .await
            .map(|bytes| (Ok(http_body::Frame::data(bytes)), receiver))
    });
    let writer = tokio::spawn(async move {
        for _ in 0..50 {
            sender.send(Bytes::from_static(&[0; 1024])).await?;
        }
        Ok::<(), tokio::sync::mpsc::error::SendError<Bytes>>(())
    });
    let body = StreamBody::new(Box::pin(frames)).boxed_unsync();
    let request = Request::put(server.url("/")).body(body).unwrap();
    let error = send(caller.call.clone(), request, RequestOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    writer.await.unwrap().unwrap();
    // A body that never ends holds the answer up for two seconds at most.
    let never = StreamBody::new(futures_util::stream::pending()).boxed_unsync();
    let began = Instant::now();
    let request = Request::put(server.url("/")).body(never).unwrap();
    send(caller.call.clone(), request, RequestOptions::default())
        .await
        .unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn failures_on_the_way_are_told_apart() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let gone = Server::at(address);
    let network = network();
    let error = Rules::granting(&gone)
        .caller(&network)
        .text(get(&gone.url("/")), "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ConnectionRefused), "{error}");
    let garbage = Server::answering("what?\r\n\r\n").await;
    let error = Rules::granting(&garbage)
        .caller(&network)
        .text(get(&garbage.url("/")), "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HttpProtocolError), "{error}");
    let cut = Server::start(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await?;
        Err(std::io::ErrorKind::Other.into())
    })
    .await;
    let error = Rules::granting(&cut)
        .caller(&network)
        .text(get(&cut.url("/")), "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HttpResponseIncomplete), "{error}");
}

#[tokio::test]
async fn tls_that_fails_or_stalls_is_told_apart() {
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stalled = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = garbage.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = garbage.accept().await {
            stream
                .write_all(b"220 mail.example ready\r\n")
                .await
                .unwrap();
        }
    });
    let soon = RequestOptions {
        connect_timeout: Some(Duration::from_millis(200)),
        ..RequestOptions::default()
    };
    for (address, typed) in [
        (address, "TLS"),
        (stalled.local_addr().unwrap(), "connection timeout"),
    ] {
        let server = Server::at(address);
        let mut rules = Rules::granting(&server);
        rules.request = rules.request.replace("\"http\"", "\"https\"");
        rules.grant = rules.grant.replace("\"http\"", "\"https\"");
        let secure = rules.caller(&network());
        let request = get(&format!("https://{address}/"))
            .body(body_of(""))
            .unwrap();
        let error = send(secure.call.clone(), request, soon).await.unwrap_err();
        assert!(error.to_string().contains(typed), "{error}");
    }
}
