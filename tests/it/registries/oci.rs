use serde_json::Value;

use crate::support::{
    fake_openai::{Call, Reply, Script},
    guests,
    ml_intern::Home,
    registry::{PASSWORD, Registry, Setup, answers},
    world::World,
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[tokio::test]
async fn what_is_published_is_added_elsewhere_and_used_by_the_model() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers");
    let component = answers("1.2.0");
    let pinned = Home::new().publish(&component, &image).await;
    assert!(
        pinned.starts_with(&format!("{image}:1.2.0@sha256:")),
        "{pinned}"
    );

    let call = Call::new("neighbour", serde_json::json!({}));
    let script = Script::steps([Reply::calls([call]), Reply::text("done")]);
    let world = World::new(script).await;
    let added = world.home.add(&format!("{image}:1.2.0")).await;
    added.assert_code(0);
    for text in [
        "asks for nothing",
        "signed by  nobody",
        "ABI",
        "tools: neighbour",
    ] {
        assert!(added.stderr.contains(text), "{text}: {}", added.stderr);
    }
    let lock: toml::Table = world.home.read("ml-intern.lock").parse().unwrap();
    let entry = &lock["plugins"]["answers"];
    assert_eq!(entry["source"].as_str(), Some(&*format!("{image}:1.2.0")));
    assert_eq!(entry["resolved"].as_str(), Some(&*pinned));
    assert_eq!(world.home.stored().len(), 1);

    // Offline from here on.
    drop(registry);
    let ran = world.run(["go"]).run().await;
    ran.assert_code(0);
    assert_eq!(world.results().len(), 1);
    world
        .home
        .ml_intern(["plugin", "verify"])
        .run()
        .await
        .assert_code(0);
    world
        .home
        .ml_intern(["plugin", "lock", "--locked"])
        .run()
        .await
        .assert_code(0);
}

/// One layer, media types and annotations of the ecosystem, and the very bytes.
#[tokio::test]
async fn an_image_is_what_other_tools_expect() {
    let registry = Registry::open().await;
    let component = answers("0.3.0-rc.1+build.5");
    let image = registry.image("acme/deep/answers");
    Home::new().publish(&component, &image).await;
    let manifest = registry
        .get("acme/deep/answers/manifests/0.3.0-rc.1_build.5", MANIFEST)
        .await;
    let manifest = manifest.json();
    let mut shown = manifest.clone();
    shown["annotations"]["org.opencontainers.image.created"] = "TIME".into();
    for at in [
        "/config/digest",
        "/layers/0/digest",
        "/layers/0/size",
        "/config/size",
    ] {
        *shown.pointer_mut(at).unwrap() = "VARIES".into();
    }
    insta::assert_json_snapshot!(shown);
    let blob = |digest: &Value| format!("acme/deep/answers/blobs/{}", digest.as_str().unwrap());
    let layer = registry
        .get(&blob(&manifest["layers"][0]["digest"]), "*/*")
        .await;
    assert_eq!(layer.pieces.concat(), component);
    let config = registry
        .get(&blob(&manifest["config"]["digest"]), "*/*")
        .await
        .json();
    assert_eq!(config["architecture"], "wasm");
    assert_eq!(
        config["layerDigests"],
        serde_json::json!([manifest["layers"][0]["digest"]])
    );
    assert_eq!(
        config["component"]["exports"],
        serde_json::json!(["ml-intern:plugin/tool@0.2.0"])
    );
}

#[tokio::test]
async fn a_tag_is_replaced_only_where_the_publisher_says_so() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers");
    let home = Home::new();
    home.publish(&answers("1.0.0"), &format!("{image}:stable"))
        .await;
    // The same again changes nothing.
    let again = home
        .publish(&answers("1.0.0"), &format!("{image}:stable"))
        .await;
    assert!(again.starts_with("it is there already"), "{again}");
    home.write("other.wasm", answers("1.0.1"));
    let target = format!("{image}:stable");
    let publish = ["plugin", "publish", "other.wasm", &target, "--yes"];
    let refused = home.ml_intern(publish).run().await;
    refused.assert_code(7);
    assert!(refused.stderr.contains("--replace"), "{}", refused.stderr);
    let publish = [&publish[..], &["--replace"]].concat();
    home.ml_intern(publish).run().await.assert_code(0);
}

#[tokio::test]
async fn nothing_is_published_without_a_yes_and_nothing_that_does_not_load() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers");
    let home = Home::new();
    home.write("a.wasm", answers("1.0.0"));
    let silent = home
        .ml_intern(["plugin", "publish", "a.wasm", &image])
        .run()
        .await;
    silent.assert_code(4);
    // Its manifest lies beside it, where nobody else has it.
    home.write(
        "bare.wasm",
        guests::guest("good")
            .iter()
            .take(400)
            .copied()
            .collect::<Vec<u8>>(),
    );
    let broken = home
        .ml_intern(["plugin", "publish", "bare.wasm", &image, "--yes"])
        .run()
        .await;
    broken.assert_code(7);
    let tags = registry.get("acme/answers/tags/list", "*/*").await;
    assert_eq!(tags.status, 404, "{}", tags.text());
}

#[tokio::test]
async fn a_registry_that_wants_a_login_gets_that_of_the_container_tools() {
    let registry = Registry::start(Setup {
        login: true,
        tls: false,
    })
    .await;
    let image = registry.image("acme/answers");
    let home = Home::new();
    home.write("a.wasm", answers("1.0.0"));
    let publish = ["plugin", "publish", "a.wasm", &image, "--yes"];
    let refused = home.ml_intern(publish).run().await;
    refused.assert_code(3);
    assert!(refused.stderr.contains("log"), "{}", refused.stderr);
    registry.log_in(&home);
    home.ml_intern(publish).run().await.assert_code(0);
    let added = home.add(&image.replace("answers", "answers:1.0.0")).await;
    added.assert_code(0);
    // The password is for the registry alone.
    for (place, text) in [
        ("stderr", added.stderr.clone()),
        ("manifest", home.read("ml-intern.toml")),
        ("lockfile", home.read("ml-intern.lock")),
    ] {
        assert!(!text.contains(PASSWORD), "{place}");
    }
}

#[tokio::test]
async fn a_registry_with_tls_is_believed_by_its_certificate_only() {
    let registry = Registry::start(Setup {
        login: true,
        tls: true,
    })
    .await;
    let image = registry.image("acme/answers:1.0.0");
    let home = Home::new();
    registry.log_in(&home);
    // A name of this machine is asked without TLS unless the configuration says otherwise, as the other tools do.
    let folder = home.path().join(".config/wasm-pkg");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "[registry.\"{}\".oci]\nprotocol = \"https\"\n",
        registry.host
    );
    std::fs::write(folder.join("config.toml"), text).unwrap();
    home.write("a.wasm", answers("1.0.0"));
    let publish = ["plugin", "publish", "a.wasm", &image, "--yes"];
    let strange = home.ml_intern(publish).run().await;
    strange.assert_code(7);
    assert!(strange.stderr.contains("ertificate"), "{}", strange.stderr);
    home.set("SSL_CERT_FILE", &registry.certificate);
    home.ml_intern(publish).run().await.assert_code(0);
    home.add(&image).await.assert_code(0);
}

#[tokio::test]
async fn a_mirror_is_asked_in_place_of_the_registry() {
    let mirror = Registry::open().await;
    let home = Home::new();
    home.publish(&answers("1.0.0"), &mirror.image("acme/answers"))
        .await;
    let text = format!(
        "[registry.mirrors]\n\"registry.example.org\" = \"{}\"\n",
        mirror.host
    );
    home.write("ml-intern.toml", text);
    let image = "oci://registry.example.org/acme/answers:1.0.0";
    home.add(image).await.assert_code(0);
    let lock = home.read("ml-intern.lock");
    // What is pinned has the registry's own name: on another machine there may be another mirror.
    assert!(
        lock.contains("resolved = \"oci://registry.example.org/"),
        "{lock}"
    );
}

#[tokio::test]
async fn what_is_published_goes_to_the_registry_and_to_no_mirror() {
    let (registry, mirror) = (Registry::open().await, Registry::open().await);
    let home = Home::new();
    let text = format!(
        "[registry.mirrors]\n\"{}\" = \"{}\"\n",
        registry.host, mirror.host
    );
    home.write("ml-intern.toml", text);
    home.publish(&answers("1.0.0"), &registry.image("acme/answers"))
        .await;
    let tags = "acme/answers/tags/list";
    assert_eq!(registry.get(tags, "*/*").await.status, 200);
    assert_eq!(mirror.get(tags, "*/*").await.status, 404);
}

#[tokio::test]
async fn what_is_locked_and_not_here_is_fetched_when_it_is_needed() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:1.0.0");
    let first = Home::new();
    first.publish(&answers("1.0.0"), &image).await;
    first.add(&image).await.assert_code(0);

    // Another machine: the project's two files, and nothing else.
    let world = World::new(Script::steps([Reply::text("done")])).await;
    for file in ["ml-intern.toml", "ml-intern.lock"] {
        world.home.write(file, first.read(file));
    }
    let listed = world.home.ml_intern(["plugin", "list"]).run().await;
    listed.assert_code(0);
    assert!(
        listed.stdout.contains("not fetched yet"),
        "{}",
        listed.stdout
    );
    world.run(["--locked", "go"]).run().await.assert_code(0);
    assert_eq!(world.home.stored(), first.stored());
    assert_eq!(
        world.home.read("ml-intern.lock"),
        first.read("ml-intern.lock")
    );

    // The tag moves; whoever has the lockfile gets what is locked.
    first.write("other.wasm", answers("2.0.0"));
    let publish = [
        "plugin",
        "publish",
        "other.wasm",
        &image,
        "--yes",
        "--replace",
    ];
    first.ml_intern(publish).run().await.assert_code(0);
    let third = Home::new();
    for file in ["ml-intern.toml", "ml-intern.lock"] {
        third.write(file, first.read(file));
    }
    third
        .ml_intern(["plugin", "info", "answers"])
        .run()
        .await
        .assert_code(0);
    assert_eq!(third.stored(), first.stored());
}
