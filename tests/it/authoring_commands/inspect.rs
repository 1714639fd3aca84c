use insta::assert_snapshot;
use serde_json::Value;

use crate::support::ml_intern::Home;

use super::{guest, guest_manifest, plugin, with_manifest};

#[tokio::test]
async fn a_component_is_told_by_world_sizes_and_requests() {
    let home = Home::new();
    home.write("naughty.wasm", guest("naughty"));
    let done = plugin(&home, &["inspect", "naughty.wasm"]).await;
    done.assert_code(0);
    for says in [
        "stranger/naughty@0.1.0",
        "export ml-intern:plugin/tool@0.2.0;",
        "import ml-intern:plugin/process@0.2.0;",
        "• runs programs: env, sh, sleep",
        "• the configuration key `target`",
        "custom: ml-intern:plugin",
        "code ",
        "names      are stripped",
        "signature  none",
    ] {
        assert!(done.stdout.contains(says), "{says}: {}", done.stdout);
    }
    let wit = plugin(&home, &["inspect", "naughty.wasm", "--wit"]).await;
    wit.assert_code(0);
    for says in [
        "export ml-intern:plugin/tool@0.2.0;",
        "call: func(name: string, arguments: json, context: context)",
        "record descriptor {",
    ] {
        assert!(wit.stdout.contains(says), "{says}: {}", wit.stdout);
    }
    let json = plugin(&home, &["inspect", "files", "--json"]).await;
    json.assert_code(0);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(told["source"], "builtin:files");
    let parts = told["parts"].as_array().unwrap();
    let sum: u64 = parts
        .iter()
        .map(|part| part["bytes"].as_u64().unwrap())
        .sum();
    let all = told["bytes"].as_u64().unwrap();
    assert!(sum < all && sum > all / 2, "{sum} of {all}");
}

#[tokio::test]
async fn hostile_files_are_refused_or_told_in_plain_words() {
    let home = Home::new();
    let good = guest("good");
    home.write("cut.wasm", &good[..good.len() / 2]);
    home.write("text.wasm", "hello");
    home.write("empty.wasm", "");
    home.write("module.wasm", b"\0asm\x01\0\0\0");
    for file in ["cut.wasm", "text.wasm", "empty.wasm", "module.wasm"] {
        let done = plugin(&home, &["inspect", file]).await;
        done.assert_code(7);
        assert!(done.stderr.contains(file), "{}", done.stderr);
    }
    let evil = guest_manifest("good").replace("Answers", "\\u001b]0;title\\u0007 \\u202eevil");
    home.write("evil.wasm", with_manifest(good.clone(), &evil));
    let done = plugin(&home, &["inspect", "evil.wasm"]).await;
    done.assert_code(7);
    assert!(!done.stderr.contains('\u{1b}'), "{}", done.stderr);
    let mut bytes = good;
    for number in 0..100_u8 {
        // A custom section whose name commands a terminal, without content.
        let name = format!("v\u{1b}[2J{number:03}");
        bytes.extend([0, (name.len() + 1) as u8, name.len() as u8]);
        bytes.extend(name.as_bytes());
    }
    home.write("hostile.wasm", bytes);
    let done = plugin(&home, &["inspect", "hostile.wasm"]).await;
    done.assert_code(0);
    assert!(!done.stdout.contains('\u{1b}'), "{}", done.stdout);
    assert!(done.stdout.lines().count() < 100, "{}", done.stdout);
    let json = plugin(&home, &["inspect", "hostile.wasm", "--json"]).await;
    json.assert_code(0);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    let sections = told["parts"][0]["sections"].as_array().unwrap();
    assert!(sections.len() < 50, "{}", sections.len());
    assert_snapshot!(plugin(&home, &["inspect", "none.wasm"]).await.stderr, @"
    error: cannot read none.wasm: No such file or directory (os error 2)
    ");
}
