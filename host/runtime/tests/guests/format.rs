//! Bytes that are no plugin.

use super::*;

async fn refusal(place: &Place, bytes: Vec<u8>) -> String {
    let plugin = place
        .runtime
        .plugin(source(bytes), Setup::bare(Limits::default()));
    match cause(call(&plugin).await) {
        FaultCause::NotLoadable(text) => text,
        other => panic!("{other}"),
    }
}

/// An engine that has none of this host's settings.
pub(crate) fn bare() -> wasmtime::Engine {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model(true).wasm_memory64(true);
    wasmtime::Engine::new(&config).unwrap()
}

#[tokio::test]
async fn case_21_a_core_module_is_refused() {
    let place = Place::new();
    let core = Guest::default().core();
    let text = refusal(&place, core.clone()).await;
    assert!(text.contains("core module"), "{text}");
    // It is one that would run.
    wasmtime::Module::from_binary(&bare(), &core).unwrap();
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_22_machine_code_is_refused_as_a_plugin() {
    let place = Place::new();
    place.check_neighbour().await;
    let aot = place.folder.path().join("cache/aot");
    let only = |folder: std::path::PathBuf| {
        let mut entries = std::fs::read_dir(folder).unwrap();
        entries.next().unwrap().unwrap().path()
    };
    let code = std::fs::read(only(only(aot))).unwrap()[32..].to_vec();
    let text = refusal(&place, code.clone()).await;
    assert!(text.contains("machine code"), "{text}");
    // The engine would have known it for its own.
    assert!(wasmtime::Engine::detect_precompiled(&code).is_some());
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_23_the_text_format_is_refused() {
    let place = Place::new();
    let text = refusal(&place, b"(component)".to_vec()).await;
    assert!(text.contains("not a WebAssembly binary"), "{text}");
    wat::parse_bytes(b"(component)").unwrap();
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_24_truncated_changed_and_empty_bytes_are_refused() {
    let place = Place::new();
    let good = Guest::default().component();
    let text = refusal(&place, Vec::new()).await;
    assert!(text.contains("not a WebAssembly binary"), "{text}");
    let text = refusal(&place, b"\0asm\x0e\0\x01\0".to_vec()).await;
    assert!(text.contains("another format version"), "{text}");
    for length in [8, 20, good.len() / 2, good.len() - 1] {
        refusal(&place, good[..length].to_vec()).await;
    }
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 0xff;
    let plugin = |bytes| {
        place
            .runtime
            .plugin(source(bytes), Setup::bare(Limits::default()))
    };
    // Wherever the flipped byte lands, the call ends in a typed outcome.
    drop(call(&plugin(changed)).await);
    call(&plugin(good)).await.unwrap();
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_25_an_unknown_import_does_not_load() {
    let place = Place::new();
    let import = r#"(component (import "evil:host/everything" (instance (export "f" (func)))))"#;
    let import = wat::parse_str(import).unwrap();
    let text = refusal(&place, import.clone()).await;
    assert!(text.contains("evil:host/everything"), "{text}");
    wasmtime::component::Component::from_binary(&bare(), &import).unwrap();
    let empty = refusal(&place, wat::parse_str("(component)").unwrap()).await;
    assert!(empty.contains("ml-intern:plugin/tool"), "{empty}");
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_27_another_version_of_the_contract_does_not_load() {
    let place = Place::new();
    let text = refusal(&place, Guest::default().component_of("0.77.0")).await;
    assert!(
        text.contains("0.77.0") || text.contains("ml-intern:plugin/tool@"),
        "{text}"
    );
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_30_wide_memories_and_threads_do_not_load() {
    let place = Place::new();
    let wide = wat::parse_str("(component (core module (memory i64 1)))").unwrap();
    let text = refusal(&place, wide.clone()).await;
    assert!(text.contains("64"), "{text}");
    wasmtime::component::Component::from_binary(&bare(), &wide).unwrap();
    let shared = wat::parse_str("(component (core module (memory 1 1 shared)))").unwrap();
    let text = refusal(&place, shared).await;
    assert!(text.contains("thread"), "{text}");
    place.check_neighbour().await;
}

#[tokio::test]
async fn case_67_bytes_other_than_promised_are_refused() {
    let place = Place::new();
    let mut promised = source(Guest::default().component());
    let other = Guest::call("(unreachable)").component();
    promised.bytes = Arc::new(move || Ok(other.clone().into()));
    let text = match cause(
        call(
            &place
                .runtime
                .plugin(promised, Setup::bare(Limits::default())),
        )
        .await,
    ) {
        FaultCause::NotLoadable(text) => text,
        other => panic!("{other}"),
    };
    assert!(text.contains("bytes changed"), "{text}");
}

#[tokio::test]
async fn case_31_nested_components_of_any_depth_end_in_a_typed_outcome() {
    let place = Place::new();
    let mut bytes = wat::parse_str("(component)").unwrap();
    for _ in 0..1500 {
        // Section 4 holds a component.
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        let mut length = bytes.len();
        while length > 0x7f {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(bytes);
        bytes = outer;
    }
    refusal(&place, bytes).await;
    place.check_neighbour().await;
}
