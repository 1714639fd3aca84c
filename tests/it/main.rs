//! End-to-end tests, one binary. A module below tests one thing from the outside; what can be
//! tested inside a crate is tested there.

#![expect(
    clippy::unwrap_used,
    reason = "a test panics where it fails, and so does its support"
)]

/// The direction of dependencies between our crates, and what the agent may not depend on.
mod architecture;
/// The support itself: a fake that takes anything, or a runner that hides an exit code, would
/// make every other test worthless.
mod self_test;
/// Fakes, real servers and the runner of the binary, used by the modules above.
mod support;
