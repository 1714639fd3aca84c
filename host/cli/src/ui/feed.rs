//! From the loop to the screen, without ever making the loop wait for the screen.

use ml_intern_agent::ports::Observer;
use ml_intern_agent::{Event, Stamp};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Fragments that wait for a slow reader at most; beyond that they are left out, as the whole
/// message comes anyway.
const WAITING: usize = 8192;
/// How often a renderer may show that something is still going on.
const TICK: Duration = Duration::from_millis(500);

/// Whether an event has to be drawn at once. The others wait for one that has, or for the next
/// tick: waking a thread for what shows nothing costs the loop more than most calls.
pub(crate) type Urgency = fn(&Event) -> bool;

/// Draws events.
pub(crate) trait Renderer: Send {
    fn event(&mut self, stamp: Stamp, event: &Event);
    /// Which events it draws at once.
    fn urgency(&self) -> Urgency {
        |_| true
    }
    /// Called about twice a second while nothing happens.
    fn tick(&mut self) {}
    /// Whether the program waits for a person's words from here on.
    fn idle(&mut self, _idle: bool) {}
    /// Called once, after the last event.
    fn finish(&mut self) {}
}

/// The loop's side of a thread that draws.
pub(crate) struct Feed {
    queue: Arc<Queue>,
    urgency: Urgency,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    pub(crate) fn start(renderer: Box<dyn Renderer>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let urgency = renderer.urgency();
        let own = queue.clone();
        let thread = std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || draw(&own, renderer))?;
        Ok(Self {
            queue,
            urgency,
            thread: Some(thread),
        })
    }

    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Handle {
            queue: self.queue.clone(),
            urgency: self.urgency,
        })
    }

    /// Says that the program waits for a person's words, or does so no more.
    pub(crate) fn idle(&self, idle: bool) {
        let mut inbox = self.queue.lock();
        inbox.idle = Some(idle);
        inbox.urgent = true;
        drop(inbox);
        self.queue.ready.notify_one();
    }

    /// Returns when everything is drawn.
    pub(crate) fn finish(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.queue.lock().closed = true;
            self.queue.ready.notify_one();
            // The thread may be gone already, when its renderer panicked.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Default)]
struct Queue {
    inbox: Mutex<Inbox>,
    ready: Condvar,
}

#[derive(Default)]
struct Inbox {
    events: VecDeque<(Stamp, Event)>,
    urgent: bool,
    closed: bool,
    /// What [`Renderer::idle`] is told after the events.
    idle: Option<bool>,
}

/// What is drawn at once.
struct Batch {
    events: VecDeque<(Stamp, Event)>,
    idle: Option<bool>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Nothing that is done under the lock can panic half-way.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an urgent event, the end or the next tick; `None` after the end.
    fn take(&self) -> Option<Batch> {
        let inbox = self.lock();
        if inbox.closed && inbox.events.is_empty() {
            return None;
        }
        let idle = |inbox: &mut Inbox| !inbox.urgent && !inbox.closed;
        let waited = self.ready.wait_timeout_while(inbox, TICK, idle);
        let mut inbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        inbox.urgent = false;
        Some(Batch {
            events: std::mem::take(&mut inbox.events),
            idle: inbox.idle.take(),
        })
    }
}

fn draw(queue: &Queue, mut renderer: Box<dyn Renderer>) {
    while let Some(Batch { events, idle }) = queue.take() {
        if events.is_empty() && idle.is_none() {
            renderer.tick();
        }
        for (stamp, event) in &events {
            renderer.event(*stamp, event);
        }
        if let Some(idle) = idle {
            renderer.idle(idle);
        }
    }
    renderer.finish();
}

struct Handle {
    queue: Arc<Queue>,
    urgency: Urgency,
}

impl Observer for Handle {
    fn event(&self, stamp: Stamp, event: &Event) {
        let mut inbox = self.queue.lock();
        if !event.is_durable() && inbox.events.len() > WAITING {
            return;
        }
        inbox.events.push_back((stamp, event.clone()));
        // One wake is enough until the thread has looked.
        let wake = (self.urgency)(event) && !std::mem::replace(&mut inbox.urgent, true);
        drop(inbox);
        if wake {
            self.queue.ready.notify_one();
        }
    }
}
