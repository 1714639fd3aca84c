use super::*;
use ml_intern_registry::inspect;

/// The least that is a tool: both functions, which trap, and the memory that their results lie in.
const TOOL: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "ml-intern:plugin/log@0.2.0" "write" (func (param i32 i32 i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "ml-intern:plugin/tool@0.2.0#describe") (result i32) unreachable)
    (func (export "ml-intern:plugin/tool@0.2.0#call")
        (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#;

const MANIFEST: &str = r#"[plugin]
id = "acme/least"
version = "0.1.0"
description = "The least that is a tool"
license = "Apache-2.0"
abi = "0.2"
"#;

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_core_module_becomes_a_tool_that_the_host_takes() {
    let component = componentize("tool.wasm", module(TOOL), Kind::Tool).unwrap();
    let plugin = with_manifest(component, MANIFEST);
    let inspected = inspect("tool.wasm", &plugin, None).unwrap();
    assert_eq!(inspected.kinds, [Kind::Tool]);
    assert_eq!(inspected.manifest_text, MANIFEST);
    let imported = |name: &str| inspected.imports.iter().any(|import| import.contains(name));
    assert!(imported("ml-intern:plugin/log@"), "{:?}", inspected.imports);
    assert!(imported("wasi:random/random@"), "{:?}", inspected.imports);
    // What the world has and the module does not use is not asked of the host.
    assert!(!imported("jobs"), "{:?}", inspected.imports);
    assert!(!imported("wasi:http"), "{:?}", inspected.imports);
}

#[test]
fn a_component_stays_as_it_is() {
    let component = module("(component)");
    assert_eq!(
        componentize("x", component.clone(), Kind::Tool).unwrap(),
        component
    );
}

#[test]
fn what_is_missing_is_named() {
    let without = TOOL.replace("#call", "#answer");
    let error = componentize("tool.wasm", module(&without), Kind::Tool).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("tool.wasm does not become"), "{text}");
    assert!(text.contains("call"), "{text}");
    let strange = TOOL.replace("random_get", "launch");
    let error = componentize("tool.wasm", module(&strange), Kind::Tool).unwrap_err();
    assert!(error.to_string().contains("launch"), "{error}");
}

#[test]
fn bytes_that_are_nothing_are_an_error() {
    for bytes in [&b""[..], b"hello", b"\0asm", b"\0asm\x01\0\0\0\xff"] {
        let error = componentize("x.wasm", bytes.to_vec(), Kind::Tool).unwrap_err();
        assert!(error.to_string().starts_with("x.wasm "), "{error}");
    }
}

#[test]
fn a_manifest_of_any_length_is_read_back() {
    let component = componentize("tool.wasm", module(TOOL), Kind::Tool).unwrap();
    for comment in ["".to_owned(), "x".repeat(100), "x".repeat(20_000)] {
        let manifest = format!("{MANIFEST}# {comment}\n");
        let plugin = with_manifest(component.clone(), &manifest);
        let inspected = inspect("tool.wasm", &plugin, None).unwrap();
        assert_eq!(inspected.manifest_text, manifest);
    }
}

/// The printed blocks of a package: its interfaces and worlds.
fn blocks(text: &str) -> Vec<&str> {
    text.split("\n}\n")
        .map(str::trim)
        .filter(|block| !block.is_empty())
        .collect()
}

#[test]
fn the_joined_wit_is_that_of_the_folder() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(std::path::Path::new(folder)).unwrap();
    let mut printer = wit_component::WitPrinter::new(wit_component::OutputToString::default());
    printer.emit_docs(false);
    printer.print(&resolve, package, &[]).unwrap();
    let ours = String::from(printer.output);
    let joined = WIT.split("\npackage ").nth(1).unwrap();
    let joined = blocks(joined);
    let ours = blocks(&ours);
    for block in &ours[1..] {
        let name = block.lines().next().unwrap();
        assert!(
            joined.contains(block),
            "`{name}` of wit/ is another: run scripts/sdk-wit"
        );
    }
    // Only the worlds of guests are there beside them.
    let guests = joined
        .iter()
        .filter(|block| block.contains("-guest {") || block.contains("-javascript {"));
    assert_eq!((guests.count(), joined.len()), (6, ours.len() + 6));
}

#[test]
fn every_kind_has_its_world() {
    for kind in Kind::ALL {
        let (resolve, id) = world(kind).unwrap();
        assert_eq!(resolve.worlds[id].name, format!("{kind}-guest"));
    }
}
