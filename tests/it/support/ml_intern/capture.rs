//! One output stream of a program, read as it comes.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::watch,
};

/// Bytes kept of one stream; a program that prints more fails its test by other means.
const KEPT: usize = 64 * 1024 * 1024;

#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    ended: bool,
}

/// What came so far.
pub(super) struct Capture(Arc<watch::Sender<Stream>>);

impl Capture {
    /// Reads `source` to its end in a task of its own, so that the program never blocks on us.
    pub(super) fn start(mut source: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let stream = Arc::new(watch::Sender::new(Stream::default()));
        let reading = Arc::clone(&stream);
        tokio::spawn(async move {
            let mut piece = vec![0; 64 * 1024];
            // An error reading a pipe is the end of it.
            while let Ok(length @ 1..) = source.read(&mut piece).await {
                reading.send_modify(|stream| {
                    let room = KEPT.saturating_sub(stream.bytes.len());
                    stream.bytes.extend(&piece[..length.min(room)]);
                });
            }
            reading.send_modify(|stream| stream.ended = true);
        });
        Self(stream)
    }

    /// What came so far, with replacement characters where it is not UTF-8.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow().bytes).into_owned()
    }

    /// Waits until `wanted` accepts the text so far and returns that; nothing if the stream ends
    /// before.
    pub(super) async fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut changes = self.0.subscribe();
        loop {
            let ended = changes.borrow_and_update().ended;
            let text = self.text();
            if wanted(&text) {
                return Some(text);
            }
            if ended {
                return None;
            }
            changes
                .changed()
                .await
                .expect("the capture owns the sender");
        }
    }

    /// Waits for the end of the stream.
    pub(super) async fn ended(&self) {
        let mut changes = self.0.subscribe();
        changes
            .wait_for(|stream| stream.ended)
            .await
            .expect("the capture owns the sender");
    }
}
