//! Ctrl-C and termination: the first ends the turn, a second one the program.

use crate::error::Kind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// As shells report a process that SIGTERM ended.
const TERMINATED: u8 = 143;

pub(crate) struct Signals {
    /// Cancelled by the first signal.
    pub(crate) cancel: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Signals {
    /// Listens until the program ends.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let cancel = CancellationToken::new();
        let code = Arc::new(AtomicU8::new(Kind::Interrupted as u8));
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (token, chosen) = (cancel.clone(), code.clone());
        tokio::spawn(async move {
            loop {
                let received = tokio::select! {
                    _ = interrupt.recv() => Kind::Interrupted as u8,
                    _ = terminate.recv() => TERMINATED,
                };
                if token.is_cancelled() {
                    at_once(received);
                }
                chosen.store(received, Ordering::SeqCst);
                token.cancel();
            }
        });
        Ok(Self { cancel, code })
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.code.load(Ordering::SeqCst)
    }
}

#[expect(
    clippy::exit,
    reason = "the second Ctrl-C means now; the log is whole after every line"
)]
fn at_once(code: u8) -> ! {
    std::process::exit(code.into())
}
