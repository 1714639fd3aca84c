//! What the tests of Python and of JavaScript share.

use std::env;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{BUILD, plugin, with_tool_chains};
use crate::support::{
    fake_openai::{Call, Reply, Script},
    guests::outcomes,
    ml_intern::Home,
    world::World,
};

/// How the outer environment tells pip and npm where packages come from.
const PACKAGES: [&str; 7] = [
    "PIP_",
    "npm_config_",
    "NPM_CONFIG_",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_",
    "HTTP",
    "NO_PROXY",
];

/// Lets pip and npm fetch what the pins name, once for all tests.
pub(super) fn with_packages(home: &Home) {
    for (name, value) in env::vars() {
        let upper = name.to_ascii_uppercase();
        if PACKAGES
            .iter()
            .any(|start| name.starts_with(start) || upper.starts_with(start))
        {
            home.set(&name, value);
        }
    }
    let own = env::var_os("HOME").unwrap_or_default();
    let settings = Path::new(&own).join(".npmrc");
    if settings.is_file() {
        home.set("npm_config_userconfig", settings);
    }
}

/// Builds `my-tool`, which must fail in these words.
pub(super) async fn fails(home: &Home, code: i32, told: &[&str]) {
    let failed = plugin(home, &["build", "my-tool"]).await;
    failed.assert_code(code);
    for text in told {
        assert!(failed.stderr.contains(text), "{text}: {}", failed.stderr);
    }
}

/// Puts programs of these names first that all say that they are of this version.
pub(super) fn old(home: &Home, names: &[&str], version: &str) {
    let folder = home.path().join("old");
    std::fs::create_dir_all(&folder).unwrap();
    for name in names {
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\necho {version}\n")).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    }
    home.set("PATH", format!("{}:/usr/bin:/bin", folder.display()));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if ["build", "tests", "node_modules", "__pycache__"]
            .iter()
            .any(|left| name == *left)
        {
            continue;
        }
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(std::fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

/// The example in `examples/tools` with files, state, errors and a grant that it has not got.
pub(super) async fn an_example_counts(language: &str) {
    let sources = ["a.txt", "a.txt", "b.txt", "", "http://127.0.0.1:9/"];
    let calls =
        sources.map(|source| Reply::calls([Call::new("word_count", json!({ "source": source }))]));
    let done = Reply::text("done");
    let world = World::new(Script::steps(calls.into_iter().chain([done]))).await;
    let home = &world.home;
    with_tool_chains(home);
    let folder = home.workspace().join("word-count");
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/tools");
    copy(&Path::new(examples).join(language), &folder);
    let build = plugin(home, &["build", "word-count"]).await;
    build.assert_code(0);
    home.write("ml-intern.toml", "[agent]\npermission-mode = \"auto\"\n");
    let component = "word-count/build/word-count.wasm";
    plugin(home, &["add", component, "--yes"])
        .await
        .assert_code(0);
    home.write("a.txt", "one two  three\n");
    let run = world.run(["--output-format=stream-json", "go"]).life(BUILD);
    let done = run.run().await;
    done.assert_code(0);
    let events = done.events();
    let [
        (_, first),
        (_, second),
        (_, missing),
        (_, empty),
        (_, denied),
    ] = outcomes(&events)[..]
    else {
        panic!("{events:?}");
    };
    for (calls, text) in [(1, first), (2, second)] {
        let found: Value = serde_json::from_str(text).unwrap();
        let wanted = json!({ "source": "a.txt", "words": 3, "bytes": 15, "calls": calls });
        assert_eq!(found, wanted);
    }
    assert!(missing.contains("no file `b.txt`"), "{missing}");
    assert!(empty.contains("must not be empty"), "{empty}");
    assert!(denied.contains("denied (http)"), "{denied}");
    let shown = events
        .iter()
        .any(|event| event.to_string().contains("reading a.txt"));
    assert!(shown, "{events:?}");
}
