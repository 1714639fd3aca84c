//! The mind of `ml-intern`: one turn of the conversation, from a user's words to a final answer.
//!
//! This crate performs no I/O. It has no files, network, environment, programs or clock; it calls the
//! ports in [`ports`], which the binary fills. It knows nothing of WebAssembly.
//!
//! Start with [`turn::run`] (the loop), [`Session`] (state as a fold over [`Event`]s) and
//! [`approval::Gate`] (who may do what).

#![warn(missing_docs)]

pub mod advice;
pub mod answer;
pub mod approval;
pub mod arguments;
pub mod budget;
pub mod compaction;
pub mod context;
pub mod effort;
pub mod error;
pub mod event;
pub mod ledger;
pub mod message;
pub mod money;
pub mod plan;
pub mod ports;
pub mod price;
pub mod prompt;
pub mod redaction;
pub mod repetition;
pub mod replay;
pub mod reply;
mod retry;
pub mod session;
pub mod skill;
pub mod state;
pub mod tools;
pub mod turn;
pub mod undo;

pub use error::ProviderError;
pub use event::{Event, Stamp};
pub use message::{Message, Part, Role};
pub use session::Session;
pub use state::State;
