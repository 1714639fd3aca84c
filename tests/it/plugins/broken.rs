use crate::support::{
    fake_openai::{Reply, Script},
    ml_intern::Home,
    world::World,
};

use super::{guest, manifest};

/// Files that stand in a component's place, and what has to be said of each.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let good = guest("naughty");
    let core = b"\0asm\x01\0\0\0".to_vec();
    let native = b"\x7fELF\x02\x01\x01\0 and so on".to_vec();
    let text = b"(component)".to_vec();
    let other_abi = replaced(&good, b"@0.2.0", b"@0.9.0");
    let nameless = replaced(
        &good,
        b"ml-intern:plugin[plugin]",
        b"ml-intern:nobody[plugin]",
    );
    let bad_key = replaced(&good, b"\ndescription = ", b"\ndesription  = ");
    vec![
        ("empty", Vec::new(), &["is an empty file"]),
        (
            "garbage",
            b"\xde\xad\xbe\xef".repeat(100),
            &["is not a WebAssembly component"],
        ),
        ("stub", good[..6].to_vec(), &["cut off"]),
        (
            "half",
            good[..good.len() / 2].to_vec(),
            &["damaged or cut off", "copy it again"],
        ),
        ("core", core, &["core WebAssembly module", "wasm32-wasip2"]),
        ("native", native, &["native code"]),
        ("text", text, &["text format"]),
        (
            "other-abi",
            other_abi,
            &["ABI 0.9", "speaks ABI 0.1", "update ml-intern"],
        ),
        (
            "nameless",
            nameless,
            &["carries no plugin manifest", "plugin.toml"],
        ),
        (
            "bad-key",
            bad_key,
            &["plugin.toml", "desription", "description"],
        ),
    ]
}

/// All places of `from`, which is as long as `to`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the guest holds what is to be changed");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[tokio::test]
async fn what_is_no_plugin_is_not_added() {
    let home = Home::new();
    for (name, bytes, says) in broken() {
        let file = format!("{name}.wasm");
        home.write(&file, bytes);
        let added = home
            .ml_intern(["plugin", "add", &file, "--yes"])
            .run()
            .await;
        added.assert_code(7);
        for text in [&[file.as_str()], says].concat() {
            assert!(added.stderr.contains(text), "{text}: {}", added.stderr);
        }
        for written in ["ml-intern.toml", "ml-intern.lock"] {
            assert!(!home.workspace().join(written).exists(), "{name}");
        }
    }
    for (source, code, says) in [
        ("./missing.wasm", 7, "does not exist"),
        ("builtin:shel", 7, "did you mean `builtin:shell`?"),
        ("oci://127.0.0.1:1/x:1", 7, "cannot be reached"),
        ("ftp://example.org/x.wasm", 2, "oci://HOST"),
        (".", 7, "name the one to load"),
    ] {
        let added = home
            .ml_intern(["plugin", "add", source, "--yes"])
            .run()
            .await;
        added.assert_code(code);
        assert!(added.stderr.contains(says), "{source}: {}", added.stderr);
    }
}

#[tokio::test]
async fn a_run_with_what_is_no_plugin_does_not_begin() {
    let world = World::new(Script::steps([Reply::text("done")])).await;
    let good = guest("naughty");
    world.home.write("naughty.wasm", &good);
    world.home.write("ml-intern.toml", manifest(""));
    let locked = world.home.ml_intern(["plugin", "lock"]).run().await;
    locked.assert_code(0);
    for (name, bytes, says) in broken() {
        world.home.write("naughty.wasm", bytes);
        let done = world.run(["go"]).run().await;
        done.assert_code(7);
        for text in [says, &["naughty.wasm", "[plugins.naughty]"]].concat() {
            assert!(
                done.stderr.contains(text),
                "{name}: {text}: {}",
                done.stderr
            );
        }
    }
    std::fs::remove_file(world.home.workspace().join("naughty.wasm")).unwrap();
    let done = world.run(["go"]).run().await;
    done.assert_code(7);
    assert!(done.stderr.contains("does not exist"), "{}", done.stderr);
    assert!(world.fake.exchanges().is_empty());

    world.home.write("naughty.wasm", &good);
    world.run(["go"]).run().await.assert_code(0);
}
