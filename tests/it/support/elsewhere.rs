//! Plugins that are fetched: versions of one, and what a home has of it afterwards.

use std::path::PathBuf;

use serde_json::json;

use super::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    guests::{Installed, outcomes},
    ml_intern::{Finished, Home},
    world::World,
};

/// The guest `good` at a version; its tool is `neighbour`.
pub(crate) fn good(version: &str) -> Vec<u8> {
    let good = Installed::guest("good");
    good.manifest(|text| text.replace("0.1.0", version)).bytes()
}

/// `ml-intern plugin` with these arguments.
pub(crate) async fn plugin(home: &Home, args: &[&str]) -> Finished {
    home.ml_intern([&["plugin"], args].concat()).run().await
}

/// The folder of what a home has fetched.
pub(crate) fn store(home: &Home) -> PathBuf {
    home.path().join(".local/share/ml-intern/plugins")
}

/// The names of the components in it.
pub(crate) fn stored(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(store(home)).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names = names
        .filter(|name| name.ends_with(".wasm"))
        .collect::<Vec<_>>();
    names.sort();
    names
}

/// Runs a session whose model calls the tool of [`good`]; panics unless it answers.
pub(crate) async fn answers(home: Home) -> Home {
    called(home, "neighbour").await
}

/// Runs a session whose model calls a tool that answers `good`.
pub(crate) async fn called(home: Home, tool: &'static str) -> Home {
    let script = Script::steps([
        Reply::calls([Call::new(tool, json!({}))]),
        Reply::text("done"),
    ]);
    let fake = FakeOpenAi::start(script).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let done = world.run(["--output-format=stream-json", "go"]).run().await;
    done.assert_code(0);
    assert_eq!(outcomes(&done.events()), [("ok", "good")]);
    world.home
}

/// Panics unless it ended with this code and said all of this on standard error, in one line each, without
/// anything that moves a cursor.
#[track_caller]
pub(crate) fn assert_says(done: &Finished, code: i32, says: &[&str]) {
    done.assert_code(code);
    for text in says {
        assert!(done.stderr.contains(text), "no `{text}` in {}", done.stderr);
    }
    for text in [&done.stdout, &done.stderr] {
        let odd = |c: &char| c.is_control() && *c != '\n';
        assert_eq!(text.chars().find(odd), None, "{text:?}");
    }
}
