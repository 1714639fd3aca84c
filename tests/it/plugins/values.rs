use serde_json::json;

use crate::support::{
    fake_openai::{Call, Reply, Script},
    world::{World, of_type},
};

use super::{guest, manifest, outcomes};

#[tokio::test]
async fn a_value_lasts_as_long_as_its_session() {
    let script = Script::new(|asked| match asked.last_text() {
        "keep" => Reply::calls([Call::new("remember", json!({"value": "kept"}))]),
        "look" => Reply::calls([Call::new("recall", json!({}))]),
        _ => Reply::text("done"),
    });
    let world = World::new(script).await;
    world.home.write("naughty.wasm", guest("naughty"));
    world.home.write("ml-intern.toml", manifest(""));
    let locked = world.home.ml_intern(["plugin", "lock"]).run().await;
    locked.assert_code(0);

    let first = world.run(["--json", "keep"]).run().await;
    let session = first.result()["session"].clone();
    let go_on = ["--json", "--resume", session.as_str().unwrap(), "look"];
    let same = world.run(go_on).run().await.events();
    assert_eq!(outcomes(&same), [("ok", "kept")]);
    let other = world.run(["--json", "look"]).run().await.events();
    assert_eq!(outcomes(&other), [("ok", "nothing")]);
    assert_eq!(of_type(&other, "error").len(), 0);
}
