//! Whether anything can still wake the loop.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Lets the runtime look at others.
pub(super) async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether the loop was woken since it was last looked at.
#[derive(Default)]
pub(super) struct Woken {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Woken {
    /// Looks again: what wakes the loop from now on wakes this task as well.
    pub(super) fn expect(&self, context: &Context<'_>) {
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        *outer = Some(context.waker().clone());
        self.woken.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_set(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// Returns once something woke the loop.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
            *outer = Some(context.waker().clone());
            match self.woken.load(Ordering::SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        self.woken.store(true, Ordering::SeqCst);
        if let Some(outer) = outer.take() {
            outer.wake();
        }
    }
}
