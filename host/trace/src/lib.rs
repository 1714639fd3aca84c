//! The session log on disk.
//!
//! One folder a session: `events.jsonl` (append-only, one event a line), `blobs/` (large texts by digest) and `lock`.
//! State is never stored: [`SessionLog::open`] folds the lines again. `.index` in the folder of all sessions is what
//! [`list`] remembers of them, and may be removed at any time. This crate knows no prompts and no components.
//!
//! Start with [`SessionLog`] (writing and opening), [`list`] (what sessions there are), [`follow`] (reading along) and
//! [`SecretRules`] (what must not be written down).

#![warn(missing_docs)]

mod blob;
mod choose;
mod entry;
mod error;
mod export;
mod follow;
mod index;
mod line;
mod list;
mod log;
mod manage;
mod metrics;
mod redact;

pub use choose::{choose, complete_id};
pub use error::TraceError;
pub use export::claude_code;
pub use follow::{Follower, follow};
pub use line::{VERSION, render};
pub use list::{Folded, SessionSummary, fold, list, summary};
pub use log::{ORIGINALS, Opened, SessionLog, read};
pub use manage::{delete, fork};
pub use metrics::{Counts, Jobs, Metrics, ModelCalls, Quality, ToolCalls, metrics};
pub use redact::{KnownSecret, SecretRules, is_secret_variable};
