//! Standard output and error of a guest: lines for the log, and the last words for a trap.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::call::{Call, LogLine, Stream};
use crate::log::Level;

/// A line longer than this is passed on in pieces.
const MAX_LINE: usize = 4096;

/// One of the two streams of a call.
#[derive(Clone)]
pub(crate) struct Output {
    call: Arc<Call>,
    stream: Stream,
    line: Vec<u8>,
}

impl Output {
    pub(crate) fn new(call: Arc<Call>, stream: Stream) -> Self {
        Self {
            call,
            stream,
            line: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.stream == Stream::Stderr {
            self.call.keep_stderr(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                self.line.extend_from_slice(part);
                if self.line.ends_with(b"\n") || self.line.len() >= MAX_LINE {
                    self.pass_on();
                }
            }
        }
    }

    fn pass_on(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let message = text.trim_end_matches(['\n', '\r']);
        if !message.is_empty() && self.call.charge_log(line.len()) {
            let stream = Some(self.stream);
            self.call.observer().log(LogLine {
                level: Level::Debug,
                message,
                fields: None,
                stream,
            });
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.pass_on();
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self::new(Arc::clone(&self.call), self.stream))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self::new(Arc::clone(&self.call), self.stream))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
