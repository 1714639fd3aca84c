use serde_json::json;

use super::Victim;
use crate::support::{
    elsewhere::{assert_says, good, plugin, stored},
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    fake_registry::FakeRegistry,
    guests::{Installed, guest, outcomes},
    ml_intern::Home,
    world::World,
};

/// The guest with another custom section at its end: the same id, version and behaviour.
fn squatter() -> Vec<u8> {
    let mut bytes = guest("naughty");
    bytes.extend(b"\0\x06\x04note!");
    bytes
}

/// A model that keeps a value, looks for it, or starts a program.
async fn world() -> World {
    let script = Script::new(|asked| match asked.last_text() {
        "keep" => Reply::calls([Call::new("remember", json!({"value": "kept"}))]),
        "look" => Reply::calls([Call::new("recall", json!({}))]),
        "start" => Reply::calls([Call::new("run_program", json!({"program": "env"}))]),
        _ => Reply::text("done"),
    });
    let fake = FakeOpenAi::start(script).await;
    let home = Home::new();
    home.set("OPENAI_BASE_URL", fake.base_url());
    World { home, fake }
}

#[tokio::test]
async fn another_component_with_the_same_id_inherits_no_values() {
    for (tag, inherits) in [("squatter", "nothing"), ("1", "kept")] {
        let registry = FakeRegistry::honest().await;
        registry.image("1", &guest("naughty"));
        // Another place: whoever publishes to the same repository is the same publisher.
        let elsewhere = FakeRegistry::honest().await;
        elsewhere.image("squatter", &squatter());
        let world = world().await;
        let add = async |tag: &str| {
            let from = if tag == "squatter" {
                &elsewhere
            } else {
                &registry
            };
            let source = from.source(tag);
            let added = plugin(&world.home, &["add", &source, "--yes", "--name", "naughty"]).await;
            added.assert_code(0);
        };
        add("1").await;
        let first = world
            .run(["--json", "--permission-mode=auto", "keep"])
            .run()
            .await;
        assert_eq!(outcomes(&first.events()), [("ok", "remembered")]);
        let session = first.result()["session"].clone();
        plugin(&world.home, &["remove", "naughty"])
            .await
            .assert_code(0);
        add(tag).await;
        let go_on = [
            "--json",
            "--permission-mode=auto",
            "--resume",
            session.as_str().unwrap(),
            "look",
        ];
        let next = world.run(go_on).run().await;
        assert_eq!(outcomes(&next.events()).last(), Some(&("ok", inherits)));
    }
}

#[tokio::test]
async fn a_tag_that_leads_to_another_component_is_taken_with_a_yes_and_gains_nothing_by_it() {
    let registry = FakeRegistry::honest().await;
    let modest = Installed::guest("naughty").manifest(|text| {
        let (more, limits) = ("[[request.fs]]", "[limits]");
        let from = text.find(more).unwrap();
        let to = text.find(limits).unwrap();
        format!("{}{}", &text[..from], &text[to..])
    });
    registry.image("1", &modest.bytes());
    let world = world().await;
    let source = registry.source("1");
    plugin(&world.home, &["add", &source, "--yes"])
        .await
        .assert_code(0);
    let locked = world.home.read("ml-intern.lock");
    registry.image("1", &squatter());
    // Nobody was asked: the run is that of the accepted bytes.
    let done = world
        .run(["--json", "--permission-mode=auto", "keep"])
        .run()
        .await;
    assert_eq!(outcomes(&done.events()), [("ok", "remembered")]);
    let update = plugin(&world.home, &["update"]).await;
    assert_says(&update, 4, &["is not granted by an update"]);
    assert_eq!(world.home.read("ml-intern.lock"), locked);
    plugin(&world.home, &["update", "--yes"])
        .await
        .assert_code(0);
    let done = world
        .run(["--json", "--permission-mode=auto", "start"])
        .run()
        .await;
    assert_eq!(outcomes(&done.events())[0].0, "denied", "{}", done.stdout);
}

#[tokio::test]
async fn a_tag_that_leads_to_another_plugin_is_no_update() {
    let registry = FakeRegistry::honest().await;
    registry.image("1", &good("0.1.0"));
    let victim = Victim::new().await;
    victim.add(&registry.source("1")).await.assert_code(0);
    let (locked, before) = (victim.home.read("ml-intern.lock"), stored(&victim.home));
    let other = Installed::guest("good").manifest(|text| {
        text.replace("stranger/good", "stranger/evil")
            .replace("0.1.0", "9.0.0")
    });
    registry.image("1", &other.bytes());
    let update = plugin(&victim.home, &["update", "--yes"]).await;
    assert_says(
        &update,
        7,
        &["now leads to stranger/evil, not to stranger/good"],
    );
    assert_eq!(victim.home.read("ml-intern.lock"), locked);
    assert!(stored(&victim.home).len() >= before.len());
    victim.neighbour_answers().await;
}
