//! Clocks, random bytes, and what is ready first.

use super::*;

/// Nobody listens there.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

#[tokio::test]
async fn clocks_and_random_bytes_are_the_same_again() {
    let (first, effects) = check(&guest("(call $chance)"), naming().await, "/").await;
    assert_eq!(first.split_whitespace().count(), 11);
    let kinds: Vec<String> = effects
        .iter()
        .map(|(_, effect)| serde_json::to_value(effect).unwrap()["effect"].to_string())
        .collect();
    // Both readings of the monotonic clock are one entry, and so is all of a source.
    assert_eq!(kinds.iter().filter(|kind| *kind == "\"clock\"").count(), 4);
    assert_eq!(kinds.iter().filter(|kind| *kind == "\"random\"").count(), 3);
    assert_eq!(kinds.len(), 7);
}

#[tokio::test]
async fn without_a_recorder_nothing_is_recorded_and_chance_is_chance() {
    let place = Place::new();
    let plugin = plugin(&place, &guest("(call $chance)"), NOBODY, None);
    let first = output(&plugin, NOBODY, "/").await.unwrap();
    assert_ne!(first, output(&plugin, NOBODY, "/").await.unwrap());
}

async fn replayed(body: &str, effects: Vec<(String, Effect)>) -> Result<String, CallError> {
    let place = Place::new();
    let effects = Some(Effects::Replay(scripts(effects)));
    output(&plugin(&place, &guest(body), NOBODY, effects), NOBODY, "/").await
}

fn random(bytes: &'static [u8]) -> (String, Effect) {
    let source = RandomSource::Random;
    let bytes = bytes.into();
    ("c".to_owned(), Effect::Random { source, bytes })
}

#[tokio::test]
async fn a_script_that_is_too_short_diverges_in_words() {
    let twice = "(call $number (call $random)) (call $number (call $random))";
    let told = diverged(replayed(twice, vec![random(&[1; 12])]).await);
    assert!(
        told.contains("expected at most 4 more random bytes, found 8 random bytes"),
        "{told}"
    );
    // Across the pieces in which it was kept.
    let given = replayed(twice, vec![random(&[1; 5]), random(&[2; 11])]).await;
    assert_eq!(given.unwrap(), "0202020101010101 0202020202020202 ");
    let clock = Effect::Clock {
        clock: Clock::Monotonic,
        first: 7,
        steps: vec![-2],
    };
    let thrice = "(call $number (call $now)) (call $number (call $now)) (call $number (call $now))";
    let told = diverged(replayed(thrice, vec![("c".to_owned(), clock.clone())]).await);
    assert!(
        told.contains("expected no further reading of the monotonic clock"),
        "{told}"
    );
    // Another call's recording is none of this one's.
    let told = diverged(replayed(thrice, vec![("d".to_owned(), clock)]).await);
    assert!(told.contains("found a reading"), "{told}");
}

#[tokio::test]
async fn random_bytes_beyond_the_limit_are_a_limit_in_a_replay_too() {
    let flood = "(call $random_bytes (i64.const 0x100000000) (i32.const 256))";
    let place = Place::new();
    let effects = Some(Effects::Replay(scripts(Vec::new())));
    let plugin = plugin(&place, &guest(flood), NOBODY, effects);
    let ended = output(&plugin, NOBODY, "/").await;
    assert!(
        matches!(&ended, Err(CallError::Fault(fault)) if matches!(fault.cause, FaultCause::Random { .. })),
        "{ended:?}"
    );
}

#[tokio::test]
async fn readings_beyond_the_bound_are_cut_off_and_the_last_one_is_read_again() {
    let many = "(local $n i32) (local $read i64)
        (loop $again (local.set $read (call $now))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 150000))))
        (call $number (local.get $read))";
    let place = Place::new();
    let kept = Arc::new(Kept::default());
    let effects = Some(Effects::Record(kept.clone()));
    output(&plugin(&place, &guest(many), NOBODY, effects), NOBODY, "/")
        .await
        .unwrap();
    let effects = kept.effects();
    let readings: usize = effects
        .iter()
        .map(|(_, effect)| match effect {
            Effect::Clock { steps, .. } => steps.len() + 1,
            _ => 0,
        })
        .sum();
    assert_eq!(readings, MAX_READINGS as usize);
    let cut = Effect::Truncated {
        kind: Kind::Clock(Clock::Monotonic),
    };
    assert_eq!(
        effects.iter().filter(|(_, effect)| *effect == cut).count(),
        1
    );
    assert!(effects.len() < 120, "{}", effects.len());
    let bytes: usize = kept.lines.lock().unwrap().iter().map(String::len).sum();
    assert!(bytes < 6 * MAX_READINGS as usize, "{bytes}");
    assert_eq!(
        replayed(many, effects.clone()).await.unwrap(),
        replayed(many, effects).await.unwrap()
    );
}

#[tokio::test]
async fn timers_are_over_at_once_and_in_the_order_in_which_they_were() {
    // The second of three, then the longest by itself.
    let timers = "(local $long i32)
        (call $first (call $timer (i64.const 30000000000)) (call $timer (i64.const 20000000)) (call $timer (i64.const 40000000000)))
        (local.set $long (call $timer (i64.const 2000000000)))
        (call $number (i64.extend_i32_u (call $ready (local.get $long))))
        (call $wait (local.get $long))";
    let (first, effects) = check(&guest(timers), naming().await, "/").await;
    assert_eq!(first, "0000000000000001 0000000000000000 ");
    let ready = Effect::Ready {
        polls: vec![vec![1], vec![]],
    };
    assert_eq!(effects, [("c".to_owned(), ready)]);
    let place = Place::new();
    let effects = Some(Effects::Replay(scripts(effects)));
    let plugin = plugin(&place, &guest(timers), NOBODY, effects);
    // Compiling it takes longer than what is measured.
    plugin.prepare().await.unwrap();
    let began = std::time::Instant::now();
    output(&plugin, NOBODY, "/").await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1900));
}

#[tokio::test]
async fn a_recorder_that_fails_ends_the_call() {
    let place = Place::new();
    let kept = Arc::new(Kept {
        full: true,
        ..Kept::default()
    });
    for body in ["(call $chance)", "(drop (call $random))"] {
        let effects = Some(Effects::Record(kept.clone()));
        let ended = output(&plugin(&place, &guest(body), NOBODY, effects), NOBODY, "/").await;
        assert!(
            matches!(&ended, Err(CallError::Fault(fault)) if fault.to_string().contains("cannot be recorded")),
            "{ended:?}"
        );
    }
    place.check_neighbour().await;
}
