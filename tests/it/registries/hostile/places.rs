use super::Victim;
use crate::support::{
    elsewhere::{answers, assert_says, good, plugin},
    fake_registry::{FakeRegistry, digest, reply},
    http::full,
    ml_intern::Home,
    tls::Authority,
};

use super::logins::{login, wants_password};

#[tokio::test]
async fn a_blob_may_lie_elsewhere_and_the_login_stays_at_the_registry() {
    let other = FakeRegistry::honest().await;
    let layer = other.blob(&good("0.1.0"));
    let place = format!("http://{}/v2/acme/good/blobs/{layer}", other.host());
    let registry = FakeRegistry::start(move |asked| {
        wants_password(asked).or_else(|| {
            let headers = [("location", place.as_str())];
            asked.is_blob().then(|| reply(307, &headers, full("")))
        })
    })
    .await;
    registry.image("1", &good("0.1.0"));
    let victim = Victim::new().await;
    login(&victim.home, &registry);
    victim.add(&registry.source("1")).await.assert_code(0);
    let asked = other.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].header("authorization"), "");
    let at_registry = registry.asked();
    let blob = at_registry.iter().rfind(|asked| asked.is_blob()).unwrap();
    assert!(blob.header("authorization").starts_with("Basic "));
    answers(victim.home).await;
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let registry = FakeRegistry::start(|asked| {
        let again = [("location", asked.target.as_str())];
        asked.is_blob().then(|| reply(302, &again, full("")))
    })
    .await;
    registry.image("1", &good("0.1.0"));
    let victim = Victim::new().await;
    victim
        .refuses(&registry, &["redirects again and again"])
        .await;
    let asked = registry.asked();
    let blobs = asked.iter().filter(|asked| asked.is_blob());
    assert!(blobs.count() <= 8, "{asked:?}");
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn an_encrypted_registry_does_not_lead_to_one_that_is_not() {
    let other = FakeRegistry::honest().await;
    let layer = other.blob(&good("0.1.0"));
    let place = format!("http://{}/v2/acme/good/blobs/{layer}", other.host());
    let authority = Authority::new();
    let registry = FakeRegistry::encrypted(&authority, move |asked| {
        let headers = [("location", place.as_str())];
        asked.is_blob().then(|| reply(307, &headers, full("")))
    })
    .await;
    registry.image("1", &good("0.1.0"));
    let victim = Victim::new().await;
    victim.home.set("SSL_CERT_FILE", authority.roots());
    // Registries of this machine are not encrypted unless this says so.
    let config = victim.home.path().join("wkg.toml");
    let text = format!(
        "[registry.\"{}\".oci]\nprotocol = \"https\"\n",
        registry.host()
    );
    std::fs::write(&config, text).unwrap();
    victim.home.set("WKG_CONFIG_FILE", &config);
    victim.refuses(&registry, &["not encrypted"]).await;
    assert!(other.asked().is_empty());
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn names_that_lead_out_of_the_registry_are_refused_before_anything_is_asked() {
    let registry = FakeRegistry::honest().await;
    let victim = Victim::new().await;
    let host = registry.host();
    for name in [
        "acme/../other:1",
        "../v2/acme/good:1",
        "acme/%2e%2e/good:1",
        "acme/./good:1",
        "acme//good:1",
        "acme/good:../x",
        "acme/good?x=:1",
        "acme/good@sha256:..",
        "acme\\good:1",
        "acme/good\n:1",
    ] {
        victim
            .refuses_with(2, &format!("oci://{host}/{name}"), &["not a source"])
            .await;
    }
    victim
        .refuses_with(
            2,
            &format!("oci://user:password@{host}/acme/good:1"),
            &["oci"],
        )
        .await;
    assert!(registry.asked().is_empty());
}

/// A home with the plugin to publish, and a login at the registry.
fn author(registry: &FakeRegistry) -> Home {
    let home = Home::new();
    home.write("good.wasm", good("0.1.0"));
    login(&home, registry);
    home
}

#[tokio::test]
async fn an_upload_goes_to_no_other_server() {
    let other = FakeRegistry::honest().await;
    let place = format!("http://{}/v2/acme/good/blobs/uploads/", other.host());
    // By the address of the upload, and by a redirect of the question for it.
    for status in [202, 307, 308] {
        let place = place.clone();
        let registry = FakeRegistry::start(move |asked| {
            wants_password(asked).or_else(|| {
                let headers = [("location", place.as_str())];
                (asked.method == "POST").then(|| reply(status, &headers, full("")))
            })
        })
        .await;
        let author = author(&registry);
        let args = ["publish", "good.wasm", &registry.source("1"), "--yes"];
        let refused = plugin(&author, &args).await;
        let says = [
            "which is another server; nothing was sent there",
            &other.host(),
        ];
        assert_says(&refused, 7, &says);
    }
    for asked in other.asked() {
        assert_eq!(asked.header("authorization"), "", "{asked:?}");
        assert!(asked.body.is_empty(), "{asked:?}");
    }
}

#[tokio::test]
async fn a_registry_that_keeps_something_else_than_what_was_published_is_noticed() {
    let registry = FakeRegistry::start(|asked| {
        let other = digest(b"other");
        let headers = [("docker-content-digest", other.as_str())];
        let is_manifest = asked.method == "PUT" && asked.target.contains("/manifests/");
        is_manifest.then(|| reply(201, &headers, full("")))
    })
    .await;
    let author = author(&registry);
    let args = ["publish", "good.wasm", &registry.source("1"), "--yes"];
    let refused = plugin(&author, &args).await;
    assert_says(&refused, 7, &["SHA-256", &digest(b"other")]);
}

#[tokio::test]
async fn words_of_a_server_do_not_move_the_cursor() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\r\nerror: all is well";
    for (status, code) in [(401, 3), (403, 3), (404, 7), (418, 7), (500, 7)] {
        let registry = FakeRegistry::start(move |asked| {
            let said = serde_json::json!({"errors": [{"code": evil, "message": evil}]});
            asked
                .is_manifest()
                .then(|| reply(status, &[], full(said.to_string())))
        })
        .await;
        let victim = Victim::new().await;
        let refused = victim.add(&registry.source("1")).await;
        assert_says(&refused, code, &[]);
        assert!(!refused.stderr.contains('\u{202e}'), "{}", refused.stderr);
        assert!(
            !refused.stderr.contains("\nerror: all is well"),
            "{}",
            refused.stderr
        );
        victim.assert_unchanged();
    }
    // Where the plugin is taken, what its image says of it is shown nowhere as it is.
    let registry = FakeRegistry::honest().await;
    let file = good("0.1.0");
    registry.blob(&file);
    let layer = crate::support::fake_registry::descriptor("application/wasm", &file);
    let mut image = crate::support::fake_registry::manifest(serde_json::json!([layer]));
    for name in ["title", "description", "version", "source"] {
        image["annotations"][format!("org.opencontainers.image.{name}")] = evil.into();
    }
    registry.manifest("1", image.to_string());
    let victim = Victim::new().await;
    assert_says(&victim.add(&registry.source("1")).await, 0, &[]);
    for args in [&["info", "good"][..], &["list"], &["update"], &["verify"]] {
        assert_says(&plugin(&victim.home, args).await, 0, &[]);
    }
}
