use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::Victim;
use crate::support::{
    elsewhere::{answers, good},
    fake_registry::{Answer, Asked, FakeRegistry, reply},
    http::full,
    ml_intern::Home,
};

const PASSWORD: &str = "password-of-the-test";

/// The login file of the container tools, with one for this registry.
pub(super) fn login(home: &Home, registry: &FakeRegistry) {
    let auth = STANDARD.encode(format!("user:{PASSWORD}"));
    let text = json!({"auths": {registry.host(): {"auth": auth}}});
    let folder = home.path().join(".docker");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), text.to_string()).unwrap();
}

/// Refuses what comes without the password.
pub(super) fn wants_password(asked: &Asked) -> Option<Answer> {
    let wanted = format!("Basic {}", STANDARD.encode(format!("user:{PASSWORD}")));
    let refused = || {
        let headers = [("www-authenticate", "Basic realm=\"the test\"")];
        reply(401, &headers, full(""))
    };
    (asked.header("authorization") != wanted).then(refused)
}

/// A registry that wants a token from `realm`, which may be made of its own host.
async fn wants_token(
    realm: impl Fn(&str) -> String + Send + Sync + 'static,
    token: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> FakeRegistry {
    let registry = FakeRegistry::start(move |asked| {
        if asked.target.starts_with("/token") {
            return Some(token(asked));
        }
        if asked.header("authorization") == "Bearer right" {
            return None;
        }
        let realm = realm(asked.header("host"));
        let asks = format!("Bearer realm=\"{realm}\",service=\"test\"");
        Some(reply(401, &[("www-authenticate", &asks)], full("")))
    })
    .await;
    registry.image("1", &good("0.1.0"));
    registry
}

fn own(host: &str) -> String {
    format!("http://{host}/token")
}

fn gives(text: &str) -> impl Fn(&Asked) -> Answer + Send + Sync + use<> {
    let text = text.to_owned();
    move |_| reply(200, &[], full(text.clone()))
}

#[tokio::test]
async fn a_token_of_the_registry_itself_is_asked_for_with_the_password_and_then_used() {
    let registry = wants_token(own, |asked| {
        let wrong = || reply(401, &[], full(""));
        let right = || reply(200, &[], full(r#"{"token":"right"}"#));
        wants_password(asked).map_or_else(right, |_| wrong())
    })
    .await;
    let victim = Victim::new().await;
    victim
        .refuses_with(3, &registry.source("1"), &["docker login"])
        .await;
    login(&victim.home, &registry);
    victim.add(&registry.source("1")).await.assert_code(0);
    let asked = registry.asked();
    let elsewhere = asked
        .iter()
        .filter(|asked| !asked.target.starts_with("/token"));
    for asked in elsewhere {
        let value = asked.header("authorization");
        assert!(["", "Bearer right"].contains(&value), "{asked:?}");
    }
    let scope = "scope=repository%3Aacme%2Fgood%3Apull";
    assert!(
        asked.iter().any(|asked| asked.target.contains(scope)),
        "{asked:?}"
    );
    answers(victim.home).await;
}

#[tokio::test]
async fn a_password_is_not_sent_to_where_a_stranger_wants_it() {
    let other = FakeRegistry::honest().await;
    let host = other.host();
    let port = host.rsplit_once(':').unwrap().1.to_owned();
    for (realm, says) in [
        (
            format!("http://localhost:{port}/token"),
            "nothing was sent there",
        ),
        (
            format!("http://127.0.0.2:{port}/token"),
            "nothing was sent there",
        ),
        (
            format!("https://auth.example.org:{port}/token"),
            "does not belong to it",
        ),
        (
            format!("http://127.0.0.1.evil.example:{port}/token"),
            "nothing was sent there",
        ),
        (
            format!("http://user:word@127.0.0.1:{port}/token"),
            "a login of its own",
        ),
        (
            format!("http://user@127.0.0.1:{port}/token"),
            "a login of its own",
        ),
        ("file:///etc/passwd".to_owned(), "nothing was sent there"),
        ("ftp://127.0.0.1/token".to_owned(), "not encrypted"),
        ("gopher://127.0.0.1:70/_token".to_owned(), "not encrypted"),
        ("javascript:alert(1)".to_owned(), "no address"),
        ("/token".to_owned(), "no address"),
        (String::new(), "no address"),
    ] {
        let registry = wants_token(move |_| realm.clone(), gives("{}")).await;
        let victim = Victim::new().await;
        login(&victim.home, &registry);
        victim.refuses_with(3, &registry.source("1"), &[says]).await;
        let asked = registry.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
    }
    assert!(other.asked().is_empty(), "{:?}", other.asked());
}

#[tokio::test]
async fn a_token_service_that_redirects_gets_no_password_to_another_server() {
    let other = FakeRegistry::start(|_| Some(reply(200, &[], full(r#"{"token":"x"}"#)))).await;
    for status in [302, 307] {
        let place = format!("http://{}/token", other.host());
        let registry = wants_token(own, move |_| {
            reply(status, &[("location", &place)], full(""))
        })
        .await;
        let victim = Victim::new().await;
        login(&victim.home, &registry);
        victim.refuses_with(3, &registry.source("1"), &[]).await;
    }
    for asked in other.asked() {
        assert_eq!(asked.header("authorization"), "", "{asked:?}");
    }
}

#[tokio::test]
async fn a_registry_that_is_never_content_is_asked_a_few_times() {
    // With a token that it does not take, and with a password that it does not take.
    let tokens = wants_token(own, gives(r#"{"token":"wrong"}"#)).await;
    let basic = FakeRegistry::start(|_| {
        let headers = [("www-authenticate", "Basic realm=\"again\"")];
        Some(reply(401, &headers, full("")))
    })
    .await;
    let silent = FakeRegistry::start(|_| Some(reply(401, &[], full("")))).await;
    for registry in [tokens, basic, silent] {
        let victim = Victim::new().await;
        login(&victim.home, &registry);
        victim.refuses_with(3, &registry.source("1"), &[]).await;
        let asked = registry.asked();
        assert!(asked.len() <= 4, "{asked:?}");
        victim.neighbour_answers().await;
    }
}

#[tokio::test]
async fn an_answer_to_a_login_that_holds_no_token_is_refused() {
    let evil = "\u{1b}[31m\r\n";
    for (token, code, says) in [
        (gives("<html>\u{1b}[31m"), 3, "holds no token"),
        (gives("{}"), 3, "holds no token"),
        (gives(r#"{"token": 5}"#), 3, "holds no token"),
        (
            gives(&json!({"token": evil}).to_string()),
            3,
            "no header takes",
        ),
        (
            gives(&json!({"token": "x".repeat(70_000)}).to_string()),
            7,
            "more than 65536 bytes",
        ),
    ] {
        let registry = wants_token(own, token).await;
        let victim = Victim::new().await;
        login(&victim.home, &registry);
        victim
            .refuses_with(code, &registry.source("1"), &[says])
            .await;
    }
    let broken = move |_: &Asked| reply(500, &[], full(json!({"details": evil}).to_string()));
    let registry = wants_token(own, broken).await;
    let victim = Victim::new().await;
    victim.refuses(&registry, &["it answered 500"]).await;
    victim.neighbour_answers().await;
}

#[tokio::test]
async fn a_password_is_in_no_output_and_no_file_but_its_own() {
    let registry = FakeRegistry::start(wants_password).await;
    registry.image("1", &good("0.1.0"));
    let victim = Victim::new().await;
    login(&victim.home, &registry);
    let added = victim.add(&registry.source("1")).await;
    added.assert_code(0);
    let missing = victim.add(&registry.source("none")).await;
    missing.assert_code(7);
    let coded = STANDARD.encode(format!("user:{PASSWORD}"));
    for done in [&added, &missing] {
        for text in [&done.stdout, &done.stderr] {
            assert!(!text.contains(PASSWORD) && !text.contains(&coded), "{text}");
        }
    }
    let root = victim.home.path().parent().unwrap().to_owned();
    let args = [
        "-raFl",
        "-e",
        PASSWORD,
        "-e",
        &coded,
        root.to_str().unwrap(),
    ];
    let found = victim.home.program(std::path::Path::new("/bin/grep"), args);
    let own = victim.home.path().join(".docker/config.json");
    assert_eq!(found.run().await.stdout.trim(), own.to_str().unwrap());
}
