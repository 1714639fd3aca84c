//! Runs a recorded session again through the loop, offline, and finds the first entry that comes out differently.
//!
//! Whatever came from outside is taken from the recording: the model's replies, what the tools and the person
//! answered, the time, interruptions, and the moments at which a process died. What the loop makes of it is compared
//! with what it made of it then, entry by entry. A log may break off anywhere: the replay ends where it does.

mod calls;
mod compare;
mod drive;
mod failure;
mod idle;
mod journal;
mod limits;
mod live;
mod ports;
mod provider;
mod script;
mod section;
mod summary;
mod toolbox;
mod unredacted;
mod woken;

pub use unredacted::Unredacted;

use crate::approval::{Gate, Mode};
use crate::event::{Event, Stamp};
use crate::ports::{Approver, Toolbox};
use crate::session::Session;
use serde::Serialize;
use std::sync::Arc;

/// Real tools in place of the recorded ones.
pub struct Live<'a> {
    /// Makes the tools of the session that is played again. They write what they do to it and ask the gate, as in a
    /// session of their own.
    pub toolbox: MakeToolbox<'a>,
    /// How much they do without asking.
    pub mode: Mode,
    /// Who is asked where the recording has no answer.
    pub approver: Option<Arc<dyn Approver>>,
}

/// Puts tools together for the session that is played again, and its gate.
pub type MakeToolbox<'a> = Box<dyn FnOnce(Arc<Session>, Arc<Gate>) -> Arc<dyn Toolbox> + Send + 'a>;

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Entries that came out as recorded, those from outside included.
    pub events: u64,
    /// Turns among them, begun.
    pub turns: u64,
    /// Replies of the model.
    pub iterations: u64,
    /// Calls that the model made, and that ended.
    pub tool_calls: u64,
    /// Calls of real tools that came out otherwise, in the order in which they ended.
    pub differing: Vec<DifferingCall>,
    /// The first difference; none where the whole log came out as recorded.
    pub divergence: Option<Divergence>,
}

/// The first difference between the recording and what the loop does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Divergence {
    /// Place in the log.
    pub seq: u64,
    /// What the log has there; none where it belongs to no entry.
    pub expected: Option<Event>,
    /// What the loop wrote; none where it wrote nothing.
    pub found: Option<Event>,
    /// Which field differs, or what the loop does, in words.
    pub what: String,
}

/// A call whose real outcome is not the recorded one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferingCall {
    /// [`Event::ToolStarted::call`].
    pub call: String,
    /// Name of the tool.
    pub tool: String,
    /// How it ended then, from a little before the first difference.
    pub expected: String,
    /// How it ended now.
    pub found: String,
}

/// Plays a log again with nothing but what it holds.
pub async fn replay(events: Vec<(Stamp, Event)>) -> Report {
    drive::Replay::recorded(events).run().await
}

/// Plays a log again with real tools: only the model is as recorded. What the tools do to the session is not compared,
/// and a call that comes out otherwise is noted and stops nothing. Secrets were taken out of the log, so that a call
/// whose arguments held one gets what stands in its place.
///
/// Ends when the tools do; whoever wants a limit drops the future.
pub async fn replay_live(events: Vec<(Stamp, Event)>, live: Live<'_>) -> Report {
    drive::Replay::live(events, live).run().await
}
