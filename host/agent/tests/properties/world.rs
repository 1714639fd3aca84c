//! What stays when the host's process ends: the service of the model, what tools have done, and time.

use crate::bench::conversation;
use crate::case::Trouble;
use crate::dice::Dice;
use ml_intern_agent::ports::{Clock, Request};
use ml_intern_agent::{Event, Message, Role, Stamp, State};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Generation of the request for a summary, which is beside the conversation.
const ASIDE: u64 = u64::MAX;

/// What the model is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    /// Now this, now that.
    Fickle,
    /// Works for long, and fails rarely.
    Busy,
    /// Makes the same call for ever, or almost.
    Stubborn,
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) mood: Mood,
    pub(crate) trouble: Trouble,
    /// What happened, in words.
    pub(crate) story: Mutex<Vec<String>>,
    /// Calls that must not be made twice, and were made.
    pub(crate) made: Mutex<BTreeSet<String>>,
    /// Replies to the conversation since a turn began or went on.
    pub(crate) replies: AtomicU64,
    asked: Mutex<Option<Asked>>,
    words: AtomicU64,
    now_ms: AtomicU64,
    sleepers: Mutex<Vec<(u64, Waker)>>,
}

/// The newest request.
struct Asked {
    /// Entries of the log by then.
    entries: usize,
    generation: u64,
    messages: Vec<Arc<Message>>,
}

impl World {
    pub(crate) fn new(seed: u64, trouble: Trouble) -> Self {
        let dice = Dice::new(seed);
        let moods = [
            Mood::Fickle,
            Mood::Fickle,
            Mood::Fickle,
            Mood::Busy,
            Mood::Busy,
            Mood::Stubborn,
        ];
        Self {
            mood: *dice.pick(&moods),
            dice,
            trouble,
            story: Mutex::default(),
            made: Mutex::default(),
            replies: AtomicU64::new(0),
            asked: Mutex::default(),
            words: AtomicU64::new(0),
            now_ms: AtomicU64::new(1_000_000),
            sleepers: Mutex::default(),
        }
    }

    pub(crate) fn tell(&self, what: impl Into<String>) {
        self.story.lock().unwrap().push(what.into());
    }

    /// What a person says; no two sayings are the same, and some hold a secret.
    pub(crate) fn words(&self) -> String {
        let number = self.words.fetch_add(1, Ordering::Relaxed);
        let secret = if self.dice.one_in(12) { " s3cret" } else { "" };
        format!("<words {number}>{secret}")
    }

    /// The model is asked: the request is one that services take, it says what the log says, and nothing of what was
    /// sent before has changed unless the generation has.
    pub(crate) fn ask(&self, request: &Request<'_>, state: &State, entries: usize) {
        let messages: Vec<_> = request
            .messages
            .iter()
            .map(|one| Message::clone(one))
            .collect();
        conversation::check(&messages);
        assert_eq!(messages[0].role, Role::System);
        if request.generation == ASIDE {
            return;
        }
        assert_eq!(request.messages, state.messages, "not what the log says");
        assert!(state.open.is_empty(), "calls without a result");
        let asked = Asked {
            entries,
            generation: request.generation,
            messages: request.messages.to_vec(),
        };
        let before = self.asked.lock().unwrap().replace(asked);
        let Some(before) = before else { return };
        if before.generation == request.generation {
            let begin = request.messages.get(..before.messages.len());
            assert_eq!(begin, Some(&before.messages[..]), "the beginning changed");
        } else {
            assert!(before.generation < request.generation);
        }
    }

    /// The log of another process has so many entries: what it lost was never asked.
    pub(crate) fn forget_beyond(&self, entries: usize) {
        let mut asked = self.asked.lock().unwrap();
        asked.take_if(|asked| asked.entries > entries);
    }

    /// Time goes on to where somebody wakes.
    pub(crate) fn wait(&self) {
        let mut sleepers = self.sleepers.lock().unwrap();
        let now = self.now_ms();
        sleepers.retain(|(until, _)| *until > now);
        let Some(next) = sleepers.iter().map(|(until, _)| *until).min() else {
            return;
        };
        self.now_ms.store(next, Ordering::Relaxed);
        let awake = sleepers.iter().filter(|(until, _)| *until == next);
        awake.for_each(|(_, waker)| waker.wake_by_ref());
    }
}

#[async_trait::async_trait]
impl Clock for World {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now_ms() + duration.as_millis() as u64;
        Sleep { world: self, until }.await;
    }
}

struct Sleep<'a> {
    world: &'a World,
    until: u64,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.world.now_ms() >= self.until {
            return Poll::Ready(());
        }
        let sleeper = (self.until, context.waker().clone());
        self.world.sleepers.lock().unwrap().push(sleeper);
        Poll::Pending
    }
}

/// The state that a log leads to.
pub(crate) fn fold(log: &[(Stamp, Event)]) -> State {
    let mut state = State::default();
    for (stamp, event) in log {
        state.apply(event, *stamp);
    }
    state
}
