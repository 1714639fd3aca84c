use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{ID, SOURCE, author_at, home_at};
use crate::support::{
    elsewhere::{answers, assert_says, good, plugin, stored},
    fake_hub::{FakeHub, READER, WRITER},
    ml_intern::{Finished, Home},
};

/// A Hub with the plugin in a repository that a token opens.
async fn private_hub() -> FakeHub {
    let hub = FakeHub::start().await;
    hub.private_repository("models", ID);
    hub.commit(ID, "x.wasm", &good("0.1.0"));
    hub
}

/// The files below the home's root that hold one of these texts.
async fn holding(home: &Home, texts: &[&str]) -> String {
    let root = home.path().parent().unwrap().to_owned();
    let mut args = vec!["-raFl"];
    for text in texts {
        args.extend(["-e", text]);
    }
    args.push(root.to_str().unwrap());
    let found = home.program(Path::new("/bin/grep"), args).run().await;
    found.stdout
}

#[track_caller]
fn assert_silent(done: &Finished) {
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains(WRITER) && !text.contains(READER), "{text}");
    }
}

#[tokio::test]
async fn a_private_repository_opens_to_the_token_of_its_owner_and_to_nobody_else() {
    let hub = private_hub().await;
    for token in [None, Some("hf_wrong")] {
        let user = home_at(&hub);
        if let Some(token) = token {
            user.set("HF_TOKEN", token);
        }
        let refused = plugin(&user, &["add", SOURCE, "--yes"]).await;
        assert_says(&refused, 3, &["ml-intern login hf"]);
        assert_eq!(stored(&user), [""; 0]);
        assert!(!user.workspace().join("ml-intern.toml").exists());
    }
    let user = home_at(&hub);
    user.set("HF_TOKEN", READER);
    plugin(&user, &["add", SOURCE, "--yes"])
        .await
        .assert_code(0);
    hub.assert_kept_from_elsewhere(&[READER]);
    // Once it is here, a token is of no use.
    user.set("HF_TOKEN", "");
    let user = answers(user).await;
    plugin(&user, &["verify"]).await.assert_code(0);
}

#[tokio::test]
async fn the_login_of_the_hubs_own_client_is_taken() {
    let hub = private_hub().await;
    let user = home_at(&hub);
    let folder = user.path().join("hf");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("token"), format!("{READER}\n")).unwrap();
    fs::set_permissions(folder.join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    user.set("HF_HOME", &folder);
    plugin(&user, &["add", SOURCE, "--yes"])
        .await
        .assert_code(0);
    let with_token = |seen: &crate::support::fake_hub::Seen| {
        seen.headers["authorization"] == format!("Bearer {READER}").as_str()
    };
    assert!(hub.seen().iter().filter(|seen| seen.at_hub).all(with_token));
    assert_eq!(
        holding(&user, &[READER]).await.trim(),
        folder.join("token").to_str().unwrap()
    );
}

#[tokio::test]
async fn a_token_is_in_no_output_no_file_and_no_request_to_another_server() {
    let hub = FakeHub::start().await;
    hub.private_repository("models", ID);
    hub.parts_of(20_000);
    let author = author_at(&hub);
    for args in [
        &["publish", "x.wasm", SOURCE, "--yes"][..],
        &["publish", "newer.wasm", SOURCE, "--yes"],
        &["publish", "newer.wasm", "hf://acme/none/x.wasm", "--yes"],
        &["add", SOURCE, "--yes"],
        &["add", "hf://acme/plugins/none.wasm", "--yes"],
        &["update", "--yes"],
        &["verify"],
        &["info", "good"],
        &["list", "--json"],
    ] {
        assert_silent(&plugin(&author, args).await);
    }
    let author = answers(author).await;
    assert_eq!(holding(&author, &[WRITER, &WRITER[3..]]).await, "");
    hub.assert_kept_from_elsewhere(&[WRITER]);
    assert!(
        hub.seen().iter().any(|seen| !seen.at_hub),
        "nothing was fetched"
    );
}

#[tokio::test]
async fn a_token_is_not_looked_for_where_the_hub_is_not_asked() {
    let hub = FakeHub::start().await;
    let user = home_at(&hub);
    user.set("HF_TOKEN", WRITER);
    user.write("x.wasm", good("0.1.0"));
    plugin(&user, &["add", "x.wasm", "--yes"])
        .await
        .assert_code(0);
    plugin(&user, &["publish", "x.wasm", "folder", "--yes"])
        .await
        .assert_code(0);
    assert!(hub.seen().is_empty());
}

#[tokio::test]
async fn publishing_takes_a_token_that_may_write() {
    let hub = FakeHub::start().await;
    hub.repository("models", ID);
    hub.private_repository("models", "acme/secret");
    let secret = "hf://acme/secret/x.wasm";
    for (token, source, says) in [
        (None, SOURCE, "ml-intern login hf"),
        (None, secret, "ml-intern login hf"),
        (Some("hf_wrong"), SOURCE, "ml-intern login hf"),
        (Some(READER), SOURCE, "does not allow to write there"),
        (Some(READER), secret, "does not allow to write there"),
    ] {
        let author = home_at(&hub);
        author.write("x.wasm", good("0.1.0"));
        if let Some(token) = token {
            author.set("HF_TOKEN", token);
        }
        let refused = plugin(&author, &["publish", "x.wasm", source, "--yes"]).await;
        assert_says(&refused, 3, &[source, says]);
        assert_silent(&refused);
    }
    assert_eq!(hub.file("models", ID, "main", "x.wasm"), None);
}
