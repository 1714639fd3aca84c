//! The hostile suite: each case ends in a typed denial, limit or fault, the host lives, a
//! neighbour still answers, and an audit event says what happened. The table in
//! `docs/security.md` lists every case with its test.

/// Time, memory and sizes, from the outside.
mod limits;
/// An attacker and a neighbour in one session, and how each attack ended.
pub(crate) mod support;

/// The module with tests for each hostile guest.
pub(crate) mod guests {
    pub(crate) use super::{limits as hostile_limits, support as good};
}
