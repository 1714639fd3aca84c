//! The hostile suite: each case ends in a typed denial, limit or fault, the host lives, a
//! neighbour still answers, and an audit event says what happened. The table in
//! `docs/security.md` lists every case with its test.

/// What a plugin says of itself: too much, too late, misleading, or something else than before.
pub(crate) mod describe;
/// The same from Python and JavaScript.
mod languages;
/// Time, memory and sizes, from the outside.
pub(crate) mod limits;
/// Bytes, descriptions and identities that are not what was approved.
mod supply;
/// An attacker and a neighbour in one session, and how each attack ended.
pub(crate) mod support;

/// The module with tests for each hostile guest.
pub(crate) mod guests {
    pub(crate) use super::{
        describe as hostile_describe, limits as hostile_limits, support as good,
    };
}
