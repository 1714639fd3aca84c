//! One session: its state, its log and who watches.

use crate::event::{Event, Stamp};
use crate::ports::{Journal, JournalError, Observer};
use crate::redaction::{Fragments, Redactor, as_asked, redact};
use crate::state::{OpenCall, State};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State changes only here, one event at a time: secrets are taken out first, then log, state, and whoever watches.
/// What is written down is therefore what the state was folded from, and what the model is told again.
pub struct Session {
    id: String,
    others: Option<Arc<dyn Others>>,
    inner: Mutex<Inner>,
    journal: Arc<dyn Journal>,
    observers: Vec<Arc<dyn Observer>>,
    redactor: Arc<dyn Redactor>,
    fragments: Mutex<Streams>,
    /// Place of the last entry that another process wrote.
    inherited: u64,
}

/// What others than the loop wrote to a log: in a session that is played again, it comes from the recording.
pub(crate) trait Others: Send + Sync {
    /// The entries before the next one; `next` is what is about to be written.
    fn before(&self, next: Option<&Event>) -> Vec<(Stamp, Event)>;
    /// The entries that follow the one that was just written.
    fn after(&self) -> Vec<(Stamp, Event)>;
}

struct Inner {
    state: State,
    last: Stamp,
    /// Arguments of open calls as the model wrote them, where the log has them without a secret: by place of the
    /// message and position of the call. In memory only, and no longer than the calls are open.
    arguments: BTreeMap<(u64, u32), String>,
}

/// The texts that are coming in pieces.
struct Streams {
    text: Box<dyn Fragments>,
    reasoning: Box<dyn Fragments>,
    /// The call whose arguments are coming: models write one after the other.
    call: (u32, Box<dyn Fragments>),
}

impl Streams {
    /// What may be shown of a call's arguments. What was held back of the call before is dropped with its end: the
    /// whole call is shown when it runs.
    fn call(&mut self, index: u32, arguments: &str) -> String {
        if self.call.0 != index {
            self.call.1.finish();
            self.call.0 = index;
        }
        self.call.1.push(arguments)
    }
}

impl Session {
    /// A session whose log holds what `state` was folded from; `last` is the place of the last entry.
    pub fn new(
        id: String,
        state: State,
        last: Stamp,
        journal: Arc<dyn Journal>,
        observers: Vec<Arc<dyn Observer>>,
        redactor: Arc<dyn Redactor>,
    ) -> Self {
        let fragments = Streams {
            text: redactor.fragments(),
            reasoning: redactor.fragments(),
            call: (0, redactor.fragments()),
        };
        Self {
            id,
            others: None,
            inner: Mutex::new(Inner {
                state,
                last,
                arguments: BTreeMap::new(),
            }),
            journal,
            observers,
            redactor,
            fragments: Mutex::new(fragments),
            inherited: last.seq,
        }
    }

    /// The session with entries of others between its own.
    pub(crate) fn among(mut self, others: Arc<dyn Others>) -> Self {
        self.others = Some(others);
        self
    }

    /// Applies entries that are in the log already.
    pub(crate) fn adopt(&self, entries: &[(Stamp, Event)]) {
        adopt(&mut self.lock(), entries);
    }

    /// Applies what others wrote since the last entry; says whether there was anything.
    pub(crate) fn catch_up(&self) -> bool {
        let mut inner = self.lock();
        let entries = self
            .others
            .as_ref()
            .map_or_else(Vec::new, |others| others.before(None));
        adopt(&mut inner, &entries);
        !entries.is_empty()
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Takes secrets out, appends to the log, applies, and tells whoever watches.
    pub fn record(&self, mut event: Event) -> Result<Stamp, JournalError> {
        let asked = as_asked(&event, &*self.redactor);
        let redacted = redact(&mut event, &*self.redactor);
        let stamp = {
            let mut inner = self.lock();
            if let Some(others) = &self.others {
                adopt(&mut inner, &others.before(Some(&event)));
            }
            let stamp = self.journal.append(&event)?;
            inner.state.apply(&event, stamp);
            if inner.state.open.is_empty() {
                inner.arguments.clear();
            }
            let kept = redacted.arguments.into_iter();
            let kept = kept.map(|(index, text)| ((stamp.seq, index), text));
            inner.arguments.extend(kept);
            self.tell_held_back(inner.last);
            inner.last = stamp;
            self.tell(stamp, asked.as_ref().unwrap_or(&event));
            if let Some(others) = &self.others {
                adopt(&mut inner, &others.after());
            }
            stamp
        };
        let spoken = matches!(event, Event::TurnStarted { .. } | Event::InputQueued { .. });
        if redacted.changed && spoken {
            self.record(Event::Notice {
                code: "redacted".into(),
                text: "your words held what looks like a secret; the model, the log and the notifiers get a placeholder in its \
                       place"
                    .into(),
            })?;
        }
        Ok(stamp)
    }

    /// Like [`Session::record`], and returns when the entry is on the disk.
    pub async fn record_durably(&self, event: Event) -> Result<Stamp, JournalError> {
        let stamp = self.record(event)?;
        self.sync().await?;
        Ok(stamp)
    }

    /// Returns when everything recorded so far is on the disk.
    pub async fn sync(&self) -> Result<(), JournalError> {
        self.journal.sync().await
    }

    /// What takes secrets out of this session's events.
    pub fn redactor(&self) -> Arc<dyn Redactor> {
        self.redactor.clone()
    }

    /// Tells whoever watches about something that the log does not keep, without its secrets.
    pub fn show(&self, event: &Event) {
        let stamp = self.lock().last;
        let event = match event {
            Event::TextDelta { text } => Event::TextDelta {
                text: self.streams().text.push(text),
            },
            Event::ReasoningDelta { text } => Event::ReasoningDelta {
                text: self.streams().reasoning.push(text),
            },
            Event::CallDelta {
                index,
                tool,
                arguments,
            } => Event::CallDelta {
                index: *index,
                tool: tool.clone(),
                arguments: self.streams().call(*index, arguments),
            },
            event => {
                let mut event = event.clone();
                redact(&mut event, &*self.redactor);
                event
            }
        };
        self.tell_unless_empty(stamp, &event);
    }

    /// The arguments of an open call as the model wrote them; `None` where the log has them without a secret, and
    /// the process that heard it is gone.
    pub(crate) fn arguments(&self, index: u32, open: &OpenCall) -> Option<String> {
        let kept = self.lock().arguments.get(&(open.message, index)).cloned();
        let written = &open.call.arguments;
        if kept.is_some() {
            return kept;
        }
        let lost = open.message <= self.inherited && self.redactor.is_redacted(written);
        (!lost).then(|| written.clone())
    }

    /// Place of the newest entry.
    pub fn last(&self) -> Stamp {
        self.lock().last
    }

    /// Reads the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// Text in pieces ends where anything else happens.
    fn tell_held_back(&self, stamp: Stamp) {
        let (text, reasoning) = {
            let mut streams = self.streams();
            streams.call.1.finish();
            (streams.text.finish(), streams.reasoning.finish())
        };
        self.tell_unless_empty(stamp, &Event::ReasoningDelta { text: reasoning });
        self.tell_unless_empty(stamp, &Event::TextDelta { text });
    }

    fn tell_unless_empty(&self, stamp: Stamp, event: &Event) {
        match event {
            Event::TextDelta { text } | Event::ReasoningDelta { text } if text.is_empty() => {}
            Event::CallDelta {
                tool: None,
                arguments,
                ..
            } if arguments.is_empty() => {}
            event => self.tell(stamp, event),
        }
    }

    fn tell(&self, stamp: Stamp, event: &Event) {
        for observer in &self.observers {
            observer.event(stamp, event);
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        // As below: a panic leaves text held back or shown, nothing half done.
        self.fragments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic between the log and the fold cannot leave the state half changed: `apply` does not panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn adopt(inner: &mut Inner, entries: &[(Stamp, Event)]) {
    for (stamp, event) in entries {
        inner.state.apply(event, *stamp);
        inner.last = *stamp;
    }
}
