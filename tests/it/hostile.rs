//! The hostile suite: each case ends in a typed denial, limit or fault, the host lives, a
//! neighbour still answers, and an audit event says what happened. The table in
//! `docs/security.md` lists every case with its test.

/// What a plugin asks of its session: the model, other tools, agents, jobs; and words that want to be more.
pub(crate) mod agent;
/// Components that are small to send and large to compile.
mod bombs;
/// What a plugin says of itself: too much, too late, misleading, or something else than before.
pub(crate) mod describe;
/// Files and keys that are not the plugin's own, and more of them than there is room for.
pub(crate) mod files;
/// The same from Python and JavaScript.
pub(crate) mod languages;
/// Time, memory and sizes, from the outside.
pub(crate) mod limits;
/// Names that look like others or lead astray, in namespaces with a name server of their own.
mod names;
/// Places that were not granted, and answers that want too much.
pub(crate) mod network;
/// Credentials that are another's, go elsewhere, come back or are sent along.
mod secrets;
/// Bytes, descriptions and identities that are not what was approved.
mod supply;
/// An attacker and a neighbour in one session, and how each attack ended.
pub(crate) mod support;
/// A server that keeps every byte and answers with bytes that no library would send.
mod wire;

/// The module with tests for each hostile guest.
pub(crate) mod guests {
    pub(crate) use super::{
        agent as hostile_agent, describe as hostile_describe, files as hostile_files,
        limits as hostile_limits, network as hostile_network, support as good,
    };
}
