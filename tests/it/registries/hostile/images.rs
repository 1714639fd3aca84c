use serde_json::{Value, json};

use super::Victim;
use crate::support::{
    elsewhere::{answers, good},
    fake_registry::{FakeRegistry, IMAGE, WASM, descriptor, digest, manifest, reply},
    http::full,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// The manifest is not taken, and this is said.
async fn refuse(manifest: &Value, says: &[&str]) {
    let registry = FakeRegistry::honest().await;
    registry.image("good", &good("0.1.0"));
    registry.manifest("1", manifest.to_string());
    let victim = Victim::new().await;
    victim.refuses(&registry, says).await;
    let blobs = registry.asked();
    assert!(!blobs.iter().any(|asked| asked.is_blob()), "{blobs:?}");
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn an_image_of_two_components_is_refused() {
    let layers = ["0.1.0", "0.2.0"].map(|version| descriptor(WASM, &good(version)));
    refuse(&manifest(json!(layers)), &["holds 2 components"]).await;
}

#[tokio::test]
async fn an_image_without_a_layer_is_refused() {
    refuse(&manifest(json!([])), &["holds 0 components"]).await;
    refuse(&json!({"schemaVersion": 2}), &["holds 0 components"]).await;
}

#[tokio::test]
async fn an_image_without_a_component_is_refused_by_the_types_of_its_layers() {
    let odd = descriptor("application/\u{1b}[31mred\r\n", b"x");
    let layers = json!([descriptor(TAR, b"x"), odd]);
    refuse(
        &manifest(layers),
        &["holds 0 components", TAR, "\\u{1b}[31mred"],
    )
    .await;
}

#[tokio::test]
async fn a_component_beside_layers_of_other_types_is_the_one_that_is_taken() {
    let registry = FakeRegistry::honest().await;
    let file = good("0.1.0");
    registry.blob(b"a tarball");
    registry.blob(&file);
    let layers = json!([descriptor(TAR, b"a tarball"), descriptor(WASM, &file)]);
    registry.manifest("1", manifest(layers).to_string());
    let victim = Victim::new().await;
    victim.add(&registry.source("1")).await.assert_code(0);
    answers(victim.home).await;
}

#[tokio::test]
async fn what_only_calls_itself_a_component_is_refused() {
    let registry = FakeRegistry::honest().await;
    registry.image("1", b"\x7fELF\x02\x01\x01\0 and so on");
    let victim = Victim::new().await;
    let added = victim.add(&registry.source("1")).await;
    crate::support::elsewhere::assert_says(&added, 7, &["native code"]);
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn an_index_of_indexes_is_refused() {
    let registry = FakeRegistry::honest().await;
    let innermost = json!({"schemaVersion": 2, "manifests": [descriptor(INDEX, b"x")]}).to_string();
    registry.manifest("inner", innermost.clone());
    let outer = json!({"schemaVersion": 2, "manifests": [descriptor(INDEX, innermost.as_bytes())]});
    registry.manifest("1", outer.to_string());
    let victim = Victim::new().await;
    victim.refuses(&registry, &["is an index of indexes"]).await;
    let manifests = registry.asked();
    let manifests = manifests.iter().filter(|asked| asked.is_manifest());
    assert_eq!(manifests.count(), 2);
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn an_index_of_several_images_is_refused() {
    let images = ["a", "b"].map(|bytes| descriptor(IMAGE, bytes.as_bytes()));
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images});
    refuse(&index, &["is an index of 2 images", "by its digest"]).await;
}

#[tokio::test]
async fn a_component_that_says_to_be_too_large_is_not_asked_for() {
    for size in [json!((64 << 20) + 1), json!(u64::MAX)] {
        let layer = json!({"mediaType": WASM, "digest": digest(b"x"), "size": size});
        refuse(&manifest(json!([layer])), &["may have at most 67108864"]).await;
    }
}

#[tokio::test]
async fn a_layer_with_another_digest_than_sha256_is_refused() {
    let layer = json!({"mediaType": WASM, "digest": "md5:00\u{1b}[2J", "size": 1});
    refuse(&manifest(json!([layer])), &["no SHA-256"]).await;
}

#[tokio::test]
async fn a_manifest_that_is_none_is_refused() {
    for (text, says) in [
        (
            "<html>\u{1b}[31m".to_owned(),
            "manifest that cannot be read",
        ),
        ("[".repeat(100_000), "manifest that cannot be read"),
        (
            r#"{"layers": "\u001b[31m"}"#.to_owned(),
            "manifest that cannot be read",
        ),
        (
            r#"{"layers": [{"mediaType": 1, "digest": 2, "size": -3}]}"#.to_owned(),
            "cannot be read",
        ),
    ] {
        let registry = FakeRegistry::honest().await;
        registry.manifest("1", text);
        Victim::new().await.refuses(&registry, &[says]).await;
    }
}

#[tokio::test]
async fn a_manifest_of_many_megabytes_is_refused() {
    let registry = FakeRegistry::honest().await;
    let mut large = manifest(json!([descriptor(WASM, b"x")]));
    large["annotations"] = json!({"x": "x".repeat(5 << 20)});
    registry.manifest("1", large.to_string());
    let victim = Victim::new().await;
    victim
        .refuses(&registry, &["more than 4194304 bytes"])
        .await;
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_header_that_names_another_digest_than_the_manifests_is_not_believed() {
    for said in [digest(b"other"), digest(b"")] {
        let image = manifest(json!([descriptor(WASM, b"x")])).to_string();
        let wanted = said.clone();
        let registry = FakeRegistry::start(move |asked| {
            let headers = [("docker-content-digest", said.as_str())];
            let answer = || reply(200, &headers, full(image.clone()));
            asked.is_manifest().then(answer)
        })
        .await;
        let victim = Victim::new().await;
        victim.refuses(&registry, &["SHA-256", &wanted]).await;
        victim.neighbour_answers().await;
    }
}

#[tokio::test]
async fn a_manifest_that_is_another_than_its_digest_is_refused() {
    let registry = FakeRegistry::start(|asked| {
        // By a digest, the registry serves what nobody asked for, and says that it is right.
        let wanted = asked.target.rsplit_once("/manifests/")?.1.to_owned();
        let other = manifest(json!([descriptor(WASM, b"other")])).to_string();
        let headers = [("docker-content-digest", wanted.as_str())];
        wanted
            .starts_with("sha256:")
            .then(|| reply(200, &headers, full(other)))
    })
    .await;
    let (wanted, _) = registry.image("1", &good("0.1.0"));
    let victim = Victim::new().await;
    victim.refuses(&registry, &["SHA-256", &wanted]).await;
    let pinned = format!("{}@{wanted}", registry.source("1"));
    victim.refuses_with(7, &pinned, &["SHA-256", &wanted]).await;
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_tag_that_moves_between_the_look_and_the_fetch_changes_nothing() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let looks = AtomicUsize::new(0);
    let moved = manifest(json!([descriptor(WASM, b"other")])).to_string();
    let registry = FakeRegistry::start(move |asked| {
        let is_later = asked.target.ends_with("/manifests/1")
            && asked.method == "GET"
            && looks.fetch_add(1, Ordering::SeqCst) > 0;
        is_later.then(|| reply(200, &[], full(moved.clone())))
    })
    .await;
    let (image, layer) = registry.image("1", &good("0.1.0"));
    let victim = Victim::new().await;
    victim.add(&registry.source("1")).await.assert_code(0);
    let lockfile = victim.home.read("ml-intern.lock");
    for digest in [image, layer] {
        assert!(lockfile.contains(&digest), "{lockfile}");
    }
    let home = answers(victim.home).await;
    assert_eq!(home.read("ml-intern.lock"), lockfile);
}
