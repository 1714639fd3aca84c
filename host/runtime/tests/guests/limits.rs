//! Time, memory, sizes.

use std::time::Instant;

use super::*;

const LOOP: &str = "(loop $again (br $again)) (unreachable)";
const LOG: &str = r#"(import "ml-intern:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32 i32 i32 i32)))"#;

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
async fn an_endless_loop_ends_by_processor_time_wall_time_and_cancellation() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_before_the_call_and_a_loop_of_host_calls_end_alike() {
    let place = Place::new();
    let start = Guest {
        module: format!("(func $start {LOOP}) (start $start)"),
        ..Guest::default()
    };
    assert!(matches!(
        cause(call(&place.plugin(&start, short(50, 60_000))).await),
        FaultCause::CpuTime { .. }
    ));
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
async fn a_hundred_endless_loops_at_once_leave_the_host_answering() {
    let place = Place::new();
    let limits = Limits {
        concurrent: 100,
        ..short(60_000, 300)
    };
    let plugin = place.plugin(&Guest::call(LOOP), limits);
    plugin.prepare().await.unwrap();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move { cause(call(&plugin).await) })
        })
        .collect();
    place.check_neighbour().await;
    for ended in calls {
        assert!(matches!(ended.await.unwrap(), FaultCause::WallTime { .. }));
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
    let recursion = Guest {
        module: "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))".to_owned(),
        ..Guest::call("(call $deep (i32.const 1))")
    };
    let trap = cause(call(&place.plugin(&recursion, Limits::default())).await);
    assert!(
        matches!(&trap, FaultCause::Trap(text) if text.contains("stack")),
        "{trap}"
    );
    // A pointer to a result outside of memory.
    let wild = cause(call(&place.plugin(&Guest::call("(i32.const -4)"), Limits::default())).await);
    assert!(matches!(wild, FaultCause::Trap(_)), "{wild}");
    place.check_neighbour().await;
}

#[tokio::test]
async fn memory_beyond_the_limit_is_named_and_a_guest_may_live_with_a_refusal() {
    let place = Place::new();
    let limits = Limits {
        memory_bytes: 4 << 20,
        ..Limits::default()
    };
    let grow = "(drop (memory.grow (i32.const 1000)))";
    let greedy = Guest::call(&format!("{grow} (unreachable)"));
    let wanted = 65536 * 1001;
    assert_eq!(
        cause(call(&place.plugin(&greedy, limits.clone())).await),
        FaultCause::Memory {
            limit: 4 << 20,
            wanted
        }
    );
    let modest = Guest::call(&format!("{grow} (i32.const 64)"));
    call(&place.plugin(&modest, limits.clone())).await.unwrap();
    let initial = Guest {
        pages: 100,
        ..Guest::default()
    };
    assert!(matches!(
        cause(call(&place.plugin(&initial, limits.clone())).await),
        FaultCause::Memory { .. }
    ));
    // Many small steps, and tables beside memory.
    let steps = Guest {
        module: "(table $table 0 funcref)".to_owned(),
        ..Guest::call(
            "(loop $again (br_if $again (i32.and
                (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
                (i32.ne (table.grow $table (ref.null func) (i32.const 100)) (i32.const -1))))) (unreachable)",
        )
    };
    assert!(matches!(
        cause(call(&place.plugin(&steps, limits)).await),
        FaultCause::Memory { .. }
    ));
    place.check_neighbour().await;
}

#[tokio::test]
async fn results_and_arguments_of_the_host_are_bounded() {
    let place = Place::new();
    // Ok(Output { content: [Text(300 KiB)] })
    let large = "(i32.store (i32.const 132) (i32.const 65536)) (i32.store (i32.const 136) (i32.const 307200))
        (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1)) (i32.const 64)";
    let large = Guest {
        pages: 8,
        ..Guest::call(large)
    };
    let limit = 256 << 10;
    assert!(
        matches!(cause(call(&place.plugin(&large, Limits::default())).await), FaultCause::Output { limit: found, size } if found == limit && size > 307_199)
    );
    // A list of a million empty texts.
    let many = "(i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1000000)) (i32.const 64)";
    let many = Guest {
        pages: 400,
        ..Guest::call(many)
    };
    assert!(matches!(
        cause(call(&place.plugin(&many, Limits::default())).await),
        FaultCause::Argument { .. } | FaultCause::Output { .. }
    ));
    let flood = "(call $write (i32.const 0) (i32.const 0) (i32.const 41943040) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 64)";
    let flood = Guest {
        module: LOG.to_owned(),
        pages: 700,
        ..Guest::call(flood)
    };
    assert_eq!(
        cause(call(&place.plugin(&flood, Limits::default())).await),
        FaultCause::Argument { limit: 16 << 20 }
    );
    place.check_neighbour().await;
}

#[tokio::test]
async fn log_text_beyond_the_limit_is_dropped() {
    let place = Place::new();
    let lines = "(local $n i32) (loop $again
        (call $write (i32.const 2) (i32.const 0) (i32.const 1024) (i32.const 0) (i32.const 0) (i32.const 0))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 1000)))) (i32.const 64)";
    let plugin = place.plugin(
        &Guest {
            module: LOG.to_owned(),
            ..Guest::call(lines)
        },
        Limits::default(),
    );
    let watcher = Arc::new(Watcher::default());
    plugin
        .call_tool(
            "x",
            "",
            context(),
            watcher.clone(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert_eq!(watcher.lines.lock().unwrap().len(), 256);
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
