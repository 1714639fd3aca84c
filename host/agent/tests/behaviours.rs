//! Single behaviours of a turn that a model, a service or a person can bring about.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "turn/bench.rs"]
#[expect(
    dead_code,
    reason = "the bench of the turns has more than is used here"
)]
mod bench;
#[path = "behaviours/broken_off.rs"]
mod broken_off;
#[path = "behaviours/efforts.rs"]
mod efforts;
#[path = "behaviours/questions.rs"]
mod questions;
#[path = "behaviours/replies.rs"]
mod replies;
#[path = "behaviours/retries.rs"]
mod retries;
#[path = "behaviours/room.rs"]
mod room;
#[path = "behaviours/shapes.rs"]
mod shapes;
#[path = "behaviours/taken_back.rs"]
mod taken_back;
#[path = "behaviours/within.rs"]
mod within;
