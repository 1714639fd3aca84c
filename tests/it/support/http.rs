//! The two ends of HTTP that every fake here shares: a loopback server that numbers its
//! connections, and a client that shows an answer as it came off the wire.
//!
//! The client takes one connection per request and never hides a broken body: a stream that
//! the server cut is seen as the bytes so far and `complete: false`.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, channel::Channel, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    client::conn::http1 as client,
    header::{HeaderName, HeaderValue},
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// The body of an answer; an error in it makes the server drop the connection in mid-stream.
pub(crate) type AnswerBody = BoxBody<Bytes, io::Error>;

/// Longest wait of [`send`] for the head and again for the body; far above any loopback answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(20);

/// A body that is there at once.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(infallible).boxed()
}

/// A body that is there at once, but for its end: after `bytes` the connection is cut.
pub(crate) fn cut_off(bytes: impl Into<Bytes>) -> AnswerBody {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    let bytes = bytes.into();
    tokio::spawn(async move {
        // An error means that the other side left first.
        sender.send_data(bytes).await.ok();
        // What was written has to arrive before the connection is reset.
        tokio::time::sleep(Duration::from_millis(100)).await;
        sender.abort(io::Error::other("cut off"));
    });
    body.boxed()
}

/// A body of pieces with a pause after each; it ends with the last one, if there is one.
pub(crate) fn trickle(
    pieces: impl Iterator<Item = Bytes> + Send + 'static,
    pause: Duration,
) -> AnswerBody {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        for piece in pieces {
            if sender.send_data(piece).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    body.boxed()
}

fn infallible(never: Infallible) -> io::Error {
    match never {}
}

/// A server on `127.0.0.1` with a port of the system's choice; stops, with all its
/// connections, when dropped.
pub(crate) struct Listening {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves every request with `answer`, which also gets the number of the connection,
/// counted from 0 in the order of acceptance.
pub(crate) async fn listen<A, F>(answer: A) -> Listening
where
    A: Fn(u64, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    listen_with(None, answer).await
}

/// [`listen`], encrypted where there is an acceptor.
pub(super) async fn listen_with<A, F>(tls: Option<TlsAcceptor>, answer: A) -> Listening
where
    A: Fn(u64, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            // Without this the kernel joins the small pieces whose borders tests are about.
            stream.set_nodelay(true).unwrap();
            let (tls, answer) = (tls.clone(), answer.clone());
            connections.spawn(async move {
                match tls {
                    None => serve_connection(stream, number, answer).await,
                    // A client that does not trust the certificate is what some tests are about.
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve_connection(stream, number, answer).await;
                        }
                    }
                }
            });
        }
    });
    Listening { addr, accepting }
}

async fn serve_connection<S, A, F>(stream: S, number: u64, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(u64, Request<Incoming>) -> F,
    F: Future<Output = Response<AnswerBody>>,
{
    let service = service_fn(|request| {
        let answer = answer(number, request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    // An error means that one side left early, which is what many tests are made of.
    server::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// What came back from a server, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status code.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body in the pieces in which it arrived.
    pub(crate) pieces: Vec<Bytes>,
    /// Whether the body ended as HTTP wants it to, rather than by a closed connection.
    pub(crate) complete: bool,
}

impl Answer {
    /// The whole body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.pieces.concat()).unwrap()
    }

    /// The whole body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in `{text}`"))
    }

    /// The `data:` payloads of an event stream, in order, `[DONE]` included.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = self.text();
        let events = text.split("\n\n").filter(|event| !event.is_empty());
        events
            .map(|event| {
                let data = event.strip_prefix("data: ");
                data.unwrap_or_else(|| panic!("not a data event: `{event}`"))
                    .to_owned()
            })
            .collect()
    }
}

/// Sends one request over a connection of its own and reads the answer to its end.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut waiting = Waiting::open(method, url, headers, body).await;
    let response = timeout(CLIENT_PATIENCE, &mut waiting.response)
        .await
        .unwrap_or_else(|_| panic!("no answer from {url} within {CLIENT_PATIENCE:?}"))
        .unwrap()
        .unwrap_or_else(|error| panic!("no answer from {url}: {error}"));
    let (head, mut body) = response.into_parts();
    let mut answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        pieces: Vec::new(),
        complete: false,
    };
    loop {
        let frame = timeout(CLIENT_PATIENCE, body.frame())
            .await
            .unwrap_or_else(|_| panic!("{url} stopped in mid-body for {CLIENT_PATIENCE:?}"));
        match frame {
            Some(Ok(frame)) => answer.pieces.extend(frame.into_data()),
            Some(Err(_)) => return answer,
            None => {
                answer.complete = true;
                return answer;
            }
        }
    }
}

/// A request on its way; dropping it closes the connection, as a cancelled client does.
pub(crate) struct Waiting {
    /// Resolves to the head of the answer.
    pub(crate) response: JoinHandle<hyper::Result<Response<Incoming>>>,
    connection: JoinHandle<()>,
}

impl Waiting {
    /// Connects and sends the request.
    pub(crate) async fn open(
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Self {
        let rest = url
            .strip_prefix("http://")
            .expect("only plain HTTP is spoken here");
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let stream = TcpStream::connect(authority)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"));
        let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
        // Its error is also the body's or the response's, where the test looks.
        let connection = tokio::spawn(async move { connection.await.unwrap_or_default() });
        let mut request = Request::builder()
            .method(method)
            .uri(if path.is_empty() { "/" } else { path })
            .header("host", authority)
            .body(Full::new(body.into()))
            .unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::from_str(value).unwrap());
        }
        let response = tokio::spawn(async move { sender.send_request(request).await });
        Self {
            response,
            connection,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.response.abort();
        self.connection.abort();
    }
}
