//! Components as text, built on the spot, and bytes that are none.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::*;

const MANIFEST: &str = "[plugin]\nid = \"acme/arxiv\"\nversion = \"1.2.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"0.1\"\n";

const TOOL: &str = r#"(instance $i) (export "ml-intern:plugin/tool@0.1.0" (instance $i))"#;

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}

fn section(text: &str) -> String {
    format!(
        "(@custom \"{MANIFEST_SECTION}\" \"{}\")",
        escaped(text.as_bytes())
    )
}

fn component(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {body})")).unwrap_or_else(|error| panic!("{error}"))
}

fn accept(bytes: &[u8], beside: Option<&str>) -> Inspected {
    inspect("a.wasm", bytes, beside).unwrap_or_else(|error| panic!("{error}"))
}

fn refuse(bytes: &[u8], beside: Option<&str>) -> String {
    match inspect("a.wasm", bytes, beside) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_component_says_what_it_is() {
    let body = format!(
        r#"(import "wasi:http/types@0.2.3" (instance)) (import "ml-intern:plugin/log@0.1.0" (instance)) {TOOL}
           (export "ml-intern:plugin/notifier@0.1.7" (instance $i)) (export "cabi_realloc" (instance $i)) {}"#,
        section(MANIFEST)
    );
    let bytes = component(&body);
    let inspected = accept(&bytes, None);
    assert_eq!(inspected.manifest.plugin.id.as_str(), "acme/arxiv");
    assert_eq!(inspected.manifest_text, MANIFEST);
    assert_eq!(inspected.kinds, [Kind::Tool, Kind::Notifier]);
    assert_eq!(inspected.abi, Abi::SUPPORTED[0]);
    assert_eq!(
        inspected.imports,
        ["wasi:http/types@0.2.3", "ml-intern:plugin/log@0.1.0"]
    );
    assert_eq!(inspected.digest, Digest::of(&bytes));
}

#[test]
fn the_manifest_is_the_components_own_or_the_only_nested_one() {
    let other = MANIFEST.replace("1.2.0", "9.9.9");
    let nested = |text: &str| format!("(core module {})", section(text));
    let deep = format!("(component (component {}))", nested(MANIFEST));
    for body in [
        nested(MANIFEST),
        deep,
        format!("{} {}", nested(&other), section(MANIFEST)),
        format!("{} {}", section(MANIFEST), nested(&other)),
    ] {
        let inspected = accept(&component(&format!("{body} {TOOL}")), Some(&other));
        assert_eq!(
            inspected.manifest.plugin.version.to_string(),
            "1.2.0",
            "{body}"
        );
    }
    for body in [
        format!("{}{}", nested(MANIFEST), nested(MANIFEST)),
        format!("{}{}", section(MANIFEST), section(MANIFEST)),
    ] {
        let error = refuse(&component(&format!("{body} {TOOL}")), Some(MANIFEST));
        assert!(
            error.contains("carries 2 plugin manifests; embed one only"),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_beside_the_component_serves_when_it_carries_none() {
    let bytes = component(TOOL);
    assert_eq!(accept(&bytes, Some(MANIFEST)).manifest_text, MANIFEST);
    let error = refuse(&bytes, None);
    assert!(
        error.contains("put a `plugin.toml` beside it") && error.starts_with("a.wasm "),
        "{error}"
    );
}

#[test]
fn a_wrong_manifest_is_refused() {
    let with = |text: &str| refuse(&component(&format!("{} {TOOL}", section(text))), None);
    assert!(
        with(&MANIFEST.replace("abi = \"0.1\"", "abi = \"0.2\""))
            .contains("exports ABI 0.1, but its plugin.toml says `abi = \"0.2\"`")
    );
    assert!(with(&MANIFEST.replace("license", "licence")).starts_with(
        "a.wasm (plugin.toml):5:1: `plugin.licence`: unknown key `licence`; did you mean `license`?"
    ));
    assert!(with("").contains("the key `plugin` is missing"));
    let binary = format!("(@custom \"{MANIFEST_SECTION}\" \"ab\\ff\") {TOOL}");
    assert!(refuse(&component(&binary), None).contains("not UTF-8 from its byte 2 on"));
}

#[test]
fn the_abi_is_read_from_the_names_of_the_interfaces() {
    let exporting = |names: &[&str]| {
        let exports: String = names.iter().fold(String::new(), |text, name| {
            text + &format!("(export \"{name}\" (instance $i))")
        });
        refuse(
            &component(&format!("(instance $i) {exports} {}", section(MANIFEST))),
            None,
        )
    };
    assert!(exporting(&[]).contains(
        "exports none of `ml-intern:plugin/tool@0.2.0`, `ml-intern:plugin/provider@0.2.0`"
    ));
    // An interface of somebody else's is none of ours, whatever its name.
    let theirs = exporting(&["acme:plugin/tool@0.1.0", "tool"]);
    assert!(theirs.contains("exports ABI foreign"), "{theirs}");
    assert!(exporting(&["wasi:cli/run@0.2.0"]).contains("and no other function"));
    let newer = exporting(&["ml-intern:plugin/tool@0.3.0"]);
    assert!(
        newer.contains("ABI 0.3, and this program speaks ABI 0.1 and 0.2; update ml-intern"),
        "{newer}"
    );
    assert!(exporting(&["ml-intern:plugin/tool@1.1.0"]).contains("ABI 1.1"));
    let older = exporting(&["ml-intern:plugin/tool@0.0.9"]);
    assert!(
        older.contains("ABI 0.0, and this program speaks ABI 0.1 and 0.2; rebuild the plugin"),
        "{older}"
    );
    for name in ["ml-intern:plugin/tool", "ml-intern:plugin/tool@0.1.0-rc.1"] {
        assert!(exporting(&[name]).contains("no version"), "{name}");
    }
    assert!(
        exporting(&[
            "ml-intern:plugin/tool@0.1.0",
            "ml-intern:plugin/provider@0.2.0"
        ])
        .contains(
            "mixes versions of the interfaces: `ml-intern:plugin/provider@0.2.0` beside ABI 0.1"
        )
    );
    assert!(
        exporting(&["ml-intern:plugin/tool@0.1.0", "ml-intern:plugin/tool@0.1.1"])
            .contains("twice")
    );
    let import = format!(
        "(import \"ml-intern:plugin/jobs@0.3.0\" (instance)) {TOOL} {}",
        section(MANIFEST)
    );
    assert!(refuse(&component(&import), None).contains("`ml-intern:plugin/jobs@0.3.0`, ABI 0.3"));
    // Exports of a nested component are not the component's own.
    let nested = format!("(component {TOOL}) {}", section(MANIFEST));
    assert!(refuse(&component(&nested), None).contains("exports none of"));
}

#[test]
fn case_24_what_is_no_component_is_told_apart() {
    let core = wat::parse_str("(module)").unwrap();
    let whole = component(&format!("{} {TOOL}", section(MANIFEST)));
    let cases: [(&[u8], &str); 13] = [
        (b"", "is an empty file"),
        (&core, "is a core WebAssembly module, not a component"),
        (b"(component)", "is in the WebAssembly text format"),
        (
            b"\n ;; hello\n(module)",
            "is in the WebAssembly text format",
        ),
        (
            b"\x7fELF\x02\x01\x01",
            "is native code or a precompiled artifact",
        ),
        (b"\0as", "is cut off within its first 8 bytes"),
        (b"\0asm\x0d\0", "is cut off within its first 8 bytes"),
        (b"\0asm\x0c\0\x01\0", "has an unknown WebAssembly version"),
        (b"\0asm\x0d\0\x01", "is cut off within its first 8 bytes"),
        (b"MZ\x90", "is not a WebAssembly component"),
        (b"\0", "is cut off within its first 8 bytes"),
        (&[0xff; 100], "is not a WebAssembly component"),
        (&whole[..whole.len() - 1], "is damaged or cut off"),
    ];
    for (bytes, expected) in cases {
        let error = refuse(bytes, Some(MANIFEST));
        assert!(error.contains(expected), "{error}\n{expected}");
        assert!(error.contains("; "), "says what to do: {error}");
    }
}

#[test]
fn every_cut_and_every_flipped_byte_ends_in_an_answer() {
    let whole = component(&format!(
        "(import \"wasi:io/poll@0.2.0\" (instance)) (core module (func) {}) {TOOL}",
        section(MANIFEST)
    ));
    for length in 0..whole.len() {
        // A cut between sections may leave a component; it must still be judged.
        let _judged = inspect("a.wasm", &whole[..length], None).is_ok();
    }
    let mut flipped = whole.clone();
    for at in 0..whole.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            flipped[at] = value;
            let _judged = inspect("a.wasm", &flipped, None).is_ok();
        }
        flipped[at] = whole[at];
    }
    assert!(inspect("a.wasm", &flipped, None).is_ok());
}

/// A section: its id, the LEB128 length and the content.
fn raw_section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id];
    let mut left = content.len();
    loop {
        let low = u8::try_from(left & 0x7f).unwrap();
        left >>= 7;
        bytes.push(if left == 0 { low } else { low | 0x80 });
        if left == 0 {
            break;
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

#[test]
fn case_31_nesting_and_other_bombs_are_refused_in_little_time() {
    let start = Instant::now();
    let mut nested = PREAMBLE.to_vec();
    for _ in 0..5000 {
        nested = [PREAMBLE, &raw_section(4, &nested)].concat();
    }
    assert!(refuse(&nested, None).contains("more than 16 deep"));
    // With less of it, it is no plugin for want of its exports.
    let mut shallow = PREAMBLE.to_vec();
    for _ in 0..10 {
        shallow = [PREAMBLE, &raw_section(4, &shallow)].concat();
    }
    assert!(refuse(&shallow, None).contains("exports none of"));
    let sections = [PREAMBLE, &b"\0\x01\0".repeat(MAX_ITEMS + 1)].concat();
    assert!(refuse(&sections, None).contains("more than 1000000 sections"));
    // A count of four thousand million exports in a section of a few bytes.
    let counts = [PREAMBLE, &raw_section(11, b"\xff\xff\xff\xff\x0f\0")].concat();
    assert!(refuse(&counts, None).contains("is damaged"));
    let exports: String = (0..=MAX_NAMES).fold(String::new(), |text, index| {
        text + &format!("(export \"e{index}\" (instance $i))")
    });
    assert!(
        refuse(&component(&format!("(instance $i) {exports}")), None)
            .contains("more than 1000 imports or exports")
    );
    let large = vec![0; MAX_COMPONENT_BYTES + 1];
    assert!(refuse(&large, None).contains("a component may have at most 67108864"));
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn case_28_hostile_names_are_shown_escaped_and_short() {
    let name = format!("ml-intern:plugin/tool@9.9.9{}", "x".repeat(5000));
    let export = [&[1, 0][..], &leb(name.len()), name.as_bytes(), &[5, 0, 0]].concat();
    let bytes = [
        PREAMBLE,
        &raw_section(5, &[1, 1, 0]),
        &raw_section(11, &export),
    ]
    .concat();
    let error = refuse(&bytes, Some(MANIFEST));
    assert!(
        error.contains("ml-intern:plugin/tool@9.9.9xxx") && error.len() < 500,
        "{error}"
    );
}

fn leb(length: usize) -> Vec<u8> {
    let coded = raw_section(0, &vec![0; length]);
    coded[1..coded.len() - length].to_vec()
}

#[test]
fn the_parser_s_words_are_one_line() {
    let mut bytes = component("(core module)");
    let at = bytes.len() - 5;
    bytes[at] = 0;
    let error = refuse(&bytes, None);
    assert!(
        error.contains("magic header not detected") && !error.contains('\n'),
        "{error}"
    );
}
