//! Components of plain functions, made for no host in particular.

use serde_json::{Value, json};

use super::*;

/// A component of `world`, whose functions are those of a core module.
fn component(world: &str, module: &str) -> Vec<u8> {
    build::encode_text(&format!("package local:test; {world}"), module)
}

const MEMORY: &str = r#"(memory (export "memory") 1)
    (global $free (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (block $fits
            (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
            (drop (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1)))))
        (local.get $at))"#;

fn plugin(place: &Place, bytes: Vec<u8>) -> Plugin {
    place
        .runtime
        .plugin(source(bytes), Setup::bare(Limits::default()))
}

async fn called(plugin: &Plugin, tool: &str, arguments: Value) -> Result<tool::Output, CallError> {
    let cancel = CancellationToken::new();
    let arguments = arguments.to_string();
    let observer = Arc::new(Unobserved);
    plugin
        .call_tool(tool, &arguments, context(), observer, &cancel)
        .await
}

fn content(output: &tool::Output) -> &str {
    match output.content.as_slice() {
        [tool::Content::Text(text) | tool::Content::Json(text)] => text,
        other => panic!("{other:?}"),
    }
}

/// More values than are handed over in registers, so that they lie in memory: a record that comes as
/// a pointer and goes as the same pointer.
const ECHO: &str = "interface types {
        record item { name: string, size: option<u64>, tags: list<string> }
        variant place { nowhere, at(tuple<s32, s32>), named(item) }
        enum colour { red, dark-green }
        flags rights { read, write }
        record all {
            a: bool, b: s8, c: u16, d: s32, e: u64, f: f32, g: f64, h: char, i: string,
            j: list<u8>, k: list<item>, l: place, m: colour, n: rights, o: option<option<u8>>,
            p: result<u8, string>, q: tuple<u8, string>, r: list<place>,
        }
    }
    world test { use types.{all}; export echo-all: func(x: all) -> all; export nothing: func(); }";

#[tokio::test]
async fn every_type_goes_into_a_guest_and_comes_back() {
    let place = Place::new();
    let module = format!(
        r#"(module {MEMORY}
            (func (export "echo-all") (param i32) (result i32) (local.get 0))
            (func (export "nothing")))"#
    );
    let plugin = plugin(&place, component(ECHO, &module));
    let value = json!({
        "a": true, "b": -128, "c": 65535, "d": -2_147_483_648_i64, "e": u64::MAX.to_string(),
        "f": 0.5, "g": 0.1, "h": "🦀", "i": "a\"b\u{1}", "j": "AAEC/w==",
        "k": [
            { "name": "one", "size": null, "tags": ["x", ""] },
            { "name": "", "size": 7, "tags": [] },
        ],
        "l": { "at": [1, -1] }, "m": "dark-green", "n": ["read", "write"], "o": { "some": null },
        "p": { "err": "no" }, "q": [1, "z"],
        "r": ["nowhere", { "named": { "name": "n", "size": null, "tags": [] } }],
    });
    let output = called(&plugin, "echo_all", json!({ "x": value }))
        .await
        .unwrap();
    assert!(!output.is_error);
    let back: Value = serde_json::from_str(content(&output)).unwrap();
    assert_eq!(back, value);

    let done = called(&plugin, "nothing", json!({})).await.unwrap();
    assert_eq!(content(&done), "done");
    let tools = place
        .runtime
        .describe(&source(component(ECHO, &module)))
        .await
        .unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["echo_all", "nothing"]);
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_an_error_that_the_model_can_correct() {
    let place = Place::new();
    let world = "world test { export add: func(numbers: list<s8>) -> s32; }";
    let module = format!(
        r#"(module {MEMORY} (func (export "add") (param i32 i32) (result i32) (local.get 1)))"#
    );
    let plugin = plugin(&place, component(world, &module));
    let output = called(&plugin, "add", json!({ "numbers": [1, 2, 3] }))
        .await
        .unwrap();
    assert_eq!(content(&output), "3");
    for (arguments, said) in [
        (
            json!({ "numbers": [1, 300] }),
            "`numbers[1]`: expected an integer from -128 to 127",
        ),
        (json!({}), "`numbers`: expected a value, which is missing"),
        (json!([]), "expected an object"),
    ] {
        match called(&plugin, "add", arguments).await {
            Err(CallError::Guest(error)) => {
                assert!(
                    matches!(&error.error, types::Error::InvalidInput(text) if text == said),
                    "{error}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    match called(&plugin, "subtract", json!({})).await {
        Err(CallError::Guest(error)) => assert!(matches!(&error.error, types::Error::NotFound(_))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_function_that_fails_or_never_ends_costs_its_call_alone() {
    let place = Place::new();
    let world =
        "world test { export crash: func(); export spin: func(); export fine: func() -> u8; }";
    let module = format!(
        r#"(module {MEMORY} (func (export "crash") unreachable)
            (func (export "spin") (loop $on (br $on)))
            (func (export "fine") (result i32) (i32.const 5)))"#
    );
    let plugin = place.runtime.plugin(
        source(component(world, &module)),
        Setup::bare(short(200, 5000)),
    );
    assert!(matches!(
        cause(called(&plugin, "crash", json!({})).await),
        FaultCause::Trap(_)
    ));
    assert!(matches!(
        cause(called(&plugin, "spin", json!({})).await),
        FaultCause::CpuTime { .. }
    ));
    assert_eq!(
        content(&called(&plugin, "fine", json!({})).await.unwrap()),
        "5"
    );
    place.check_neighbour().await;
}

/// Each names one long text over and over: little for the guest, without a bound gigabytes here.
#[tokio::test]
async fn an_answer_that_grows_on_its_way_is_a_fault_before_it_is_large() {
    let place = Place::new();
    let world = "world test {
        export texts: func() -> list<string>; export bytes: func() -> list<u8>; export long: func() -> string;
        export far: func() -> string; }";
    // Pairs of pointer and length from 1024 on, each of the same 32 KiB.
    let module = format!(
        r#"(module {MEMORY}
            (func $pair (param i32 i32) (result i32)
                (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
            (func (export "texts") (result i32)
                (local $at i32)
                (drop (memory.grow (i32.const 64)))
                (local.set $at (i32.const 65536))
                (loop $on
                    (i32.store offset=4 (local.get $at) (i32.const 32768))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (br_if $on (i32.lt_u (local.get $at) (i32.const 1000000))))
                (call $pair (i32.const 65536) (i32.const 100000)))
            (func (export "bytes") (result i32)
                (drop (memory.grow (i32.const 1200)))
                (call $pair (i32.const 0) (i32.const 70000000)))
            (func (export "long") (result i32)
                (drop (memory.grow (i32.const 200)))
                (call $pair (i32.const 0) (i32.const 1000000)))
            (func (export "far") (result i32) (call $pair (i32.const -8) (i32.const 16))))"#
    );
    let plugin = plugin(&place, component(world, &module));
    for tool in ["texts", "bytes", "long", "far"] {
        let began = std::time::Instant::now();
        let cause = cause(called(&plugin, tool, json!({})).await);
        assert!(
            !matches!(cause, FaultCause::WallTime { .. }),
            "{tool}: {cause}"
        );
        assert!(began.elapsed() < Duration::from_secs(5), "{tool}");
    }
    place.check_neighbour().await;
}

#[tokio::test]
async fn what_cannot_be_called_is_told_and_a_component_without_any_is_refused() {
    let place = Place::new();
    let world = "interface things { resource thing { get: func() -> u8; } make: func() -> thing; }
        world test { export things; export init: func(); export fine: func() -> u8; }";
    let dummy = build::dummy(&format!("package local:test; {world}"));
    let hidden = plugin(&place, dummy).hidden_functions().await.unwrap();
    let mut names: Vec<&str> = hidden.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "init",
            "local:test/things#[method]thing.get",
            "local:test/things#make"
        ]
    );
    let world = "package local:test; world test { export init: func(); }";
    match place.runtime.describe(&source(build::dummy(world))).await {
        Err(CallError::Fault(fault)) => {
            let text = fault.to_string();
            assert!(
                text.contains("none of its functions can be a tool (`init`: made by a tool chain"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Streams and futures would need more of the engine than any tool of ours does.
#[tokio::test]
async fn a_component_with_streams_is_refused_in_words() {
    let place = Place::new();
    let world = "package local:test; world test { export f: func() -> stream<u8>; }";
    match place.runtime.describe(&source(build::dummy(world))).await {
        Err(CallError::Fault(fault)) => {
            let text = fault.to_string();
            assert!(
                text.contains("cannot be loaded") && text.contains("async"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// A component that asks for its configuration under the older name of the interface.
#[tokio::test]
async fn configuration_is_read_under_the_older_name_by_key_or_variable() {
    let place = Place::new();
    let world = "interface local { f: func(); } world test {
        import wasi:config/store@0.2.0-draft;
        export read: func(key: string) -> option<string>; }
    ";
    let wit = format!(
        "package local:test; {world}
        package wasi:config@0.2.0-draft {{ interface store {{
            variant error {{ upstream(string), io(string) }}
            get: func(key: string) -> result<option<string>, error>;
            get-all: func() -> result<list<tuple<string, string>>, error>; }} }}"
    );
    // result<option<string>, error> lies at 16; the answer, option<string>, at 32.
    let module = format!(
        r#"(module
            (import "wasi:config/store@0.2.0-draft" "get" (func $get (param i32 i32 i32)))
            {MEMORY}
            (func (export "read") (param i32 i32) (result i32)
                (call $get (local.get 0) (local.get 1) (i32.const 16))
                (if (i32.load8_u (i32.const 16)) (then unreachable))
                (memory.copy (i32.const 32) (i32.const 20) (i32.const 12))
                (i32.const 32)))"#
    );
    let bytes = build::encode_text(&wit, &module);
    let request = "[[request.config]]\nkey = \"api-host\"";
    let policy = configured(request, "api-host", "example.org");
    let setup = Setup {
        policy,
        ..Setup::bare(Limits::default())
    };
    let plugin = place.runtime.plugin(source(bytes), setup);
    for (key, value) in [
        ("api-host", json!("example.org")),
        ("API_HOST", json!("example.org")),
        ("OTHER", json!(null)),
    ] {
        let output = called(&plugin, "read", json!({ "key": key }))
            .await
            .unwrap();
        match (&output.content[0], value) {
            (tool::Content::Text(text), Value::String(value)) => assert_eq!(text, &value),
            (tool::Content::Json(text), value) => {
                assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value)
            }
            other => panic!("{other:?}"),
        }
    }
}
