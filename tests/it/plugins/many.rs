//! Many plugins at once: all are offered, and a start compiles nothing that was compiled before.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    ml_intern::Home,
};

use super::guest;

/// With the four that come with the program, and the provider: twenty.
const MANY: usize = 15;

/// The guest under number `number`.
fn numbered(number: usize) -> Vec<u8> {
    let mut bytes = guest("many");
    let mut found = 0;
    for mark in ["many-000000", "many_000000"] {
        let own = format!("{}{number:06}", &mark[..5]);
        let at = |bytes: &[u8]| bytes.windows(11).position(|part| part == mark.as_bytes());
        while let Some(at) = at(&bytes) {
            if own == mark {
                break;
            }
            bytes[at..at + 11].copy_from_slice(own.as_bytes());
            found += 1;
        }
    }
    assert!(number == 0 || found >= 2, "both names are in the component");
    bytes
}

/// Every compiled component: where it lies and which file it is.
fn compiled(folder: &Path) -> Vec<(String, u64, i64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(compiled(&path));
        } else {
            let metadata = path.metadata().unwrap();
            found.push((
                path.display().to_string(),
                metadata.ino(),
                metadata.mtime_nsec(),
            ));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn twenty_plugins_are_offered_and_compiled_once() {
    let home = Home::cold();
    let mut manifest = String::from("[agent]\npermission-mode = \"auto\"\n");
    for number in 1..=MANY {
        home.write(&format!("many{number}.wasm"), numbered(number));
        manifest += &format!("[plugins.many{number}]\nsource = \"./many{number}.wasm\"\n");
    }
    home.write("ml-intern.toml", manifest);
    home.ml_intern(["plugin", "lock"])
        .run()
        .await
        .assert_code(0);

    let steps = (1..=MANY)
        .map(|number| {
            Reply::calls([Call::new(
                &format!("many_{number:06}"),
                serde_json::json!({}),
            )])
        })
        .chain([Reply::text("done")]);
    let fake = FakeOpenAi::start(Script::steps(steps)).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let run = [
        "run",
        "-m",
        "openai/fake-model",
        "--output-format=stream-json",
        "go",
    ];
    let done = home.ml_intern(run).run().await;
    done.assert_code(0);
    fake.assert_all_accepted();
    let body = fake.chats()[0].json();
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(MANY + 12));

    let cache = home.path().join(".cache/ml-intern");
    let before = compiled(&cache);
    assert!(before.len() >= MANY, "{before:?}");
    home.ml_intern(run).run().await.assert_code(0);
    assert_eq!(compiled(&cache), before, "nothing is compiled twice");
}
