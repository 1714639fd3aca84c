//! From the loop to the screen, without ever making the loop wait for the screen.

use ml_intern_agent::ports::Observer;
use ml_intern_agent::{Event, Stamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Fragments that wait for a slow reader at most; beyond that they are left out, as the whole message comes anyway.
const WAITING: usize = 8192;
/// How often a renderer may show that something is still going on.
const TICK: Duration = Duration::from_millis(500);

/// Draws events.
pub(crate) trait Renderer: Send {
    fn event(&mut self, stamp: Stamp, event: &Event);
    /// Called about twice a second while nothing happens.
    fn tick(&mut self) {}
    /// Called once, after the last event.
    fn finish(&mut self) {}
}

/// The loop's side of a thread that draws.
pub(crate) struct Feed {
    sender: Sender<Option<(Stamp, Event)>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    pub(crate) fn start(renderer: Box<dyn Renderer>) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = waiting.clone();
        let thread = std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || draw(&receiver, renderer, &counter))?;
        Ok(Self {
            sender,
            waiting,
            thread: Some(thread),
        })
    }

    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Handle {
            sender: self.sender.clone(),
            waiting: self.waiting.clone(),
        })
    }

    /// Returns when everything is drawn.
    pub(crate) fn finish(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The thread may be gone already, when its renderer panicked.
            let _gone = self.sender.send(None);
            let _panicked = thread.join();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop();
    }
}

fn draw(
    receiver: &Receiver<Option<(Stamp, Event)>>,
    mut renderer: Box<dyn Renderer>,
    waiting: &AtomicUsize,
) {
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(Some((stamp, event))) => {
                waiting.fetch_sub(1, Ordering::Relaxed);
                renderer.event(stamp, &event);
            }
            Err(RecvTimeoutError::Timeout) => renderer.tick(),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    renderer.finish();
}

struct Handle {
    sender: Sender<Option<(Stamp, Event)>>,
    waiting: Arc<AtomicUsize>,
}

impl Observer for Handle {
    fn event(&self, stamp: Stamp, event: &Event) {
        if !event.is_durable() && self.waiting.load(Ordering::Relaxed) > WAITING {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The drawing thread may be gone already, when its renderer panicked.
        let _gone = self.sender.send(Some((stamp, event.clone())));
    }
}
