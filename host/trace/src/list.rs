//! What sessions there are.

use crate::entry::{Blobs, Entries, Entry};
use crate::error::TraceError;
use crate::index;
use crate::log::existing;
use ml_intern_agent::event::{TurnEnd, Usage};
use ml_intern_agent::ledger::Ledger;
use ml_intern_agent::{Event, Stamp, State};
use std::path::Path;

/// One line of `sessions list`.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSummary {
    /// The session's id.
    pub id: String,
    /// First words of its first turn, or the title that a person gave it; at most 80 characters. Empty before that.
    pub title: String,
    /// `provider/model`.
    pub model: String,
    /// Absolute path of the workspace.
    pub workspace: String,
    /// Number of the current or last turn, from 1; 0 before the first.
    pub turn: u32,
    /// Whether a turn is under way, or was when its process died.
    pub turn_open: bool,
    /// How the last turn ended.
    pub ended: Option<TurnEnd>,
    /// Sum over all model calls; `cost_usd` over those whose price is known.
    pub usage: Usage,
    /// Model calls whose price is unknown.
    pub unpriced: u32,
    /// What it costs, jobs included.
    pub ledger: Ledger,
    /// When it began, in milliseconds since the Unix epoch; 0 for a log without entries.
    pub started_ms: u64,
    /// Its newest entry.
    pub last: Stamp,
}

/// A session without its writer: everything that its entries fold to.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The session's id.
    pub id: String,
    /// Its newest entry.
    pub last: Stamp,
    /// What its entries fold to.
    pub state: State,
}

/// Every session that can be read, newest first, and the problems of those that cannot.
///
/// Large texts are not read: a session whose log names a lost one is listed, and says so when it is opened. What was
/// found is remembered in the sessions folder, as far as it can be; that file may be removed at any time.
pub fn list(sessions: &Path) -> Result<(Vec<SessionSummary>, Vec<TraceError>), TraceError> {
    index::list(sessions, std::time::SystemTime::now())
}

/// One session as [`list`] shows it, read from its log. A writer may be at work.
pub fn summary(sessions: &Path, id: &str) -> Result<SessionSummary, TraceError> {
    let folder = existing(sessions, id)?;
    let mut summary = SessionSummary::new(id);
    summary.extend(Entries::open(&folder, Blobs::Listed)?)?;
    Ok(summary)
}

/// Folds all entries of a session without its lock; a writer may be at work.
pub fn fold(sessions: &Path, id: &str) -> Result<Folded, TraceError> {
    let folder = existing(sessions, id)?;
    let mut state = State::default();
    let mut last = Stamp { seq: 0, ms: 0 };
    for entry in Entries::open(&folder, Blobs::All)? {
        let (stamp, event) = entry?;
        last = stamp;
        if let Some(event) = event {
            state.apply(&event, stamp);
        }
    }
    let id = id.to_owned();
    Ok(Folded { id, last, state })
}

/// Newest first.
pub(crate) fn sort(summaries: &mut [SessionSummary]) {
    summaries.sort_by(|a, b| b.last.ms.cmp(&a.last.ms).then_with(|| b.id.cmp(&a.id)));
}

impl SessionSummary {
    /// Of a log without entries.
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: String::new(),
            model: String::new(),
            workspace: String::new(),
            turn: 0,
            turn_open: false,
            ended: None,
            usage: Usage::default(),
            unpriced: 0,
            ledger: Ledger::default(),
            started_ms: 0,
            last: Stamp { seq: 0, ms: 0 },
        }
    }

    /// Adds the entries that follow. At an error it is what it was.
    pub(crate) fn extend(
        &mut self,
        entries: impl IntoIterator<Item = Result<Entry, TraceError>>,
    ) -> Result<(), TraceError> {
        // What a summary holds depends on nothing else in the state, so that the fold can go on from it: there is one
        // place that knows what an event means.
        let mut state = State {
            title: self.title.clone(),
            model: self.model.clone(),
            workspace: self.workspace.clone(),
            turn: self.turn,
            turn_open: self.turn_open,
            ended: self.ended,
            usage: self.usage,
            unpriced: self.unpriced,
            ledger: self.ledger.clone(),
            ..State::default()
        };
        let (mut started_ms, mut last) = (self.started_ms, self.last);
        for entry in entries {
            let (stamp, event) = entry?;
            if let Some(event) = event.filter(is_listed) {
                state.apply(&event, stamp);
                // A turn's words are in the title already.
                state.messages.clear();
            }
            if last.seq == 0 {
                started_ms = stamp.ms;
            }
            last = stamp;
        }
        *self = Self {
            id: std::mem::take(&mut self.id),
            title: state.title,
            model: state.model,
            workspace: state.workspace,
            turn: state.turn,
            turn_open: state.turn_open,
            ended: state.ended,
            usage: state.usage,
            unpriced: state.unpriced,
            ledger: state.ledger,
            started_ms,
            last,
        };
        Ok(())
    }
}

/// Whether an event changes a summary.
fn is_listed(event: &Event) -> bool {
    matches!(
        event,
        Event::SessionStarted { .. }
            | Event::SessionResumed { .. }
            | Event::SessionRenamed { .. }
            | Event::TurnStarted { .. }
            | Event::TurnFinished { .. }
            | Event::TurnUndone { .. }
            | Event::Usage { .. }
            | Event::JobStarted { .. }
            | Event::JobUpdated { .. }
            | Event::JobFinished { .. }
            | Event::BudgetReserved { .. }
            | Event::BudgetSettled { .. }
            | Event::BudgetWarned { .. }
            | Event::BudgetRaised { .. }
    )
}
