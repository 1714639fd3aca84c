//! Lines of a session log: what is read folds into a state, and what is written reads back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ml_intern_agent::{Event, Stamp, State};

fuzz_target!(|text: &str| {
    let mut state = State::default();
    for (line, seq) in text.lines().zip(1..) {
        let Ok(event) = serde_json::from_str::<Event>(line) else {
            continue;
        };
        let stamp = Stamp {
            seq,
            ms: 1_700_000_000_000 + seq,
        };
        // Once written, a number that JSON cannot hold is gone; from there on nothing changes.
        let written = ml_intern_trace::render(stamp, None, &event);
        assert!(written.ends_with('\n') && written.lines().count() == 1);
        let event: Event =
            serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        let again = ml_intern_trace::render(stamp, None, &event);
        assert_eq!(
            serde_json::from_str::<Event>(&again).ok(),
            Some(event.clone()),
            "{written}"
        );
        state.apply(&event, stamp);
        assert!(state.title.chars().count() <= 80);
        let names = state
            .messages
            .iter()
            .flat_map(|message| message.calls())
            .map(|call| &call.name);
        for name in names {
            assert!((1..=64).contains(&name.len()) && name.is_ascii());
        }
    }
});
