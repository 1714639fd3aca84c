//! Signatures by the real `minisign`, which Debian has; `scripts/test` installs it.

use std::{path::Path, process::Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{
    ml_intern::Home,
    registry::{Registry, manifest, with_lines},
};

/// A publisher's keys.
struct Keys {
    folder: TempDir,
    /// In base64.
    public: String,
}

impl Keys {
    async fn new() -> Self {
        let folder = TempDir::with_prefix("ml-intern-keys-").unwrap();
        minisign(folder.path(), &["-G", "-W", "-p", "key.pub", "-s", "key"]).await;
        let text = std::fs::read_to_string(folder.path().join("key.pub")).unwrap();
        let public = text.lines().nth(1).unwrap().to_owned();
        Self { folder, public }
    }

    /// The component of a version, with this key in its manifest.
    fn component(&self, version: &str) -> Vec<u8> {
        let key = format!("public-key = {:?}\n", self.public);
        with_lines("acme/answers", version, "Answers", &key)
    }

    /// The signature over bytes, with this trusted comment.
    async fn sign(&self, bytes: &[u8], comment: &str) -> String {
        let folder = self.folder.path();
        std::fs::write(folder.join("x.wasm"), bytes).unwrap();
        minisign(
            folder,
            &["-S", "-W", "-s", "key", "-m", "x.wasm", "-t", comment],
        )
        .await;
        std::fs::read_to_string(folder.join("x.wasm.minisig")).unwrap()
    }

    /// As `plugin publish` says how to sign.
    async fn sign_version(&self, bytes: &[u8], version: &str) -> String {
        let digest = sha256(bytes);
        self.sign(bytes, &format!("acme/answers {version} sha256:{digest}"))
            .await
    }

    /// Publishes a signed version under a tag.
    async fn publish(&self, version: &str, image: &str) {
        let home = Home::new();
        let component = self.component(version);
        home.write("x.wasm", &component);
        home.write(
            "x.wasm.minisig",
            self.sign_version(&component, version).await,
        );
        let publish = ["plugin", "publish", "x.wasm", image, "--yes", "--replace"];
        home.ml_intern(publish).run().await.assert_code(0);
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn minisign(folder: &Path, args: &[&str]) {
    let output = Command::new("minisign")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let output = output
        .await
        .expect("minisign is there: scripts/debian 'command -v minisign' minisign");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn signed_by(home: &Home) -> Option<String> {
    let lock: toml::Table = home.read("ml-intern.lock").parse().unwrap();
    let entry = lock["plugins"]["answers"].as_table().unwrap();
    entry
        .get("signed-by")
        .map(|key| key.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_key_is_believed_once_and_then_pinned_for_everything_of_its_publisher() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:stable");
    let (keys, others) = (Keys::new().await, Keys::new().await);
    keys.publish("1.0.0", &image).await;
    let home = Home::new();
    let added = home.add(&image).await;
    added.assert_code(0);
    assert!(
        added.stderr.contains("seen for the first time"),
        "{}",
        added.stderr
    );
    assert_eq!(signed_by(&home).as_deref(), Some(&*keys.public));
    home.ml_intern(["plugin", "verify"])
        .run()
        .await
        .assert_code(0);

    // The same key again.
    keys.publish("1.1.0", &image).await;
    let updated = home.ml_intern(["plugin", "update", "--yes"]).run().await;
    updated.assert_code(0);
    assert!(
        updated.stderr.contains("1.0.0 → acme/answers 1.1.0"),
        "{}",
        updated.stderr
    );

    // Another key stops, for this plugin and for another one of the publisher.
    others.publish("1.2.0", &image).await;
    let before = home.read("ml-intern.lock");
    let stopped = home.ml_intern(["plugin", "update", "--yes"]).run().await;
    stopped.assert_code(7);
    assert!(stopped.stderr.contains("another key"), "{}", stopped.stderr);
    assert_eq!(home.read("ml-intern.lock"), before);
    let second = home
        .ml_intern(["plugin", "add", &image, "--name", "second", "--yes"])
        .run()
        .await;
    second.assert_code(7);

    // Where the user says so, the new key is the one.
    let key = [
        "plugin",
        "update",
        "answers",
        "--yes",
        "--key",
        &others.public,
    ];
    home.ml_intern(key).run().await.assert_code(0);
    assert_eq!(signed_by(&home).as_deref(), Some(&*others.public));
}

#[tokio::test]
async fn a_signature_that_is_missing_wrong_or_of_something_else_is_refused() {
    let registry = Registry::open().await;
    let (keys, others) = (Keys::new().await, Keys::new().await);
    let component = keys.component("1.0.0");
    let refuse = async |signature: Option<String>, name: &str, expected: &str| {
        let home = Home::new();
        home.write("x.wasm", &component);
        if let Some(signature) = signature {
            home.write("x.wasm.minisig", signature);
        }
        // Ours does not publish what nobody would take.
        let image = registry.image(&format!("acme/{name}:1"));
        let publish = ["plugin", "publish", "x.wasm", &image, "--yes"];
        let refused = home.ml_intern(publish).run().await;
        refused.assert_code(7);
        assert!(
            refused.stderr.contains(expected),
            "{name}: {}",
            refused.stderr
        );
        assert!(refused.stderr.contains("minisign -S"), "{}", refused.stderr);
        let refused = home.add("./x.wasm").await;
        refused.assert_code(7);
        assert!(
            refused.stderr.contains(expected),
            "{name}: {}",
            refused.stderr
        );
        assert!(!home.workspace().join("ml-intern.lock").exists());
    };
    refuse(None, "missing", "is not signed").await;
    let other = others.sign_version(&component, "1.0.0").await;
    refuse(Some(other), "other", "another key").await;
    let old = keys.sign_version(&keys.component("0.9.0"), "0.9.0").await;
    refuse(Some(old), "old", "not one of these bytes").await;
    let lying = keys.sign(&component, "acme/answers 2.0.0").await;
    refuse(Some(lying), "lying", "for something else").await;
    refuse(Some("no signature".to_owned()), "none", "did not write").await;
}

#[tokio::test]
async fn a_signature_that_went_missing_stops_an_update_and_a_key_in_hand_goes_first() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:stable");
    let keys = Keys::new().await;
    keys.publish("1.0.0", &image).await;
    let home = Home::new();
    let key = keys.public.clone();
    let add = ["plugin", "add", &image, "--yes", "--key", &key];
    let added = home.ml_intern(add).run().await;
    added.assert_code(0);
    assert!(added.stderr.contains("as is known"), "{}", added.stderr);

    // Whoever takes over the registry strips key and signature.
    let bare = with_lines("acme/answers", "1.1.0", "Answers", "");
    let thief = Home::new();
    thief.write("x.wasm", bare);
    let publish = ["plugin", "publish", "x.wasm", &image, "--yes", "--replace"];
    thief.ml_intern(publish).run().await.assert_code(0);
    let stopped = home.ml_intern(["plugin", "update", "--yes"]).run().await;
    stopped.assert_code(7);
    assert!(
        stopped.stderr.contains("is not signed"),
        "{}",
        stopped.stderr
    );
    let wrong = home
        .ml_intern(["plugin", "add", &image, "--yes", "--key", "RWQx"])
        .run()
        .await;
    wrong.assert_code(7);
    assert!(wrong.stderr.contains("no public key"), "{}", wrong.stderr);
}

#[tokio::test]
async fn an_older_signed_version_is_taken_only_where_the_user_means_it() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:stable");
    let keys = Keys::new().await;
    keys.publish("1.1.0", &image).await;
    let home = Home::new();
    home.add(&image).await.assert_code(0);
    keys.publish("1.0.0", &image).await;
    let before = home.read("ml-intern.lock");
    let stopped = home.ml_intern(["plugin", "update", "--yes"]).run().await;
    stopped.assert_code(4);
    assert!(
        stopped.stderr.contains("--allow-downgrade"),
        "{}",
        stopped.stderr
    );
    assert_eq!(home.read("ml-intern.lock"), before);
    let back = ["plugin", "update", "--yes", "--allow-downgrade"];
    home.ml_intern(back).run().await.assert_code(0);
    assert!(home.read("ml-intern.lock").contains("version = \"1.0.0\""));
}

#[tokio::test]
async fn a_signature_that_comes_later_is_added_to_what_is_there() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:1");
    let keys = Keys::new().await;
    let component = with_lines("acme/answers", "1.0.0", "Answers", "");
    let home = Home::new();
    // The folder of a plugin, as `plugin build` leaves it.
    home.write(
        "answers/plugin.toml",
        manifest("acme/answers", "1.0.0", "Answers", ""),
    );
    home.write("answers/build/answers.wasm", &component);
    for target in [image.as_str(), "./releases"] {
        let publish = ["plugin", "publish", "answers", target, "--yes"];
        let said = async || {
            let done = home.ml_intern(publish).run().await;
            done.assert_code(0);
            done.stdout
        };
        let first = said().await;
        assert!(first.starts_with("published "), "{first}");
        home.write(
            "answers/build/answers.wasm.minisig",
            keys.sign_version(&component, "1.0.0").await,
        );
        let signed = said().await;
        assert!(signed.starts_with("its signature was added"), "{signed}");
        let again = said().await;
        assert!(again.starts_with("it is there already"), "{again}");
        std::fs::remove_file(home.workspace().join("answers/build/answers.wasm.minisig")).unwrap();
    }
    let user = Home::new();
    let add = ["plugin", "add", &image, "--yes", "--key", &keys.public];
    user.ml_intern(add).run().await.assert_code(0);
    assert_eq!(signed_by(&user).as_deref(), Some(&*keys.public));
    let released = home.workspace().join("releases/answers-1.0.0.wasm.minisig");
    assert!(released.is_file());
}

#[tokio::test]
async fn the_signature_in_a_plugins_folder_is_that_of_its_component() {
    let keys = Keys::new().await;
    let component = with_lines("acme/answers", "1.0.0", "Answers", "");
    let home = Home::new();
    home.write(
        "answers/plugin.toml",
        manifest("acme/answers", "1.0.0", "Answers", ""),
    );
    home.write("answers/build/answers.wasm", &component);
    let signature = keys.sign_version(&component, "1.0.0").await;
    home.write("answers/build/answers.wasm.minisig", signature);
    let add = ["plugin", "add", "answers", "--yes", "--key", &keys.public];
    home.ml_intern(add).run().await.assert_code(0);
    assert_eq!(signed_by(&home).as_deref(), Some(&*keys.public));
}

#[tokio::test]
async fn a_machine_that_has_only_the_lockfile_has_the_signature_too() {
    let registry = Registry::open().await;
    let image = registry.image("acme/answers:1");
    let keys = Keys::new().await;
    keys.publish("1.0.0", &image).await;
    let first = Home::new();
    first.add(&image).await.assert_code(0);
    let second = Home::new();
    for file in ["ml-intern.toml", "ml-intern.lock"] {
        second.write(file, first.read(file));
    }
    let info = ["plugin", "info", "answers"];
    second.ml_intern(info).run().await.assert_code(0);
    drop(registry);
    second
        .ml_intern(["plugin", "verify"])
        .run()
        .await
        .assert_code(0);
}
