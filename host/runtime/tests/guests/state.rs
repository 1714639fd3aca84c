//! What a call leaves behind: handles, locks of the host, memory.

use super::*;

/// Imports the key-value store, and the texts `session` at 16, `k` at 32 and `v` at 40.
fn store() -> String {
    let from = "wasi:keyvalue/store@0.2.0-draft";
    format!(
        r#"(import "{from}" "open" (func $open (param i32 i32 i32)))
        (import "{from}" "[method]bucket.set" (func $set (param i32 i32 i32 i32 i32 i32)))
        (import "{from}" "[method]bucket.get" (func $get (param i32 i32 i32 i32)))
        (import "{from}" "[resource-drop]bucket" (func $drop (param i32)))
        (data (i32.const 16) "session") (data (i32.const 32) "k") (data (i32.const 40) "v")"#
    )
}

/// Opens the session's bucket; its handle is at 260.
const OPEN: &str = "(call $open (i32.const 16) (i32.const 7) (i32.const 256))";
const SET: &str = "(call $set (i32.load (i32.const 260)) (i32.const 32) (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 288))";
/// The value's length is at 332.
const GET: &str =
    "(call $get (i32.load (i32.const 260)) (i32.const 32) (i32.const 1) (i32.const 320))";
const DROP: &str = "(call $drop (i32.load (i32.const 260)))";
const DONE: &str = "(i32.const 64)";

fn keeping(body: &str) -> Guest {
    Guest {
        module: store(),
        ..Guest::call(body)
    }
}

/// A plugin on values that others share.
fn sharing(place: &Place, guest: &Guest, values: &KeyValue) -> Plugin {
    let setup = Setup {
        store: values.clone(),
        ..Setup::bare(Limits::default())
    };
    place.runtime.plugin(source(guest.component()), setup)
}

#[tokio::test]
async fn case_15_a_flood_of_handles_ends_at_their_number() {
    let place = Place::new();
    let flood = keeping(&format!(
        "(local $n i32) (loop $again {OPEN}
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 300)))) {DONE}"
    ));
    assert_eq!(
        cause(call(&place.plugin(&flood, Limits::default())).await),
        FaultCause::Handles { limit: 256 }
    );
    let raised = Limits {
        handles: 1000,
        ..Limits::default()
    };
    call(&place.plugin(&flood, raised)).await.unwrap();
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_71_a_trap_while_the_host_answers_leaves_no_lock_behind() {
    let place = Place::new();
    let folder = place.folder.path().join("values");
    for values in [
        KeyValue::in_memory(),
        KeyValue::new(Some(folder.join("one")), Some(folder.join("two"))),
    ] {
        // The value is there, and making room for it in the guest traps.
        let trap = Guest {
            realloc: "(if (i32.load (i32.const 260)) (then (unreachable)))".to_owned(),
            ..keeping(&format!("{OPEN} {SET} {GET} {DONE}"))
        };
        for _ in 0..3 {
            let ended = cause(call(&sharing(&place, &trap, &values)).await);
            assert!(matches!(&ended, FaultCause::Trap(text) if text.contains("unreachable")));
        }
        // A neighbour finds what was set, and sets it again.
        let found = format!(
            "{OPEN} {GET} (if (i32.ne (i32.load (i32.const 332)) (i32.const 1)) (then (unreachable))) {SET} {DONE}"
        );
        call(&sharing(&place, &keeping(&found), &values))
            .await
            .unwrap();
    }
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_71_a_handle_that_is_dropped_twice_traps() {
    let place = Place::new();
    let values = KeyValue::in_memory();
    let twice = keeping(&format!("{OPEN} {DROP} {DROP} {DONE}"));
    let after = keeping(&format!("{OPEN} {DROP} {SET} {DONE}"));
    for guest in [&twice, &after] {
        let ended = cause(call(&sharing(&place, guest, &values)).await);
        assert!(
            matches!(&ended, FaultCause::Trap(text) if text.contains("unknown handle index")),
            "{ended}"
        );
    }
    let once = keeping(&format!("{OPEN} {SET} {DROP} {DONE}"));
    call(&sharing(&place, &once, &values)).await.unwrap();
    place.check_neighbour().await;
}

/// Called as `w` it writes wherever it can, as `r` it looks for what was written, as `b` both.
fn leaves() -> Guest {
    let is = |letter: char| {
        format!(
            "(i32.ne (i32.load8_u (local.get 0)) (i32.const {}))",
            letter as u32
        )
    };
    let (reads, writes) = (is('w'), is('r'));
    Guest {
        module: "(global $left (mut i32) (i32.const 0)) (table $table 4 funcref) (func $f) (elem declare func $f)".to_owned(),
        ..Guest::call(&format!(
            "(local $at i32)
            (drop (memory.grow (i32.const 16)))
            (if {writes} (then
                (memory.fill (i32.const 65536) (i32.const 170) (i32.const 1048576))
                (i32.store (i32.const 32768) (i32.const 7))
                (global.set $left (i32.const 1))
                (table.set $table (i32.const 0) (ref.func $f))))
            (if {reads} (then
                (if (global.get $left) (then (unreachable)))
                (if (i32.load (i32.const 32768)) (then (unreachable)))
                (if (i32.eqz (ref.is_null (table.get $table (i32.const 0)))) (then (unreachable)))
                (local.set $at (i32.const 65536))
                (loop $scan
                    (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (unreachable)))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (br_if $scan (i32.lt_u (local.get $at) (i32.const 1114112))))))
            (i32.const 64)"
        ))
    }
}

#[tokio::test]
async fn case_72_nothing_of_one_call_is_seen_in_another() {
    let folder = tempfile::tempdir().unwrap();
    // One place in the pool, which every call gets in its turn.
    let config = RuntimeConfig {
        instances: 1,
        ..RuntimeConfig::new(folder.path().join("cache"), folder.path().join("key"))
    };
    let runtime = Runtime::new(config).unwrap();
    let plugin = |bytes: Vec<u8>| runtime.plugin(source(bytes), Setup::bare(Limits::default()));
    let (one, other) = (plugin(leaves().component()), plugin(leaves().component()));
    for _ in 0..50 {
        call_named(&one, "w").await.unwrap();
        call_named(&one, "r").await.unwrap();
        call_named(&other, "r").await.unwrap();
    }
    // Within one call it is seen.
    assert!(matches!(
        cause(call_named(&one, "b").await),
        FaultCause::Trap(_)
    ));
}

#[tokio::test]
async fn case_72_a_handle_of_one_call_is_none_of_another() {
    let place = Place::new();
    let values = KeyValue::in_memory();
    // Called as `w` it opens the bucket first, otherwise it guesses the handle, which is the same
    // number each time.
    let guest = keeping(&format!(
        "(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 119)) (then {OPEN})
            (else (i32.store (i32.const 260) (i32.const 1))))
        (if (i32.ne (i32.load (i32.const 260)) (i32.const 1)) (then (unreachable))) {SET} {DONE}"
    ));
    let plugin = sharing(&place, &guest, &values);
    call_named(&plugin, "w").await.unwrap();
    let ended = cause(call_named(&plugin, "r").await);
    assert!(
        matches!(&ended, FaultCause::Trap(text) if text.contains("unknown handle index 1")),
        "{ended}"
    );
    place.check_neighbour().await;
}
