use crate::support::{
    fake_openai::{Reply, Script},
    guests,
    ml_intern::Home,
    registry::{Registry, answers, with_lines},
    world::World,
};

async fn replace(component: &[u8], image: &str) {
    let home = Home::new();
    home.write("x.wasm", component);
    let publish = ["plugin", "publish", "x.wasm", image, "--yes", "--replace"];
    home.ml_intern(publish).run().await.assert_code(0);
}

/// Another component of the same id, which asks for more and describes other tools.
fn greedy() -> Vec<u8> {
    let manifest = "[plugin]\nid = \"acme/answers\"\nversion = \"1.1.0\"\ndescription = \"Answers\"\nlicense = \"MIT\"\nabi = \"0.2\"\n\n[[request.fs]]\nmount = \"/workspace\"\naccess = \"read-write\"\n\n[[request.http]]\nhost = \"example.org\"\n";
    guests::with_manifest(guests::guest("naughty"), manifest)
}

#[tokio::test]
async fn what_changes_is_shown_before_a_yes_and_nothing_more_is_granted_by_it() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:stable");
    replace(&answers("1.0.0"), &image).await;
    let world = World::new(Script::steps([Reply::text("done")])).await;
    let home = &world.home;
    home.add(&image).await.assert_code(0);
    let same = home.ml_intern(["plugin", "update"]).run().await;
    same.assert_code(0);
    assert!(same.stdout.contains("is up to date"), "{}", same.stdout);

    replace(&greedy(), &image).await;
    // A run is not touched by what happens at the source.
    world.run(["go"]).run().await.assert_code(0);
    let before = home.read("ml-intern.lock");
    let asked = home.ml_intern(["plugin", "update"]).run().await;
    asked.assert_code(4);
    for text in [
        "1.0.0 → acme/answers 1.1.0",
        "+ reads and writes files below the workspace",
        "+ reaches https://example.org",
        "is not granted by an update",
        "- tool neighbour",
        "+ tool",
    ] {
        assert!(asked.stderr.contains(text), "{text}: {}", asked.stderr);
    }
    assert_eq!(home.read("ml-intern.lock"), before);
    home.ml_intern(["plugin", "update", "--yes"])
        .run()
        .await
        .assert_code(0);
    let lock = home.read("ml-intern.lock");
    assert!(
        lock.contains("version = \"1.1.0\"") && lock.contains("grants = []"),
        "{lock}"
    );
    world.run(["go"]).run().await.assert_code(0);
}

#[tokio::test]
async fn a_source_that_leads_to_another_plugin_is_no_update() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:stable");
    replace(&answers("1.0.0"), &image).await;
    let home = Home::new();
    home.add(&image).await.assert_code(0);
    replace(&with_lines("evil/answers", "9.0.0", "Answers", ""), &image).await;
    let stopped = home.ml_intern(["plugin", "update", "--yes"]).run().await;
    stopped.assert_code(7);
    assert!(
        stopped.stderr.contains("now leads to evil/answers"),
        "{}",
        stopped.stderr
    );
}

#[tokio::test]
async fn another_source_in_the_manifest_than_the_locked_one_stops_the_run() {
    let registry = Registry::open().await;
    let world = World::new(Script::steps([Reply::text("done")])).await;
    let home = &world.home;
    for (name, version) in [("one", "1.0.0"), ("two", "2.0.0")] {
        replace(
            &answers(version),
            &registry.image(&format!("acme/{name}:1")),
        )
        .await;
    }
    home.add(&registry.image("acme/one:1")).await.assert_code(0);
    let manifest = home.read("ml-intern.toml").replace("acme/one", "acme/two");
    home.write("ml-intern.toml", manifest);
    let stopped = world.run(["go"]).run().await;
    stopped.assert_code(7);
    assert!(stopped.stderr.contains("source was"), "{}", stopped.stderr);
    let refused = home.ml_intern(["plugin", "lock", "--locked"]).run().await;
    refused.assert_code(7);
    assert!(home.read("ml-intern.lock").contains("1.0.0"));
    home.ml_intern(["plugin", "lock"])
        .run()
        .await
        .assert_code(0);
    world.run(["go"]).run().await.assert_code(0);
}

#[tokio::test]
async fn a_lockfile_with_more_than_the_manifest_stops_a_locked_run_only() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:1");
    replace(&answers("1.0.0"), &image).await;
    let world = World::new(Script::steps([Reply::text("done"), Reply::text("done")])).await;
    let home = &world.home;
    home.add(&image).await.assert_code(0);
    world.run(["--locked", "go"]).run().await.assert_code(0);
    home.write("ml-intern.toml", "");
    world.run(["go"]).run().await.assert_code(0);
    let stopped = world.run(["--locked", "go"]).run().await;
    stopped.assert_code(7);
    assert!(
        stopped.stderr.contains("[plugins.answers]"),
        "{}",
        stopped.stderr
    );
}

#[tokio::test]
async fn an_index_is_a_file_that_a_search_looks_through() {
    let home = Home::new();
    let all = home.ml_intern(["plugin", "search"]).run().await;
    assert!(all.stdout.contains("builtin:files"), "{}", all.stdout);
    let entry = "[[plugin]]\nid = \"acme/arxiv\"\ndescription = \"Finds papers\"\nsource = \"oci://registry.example.org/acme/arxiv:1\"\nkinds = [\"tool\"]\n";
    home.write("index.toml", entry);
    home.write("ml-intern.toml", "[registry]\nindex = [\"./index.toml\"]\n");
    let found = home
        .ml_intern(["plugin", "search", "papers", "--json"])
        .run()
        .await;
    let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(
        found[0]["source"],
        "oci://registry.example.org/acme/arxiv:1"
    );
    assert_eq!(found.as_array().unwrap().len(), 1);
    let none = home
        .ml_intern(["plugin", "search", "no-such-word"])
        .run()
        .await;
    assert!(none.stdout.contains("no index lists"), "{}", none.stdout);
    home.write("index.toml", "[[plugin]]\nid = 1\n");
    let broken = home
        .ml_intern(["plugin", "search", "--index", "index.toml"])
        .run()
        .await;
    broken.assert_code(7);
    assert!(broken.stderr.contains("index.toml:2"), "{}", broken.stderr);
}
