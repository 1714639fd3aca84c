//! What holds in every session, whatever a model, its service, tools, a person, the disk and the power do.
//!
//! A case is made of thrown dice: a session of some turns in which everything may happen at every moment. The same
//! seed makes the same case again; a failure names its seed and what happened.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "turn/bench.rs"]
#[expect(
    dead_code,
    reason = "the bench of the turns has more than is used here"
)]
mod bench;
#[path = "properties/case.rs"]
mod case;
#[path = "properties/dice.rs"]
mod dice;
#[path = "properties/host.rs"]
mod host;
#[path = "properties/invariants.rs"]
mod invariants;
#[path = "properties/ports.rs"]
mod ports;
#[path = "properties/replies.rs"]
mod replies;
#[path = "properties/world.rs"]
mod world;

use case::{Trouble, run};
use ml_intern_agent::Event;
use std::collections::BTreeMap;
use std::ops::Range;

/// Tokens of a model that is too small for most cases.
const SMALL: u64 = 2_000;

/// How often each kind of entry is in the logs of the cases.
fn all(seeds: Range<u64>, trouble: Trouble) -> BTreeMap<String, u32> {
    let mut kinds = BTreeMap::new();
    for (_, event) in seeds.flat_map(|seed| run(seed, trouble)) {
        *kinds.entry(kind(&event)).or_default() += 1;
    }
    kinds
}

fn kind(event: &Event) -> String {
    match event {
        Event::TurnFinished { reason, .. } => format!("turn: {reason:?}"),
        Event::ToolFinished { status, call, .. } if call.contains('/') => {
            format!("call within: {status:?}")
        }
        Event::ToolFinished { status, .. } => format!("call: {status:?}"),
        Event::PermissionResolved { decision, by, .. } => format!("answer: {decision:?} by {by}"),
        Event::Notice { code, .. } => format!("notice: {code}"),
        Event::Error { kind, .. } => format!("error: {kind}"),
        Event::Repetition { repetition } => format!("repetition: {:?}", repetition.step),
        event => {
            let event = serde_json::to_value(event).unwrap();
            event["type"].as_str().unwrap().to_owned()
        }
    }
}

/// A case that nothing happens in shows nothing.
fn assert_reached(kinds: &BTreeMap<String, u32>, wanted: &[&str]) {
    for kind in wanted {
        assert!(kinds.contains_key(*kind), "no `{kind}` in {kinds:#?}");
    }
}

#[test]
fn a_session_is_whole_after_everything_that_may_happen_in_it() {
    let kinds = all(0..400, Trouble::default());
    let wanted = [
        "turn: Done",
        "turn: Iterations",
        "turn: Time",
        "turn: Budget",
        "turn: Repetition",
        "turn: Interrupted",
        "turn: Error",
        "call: Ok",
        "call: Error",
        "call: Malformed",
        "call: Denied",
        "call: Fault",
        "call: Cancelled",
        "call within: Ok",
        "answer: Allow by user",
        "answer: AllowSession by user",
        "answer: Deny by user",
        "answer: Deny by input",
        "answer: Deny by nobody",
        "notice: retry",
        "notice: truncated",
        "notice: continuation",
        "input.taken",
        "turn.undone",
        "job.updated",
        "compacted",
    ];
    assert_reached(&kinds, &wanted);
}

#[test]
fn a_session_that_outgrows_its_model_is_whole() {
    let window = Some(SMALL);
    let small = Trouble {
        window,
        ..Trouble::default()
    };
    let kinds = all(1_000..1_250, small);
    assert_reached(
        &kinds,
        &[
            "compacted",
            "notice: summary_failed",
            "error: context_overflow",
        ],
    );
}

#[test]
fn a_session_goes_on_from_its_log_after_a_full_disk_a_kill_or_a_power_cut() {
    let breaks = true;
    let broken = Trouble {
        breaks,
        ..Trouble::default()
    };
    let kinds = all(2_000..2_300, broken);
    assert_reached(&kinds, &["session.resumed", "call: Interrupted"]);
    let window = Some(SMALL);
    all(3_000..3_120, Trouble { window, ..broken });
}

#[test]
fn a_session_goes_on_from_every_entry_that_its_log_may_end_with() {
    for seed in 4_000..4_024 {
        let whole = Trouble {
            short: true,
            window: (seed % 3 == 0).then_some(SMALL),
            ..Trouble::default()
        };
        let entries = run(seed, whole).len() as u64;
        for full_at in 1..=entries {
            let full_at = Some(full_at);
            run(seed, Trouble { full_at, ..whole });
        }
    }
}
