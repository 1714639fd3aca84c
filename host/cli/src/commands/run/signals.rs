//! Ctrl-C and termination: the first ends the turn, a second one the program.

use crate::error::Kind;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

const TERMINATED: u8 = Kind::Terminated as u8;

pub(crate) struct Signals {
    shared: Arc<Shared>,
}

struct Shared {
    /// What is done now.
    current: Mutex<CancellationToken>,
    /// Of the last signal.
    code: AtomicU8,
}

impl Signals {
    /// Listens until the program ends.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            current: Mutex::new(CancellationToken::new()),
            code: AtomicU8::new(Kind::Interrupted as u8),
        });
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let own = shared.clone();
        tokio::spawn(async move {
            loop {
                let received = tokio::select! {
                    _ = interrupt.recv() => Kind::Interrupted as u8,
                    _ = terminate.recv() => TERMINATED,
                };
                let current = own.current();
                if current.is_cancelled() {
                    at_once(received);
                }
                own.code.store(received, Ordering::SeqCst);
                current.cancel();
            }
        });
        Ok(Self { shared })
    }

    /// What is begun now: the next signal ends it. One that came before it began has ended it already.
    pub(crate) fn start(&self) -> CancellationToken {
        self.shared.current()
    }

    /// What was interrupted is over, and a signal means the next thing again. Termination is never over.
    pub(crate) fn settle(&self) {
        let mut current = self.shared.lock();
        if current.is_cancelled() && self.exit_code() != TERMINATED {
            *current = CancellationToken::new();
        }
    }

    /// Whether the program was told to end, and not only what it does.
    pub(crate) fn terminated(&self) -> bool {
        self.shared.current().is_cancelled() && self.exit_code() == TERMINATED
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.shared.code.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn current(&self) -> CancellationToken {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        // Nothing that is done under the lock can panic half-way.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::exit,
    reason = "the second Ctrl-C means now; the log is whole after every line"
)]
fn at_once(code: u8) -> ! {
    std::process::exit(code.into())
}
