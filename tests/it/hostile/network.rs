//! Cases 32 to 48: places that were not granted, and answers that want too much. A case ends in a
//! refusal that nothing of arrived at the server; the same under a grant, or by the bare means,
//! arrives. Cases about names are in `names`.

use std::io::Write as _;
use std::net::UdpSocket;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{fake_openai::Call, guests::Installed};

use super::support::{Attacked, attack, audited, home};
use super::wire::{Answer, Wire, ok, place, redirect};

/// The attacker, granted what its manifest asks for at `target`, and further rules.
pub(super) fn attacker(target: &Wire, rules: &[String]) -> Installed {
    let asked = rules.iter().map(|rule| {
        let methods = match rule.contains("methods") {
            true => "",
            false => "\nmethods = [\"GET\", \"POST\"]",
        };
        format!(
            "\n[[request.http]]\n{}{methods}\n",
            rule.replace(", ", "\n")
        )
    });
    let asked: String = asked.collect();
    let granted: String = rules.iter().map(|rule| format!(", {{ {rule} }}")).collect();
    Installed::guest("hostile-network")
        .manifest(|text| format!("{text}{asked}"))
        .config("target", &target.url(""))
        .grant(&format!("http = [{{ base-url = \"target\" }}{granted}]"))
}

pub(super) fn request(url: impl Into<String>) -> Call {
    Call::new("request", json!({ "url": url.into() }))
}

pub(super) fn raw(told: Value) -> Call {
    Call::new("raw", told)
}

/// Each attack is denied, and the model is told all of its texts.
pub(super) async fn denied(attacker: Installed, attacks: Vec<(Call, &[&str])>) -> Attacked {
    let (calls, says): (Vec<Call>, Vec<&[&str]>) = attacks.into_iter().unzip();
    let attacked = attack(home(&[attacker]).await, calls).await;
    for (ended, says) in attacked.attacks.iter().zip(says) {
        ended.check("denied", says);
        if !ended.text.contains("the interface refuses") {
            audited(&attacked.events, &ended.call, "http");
        }
    }
    attacked
}

/// Each call goes through.
pub(super) async fn passes(attacker: Installed, calls: Vec<Call>) -> Attacked {
    let attacked = attack(home(&[attacker]).await, calls).await;
    for ended in &attacked.attacks {
        ended.check("ok", &[]);
    }
    attacked
}

async fn hello() -> Wire {
    Wire::start(|_| ok("", "hello")).await
}

#[tokio::test]
async fn case_32_an_unlisted_host_is_not_reached() {
    let (target, other) = (hello().await, hello().await);
    let at = other.addr.to_string();
    let says = [at.as_str(), "plugin.toml"];
    let attacks = vec![
        (request(other.url("/x")), &says[..]),
        (request("https://example.org/"), &["example.org"]),
    ];
    denied(attacker(&target, &[]), attacks).await;
    assert!(other.seen().is_empty());
    passes(
        attacker(&target, &[other.place()]),
        vec![request(other.url("/x"))],
    )
    .await;
    assert_eq!(other.paths(), ["/x"]);
}

#[tokio::test]
async fn case_35_http_in_place_of_https_is_not_sent() {
    let target = hello().await;
    let other = hello().await;
    let secure = other.place().replace("\"http\"", "\"https\"");
    let attack = vec![(request(other.url("/x")), &["http://"][..])];
    denied(attacker(&target, &[secure]), attack).await;
    assert!(other.seen().is_empty());
    passes(
        attacker(&target, &[other.place()]),
        vec![request(other.url("/x"))],
    )
    .await;
    assert_eq!(other.paths(), ["/x"]);
}

#[tokio::test]
async fn case_36_another_port_is_not_reached() {
    let (target, other, third) = (hello().await, hello().await, hello().await);
    let port = format!(":{}", third.addr.port());
    let says = [port.as_str()];
    let attack = vec![(request(third.url("/x")), &says[..])];
    denied(attacker(&target, &[other.place()]), attack).await;
    assert!(third.seen().is_empty());
    passes(
        attacker(&target, &[third.place()]),
        vec![request(third.url("/x"))],
    )
    .await;
    assert_eq!(third.paths(), ["/x"]);
}

/// Paths that some server reads as one outside `/api`.
const TWISTED: &[&str] = &[
    "/other",
    "/API/x",
    "/api/..%2fother",
    "/api/%2e%2e%2fother",
    "/api/..%5cother",
    "/api//other",
    "//api/x",
    "/api/..;/other",
    "/api/%252e%252e/other",
    "/api/x%00",
    "/apix",
];

#[tokio::test]
async fn case_37_another_method_or_a_twisted_path_is_not_sent() {
    let (target, other) = (hello().await, hello().await);
    let narrow = format!(
        "{}, paths = [\"/api/**\"], methods = [\"GET\"]",
        other.place()
    );
    let mut attacks: Vec<(Call, &[&str])> = TWISTED
        .iter()
        .map(|path| (request(other.url(path)), &["GET http://127.0.0.1"][..]))
        .collect();
    // What is read as another path before it is sent is judged as that path.
    attacks.push((request(other.url("/api/../other")), &["/other"]));
    attacks.push((request(other.url("/api/%2e%2E/other")), &["/other"]));
    attacks.push((raw(json!({ "url": other.url("/api/..\\other") })), &[]));
    let post = json!({ "url": other.url("/api/x"), "method": "POST" });
    attacks.push((
        Call::new("request", post.clone()),
        &["POST http://127.0.0.1"],
    ));
    denied(attacker(&target, std::slice::from_ref(&narrow)), attacks).await;
    assert!(other.seen().is_empty(), "{:?}", other.paths());

    passes(
        attacker(&target, &[narrow]),
        vec![request(other.url("/api/x"))],
    )
    .await;
    let wide = format!("{}, methods = [\"GET\",\"POST\"]", other.place());
    let mut calls: Vec<Call> = TWISTED
        .iter()
        .map(|path| request(other.url(path)))
        .collect();
    calls.push(Call::new("request", post));
    passes(attacker(&target, &[wide]), calls).await;
    let paths = other.paths();
    assert_eq!(paths[1..=TWISTED.len()], *TWISTED);
    assert!(
        other
            .seen()
            .last()
            .unwrap()
            .head
            .starts_with("POST /api/x ")
    );
}

#[tokio::test]
async fn case_38_addresses_in_odd_spellings_are_refused() {
    let target = hello().await;
    let port = target.addr.port();
    let odd = [
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "127.000.000.001",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::1]",
        "0",
        "0.0.0.0",
        "localhost",
    ];
    let attack = |host: &&str| (request(format!("http://{host}:{port}/x")), &[][..]);
    denied(attacker(&target, &[]), odd.iter().map(attack).collect()).await;
    assert!(target.seen().is_empty());
    passes(attacker(&target, &[]), vec![request(target.url("/x"))]).await;
    assert_eq!(target.paths(), ["/x"]);
}

#[tokio::test]
async fn case_42_redirects_are_asked_about_one_by_one() {
    let other = hello().await;
    let away = other.url("/stolen");
    let private = format!("http://[::1]:{}/", other.addr.port());
    let target = Wire::start(move |seen| match seen.path() {
        "/unlisted" => redirect(&away),
        "/private" => redirect(&private),
        "/scheme" => redirect("https://127.0.0.1/"),
        "/metadata" => redirect("http://169.254.169.254/latest/meta-data/"),
        "/user" => redirect("http://127.0.0.1@evil.test/"),
        "/endless" => redirect(&format!("http://{}/endless", seen.header("host").unwrap())),
        _ => ok("", "hello"),
    })
    .await;
    let follow = |path: &str| {
        let told = json!({ "url": target.url(path), "follow": true });
        Call::new("request", told)
    };
    let attacks = vec![
        (follow("/unlisted"), &["127.0.0.1"][..]),
        (follow("/private"), &["[::1]"]),
        (follow("/scheme"), &["https://127.0.0.1"]),
        (follow("/metadata"), &["169.254.169.254"]),
        (follow("/user"), &["evil.test"]),
    ];
    denied(attacker(&target, &[]), attacks).await;
    assert!(other.seen().is_empty());
    // Endless ones are the guest's own to end: the host follows none.
    let ended = passes(attacker(&target, &[]), vec![follow("/endless")]).await;
    ended.attacks[0].check("ok", &["302"]);
    let endless = target
        .paths()
        .iter()
        .filter(|path| *path == "/endless")
        .count();
    assert_eq!(endless, 20);
    passes(
        attacker(&target, &[other.place()]),
        vec![follow("/unlisted")],
    )
    .await;
    assert_eq!(other.paths(), ["/stolen"]);
}

#[tokio::test]
async fn case_43_headers_that_smuggle_are_refused() {
    let target = hello().await;
    let url = target.url("/x");
    let broken = [
        ("Host", "evil.test"),
        ("Connection", "x-secret"),
        ("Keep-Alive", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABk"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
        ("x-a\r\nx-b", "1"),
        ("x-a", "1\r\nx-b: 2"),
        ("x-a", "1\n x-folded"),
        ("x-a", "1\0"),
        ("x-a b", "1"),
        (":authority", "evil.test"),
        ("", "1"),
        ("Content-Length", "5, 5"),
        ("Content-Length", "+5"),
    ];
    let calls = vec![
        Call::new("headers", json!({ "headers": broken })),
        Call::new("headers", json!({ "headers": [["x-plain", "1"]] })),
    ];
    let told = passes(attacker(&target, &[]), calls).await;
    let answers: Vec<&str> = told.attacks[0].text.lines().collect();
    assert_eq!(answers.len(), broken.len());
    for answer in answers {
        assert!(
            answer.ends_with("Forbidden") || answer.ends_with("InvalidSyntax"),
            "{answer}"
        );
    }
    assert!(told.attacks[1].text.ends_with("taken"));

    let with = |name: &str, value: &str| raw(json!({ "url": url, "headers": [[name, value]] }));
    let mut attacks = Vec::new();
    for name in [
        "TE",
        "Trailer",
        "Expect",
        "transfer_encoding",
        "content_length",
        "proxy-x",
    ] {
        attacks.push((with(name, "x"), &["the host's to set"][..]));
    }
    let twice =
        json!({ "url": url, "headers": [["content-length", "1"], ["content-length", "2"]] });
    attacks.push((raw(twice), &["the interface refuses"]));
    denied(attacker(&target, &[]), attacks).await;
    assert!(target.seen().is_empty());

    // A body that is not as long as was said does not leave as a whole request.
    let lying = |length: usize| {
        let headers = [["content-length".to_owned(), length.to_string()]];
        raw(json!({ "url": url, "method": "POST", "headers": headers, "body": "12345" }))
    };
    let attacked = attack(
        home(&[attacker(&target, &[])]).await,
        [lying(50), lying(3), lying(5), with("x-plain", "1")],
    )
    .await;
    for ended in &attacked.attacks[..2] {
        ended.check("error", &["HttpRequestBodySize"]);
    }
    for ended in &attacked.attacks[2..] {
        ended.check("ok", &["200 hello"]);
    }
    let seen = target.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0].body, b"12345");
    assert_eq!(seen[1].header("x-plain"), Some("1"));
    for seen in seen {
        assert_eq!(seen.head.matches("host: ").count(), 1);
        assert_eq!(seen.header("host"), Some(target.addr.to_string().as_str()));
    }
}

#[tokio::test]
async fn case_44_sockets_and_name_look_up_are_refused() {
    let target = hello().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(at).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let tried = Call::new("sockets", json!({ "url": at.to_string() }));
    let told = passes(attacker(&target, &[]), vec![tried]).await;
    let answers: Vec<&str> = told.attacks[0].text.lines().collect();
    assert_eq!(answers.len(), 5, "{answers:?}");
    for answer in answers {
        let refused = [
            "AccessDenied",
            "access-denied",
            "PermanentResolverFailure",
            "ermission denied",
        ];
        assert!(refused.iter().any(|text| answer.contains(text)), "{answer}");
    }
    audited(&told.events, &told.attacks[0].call, "network");
    let nobody = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(nobody.is_err());
    assert!(datagrams.recv(&mut [0; 16]).is_err());
    // Others get there.
    TcpStream::connect(at).await.unwrap();
    listener.accept().await.unwrap();
}

fn packed(bytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b'0'; bytes]).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn case_45_a_gzip_bomb_ends_at_the_cap() {
    let (bomb, small) = (packed(100 << 20), packed(512 << 10));
    let gzip = "content-encoding: gzip\r\n";
    let target = Wire::start(move |seen| match seen.path() {
        "/bomb" => ok(gzip, &bomb),
        _ => ok(gzip, &small),
    })
    .await;
    let calls = || [request(target.url("/bomb")), request(target.url("/small"))];
    let attacked = attack(home(&[attacker(&target, &[])]).await, calls()).await;
    for ended in &attacked.attacks {
        ended.check("error", &["65536 bytes"]);
        audited(&attacked.events, &ended.call, "http");
    }
    let raised = attacker(&target, &[]).manifest(|text| text.replace("64KiB", "1MiB"));
    let attacked = attack(home(&[raised]).await, calls()).await;
    attacked.attacks[0].check("error", &["1048576 bytes"]);
    attacked.attacks[1].check("ok", &["(524288 bytes)"]);
}

#[tokio::test]
async fn case_46_what_drips_ends_with_the_call() {
    let pause = Duration::from_millis(100);
    let target = Wire::start(move |seen| match seen.path() {
        "/body" => Answer::Drip(
            "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n",
            "x",
            40,
            pause,
        ),
        "/header" => Answer::Drip("HTTP/1.1 200 OK\r\nx-long: ", "x", 400, pause),
        _ => Answer::Drip("HTTP/1.1 200 OK\r\n", "x-more: y\r\n", 400, pause),
    })
    .await;
    let drips = ["/body", "/header", "/headers"].map(|path| request(target.url(path)));
    let short =
        attacker(&target, &[]).manifest(|text| format!("{text}\n[limits]\ntimeout = \"1s\"\n"));
    let attacked = attack(home(&[short]).await, drips).await;
    for ended in &attacked.attacks {
        let typed = ended.status == "fault" && ended.text.contains("took longer than 1s")
            || ended.text.contains("timed out");
        assert!(typed, "{ended:?}");
    }
    assert_eq!(attacked.attacks[0].status, "fault");
    audited(&attacked.events, &attacked.attacks[0].call, "limits");
    passes(attacker(&target, &[]), vec![request(target.url("/body"))]).await;
}

#[tokio::test]
async fn case_47_other_methods_and_protocols_are_refused() {
    let target = Wire::start(|seen| match seen.path() {
        "/switch" => Answer::Bytes(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nraw"
                .to_vec(),
        ),
        _ => ok("", "hello"),
    })
    .await;
    let with = |method: &str| raw(json!({ "url": target.url("/x"), "method": method }));
    let mut attacks = Vec::new();
    for method in [
        "CONNECT",
        "TRACE",
        "OPTIONS",
        "PROPFIND",
        "get",
        "GET / HTTP/1.1\r\nx: y",
    ] {
        attacks.push((with(method), &[][..]));
    }
    for (name, value) in [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Upgrade", "h2c"),
    ] {
        let told = json!({ "url": target.url("/x"), "headers": [[name, value]] });
        attacks.push((raw(told), &["the interface refuses the header"]));
    }
    denied(attacker(&target, &[]), attacks).await;
    assert!(target.seen().is_empty());
    let calls = [request(target.url("/switch")), with("GET")];
    let attacked = attack(home(&[attacker(&target, &[])]).await, calls).await;
    attacked.attacks[0].check("error", &[]);
    audited(&attacked.events, &attacked.attacks[0].call, "http");
    attacked.attacks[1].check("ok", &["200 hello"]);
}

#[tokio::test]
async fn case_48_proxies_of_the_environment_are_not_used() {
    let target = hello().await;
    let trap = hello().await;
    let home = home(&[attacker(&target, &[])]).await;
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        home.set(name, trap.url(""));
    }
    home.set("no_proxy", "");
    let attacked = attack(home, [request(target.url("/x"))]).await;
    attacked.attacks[0].check("ok", &["200 hello"]);
    assert_eq!(target.paths(), ["/x"]);
    assert!(trap.seen().is_empty());
    // The trap would have seen it.
    let mut stream = TcpStream::connect(trap.addr).await.unwrap();
    let asked = format!("GET {} HTTP/1.1\r\n\r\n", target.url("/x"));
    tokio::io::AsyncWriteExt::write_all(&mut stream, asked.as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(trap.paths(), [target.url("/x")]);
}

#[tokio::test]
async fn a_refusal_is_typed_a_hundred_times_of_a_hundred_while_the_guest_writes_on() {
    let target = hello().await;
    let at = place("169.254.169.254", 80);
    let write = |url: &str| {
        let told = json!({ "url": url, "method": "POST", "times": 100, "amount": 64 });
        Call::new("write_on", told)
    };
    let attacker = attacker(&target, &[at])
        .manifest(|text| format!("{text}\n[limits]\nrequests-per-minute = 6000\n"));
    let calls = [
        write("http://127.0.0.1:9/"),
        write("http://169.254.169.254/"),
    ];
    let attacked = attack(home(&[attacker]).await, calls).await;
    for ended in &attacked.attacks {
        ended.check("ok", &["100 refused, 0 broken, others: []"]);
        audited(&attacked.events, &ended.call, "http");
    }
}

#[tokio::test]
async fn requests_are_limited_by_the_minute_and_at_one_time() {
    let target = hello().await;
    let few = attacker(&target, &[]).manifest(|text| {
        format!(
            "{text}\n[limits]\ntimeout = \"2s\"\nrequests-per-minute = 6\nrequests-at-once = 3\n"
        )
    });
    let told = |times: u32| json!({ "url": target.url("/x"), "times": times });
    let calls = [
        Call::new("at_once", told(3)),
        Call::new("request", told(3)),
        Call::new("request", told(1)),
    ];
    let attacked = attack(home(&[few]).await, calls).await;
    attacked.attacks[0].check("ok", &["3 open"]);
    attacked.attacks[1].check("ok", &[]);
    attacked.attacks[2].check("error", &["limit reached", "requests-per-minute"]);
    audited(&attacked.events, &attacked.attacks[2].call, "limits");
    assert_eq!(target.seen().len(), 6);
}
