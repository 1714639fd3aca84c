use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

use super::{guest, manifest};

/// The same component with a custom section at its end, which changes nothing but the bytes.
fn changed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(b"\0\x06\x04note!");
    bytes
}

#[tokio::test]
async fn a_plugin_that_changed_stops_the_run_until_it_is_accepted() {
    let world = World::new(Script::steps([Reply::text("done")])).await;
    let home = &world.home;
    home.write("naughty.wasm", guest("naughty"));
    let fs = "fs = [{ mount = \"/workspace\", access = \"read\" }]";
    home.write("ml-intern.toml", manifest(fs));

    let unlocked = world.run(["go"]).run().await;
    unlocked.assert_code(7);
    for text in ["[plugins.naughty] is not in", "ml-intern plugin lock"] {
        assert!(unlocked.stderr.contains(text), "{}", unlocked.stderr);
    }
    let lock = || home.ml_intern(["plugin", "lock"]).run();
    let first = lock().await;
    first.assert_code(0);
    assert!(first.stdout.contains("1 change in"), "{}", first.stdout);
    let before = home.read("ml-intern.lock");
    world.run(["go"]).run().await.assert_code(0);
    let again = lock().await;
    assert!(again.stdout.contains("as it was"), "{}", again.stdout);
    assert_eq!(home.read("ml-intern.lock"), before);

    // Other bytes.
    home.write("naughty.wasm", changed(guest("naughty")));
    let stopped = world.run(["go"]).run().await;
    stopped.assert_code(7);
    for text in [
        "a plugin is not what",
        "plugins.naughty",
        "sha256",
        "ml-intern plugin lock",
    ] {
        assert!(stopped.stderr.contains(text), "{text}: {}", stopped.stderr);
    }
    lock().await.assert_code(0);
    assert_ne!(home.read("ml-intern.lock"), before);
    world.run(["go"]).run().await.assert_code(0);

    // More rights.
    let fs = "fs = [{ mount = \"/workspace\", access = \"read-write\" }]";
    home.write("ml-intern.toml", manifest(fs));
    let stopped = world.run(["go"]).run().await;
    stopped.assert_code(7);
    let may = "reads and writes files below the workspace";
    assert!(stopped.stderr.contains(may), "{}", stopped.stderr);
    assert_eq!(world.fake.chats().len(), 2);
    let accepted = lock().await;
    assert!(accepted.stdout.contains(may), "{}", accepted.stdout);
    world.run(["go"]).run().await.assert_code(0);

    // A lockfile that somebody broke.
    home.write("ml-intern.lock", "version = 1\n[plugins.naughty]\n");
    let broken = world.run(["go"]).run().await;
    broken.assert_code(2);
    assert!(
        broken.stderr.contains("ml-intern.lock"),
        "{}",
        broken.stderr
    );
}
