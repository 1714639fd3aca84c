//! A server that keeps every byte it gets, and answers with bytes that no library would send.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The address at which it arrived.
    pub(crate) at: IpAddr,
}

impl Seen {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The header of this lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&start))
    }

    /// Whether head or body holds this text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.head.contains(text) || String::from_utf8_lossy(&self.body).contains(text)
    }
}

/// What is sent back.
pub(crate) enum Answer {
    Bytes(Vec<u8>),
    /// A beginning, and then a piece so many times with a pause after each.
    Drip(&'static str, &'static str, usize, Duration),
}

/// 200 with this body, and headers that each end with a line break.
pub(crate) fn ok(headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    Answer::Bytes([head.as_bytes(), body].concat())
}

/// 302 to this place.
pub(crate) fn redirect(to: &str) -> Answer {
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    Answer::Bytes(answer.into_bytes())
}

/// Stops, with what it has accepted, when dropped.
pub(crate) struct Wire {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Wire {
    /// On loopback, with a port of the system's choice.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answer).await
    }

    pub(crate) async fn start_at(
        place: &str,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(place).await.unwrap();
        let (addr, seen) = (listener.local_addr().unwrap(), Arc::default());
        let (kept, answer) = (Arc::clone(&seen), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &kept, &*answer).await.ok() });
            }
        });
        Self {
            addr,
            seen,
            accepting,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// A rule for this server, as the keys of a grant.
    pub(crate) fn place(&self) -> String {
        place("127.0.0.1", self.addr.port())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter().map(|seen| seen.path().to_owned()).collect()
    }
}

/// A rule for a place of plain HTTP.
pub(crate) fn place(host: &str, port: u16) -> String {
    format!("host = \"{host}\", port = {port}, scheme = \"http\"")
}

async fn serve(
    stream: TcpStream,
    kept: &Mutex<Vec<Seen>>,
    answer: &(impl Fn(&Seen) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let at = stream.local_addr()?.ip();
    let mut stream = BufReader::new(stream);
    loop {
        let head = read_to(&mut stream, b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut seen = Seen {
            head,
            body: Vec::new(),
            at,
        };
        if seen.header("transfer-encoding").is_some() {
            seen.body = read_to(&mut stream, b"0\r\n\r\n").await?;
        } else if let Some(length) = seen.header("content-length") {
            seen.body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut seen.body).await?;
        }
        let answer = answer(&seen);
        kept.lock().unwrap().push(seen);
        match answer {
            Answer::Bytes(bytes) => stream.write_all(&bytes).await?,
            Answer::Drip(begin, piece, times, pause) => {
                stream.write_all(begin.as_bytes()).await?;
                for _ in 0..times {
                    stream.write_all(piece.as_bytes()).await?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

async fn read_to(stream: &mut BufReader<TcpStream>, end: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(stream.read_u8().await?);
    }
    Ok(read)
}
