//! A component's bytes: read as they are, and as the sections of a component whose framing is right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ml_intern_fuzz::assert_showable;
use ml_intern_registry::{MANIFEST_SECTION, inspect};

const BESIDE: &str = "[plugin]\nid = \"acme/arxiv\"\nversion = \"1.2.0\"\ndescription = \"d\"\nlicense = \"MIT\"\nabi = \"0.2\"\n";

fuzz_target!(|input: &[u8]| {
    check(input);
    check(&component(input, 0));
});

fn check(bytes: &[u8]) {
    for beside in [None, Some(BESIDE)] {
        match inspect("a.wasm", bytes, beside) {
            Ok(found) => {
                assert!(!found.kinds.is_empty() && found.imports.len() <= 1000);
                assert_eq!(found.manifest.plugin.abi, found.abi);
                assert_eq!(found.digest, ml_intern_manifest::Digest::of(bytes));
            }
            Err(error) => assert_showable(&error.to_string()),
        }
    }
}

/// `input` as records of kind, length and content; nested modules and components are made of records
/// again, and the first bytes of a custom section choose its name.
fn component(input: &[u8], depth: u32) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    sections(input, depth, &mut bytes);
    bytes
}

fn sections(mut input: &[u8], depth: u32, bytes: &mut Vec<u8>) {
    while let [kind, length, rest @ ..] = input {
        let (content, left) = rest.split_at(usize::from(*length).min(rest.len()));
        input = left;
        let kind = kind % 12;
        let content = match kind {
            0 => custom(content),
            1 if depth < 20 => {
                let mut module = b"\0asm\x01\0\0\0".to_vec();
                sections(content, depth + 1, &mut module);
                module
            }
            4 if depth < 20 => component(content, depth + 1),
            _ => content.to_vec(),
        };
        bytes.push(kind);
        leb128(content.len(), bytes);
        bytes.extend(content);
    }
}

fn custom(content: &[u8]) -> Vec<u8> {
    let (name, data) = match content.split_first() {
        Some((0, data)) => (MANIFEST_SECTION, data),
        _ => ("name", content),
    };
    let mut section = Vec::new();
    leb128(name.len(), &mut section);
    section.extend(name.as_bytes());
    section.extend(data);
    section
}

fn leb128(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
