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

#[tokio::test]
async fn bytes_that_are_no_component_are_refused_with_a_reason() {
    let place = Place::new();
    let good = Guest::default().component();
    assert!(
        refusal(&place, Guest::default().core())
            .await
            .contains("core module")
    );
    assert!(
        refusal(&place, b"(component)".to_vec())
            .await
            .contains("not a WebAssembly binary")
    );
    assert!(
        refusal(&place, Vec::new())
            .await
            .contains("not a WebAssembly binary")
    );
    assert!(
        refusal(&place, b"\0asm\x0e\0\x01\0".to_vec())
            .await
            .contains("another format version")
    );
    for length in [8, 20, good.len() / 2, good.len() - 1] {
        refusal(&place, good[..length].to_vec()).await;
    }
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 0xff;
    // Wherever the flipped byte lands, the call ends in a typed outcome.
    drop(
        call(
            &place
                .runtime
                .plugin(source(changed), Setup::bare(Limits::default())),
        )
        .await,
    );
    place.check_neighbour().await;
}

#[tokio::test]
async fn machine_code_is_refused_as_a_plugin() {
    let place = Place::new();
    place.check_neighbour().await;
    let aot = place.folder.path().join("cache/aot");
    let engine = std::fs::read_dir(aot)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let entry = std::fs::read_dir(engine)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let code = std::fs::read(entry).unwrap()[32..].to_vec();
    assert!(refusal(&place, code).await.contains("machine code"));
}

#[tokio::test]
async fn another_version_of_the_contract_and_unknown_imports_do_not_load() {
    let place = Place::new();
    let text = refusal(&place, Guest::default().component_of("0.3.0")).await;
    assert!(
        text.contains("0.3.0") || text.contains("ml-intern:plugin/tool@0.2.0"),
        "{text}"
    );
    let import = wat::parse_str(
        r#"(component (import "evil:host/everything" (instance (export "f" (func)))))"#,
    )
    .unwrap();
    assert!(
        refusal(&place, import)
            .await
            .contains("evil:host/everything")
    );
    let empty = wat::parse_str("(component)").unwrap();
    assert!(
        refusal(&place, empty)
            .await
            .contains("ml-intern:plugin/tool")
    );
    let memory64 = wat::parse_str("(component (core module (memory i64 1)))").unwrap();
    assert!(refusal(&place, memory64).await.contains("64"));
    let shared = wat::parse_str("(component (core module (memory 1 1 shared)))").unwrap();
    assert!(refusal(&place, shared).await.contains("thread"));
}

#[tokio::test]
async fn bytes_other_than_promised_are_refused() {
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
async fn nested_components_of_any_depth_end_in_a_typed_outcome() {
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
