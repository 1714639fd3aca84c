//! Passing bytes on, and counting them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use ml_intern_manifest::Denial;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A tunnel in which neither side says anything for this long is given up.
const SILENCE: Duration = Duration::from_secs(900);
/// How often it is asked whether the connection is still granted.
const ASK: Duration = Duration::from_secs(1);

/// Bytes of one connection that passed.
#[derive(Debug, Default)]
pub(super) struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn total(&self) -> u64 {
        self.sent() + self.received()
    }
}

/// Passes bytes between a program and a service until both directions ended, one failed, or
/// `allowed` says no.
pub(super) async fn relay(
    program: impl AsyncRead + AsyncWrite,
    service: TcpStream,
    counters: &Counters,
    allowed: impl Fn() -> Result<(), Denial>,
) -> Result<(), Denial> {
    let (from_program, to_program) = tokio::io::split(program);
    let (from_service, to_service) = service.into_split();
    let both = async {
        // Either one may end long before the other: a program that only sends is heard out.
        tokio::join!(
            pump(from_program, to_service, &counters.sent),
            pump(from_service, to_program, &counters.received),
        )
    };
    tokio::pin!(both);
    let (mut last, mut since) = (0, Instant::now());
    loop {
        tokio::select! {
            _ended = &mut both => return Ok(()),
            () = tokio::time::sleep(ASK) => {
                allowed()?;
                let now = counters.total();
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if since.elapsed() > SILENCE {
                    return Ok(());
                }
            }
        }
    }
}

/// One direction; its end is told to the reader.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    counter: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A body whose bytes are counted, and which keeps something until it is dropped.
pub(super) struct Counted {
    inner: Incoming,
    counters: Arc<Counters>,
    received: bool,
    _kept: Option<Box<dyn Send + Sync>>,
}

impl Counted {
    pub(super) fn sent(inner: Incoming, counters: Arc<Counters>) -> Self {
        Self {
            inner,
            counters,
            received: false,
            _kept: None,
        }
    }

    pub(super) fn received(
        inner: Incoming,
        counters: Arc<Counters>,
        kept: Option<Box<dyn Send + Sync>>,
    ) -> Self {
        Self {
            inner,
            counters,
            received: true,
            _kept: kept,
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            let counter = if self.received {
                &self.counters.received
            } else {
                &self.counters.sent
            };
            counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
