//! The entries that one run of the loop wrote, and which of them are its own.

use crate::approval::{Decision, Effect};
use crate::event::{CallStatus, Event, PermissionRequest, Stamp, TurnEnd};
use crate::message::Role;
use std::collections::BTreeSet;
use std::ops::Range;

/// How results begin that the loop itself gives to calls: at the start of a turn, and at its end.
const WENT_ON: &str = "the user went on without waiting for this call; ";
const ENDED: &str = "the turn ended before this call did; ";
/// Notices that the loop writes. One of another code is the loop's where it writes the same.
const OWN_NOTICES: [&str; 9] = [
    "answer_repair",
    "empty_reply",
    "retry",
    "price_unknown",
    "truncated",
    "malformed_again",
    "continuation",
    "repetition",
    "summary_failed",
];

/// Who wrote an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The loop: it has to write it again.
    Loop,
    /// A tool or the host beside it: it is there as soon as the entry before it is.
    Beside,
    /// A person, or something unknown: it is there when the loop waits, or is about to write something else.
    Between,
}

/// What ended the run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Somebody interrupted it.
    Interrupted,
    /// Its time was over.
    Time,
}

/// The entries of one run.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// Positions of the entries.
    pub(super) range: Range<usize>,
    origins: Vec<Origin>,
    /// Where the loop was ended from outside: position of the first entry after that.
    pub(super) cut: Option<(usize, Cut)>,
}

impl Section {
    /// The run that begins at `start`.
    pub(super) fn at(events: &[(Stamp, Event)], start: usize) -> Self {
        Self::of(events, start..end_of_run(events, start))
    }

    /// These entries.
    pub(super) fn of(events: &[(Stamp, Event)], range: Range<usize>) -> Self {
        let origins = origins(events, range.clone());
        let mut section = Self {
            range,
            origins,
            cut: None,
        };
        section.cut = section.find_cut(events);
        section
    }

    /// Who wrote the entry at `at`.
    pub(super) fn origin(&self, at: usize) -> Origin {
        let index = at.checked_sub(self.range.start);
        let origin = index.and_then(|index| self.origins.get(index));
        origin.copied().unwrap_or(Origin::Loop)
    }

    /// Positions of the loop's own entries from `at` on.
    pub(super) fn own(&self, at: usize) -> impl Iterator<Item = usize> {
        let from = at.max(self.range.start);
        (from..self.range.end).filter(|at| self.origin(*at) == Origin::Loop)
    }

    fn find_cut(&self, events: &[(Stamp, Event)]) -> Option<(usize, Cut)> {
        let mut counted = false;
        let mut cut = None;
        for at in self.own(self.range.start) {
            let event = &events.get(at)?.1;
            let partial = matches!(event, Event::Message { message }
                if message.role == Role::Assistant && !counted && message.calls().next().is_none());
            let settled = is_settled(event, ENDED);
            let end = match event {
                Event::TurnFinished { reason, .. } => match reason {
                    TurnEnd::Interrupted => Some(Cut::Interrupted),
                    TurnEnd::Time => Some(Cut::Time),
                    _ => return None,
                },
                _ => None,
            };
            if cut.is_none() && (partial || settled || end.is_some()) {
                cut = Some((at, Cut::Interrupted));
            }
            if let (Some((at, _)), Some(end)) = (cut, end) {
                return Some((at, end));
            }
            counted = match event {
                Event::Usage { .. } => true,
                Event::Notice { code, .. } => counted && code == "price_unknown",
                _ => false,
            };
        }
        cut
    }
}

/// Whether this is a result that a new turn gives to a call of the one before.
pub(super) fn is_left_behind(event: &Event) -> bool {
    is_settled(event, WENT_ON)
}

fn is_settled(event: &Event, why: &str) -> bool {
    matches!(event, Event::ToolFinished { call, status: CallStatus::Cancelled, content, .. }
        if !is_nested(call) && content.starts_with(why))
}

/// Whether a tool made this call.
pub(super) fn is_nested(call: &str) -> bool {
    call.contains('/')
}

/// Whether the log goes on with something else than the run: nothing of these happens during one.
pub(super) fn is_boundary(event: &Event) -> bool {
    matches!(
        event,
        Event::SessionStarted { .. }
            | Event::SessionResumed { .. }
            | Event::SessionForked { .. }
            | Event::SessionRenamed { .. }
            | Event::TurnUndone { .. }
            | Event::TurnStarted { .. }
    ) || is_left_behind(event)
}

/// Whether only tools and the host beside the loop write this.
pub(super) fn is_beside(event: &Event) -> bool {
    match event {
        Event::Audit { .. }
        | Event::Plan { .. }
        | Event::FileChanged { .. }
        | Event::BudgetReserved { .. }
        | Event::BudgetSettled { .. }
        | Event::JobStarted { .. }
        | Event::JobUpdated { .. }
        | Event::JobFinished { .. } => true,
        Event::Notice { code, .. } => code == "redacted",
        Event::ToolStarted { call, .. } | Event::ToolFinished { call, .. } => is_nested(call),
        Event::PermissionRequested { request } => is_nested(&request.call),
        _ => false,
    }
}

fn end_of_run(events: &[(Stamp, Event)], start: usize) -> usize {
    let mut begun = false;
    for (at, (_, event)) in events.iter().enumerate().skip(start) {
        let beginning = is_left_behind(event) || matches!(event, Event::TurnStarted { .. });
        if at > start && is_boundary(event) && (begun || !beginning) {
            return at;
        }
        begun |= !is_left_behind(event);
        if matches!(event, Event::TurnFinished { .. }) {
            return at + 1;
        }
    }
    events.len()
}

/// The calls and questions under way, as far as they tell who writes.
#[derive(Default)]
pub(super) struct Around {
    open: BTreeSet<String>,
    /// Calls about which somebody was asked.
    asked: BTreeSet<String>,
    /// Questions of the loop.
    questions: BTreeSet<String>,
    /// The loop's last entry was an answer that is to be kept.
    kept: bool,
}

impl Around {
    /// Whether a call of the model runs.
    pub(super) fn in_call(&self) -> bool {
        !self.open.is_empty()
    }

    /// Who wrote this.
    pub(super) fn origin(&mut self, event: &Event) -> Origin {
        let origin = self.look(event);
        if origin == Origin::Loop {
            self.kept = matches!(
                event,
                Event::PermissionResolved {
                    decision: Decision::AllowAlways | Decision::AllowProject,
                    ..
                }
            );
        }
        origin
    }

    fn look(&mut self, event: &Event) -> Origin {
        if is_beside(event) {
            return Origin::Beside;
        }
        let own = match event {
            Event::ToolStarted { call, .. } => {
                self.open.insert(call.clone());
                true
            }
            Event::ToolFinished { call, .. } => {
                self.open.remove(call);
                true
            }
            // The loop asks about a call as a whole, and before it runs.
            Event::PermissionRequested { request } => {
                let first = self.asked.insert(request.call.clone());
                let own = first && is_about_a_call(request);
                if own {
                    self.questions.insert(request.id.clone());
                }
                own
            }
            // A call raises it for what it is about to do.
            Event::BudgetRaised { .. } => !self.in_call(),
            Event::PermissionResolved { id, .. } => self.questions.contains(id),
            Event::Notice { code, .. } if code == "approval_not_kept" => self.kept,
            Event::Notice { .. } | Event::Usage { .. } if self.in_call() => false,
            Event::Notice { code, .. } if !OWN_NOTICES.contains(&code.as_str()) => {
                return Origin::Between;
            }
            _ => return loop_or_between(event),
        };
        if own { Origin::Loop } else { Origin::Beside }
    }
}

/// Tools ask about the program or the job that it is, in their own words.
fn is_about_a_call(request: &PermissionRequest) -> bool {
    const EFFECTS: [Effect; 4] = [Effect::Edit, Effect::Network, Effect::Process, Effect::Job];
    let words = |effect: Effect| effect.of_a_call(&request.tool) == request.summary;
    matches!(
        request.effect,
        Effect::Edit | Effect::Network | Effect::Budget
    ) || EFFECTS.into_iter().any(words)
}

fn loop_or_between(event: &Event) -> Origin {
    match event {
        Event::Notice { .. }
        | Event::Usage { .. }
        | Event::TurnStarted { .. }
        | Event::InputTaken {}
        | Event::Message { .. }
        | Event::Repetition { .. }
        | Event::Compacted { .. }
        | Event::EffortRefused { .. }
        | Event::ReasoningDropped { .. }
        | Event::BudgetWarned { .. }
        | Event::TurnFinished { .. }
        | Event::Error { .. } => Origin::Loop,
        _ => Origin::Between,
    }
}

fn origins(events: &[(Stamp, Event)], range: Range<usize>) -> Vec<Origin> {
    let mut around = Around::default();
    let events = events.get(range).unwrap_or_default();
    events
        .iter()
        .map(|(_, event)| around.origin(event))
        .collect()
}
