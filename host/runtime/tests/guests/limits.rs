//! Time, memory, sizes.

use std::time::Instant;

use super::*;

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// Imports `log.write` as `$write`.
pub(crate) const LOG: &str = r#"(import "ml-intern:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32 i32 i32 i32)))"#;

/// A body that goes on only if the growth that comes before it, whose result is on the stack, was
/// refused or not.
const UNLESS_REFUSED: &str = "(if (i32.eq (i32.const -1)) (then (unreachable))) (i32.const 64)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_comes_back() {
    let place = Place::new();
    // Ok(Output { content: [Text(the arguments)], is_error: true })
    let echo = "(i32.store (i32.const 132) (local.get 2)) (i32.store (i32.const 136) (local.get 3))
        (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1)) (i32.store8 (i32.const 76) (i32.const 1))
        (i32.const 64)";
    let plugin = place.plugin(&Guest::call(echo), Limits::default());
    for _ in 0..3 {
        let output = call(&plugin).await.unwrap();
        assert_eq!(
            output,
            tool::Output {
                content: vec![tool::Content::Text("{}".to_owned())],
                is_error: true
            }
        );
    }
    assert!(place.folder.path().join("cache/aot").is_dir());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_01_an_endless_loop_ends_by_processor_time_wall_time_and_cancellation() {
    let place = Place::new();
    let guest = Guest::call(LOOP);
    let began = Instant::now();
    let busy = place.plugin(&guest, short(100, 60_000));
    assert_eq!(
        cause(call(&busy).await),
        FaultCause::CpuTime {
            limit: Duration::from_millis(100)
        }
    );
    let slow = place.plugin(&guest, short(60_000, 100));
    assert_eq!(
        cause(call(&slow).await),
        FaultCause::WallTime {
            limit: Duration::from_millis(100)
        }
    );
    let patient = place.plugin(&guest, short(60_000, 60_000));
    let context = CallContext {
        timeout: Some(Duration::from_millis(50)),
        ..context()
    };
    let cancel = CancellationToken::new();
    let timed = patient
        .call_tool("x", "", context, Arc::new(Unobserved), &cancel)
        .await;
    assert_eq!(
        cause(timed),
        FaultCause::WallTime {
            limit: Duration::from_millis(50)
        }
    );
    let token = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        token.cancel();
    });
    let cancelled = patient
        .call_tool("x", "", self::context(), Arc::new(Unobserved), &cancel)
        .await;
    assert!(matches!(cancelled, Err(CallError::Cancelled)));
    let late = patient
        .call_tool("x", "", self::context(), Arc::new(Unobserved), &cancel)
        .await;
    assert!(matches!(late, Err(CallError::Cancelled)));
    assert!(began.elapsed() < Duration::from_secs(10));
    place.check_neighbour().await;
}

/// A start function of so many rounds.
fn starts_with(rounds: u32) -> Guest {
    let rounds = format!(
        "(local $n i32) (loop $again (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const {rounds}))))"
    );
    Guest {
        module: format!("(func $start {rounds}) (start $start)"),
        ..Guest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_03_a_loop_in_the_start_function_ends_by_processor_time() {
    let place = Place::new();
    let endless = starts_with(u32::MAX);
    assert!(matches!(
        cause(call(&place.plugin(&endless, short(50, 60_000))).await),
        FaultCause::CpuTime { .. }
    ));
    call(&place.plugin(&starts_with(1000), short(50, 60_000)))
        .await
        .unwrap();
    place.check_neighbour().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_04_a_loop_of_host_calls_ends_by_processor_time() {
    let place = Place::new();
    let zeros = "(i32.const 0)".repeat(6);
    let calls = Guest {
        module: LOG.to_owned(),
        ..Guest::call(&format!(
            "(loop $again (call $write {zeros}) (br $again)) (unreachable)"
        ))
    };
    assert!(matches!(
        cause(call(&place.plugin(&calls, short(50, 60_000))).await),
        FaultCause::CpuTime { .. }
    ));
    place.check_neighbour().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_09_a_hundred_attacks_at_once_leave_the_host_answering() {
    let place = Place::new();
    let limits = Limits {
        concurrent: 100,
        memory_bytes: 4 << 20,
        ..short(60_000, 500)
    };
    let zeros = "(i32.const 0)".repeat(6);
    let calls = format!("(loop $again (call $write {zeros}) (br $again)) (unreachable)");
    let attacks = [
        Guest::call(LOOP),
        starts_with(u32::MAX),
        Guest {
            module: LOG.to_owned(),
            ..Guest::call(&calls)
        },
        Guest::call("(drop (memory.grow (i32.const 1000))) (unreachable)"),
        recursion(),
    ];
    let attacks = attacks.map(|guest| place.plugin(&guest, limits.clone()));
    for attack in &attacks {
        attack.prepare().await.unwrap();
    }
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let plugin = attacks[number % attacks.len()].clone();
            tokio::spawn(async move { cause(call(&plugin).await) })
        })
        .collect();
    place.check_neighbour().await;
    for (number, ended) in calls.into_iter().enumerate() {
        let cause = ended.await.unwrap();
        match number % attacks.len() {
            0..=2 => assert!(matches!(cause, FaultCause::WallTime { .. }), "{cause}"),
            3 => assert!(matches!(cause, FaultCause::Memory { .. }), "{cause}"),
            // On a busy machine it may not get as far as its stack reaches.
            _ => assert!(
                matches!(cause, FaultCause::Trap(_) | FaultCause::WallTime { .. }),
                "{cause}"
            ),
        }
    }
    place.check_neighbour().await;
    // A hundred calls that keep to their limits all get through.
    let good = place.plugin(&Guest::default(), limits);
    let calls = (0..100).map(|_| {
        let good = good.clone();
        tokio::spawn(async move { call(&good).await.unwrap() })
    });
    for answer in calls.collect::<Vec<_>>() {
        answer.await.unwrap();
    }
}

/// Calls itself, twice each time.
fn recursion() -> Guest {
    Guest {
        module: "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))".to_owned(),
        ..Guest::call("(call $deep (i32.const 1))")
    }
}

#[tokio::test]
async fn traps_say_what_happened() {
    let place = Place::new();
    let trap = cause(call(&place.plugin(&Guest::call("(unreachable)"), Limits::default())).await);
    assert!(
        matches!(&trap, FaultCause::Trap(text) if text.contains("unreachable")),
        "{trap}"
    );
    // A pointer to a result outside of memory.
    let wild = cause(call(&place.plugin(&Guest::call("(i32.const -4)"), Limits::default())).await);
    assert!(matches!(wild, FaultCause::Trap(_)), "{wild}");
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_12_endless_recursion_traps() {
    let place = Place::new();
    let trap = cause(call(&place.plugin(&recursion(), Limits::default())).await);
    assert!(
        matches!(&trap, FaultCause::Trap(text) if text.contains("stack")),
        "{trap}"
    );
    let shallow = Guest {
        module: "(func $deep (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0))
            (then (i32.const 64))
            (else (call $deep (i32.sub (local.get 0) (i32.const 1))))))"
            .to_owned(),
        ..Guest::call("(call $deep (i32.const 1000))")
    };
    call(&place.plugin(&shallow, Limits::default()))
        .await
        .unwrap();
    place.check_neighbour().await;
}

fn of_memory(bytes: u64) -> Limits {
    Limits {
        memory_bytes: bytes,
        ..Limits::default()
    }
}

/// What ends the guest under `small`; under `large` it goes through.
async fn ends_under(place: &Place, guest: &Guest, small: Limits, large: Limits) -> FaultCause {
    let ended = cause(call(&place.plugin(guest, small)).await);
    call(&place.plugin(guest, large)).await.unwrap();
    place.check_neighbour().await;
    ended
}

#[tokio::test]
async fn case_10_memory_beyond_the_limit_is_named_and_a_guest_may_live_with_a_refusal() {
    let place = Place::new();
    let (small, large) = (of_memory(4 << 20), of_memory(128 << 20));
    let greedy = Guest::call(&format!("(memory.grow (i32.const 1000)) {UNLESS_REFUSED}"));
    let (limit, wanted) = (4 << 20, 65536 * 1001);
    assert_eq!(
        ends_under(&place, &greedy, small.clone(), large.clone()).await,
        FaultCause::Memory { limit, wanted }
    );
    let modest = Guest::call("(drop (memory.grow (i32.const 1000))) (i32.const 64)");
    call(&place.plugin(&modest, small.clone())).await.unwrap();
    let initial = Guest {
        pages: 100,
        ..Guest::default()
    };
    let ended = ends_under(&place, &initial, small, large).await;
    assert!(matches!(ended, FaultCause::Memory { .. }), "{ended}");
}

/// A guest with as many core modules of this content beside its own.
fn beside(content: &str, count: u8) -> Vec<u8> {
    let module = wat::parse_str(format!("(module {content})")).unwrap();
    let mut component = Guest::default().component();
    for number in 1..=count {
        component.extend([1, u8::try_from(module.len()).unwrap()]);
        component.extend(&module);
        // One core instance: of the module of this number, with no imports.
        component.extend([2, 4, 1, 0, number, 0]);
    }
    component
}

#[tokio::test]
async fn case_11_memories_and_tables_add_up() {
    let place = Place::new();
    let (small, large) = (of_memory(4 << 20), of_memory(128 << 20));
    // None of them is too large by itself.
    for (module, count) in [("(memory 32)", 3), ("(table 90000 funcref)", 7)] {
        let component = beside(module, count);
        let plugin = |limits: &Limits| {
            let setup = Setup::bare(limits.clone());
            place.runtime.plugin(source(component.clone()), setup)
        };
        let ended = cause(call(&plugin(&small)).await);
        assert!(matches!(ended, FaultCause::Memory { .. }), "{ended}");
        call(&plugin(&large)).await.unwrap();
    }
    // Many small steps of both.
    let steps = Guest {
        module: "(table $table 0 funcref)".to_owned(),
        ..Guest::call(
            "(local $n i32) (loop $again
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
                (if (i32.eq (table.grow $table (ref.null func) (i32.const 100)) (i32.const -1)) (then (unreachable)))
                (br_if $again (i32.lt_u (local.get $n) (i32.const 100)))) (i32.const 64)",
        )
    };
    let ended = ends_under(&place, &steps, small, large).await;
    assert!(matches!(ended, FaultCause::Memory { .. }), "{ended}");
}

#[tokio::test]
async fn case_11_more_memories_or_larger_tables_than_the_pool_has_are_refused() {
    let place = Place::new();
    let tables = |elements: usize| {
        let module = format!("(table {elements} funcref)");
        let guest = Guest {
            module,
            ..Guest::default()
        };
        guest.component()
    };
    for (refused, fits) in [
        (beside("(memory 0)", 20), beside("(memory 0)", 2)),
        (tables(200_000), tables(1000)),
    ] {
        let plugin = |bytes| {
            let setup = Setup::bare(of_memory(1 << 30));
            place.runtime.plugin(source(bytes), setup)
        };
        match cause(call(&plugin(refused)).await) {
            FaultCause::NotLoadable(text) => assert!(text.contains("exceeds"), "{text}"),
            other => panic!("{other:?}"),
        }
        call(&plugin(fits)).await.unwrap();
    }
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_13_a_text_of_40_mib_to_the_log_is_refused() {
    let place = Place::new();
    let flood = "(call $write (i32.const 0) (i32.const 0) (i32.const 41943040) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 64)";
    let flood = Guest {
        module: LOG.to_owned(),
        pages: 700,
        ..Guest::call(flood)
    };
    let large = Limits {
        argument_bytes: 64 << 20,
        ..Limits::default()
    };
    assert_eq!(
        ends_under(&place, &flood, Limits::default(), large).await,
        FaultCause::Argument { limit: 16 << 20 }
    );
}

#[tokio::test]
async fn case_14_a_list_of_a_million_texts_is_refused() {
    let place = Place::new();
    // Ok(Output { content: [Text(""); 1000000] })
    let many = "(i32.store (i32.const 68) (i32.const 65536)) (i32.store (i32.const 72) (i32.const 1000000)) (i32.const 64)";
    let many = Guest {
        pages: 400,
        ..Guest::call(many)
    };
    let large = Limits {
        argument_bytes: 1 << 30,
        output_bytes: 1 << 30,
        ..Limits::default()
    };
    let ended = ends_under(&place, &many, Limits::default(), large).await;
    assert!(
        matches!(
            ended,
            FaultCause::Argument { .. } | FaultCause::Output { .. }
        ),
        "{ended}"
    );
}

#[tokio::test]
async fn case_19_a_huge_result_is_refused() {
    let place = Place::new();
    // Ok(Output { content: [Text(300 KiB)] })
    let large = "(i32.store (i32.const 132) (i32.const 65536)) (i32.store (i32.const 136) (i32.const 307200))
        (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1)) (i32.const 64)";
    let large = Guest {
        pages: 8,
        ..Guest::call(large)
    };
    let raised = Limits {
        output_bytes: 1 << 20,
        ..Limits::default()
    };
    let ended = ends_under(&place, &large, Limits::default(), raised).await;
    let most = 256 << 10;
    assert!(
        matches!(ended, FaultCause::Output { limit, size } if limit == most && size > 307_199),
        "{ended}"
    );
}

#[tokio::test]
async fn case_20_log_text_beyond_the_limit_is_dropped() {
    let place = Place::new();
    let lines = "(local $n i32) (loop $again
        (call $write (i32.const 2) (i32.const 0) (i32.const 1024) (i32.const 0) (i32.const 0) (i32.const 0))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 1000)))) (i32.const 64)";
    let guest = Guest {
        module: LOG.to_owned(),
        ..Guest::call(lines)
    };
    let raised = Limits {
        log_bytes: 4 << 20,
        ..Limits::default()
    };
    for (limits, expected) in [(Limits::default(), 256), (raised, 1000)] {
        let watcher = Arc::new(Watcher::default());
        place
            .plugin(&guest, limits)
            .call_tool(
                "x",
                "",
                context(),
                watcher.clone(),
                &CancellationToken::new(),
            )
            .await
            .unwrap();
        assert_eq!(watcher.lines.lock().unwrap().len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_concurrency_of_a_plugin_wait_for_their_turn() {
    let place = Place::new();
    let limits = Limits {
        concurrent: 1,
        ..short(60_000, 100)
    };
    let plugin = place.plugin(&Guest::call(LOOP), limits);
    plugin.prepare().await.unwrap();
    let began = Instant::now();
    let (one, two) = tokio::join!(call(&plugin), call(&plugin));
    assert!(matches!(
        (cause(one), cause(two)),
        (FaultCause::WallTime { .. }, FaultCause::WallTime { .. })
    ));
    assert!(began.elapsed() >= Duration::from_millis(200));
}
