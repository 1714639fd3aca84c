use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

use rustix::process::Signal;

use crate::support::ml_intern::Home;

use super::{guest, guest_manifest, plugin, with_manifest};

/// A compiler that takes what lies in `next.wasm` for the output of any source, and does not take a source with a
/// `mistake`.
const CARGO: &str = "#!/bin/sh
if grep -q mistake src/lib.rs; then
    echo 'error: a mistake in src/lib.rs' >&2
    exit 101
fi
mkdir -p \"$6/wasm32-wasip2/release\"
cp ../next.wasm \"$6/wasm32-wasip2/release/naughty.wasm\"
";
const RUSTC: &str = "#!/bin/sh\necho /\n";

fn compiler(home: &Home) {
    for (name, script) in [("cargo", CARGO), ("rustc", RUSTC)] {
        home.write(&format!("bin/{name}"), script);
        let file = home.workspace().join("bin").join(name);
        std::fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
    }
    let bin = home.workspace().join("bin");
    home.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
}

fn source(home: &Home, text: &str, version: &str) {
    let manifest = guest_manifest("naughty").replace("0.1.0", version);
    home.write("next.wasm", with_manifest(guest("naughty"), &manifest));
    home.write("plugin/plugin.toml", manifest);
    home.write("plugin/src/lib.rs", text);
}

#[tokio::test]
async fn every_change_is_built_and_tried_until_somebody_ends_it() {
    let home = Home::new();
    compiler(&home);
    home.write("plugin/Cargo.toml", "[package]\nname = \"naughty\"\n");
    let case = |text: &str| {
        format!("[[case]]\nname = \"answers\"\ntool = \"good\"\nexpect = {{ text = \"{text}\" }}\n")
    };
    home.write("plugin/cases.toml", case("good"));
    source(&home, "one", "0.1.0");
    let running = home
        .ml_intern(["plugin", "dev", "plugin"])
        .life(Duration::from_secs(120))
        .start();
    running
        .wait_for_stdout("built stranger/naughty@0.1.0", 1)
        .await;
    running.wait_for_stdout("1 passed", 1).await;
    source(&home, "two, longer", "0.2.0");
    running
        .wait_for_stdout("built stranger/naughty@0.2.0", 1)
        .await;
    running.wait_for_stdout("1 passed", 2).await;
    source(&home, "a mistake", "0.2.0");
    running.wait_for_stdout("the build failed", 1).await;
    running.wait_for_stdout("a mistake in src/lib.rs", 1).await;
    home.write("plugin/src/lib.rs", "three");
    running.wait_for_stdout("1 passed", 3).await;
    home.write("plugin/cases.toml", case("bad"));
    running.wait_for_stdout("0 passed, 1 failed", 1).await;
    running.wait_for_stdout("watching; Ctrl-C ends", 5).await;
    running.signal(Signal::INT);
    let done = running.finish().await;
    done.assert_code(130);
    // What was built before is still there, whole.
    let built = home.workspace().join("plugin/build/naughty.wasm");
    assert!(std::fs::metadata(built).unwrap().len() > 10_000);
}

#[tokio::test]
async fn a_folder_without_a_plugin_is_a_usage_error() {
    let home = Home::new();
    home.write("empty/a.txt", "");
    for (folder, says) in [
        ("empty", "holds no `plugin.toml`"),
        ("none", "cannot read none"),
    ] {
        let done = plugin(&home, &["dev", folder]).await;
        done.assert_code(2);
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
}
