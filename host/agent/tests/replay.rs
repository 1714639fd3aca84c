//! Recorded sessions played again: whole, cut off anywhere, and with a byte that is another one.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "replay/asked.rs"]
mod asked;
#[path = "turn/bench.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of turns, which need more of it"
)]
mod bench;
#[path = "replay/changed.rs"]
mod changed;
#[path = "replay/guards.rs"]
mod guards;
#[path = "replay/inputs.rs"]
mod inputs;
#[path = "replay/live.rs"]
mod live;
#[path = "replay/recording.rs"]
mod recording;
#[path = "replay/room.rs"]
mod room;
#[path = "replay/turns.rs"]
mod turns;
