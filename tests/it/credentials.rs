//! Where the user's keys are kept, and where they are never seen.

mod canary;
mod key_store;
mod typed;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::ml_intern::{Finished, Home};

const CANARY: &str = "sk-canary-8Kd02mQz71LwPx55TnVb";

async fn command(home: &Home, args: &[&str]) -> Finished {
    home.ml_intern(args).run().await
}

fn stored(home: &Home) -> PathBuf {
    home.path()
        .join(".local/share/ml-intern/credentials/openai")
}

async fn logged_in(home: &Home) {
    let login = home
        .ml_intern(["login", "openai", "--store", "file"])
        .stdin(&format!("{CANARY}\n"));
    let done = login.run().await;
    done.assert_code(0);
    assert!(!done.stdout.contains(CANARY) && !done.stderr.contains(CANARY));
}

/// What `status` says of the credential `openai`.
async fn status(home: &Home) -> Value {
    let done = command(home, &["status", "--json"]).await;
    done.assert_code(0);
    assert!(!done.stdout.contains("canary"), "{}", done.stdout);
    let all: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    let found = all.into_iter().find(|one| one["credential"] == "openai");
    found.expect("the default provider uses it")
}

#[tokio::test]
async fn a_key_is_kept_shown_as_there_and_removed() {
    let home = Home::new();
    let before = status(&home).await;
    logged_in(&home).await;
    let after = status(&home).await;
    assert_ne!(before, after);
    let mode = std::fs::metadata(stored(&home))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(canary::holding(&home).await, [stored(&home)]);
    command(&home, &["logout", "openai"]).await.assert_code(0);
    assert_eq!(status(&home).await, before);
    assert!(canary::holding(&home).await.is_empty());
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_nothing_is_kept() {
    let home = Home::new();
    for text in [
        "",
        "\n",
        "a\u{1b}[31mb\n",
        &format!("{}\n", "x".repeat(70_000)),
    ] {
        let login = home
            .ml_intern(["login", "openai", "--store", "file"])
            .stdin(text);
        assert_ne!(login.run().await.code(), Some(0), "{:?}", text.get(..9));
        assert!(!stored(&home).exists());
    }
    let login = ["login", "openai", "--env", "not a name"];
    command(&home, &login).await.assert_code(2);
}

#[tokio::test]
async fn a_stored_key_that_others_can_read_is_not_used() {
    let home = Home::new();
    logged_in(&home).await;
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(stored(&home), open).unwrap();
    let done = command(&home, &["run", "-m", "openai/x", "go"]).await;
    assert_ne!(done.code(), Some(0));
    let told = format!("{}{}", done.stdout, done.stderr);
    assert!(told.contains("chmod") && !told.contains(CANARY), "{told}");
}
