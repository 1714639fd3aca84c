use serde_json::{Value, json};

use crate::support::ml_intern::{Finished, Home};

use super::{guest, manifest};

const COMMENTED: &str = "# Why we do this.\n[agent]\nmax-iterations = 7 # enough\n\n\
    [plugins.plan]\nsource = \"builtin:plan\" # keeps the plan\n";
const ASKED: [&str; 4] = [
    "reads and writes files below the workspace",
    "reaches https://asked.example.org: GET, HEAD",
    "runs programs: env, sh, sleep",
    "uses the credential `stranger` (STRANGER_TOKEN)",
];

async fn plugin(home: &Home, args: &[&str]) -> Finished {
    home.ml_intern([&["plugin"], args].concat()).run().await
}

#[tokio::test]
async fn adding_shows_what_is_asked_and_writes_nothing_without_a_yes() {
    let home = Home::new();
    home.write("naughty.wasm", guest("naughty"));
    home.write("ml-intern.toml", COMMENTED);
    let refused = plugin(&home, &["add", "naughty.wasm"]).await;
    refused.assert_code(4);
    for text in ASKED.iter().chain(&[
        "stranger/naughty@0.1.0",
        "sha256:",
        "tools: ",
        "write_when_read_only",
        "--yes",
    ]) {
        assert!(refused.stderr.contains(text), "{text}: {}", refused.stderr);
    }
    assert_eq!(home.read("ml-intern.toml"), COMMENTED);
    assert!(!home.workspace().join("ml-intern.lock").exists());
}

#[tokio::test]
async fn an_added_plugin_is_listed_explained_and_removed() {
    let home = Home::new();
    home.write("naughty.wasm", guest("naughty"));
    home.write("ml-intern.toml", COMMENTED);
    plugin(&home, &["add", "naughty.wasm", "--yes"])
        .await
        .assert_code(0);
    let added = home.read("ml-intern.toml");
    assert!(added.starts_with(COMMENTED), "{added}");
    for text in [
        "[plugins.naughty]",
        "source = \"./naughty.wasm\"",
        "[plugins.naughty.grant]",
    ] {
        assert!(added.contains(text), "{added}");
    }
    let lock = home.read("ml-intern.lock");
    assert!(
        lock.contains("sha256:") && lock.contains(ASKED[0]),
        "{lock}"
    );

    let twice = plugin(&home, &["add", "naughty.wasm", "--yes"]).await;
    twice.assert_code(2);
    assert!(twice.stderr.contains("plugins.naughty"), "{}", twice.stderr);

    let list = plugin(&home, &["list"]).await;
    for text in [
        "naughty",
        "tool",
        "stranger/naughty@0.1.0",
        "builtin:plan",
        "only compute",
    ] {
        assert!(list.stdout.contains(text), "{text}: {}", list.stdout);
    }
    let list = plugin(&home, &["list", "--json"]).await;
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let entry = list
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == "naughty");
    let entry = entry.expect("it is in the list");
    assert_eq!(entry["id"], "stranger/naughty");
    assert_eq!(
        (&entry["kind"], &entry["version"]),
        (&json!("tool"), &json!("0.1.0"))
    );
    assert_eq!(entry["grants"][0], ASKED[0]);

    let removed = plugin(&home, &["remove", "naughty"]).await;
    removed.assert_code(0);
    assert_eq!(home.read("ml-intern.toml").trim(), COMMENTED.trim());
    assert!(!home.read("ml-intern.lock").contains("naughty"));
    let again = plugin(&home, &["remove", "naughty"]).await;
    again.assert_code(2);
    assert!(
        again.stderr.contains("has no plugin `naughty`"),
        "{}",
        again.stderr
    );
}

#[tokio::test]
async fn a_source_is_taken_from_where_the_user_stands_and_kept_for_where_the_manifest_is() {
    let home = Home::new();
    home.write("ml-intern.toml", COMMENTED);
    let outside = home.workspace().parent().unwrap().join("elsewhere");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("naughty.wasm"), guest("naughty")).unwrap();
    let added = plugin(&home, &["add", "../elsewhere/naughty.wasm", "--yes"]).await;
    added.assert_code(0);
    let source = outside.canonicalize().unwrap().join("naughty.wasm");
    let line = format!("source = \"{}\"", source.display());
    assert!(
        home.read("ml-intern.toml").contains(&line),
        "{}",
        home.read("ml-intern.toml")
    );
    plugin(&home, &["info", "naughty"]).await.assert_code(0);
    plugin(&home, &["remove", "naughty"]).await.assert_code(0);

    // From a folder below, to the manifest above it.
    home.write("below/naughty.wasm", guest("naughty"));
    let below = home.workspace().join("below");
    let binary = home.ml_intern(["plugin", "add", "naughty.wasm", "--yes"]);
    binary.current_dir(&below).run().await.assert_code(0);
    let text = home.read("ml-intern.toml");
    assert!(text.contains("source = \"./below/naughty.wasm\""), "{text}");
    assert!(!below.join("ml-intern.toml").exists());
    plugin(&home, &["list"]).await.assert_code(0);
}

#[tokio::test]
async fn info_tells_what_is_granted_from_what_is_asked() {
    let home = Home::new();
    home.write("naughty.wasm", guest("naughty"));
    let grant =
        "fs = [{ mount = \"/workspace\", access = \"read\" }]\nprocess = { programs = [\"env\"] }";
    home.write("ml-intern.toml", manifest(grant));
    let info = plugin(&home, &["info", "naughty"]).await;
    info.assert_code(0);
    let (granted, missing) = info.stdout.split_once("not granted").expect("two lists");
    for text in ["reads files below the workspace", "runs programs: env"] {
        assert!(granted.contains(text), "{}", info.stdout);
    }
    let (missing, tools) = missing.split_once("tools").expect("tools come last");
    for text in ASKED {
        assert!(
            !granted.contains(text) && missing.contains(text),
            "{text}: {}",
            info.stdout
        );
    }
    assert!(tools.contains("write_when_read_only  read-only"), "{tools}");
    let unknown = plugin(&home, &["info", "naugty"]).await;
    unknown.assert_code(2);
    assert!(
        unknown.stderr.contains("no plugin `naugty`"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn one_name_has_one_owner() {
    let home = Home::new();
    home.write("naughty.wasm", guest("naughty"));
    home.write("twin.wasm", guest("naughty"));
    home.write("ml-intern.toml", manifest(""));
    let added = plugin(&home, &["add", "twin.wasm", "--name", "twin", "--yes"]).await;
    added.assert_code(7);
    for text in [
        "offers the tool `bad_result_json`",
        "[plugins.naughty]",
        "stranger/naughty@0.1.0",
    ] {
        assert!(added.stderr.contains(text), "{text}: {}", added.stderr);
    }
    assert_eq!(home.read("ml-intern.toml"), manifest(""));

    // By hand, past `plugin add`.
    let both = format!(
        "{}\n[plugins.twin]\nsource = \"./twin.wasm\"\n",
        manifest("")
    );
    home.write("ml-intern.toml", both);
    plugin(&home, &["lock"]).await.assert_code(0);
    let run = home.ml_intern(["run", "-m", "openai/x", "go"]).run().await;
    run.assert_code(7);
    for text in [
        "offered by both [plugins.naughty] and [plugins.twin]",
        "plugin remove",
    ] {
        assert!(run.stderr.contains(text), "{text}: {}", run.stderr);
    }
    let sessions = home.ml_intern(["sessions", "list", "--json"]).run().await;
    assert_eq!(sessions.stdout.trim(), "[]", "a session that never began");
}
