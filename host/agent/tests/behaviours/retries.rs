//! How long a service that fails is waited for.

use crate::bench::{Bench, Setup, bench, fails, overloaded, says};
use ml_intern_agent::event::TurnEnd;
use ml_intern_agent::{Event, ProviderError};
use std::sync::atomic::Ordering;

fn rate_limited() -> ProviderError {
    ProviderError::Upstream {
        status: Some(429),
        code: None,
        message: "too many tokens, please wait".into(),
        retryable: true,
        retry_after_ms: None,
    }
}

/// What a person reads of each wait.
fn waits(bench: &Bench) -> Vec<String> {
    let events = bench.events().into_iter();
    let waits = events.filter_map(|event| match event {
        Event::Notice { code, text } if code == "retry" => {
            let (_, wait) = text.split_once("trying again in ")?;
            Some(wait.to_owned())
        }
        _ => None,
    });
    waits.collect()
}

/// Three failures, and how long was waited in between.
async fn thrice(error: impl Fn() -> ProviderError) -> (Bench, u64) {
    let steps = (0..3).map(|_| fails(error())).chain([says("never")]);
    let bench = bench(Setup::default(), steps.collect());
    assert_eq!(bench.run("go").await, TurnEnd::Error);
    assert_eq!(bench.script.seen.lock().unwrap().len(), 3);
    let slept = bench.clock.slept_ms.load(Ordering::SeqCst);
    (bench, slept)
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_longer_than_its_window_of_a_minute() {
    let (bench, slept) = thrice(rate_limited).await;
    assert_eq!(
        waits(&bench),
        ["30 s (attempt 2 of 3)", "60 s (attempt 3 of 3)"]
    );
    assert_eq!(slept, 90_000);
}

#[tokio::test]
async fn a_service_that_is_overloaded_or_silent_is_waited_for_shortly() {
    for error in [|| overloaded(None), || ProviderError::Timeout] {
        let (bench, slept) = thrice(error).await;
        assert_eq!(
            waits(&bench),
            ["5 s (attempt 2 of 3)", "15 s (attempt 3 of 3)"]
        );
        assert_eq!(slept, 20_000);
    }
}

#[tokio::test]
async fn each_wait_counts_by_the_attempt_that_failed_last() {
    let steps = vec![
        fails(overloaded(None)),
        fails(rate_limited()),
        says("done"),
        fails(rate_limited()),
        says("done again"),
    ];
    let bench = bench(Setup::default(), steps);
    assert_eq!(bench.run("go").await, TurnEnd::Done);
    assert_eq!(bench.run("once more").await, TurnEnd::Done);
    let expected = [
        "5 s (attempt 2 of 3)",
        "60 s (attempt 3 of 3)",
        "30 s (attempt 2 of 3)",
    ];
    assert_eq!(waits(&bench), expected);
}
