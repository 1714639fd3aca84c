use serde_json::{Value, json};

use crate::support::{
    elsewhere::{answers, assert_says, good, plugin, store, stored},
    fake_hub::{FakeHub, READER, WRITER, sha256},
    hub_client::hub_client,
    ml_intern::Home,
};

/// The right of a token, its places, and where it must not be.
mod tokens;
/// Files on the web, by their digest.
mod web;

const ID: &str = "acme/plugins";
const SOURCE: &str = "hf://acme/plugins/x.wasm";

/// A home whose Hub is this one.
fn home_at(hub: &FakeHub) -> Home {
    let home = Home::new();
    home.set("HF_ENDPOINT", hub.endpoint());
    home
}

/// The same with a token, and components as `x.wasm` and `newer.wasm`.
fn author_at(hub: &FakeHub) -> Home {
    let home = home_at(hub);
    home.set("HF_TOKEN", WRITER);
    home.write("x.wasm", good("0.1.0"));
    home.write("newer.wasm", good("0.2.0"));
    home
}

async fn hub_with(version: &str) -> FakeHub {
    let hub = FakeHub::start().await;
    hub.repository("models", ID);
    hub.commit(ID, "x.wasm", &good(version));
    hub
}

#[tokio::test]
async fn what_is_published_is_added_by_others_and_stays_at_its_commit() {
    let hub = FakeHub::start().await;
    hub.repository("models", ID);
    let author = author_at(&hub);
    let published = plugin(&author, &["publish", "x.wasm", SOURCE, "--yes"]).await;
    let head = hub.head("models", ID);
    let pinned = format!("hf://acme/plugins@{head}/x.wasm");
    published.assert_code(0);
    assert!(
        published.stdout.contains(&format!("published {pinned}")),
        "{}",
        published.stdout
    );
    assert_eq!(
        hub.file("models", ID, "main", "x.wasm").unwrap(),
        good("0.1.0")
    );
    let statement = hub
        .file("models", ID, "main", "x.wasm.intoto.json")
        .unwrap();
    let statement = serde_json::from_slice::<Value>(&statement).unwrap();
    let digest = sha256(&good("0.1.0"));
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.as_str());

    let user = home_at(&hub);
    plugin(&user, &["add", SOURCE, "--yes"])
        .await
        .assert_code(0);
    let lockfile = user.read("ml-intern.lock");
    for text in [SOURCE, &pinned, &digest] {
        assert!(lockfile.contains(text), "{lockfile}");
    }
    assert_eq!(stored(&user), [format!("{digest}.wasm")]);

    // A later commit: nothing of it without a yes.
    let replaced = plugin(
        &author,
        &["publish", "newer.wasm", SOURCE, "--yes", "--replace"],
    )
    .await;
    replaced.assert_code(0);
    assert_ne!(hub.head("models", ID), head);
    let before = hub.seen().len();
    let user = answers(user).await;
    assert_eq!(user.read("ml-intern.lock"), lockfile);
    assert_eq!(hub.seen().len(), before, "a run asks nobody");
    let asked = plugin(&user, &["update"]).await;
    assert_says(
        &asked,
        4,
        &["stranger/good 0.1.0 → stranger/good 0.2.0", "--yes"],
    );
    assert_eq!(user.read("ml-intern.lock"), lockfile);
    plugin(&user, &["update", "--yes"]).await.assert_code(0);
    let newer = user.read("ml-intern.lock");
    for text in [hub.head("models", ID), sha256(&good("0.2.0"))] {
        assert!(newer.contains(&text), "{newer}");
    }
    answers(user).await;
}

#[tokio::test]
async fn what_the_hubs_own_client_uploads_is_added_and_what_is_published_it_reads() {
    for part in [None, Some(20_000)] {
        let hub = FakeHub::start().await;
        hub.repository("models", ID);
        if let Some(bytes) = part {
            hub.parts_of(bytes);
        }
        let author = author_at(&hub);
        let published = plugin(&author, &["publish", "x.wasm", SOURCE, "--yes"]).await;
        published.assert_code(0);
        let theirs = author.workspace().join("newer.wasm");
        let of =
            |step: &str, path: &str| json!({"do": step, "repo": ID, "kind": "model", "path": path});
        let mut upload = of("upload", "dir/theirs.wasm");
        upload["file"] = json!(theirs);
        let steps = [
            of("download", "x.wasm"),
            of("large", "x.wasm"),
            of("large", "x.wasm.intoto.json"),
            upload,
        ];
        let got = hub_client(&hub.endpoint(), Some(WRITER), &steps).await;
        let digest = json!(sha256(&good("0.1.0")));
        assert_eq!(got[..3], [digest.clone(), digest, json!(null)]);
        let user = home_at(&hub);
        let source = "hf://acme/plugins/dir/theirs.wasm";
        plugin(&user, &["add", source, "--yes"])
            .await
            .assert_code(0);
        assert!(
            user.read("ml-intern.lock")
                .contains(got[3].as_str().unwrap())
        );
        answers(user).await;
        let parts = hub
            .seen()
            .iter()
            .filter(|seen| seen.target.starts_with("/part/"))
            .count();
        assert_eq!(parts > 2, part.is_some(), "{parts}");
    }
}

#[tokio::test]
async fn data_sets_spaces_branches_and_commits_are_places_too() {
    let hub = FakeHub::start().await;
    let author = author_at(&hub);
    for kind in ["datasets", "spaces"] {
        hub.repository(kind, ID);
        let source = format!("hf://{kind}/acme/plugins/dir/x.wasm");
        plugin(&author, &["publish", "x.wasm", &source, "--yes"])
            .await
            .assert_code(0);
        let head = hub.head(kind, ID);
        plugin(
            &author,
            &["publish", "newer.wasm", &source, "--yes", "--replace"],
        )
        .await
        .assert_code(0);
        // By its name, and at the commit before.
        for (place, version) in [
            (source.clone(), "0.2.0"),
            (
                format!("hf://{kind}/acme/plugins@{head}/dir/x.wasm"),
                "0.1.0",
            ),
        ] {
            let user = home_at(&hub);
            plugin(&user, &["add", &place, "--yes"])
                .await
                .assert_code(0);
            let lockfile = user.read("ml-intern.lock");
            assert!(
                lockfile.contains(&format!("hf://{kind}/acme/plugins@")),
                "{lockfile}"
            );
            assert!(lockfile.contains(&sha256(&good(version))), "{lockfile}");
        }
    }
}

#[tokio::test]
async fn a_signature_that_comes_later_is_added_to_what_is_there() {
    let hub = FakeHub::start().await;
    hub.repository("models", ID);
    let author = author_at(&hub);
    let publish = async || {
        let done = plugin(&author, &["publish", "x.wasm", SOURCE, "--yes"]).await;
        done.assert_code(0);
        done.stdout
    };
    publish().await;
    author.write("x.wasm.minisig", "a signature of a key that nobody named");
    let signed = publish().await;
    assert!(signed.starts_with("its signature was added"), "{signed}");
    let kept = hub.file("models", ID, "main", "x.wasm.minisig").unwrap();
    assert_eq!(&kept[..], b"a signature of a key that nobody named");
    let head = hub.head("models", ID);
    let again = publish().await;
    assert!(again.starts_with("it is there already"), "{again}");
    assert_eq!(hub.head("models", ID), head);
}

#[tokio::test]
async fn a_mirror_is_asked_in_place_of_the_hub() {
    let hub = hub_with("0.1.0").await;
    let users = ["/mirror", "/mirror/"].map(|endpoint| {
        let user = Home::new();
        user.set("HF_ENDPOINT", format!("{}{endpoint}", hub.endpoint()));
        user
    });
    for user in &users {
        plugin(user, &["add", SOURCE, "--yes"]).await.assert_code(0);
        // Where it was found is no part of what is locked.
        assert!(!user.read("ml-intern.lock").contains("127.0.0.1"));
    }
    let seen = hub.seen();
    let at_hub = seen.iter().filter(|seen| seen.at_hub);
    for seen in at_hub {
        assert!(
            seen.target.starts_with("/mirror/") && !seen.target.contains("//"),
            "{seen:?}"
        );
    }
    let [user, _] = users;
    user.set("HF_ENDPOINT", "no address");
    assert_says(
        &plugin(&user, &["add", SOURCE, "--yes"]).await,
        2,
        &["HF_ENDPOINT"],
    );
}

#[tokio::test]
async fn what_was_fetched_works_without_the_hub() {
    let hub = hub_with("0.1.0").await;
    let user = home_at(&hub);
    plugin(&user, &["add", SOURCE, "--yes"])
        .await
        .assert_code(0);
    drop(hub);
    let user = answers(user).await;
    plugin(&user, &["verify"]).await.assert_code(0);
    plugin(&user, &["list"]).await.assert_code(0);
    plugin(&user, &["lock", "--locked"]).await.assert_code(0);
    // What was deleted has to be fetched, and nobody is there.
    let file = store(&user).join(&stored(&user)[0]);
    std::fs::remove_file(file).unwrap();
    let done = user
        .ml_intern(["run", "--model", "openai/fake-model", "go"])
        .run()
        .await;
    assert_says(&done, 7, &["cannot be reached"]);
}

#[tokio::test]
async fn a_machine_that_has_only_the_lockfile_fetches_what_it_names() {
    let hub = hub_with("0.1.0").await;
    let first = home_at(&hub);
    plugin(&first, &["add", SOURCE, "--yes"])
        .await
        .assert_code(0);
    hub.commit(ID, "x.wasm", &good("0.2.0"));
    let second = home_at(&hub);
    for file in ["ml-intern.toml", "ml-intern.lock"] {
        second.write(file, first.read(file));
    }
    let second = answers(second).await;
    assert_eq!(
        stored(&second),
        [format!("{}.wasm", sha256(&good("0.1.0")))]
    );
    assert_eq!(second.read("ml-intern.lock"), first.read("ml-intern.lock"));
}

#[tokio::test]
async fn a_download_that_broke_off_is_gone_on_with() {
    let hub = hub_with("0.1.0").await;
    let user = home_at(&hub);
    hub.cut_next_after(10_000);
    let broken = plugin(&user, &["add", SOURCE, "--yes"]).await;
    assert_says(&broken, 7, &["http://127.0.0.1"]);
    assert_eq!(stored(&user), [""; 0]);
    assert!(!user.workspace().join("ml-intern.toml").exists());
    plugin(&user, &["add", SOURCE, "--yes"])
        .await
        .assert_code(0);
    let seen = hub.seen();
    let ranges = seen.iter().filter(|seen| !seen.at_hub);
    let ranges = ranges.filter_map(|seen| seen.headers.get("range"));
    assert_eq!(ranges.collect::<Vec<_>>(), ["bytes=10000-"]);
    answers(user).await;
}

#[tokio::test]
async fn what_is_there_is_not_replaced_by_mistake() {
    let hub = hub_with("0.1.0").await;
    let author = author_at(&hub);
    let head = hub.head("models", ID);
    let same = plugin(&author, &["publish", "x.wasm", SOURCE, "--yes"]).await;
    same.assert_code(0);
    assert!(
        same.stdout.contains("it is there already"),
        "{}",
        same.stdout
    );
    let other = plugin(&author, &["publish", "newer.wasm", SOURCE, "--yes"]).await;
    assert_says(&other, 7, &["has something else already", "--replace"]);
    assert_eq!(hub.head("models", ID), head);
    let nobody = plugin(&author, &["publish", "newer.wasm", SOURCE, "--replace"]).await;
    assert_says(&nobody, 4, &["--yes"]);
    assert_eq!(hub.head("models", ID), head);
    for (source, says) in [
        ("hf://acme/none/x.wasm", "`acme/none` on the Hub first"),
        ("hf://acme/plugins@none/x.wasm", "branch"),
    ] {
        let refused = plugin(&author, &["publish", "x.wasm", source, "--yes"]).await;
        assert_says(&refused, 7, &[says]);
    }
}

#[tokio::test]
async fn what_the_hub_does_not_have_is_said() {
    let hub = hub_with("0.1.0").await;
    let user = home_at(&hub);
    user.set("HF_TOKEN", READER);
    for (source, code, says) in [
        (
            "hf://acme/none/x.wasm",
            7,
            "check owner, repository and revision",
        ),
        (
            "hf://acme/plugins@none/x.wasm",
            7,
            "check owner, repository and revision",
        ),
        ("hf://acme/plugins/none.wasm", 7, "is not there"),
        ("hf://acme/plugins", 2, "hf://ORG/REPO/PATH"),
        ("hf://acme/plugins/../x.wasm", 2, "hf://ORG/REPO/PATH"),
    ] {
        let refused = plugin(&user, &["add", source, "--yes"]).await;
        assert_says(&refused, code, &[says]);
    }
    assert_eq!(stored(&user), [""; 0]);
    assert!(!user.workspace().join("ml-intern.toml").exists());
}
