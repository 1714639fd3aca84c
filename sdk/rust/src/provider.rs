//! What providers have in common: the parts of which a plugin for another model service is made.
//!
//! A provider turns a [`Request`](crate::Request) into the body of one HTTP request, and what comes
//! back into a [`Response`](crate::Response). [`completions`] does both for every service that
//! speaks the protocol of chat completions; for another protocol a plugin writes a body with
//! [`json::Json`] and implements [`Protocol`] on top of [`Reply`], or [`Framing`] where the stream is not one of server-sent events. The rest is the same for all:
//! [`Service::complete`] sends, reads the stream as server-sent events ([`sse`]), shows deltas as
//! they arrive, and turns failures into the error that says what to do next ([`errors`]).
//!
//! Everything here is plain data and functions: a plugin keeps no state between calls.

pub mod claude;
pub mod completions;
pub mod conversation;
pub mod errors;
pub mod ids;
pub mod json;
mod reply;
mod retry_after;
pub mod schema;
mod service;
pub mod settings;
pub mod sse;
mod table;
pub mod value;

pub use reply::{Emit, Fragment, MAX_CALLS, Reply, to_sink};
pub use service::{Flow, Framing, Protocol, Service};
pub use table::{Known, cost, or_known, price};
