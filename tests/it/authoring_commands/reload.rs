use std::time::Duration;

use serde_json::json;

use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    guests::{guest, guest_manifest, outcomes},
    ml_intern::Home,
    world::{World, of_type},
};

use super::with_manifest;

/// What an author's folder holds: the guest, under a manifest that is changed a little.
fn build(home: &Home, change: impl Fn(&str) -> String) {
    let manifest = change(&guest_manifest("naughty"));
    home.write("plugin/plugin.toml", &manifest);
    home.write(
        "plugin/build/naughty.wasm.new",
        with_manifest(guest("naughty"), &manifest),
    );
    let folder = home.workspace().join("plugin/build");
    std::fs::rename(folder.join("naughty.wasm.new"), folder.join("naughty.wasm")).unwrap();
}

#[tokio::test]
async fn a_new_build_is_used_from_the_next_call_and_a_broken_one_is_not() {
    let home = Home::new();
    home.write("ml-intern.toml", "[agent]\npermission-mode = \"auto\"\n");
    build(&home, |manifest| manifest.to_owned());
    let script = Script::new(|asked| match asked.assistant_messages() {
        0 | 2 | 4 => Reply::calls([Call::new("good", json!({}))]),
        // Time for whoever looks to see the new file.
        1 | 3 => Reply::calls([Call::new(
            "bash",
            json!({ "command": "touch waiting; while [ -e waiting ]; do sleep 0.05; done" }),
        )]),
        _ => Reply::text("done"),
    });
    let fake = FakeOpenAi::start(script).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let running = world
        .run(["--output-format=stream-json", "--dev", "plugin", "go"])
        .life(Duration::from_secs(120))
        .start();
    let waiting = world.home.workspace().join("waiting");
    let at_rest = async || {
        while !waiting.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    at_rest().await;
    build(&world.home, |manifest| manifest.replace("0.1.0", "0.2.0"));
    let reloaded = running.wait_for_event("a new build", |event| event["code"] == "dev_reloaded");
    let text = reloaded.await["text"].to_string();
    assert!(text.contains("stranger/naughty@0.2.0"), "{text}");
    std::fs::remove_file(&waiting).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    at_rest().await;
    world
        .home
        .write("plugin/build/naughty.wasm", "no component");
    let kept = running.wait_for_event("a refusal", |event| event["code"] == "dev_not_reloaded");
    let text = kept.await["text"].to_string();
    assert!(text.contains("the one before stays"), "{text}");
    std::fs::remove_file(&waiting).unwrap();
    let done = running.finish().await;
    done.assert_code(0);
    assert!(
        done.stderr.contains("--dev: stranger/naughty@0.1.0"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("not pinned"), "{}", done.stderr);
    let events = done.events();
    let good: Vec<_> = of_type(&events, "tool.started")
        .into_iter()
        .filter(|event| event["tool"] == "good")
        .map(|event| {
            event["plugin"]
                .as_str()
                .unwrap()
                .split('#')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        good,
        [
            "stranger/naughty@0.1.0",
            "stranger/naughty@0.2.0",
            "stranger/naughty@0.2.0"
        ]
    );
    assert!(outcomes(&events).iter().all(|(status, _)| *status == "ok"));
}

#[tokio::test]
async fn what_a_later_build_asks_for_beyond_the_start_waits_for_the_next_session() {
    let home = Home::new();
    home.write("ml-intern.toml", "[agent]\npermission-mode = \"auto\"\n");
    let less = |manifest: &str| manifest.replace("access = \"read-write\"", "access = \"read\"");
    build(&home, less);
    let script = Script::new(|asked| match asked.assistant_messages() {
        0 => Reply::calls([Call::new(
            "bash",
            json!({ "command": "touch waiting; while [ -e waiting ]; do sleep 0.05; done" }),
        )]),
        1 => Reply::calls([Call::new("write_file", json!({}))]),
        _ => Reply::text("done"),
    });
    let fake = FakeOpenAi::start(script).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let running = world
        .run(["--output-format=stream-json", "--dev", "plugin", "go"])
        .life(Duration::from_secs(120))
        .start();
    let waiting = world.home.workspace().join("waiting");
    while !waiting.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    build(&world.home, |manifest| manifest.to_owned());
    let reloaded = running.wait_for_event("a new build", |event| event["code"] == "dev_reloaded");
    let text = reloaded.await["text"].to_string();
    assert!(text.contains("for the next session only"), "{text}");
    std::fs::remove_file(&waiting).unwrap();
    let done = running.finish().await;
    let events = done.events();
    assert_eq!(outcomes(&events)[1].0, "denied");
    assert!(!world.home.workspace().join("written.txt").exists());
}

#[tokio::test]
async fn a_folder_that_is_no_plugins_is_refused_at_the_start() {
    let home = Home::new();
    home.write("empty/a.txt", "");
    home.set("OPENAI_BASE_URL", "http://127.0.0.1:9/v1");
    for (folder, says) in [("empty", "plugin.toml"), ("none", "cannot read none")] {
        let done = home
            .ml_intern(["run", "--model", "openai/fake-model", "--dev", folder, "go"])
            .run()
            .await;
        done.assert_code(2);
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
}
