//! The same attacks from Python and JavaScript, whose interpreters go to the host by ways of their
//! own: sockets, `urllib` and `fetch`, files, the environment, threads and processes.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::plugins::target::Target;
use crate::support::{fake_openai::Call, guests::Installed, ml_intern::Home};

use super::support::{Attack, Attacked, attack, audited};

/// What stands outside the guest's grants, and what it may not see.
struct Place {
    home: Home,
    target: Target,
    other: Target,
    /// Answers nobody, and counts who connects.
    listener: TcpListener,
}

const SECRETS: [&str; 2] = ["sk-of-the-host", "outside the workspace"];

/// The component that `scripts/foreign-guests` built.
pub(crate) fn component(language: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/../foreign-guests");
    let file = Path::new(folder).join(format!("{language}.wasm"));
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/foreign-guests", file.display()))
}

/// A plugin in this language in a home of its own, granted the lines of TOML. What it is compiled to
/// is shared by all tests, and made once: it takes an unoptimised host a while.
async fn place(language: &'static str, grant: &str) -> Place {
    static COMPILED: [OnceCell<()>; 2] = [OnceCell::const_new(), OnceCell::const_new()];
    let first = &COMPILED[usize::from(language == "python")];
    let plugin = Installed::component(language, component(language));
    let compile = async {
        super::support::home(std::slice::from_ref(&plugin)).await;
    };
    first.get_or_init(|| compile).await;

    let other = Target::start(String::new()).await;
    let target = Target::start(format!("{}/stolen", other.url())).await;
    let plugin = plugin.grant(grant).config("target", &target.url());
    let home = super::support::home(&[plugin]).await;
    home.set("HOST_SECRET", SECRETS[0]);
    let above = home.workspace().parent().unwrap().to_owned();
    std::fs::write(above.join("outside.txt"), SECRETS[1]).unwrap();
    symlink("../outside.txt", home.workspace().join("link.txt")).unwrap();
    home.write("inside.txt", "inside");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    Place {
        home,
        target,
        other,
        listener,
    }
}

impl Place {
    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    fn outside(&self) -> String {
        let above = self.home.workspace().parent().unwrap().to_owned();
        above.join("outside.txt").display().to_string()
    }
}

/// How an attack has to end: one of these statuses (`|` between them), and what its text says.
type Ends = (&'static str, Value, &'static str, &'static [&'static str]);

/// Makes the calls and checks how each of them ended.
async fn check(prefix: &str, home: Home, attacks: &[Ends]) -> Attacked {
    let calls = attacks
        .iter()
        .map(|(tool, arguments, ..)| Call::new(&format!("{prefix}_{tool}"), arguments.clone()));
    let attacked = attack(home, calls).await;
    for (attack, (_, _, statuses, says)) in attacked.attacks.iter().zip(attacks) {
        let Attack {
            what, status, text, ..
        } = attack;
        let status = statuses.split('|').find(|wanted| wanted == status);
        assert!(status.is_some(), "{what}: {} {text}", attack.status);
        attack.check(&attack.status, says);
        if attack.status == "fault" {
            audited(&attacked.events, &attack.call, "limits");
        }
        if text.contains("the host refused: GET") || text.contains("the host refused: POST") {
            audited(&attacked.events, &attack.call, "http");
        }
        for secret in SECRETS {
            assert!(!text.contains(secret), "{what}: {text}");
        }
    }
    attacked
}

const OPENED: &str = "http = [{ base-url = \"target\" }]\n\
     fs = [{ mount = \"/workspace\", access = \"read-write\" }]";

#[tokio::test]
async fn python_reaches_nothing_that_was_not_granted() {
    let place = place("python", "").await;
    let at = json!({ "host": "127.0.0.1", "port": place.port() });
    let url = |base: &str, path: &str| json!({ "url": format!("{base}{path}"), "follow": true });
    let file = |path: &str| json!({ "path": path });
    let refused = "denied|error";
    let attacks: Vec<Ends> = vec![
        ("connect", at.clone(), refused, &[]),
        ("datagram", at, refused, &[]),
        ("bind", json!({}), refused, &[]),
        ("resolve", json!({ "host": "localhost" }), refused, &[]),
        ("urlopen", url(&place.target.url(), "/ok"), refused, &[]),
        (
            "fetch",
            url(&place.target.url(), "/ok"),
            refused,
            &["the host refused: ", "[plugins.python.grant]"],
        ),
        ("open_file", file("/workspace/inside.txt"), refused, &[]),
        ("open_file", file("/etc/passwd"), refused, &[]),
        ("write_file", file("/workspace/written.txt"), refused, &[]),
        (
            "surroundings",
            json!({}),
            "ok",
            &["\"variables\": {}", "\"arguments\": []"],
        ),
        ("program", json!({}), refused, &[]),
        ("fork", json!({}), refused, &[]),
        ("thread", json!({}), refused, &[]),
        ("foreign_code", json!({}), refused, &[]),
    ];
    let attacked = check("py", place.home, &attacks).await;
    assert_eq!((place.target.seen(), place.other.seen()), (vec![], vec![]));
    place.listener.accept().unwrap_err();
    assert!(!attacked.world.home.workspace().join("written.txt").exists());
}

#[tokio::test]
async fn python_with_a_grant_reaches_that_and_no_more() {
    let place = place("python", OPENED).await;
    let url = |base: &str, path: &str| json!({ "url": format!("{base}{path}"), "follow": true });
    let file = |path: &str| json!({ "path": path });
    let outside = place.outside();
    let refused = "denied|error";
    let attacks: Vec<Ends> = vec![
        (
            "fetch",
            url(&place.target.url(), "/ok"),
            "ok",
            &["200 hello"],
        ),
        (
            "fetch",
            url(&place.target.url(), "/away"),
            refused,
            &["the host refused: ", "127.0.0.1", "plugin.toml"],
        ),
        (
            "fetch",
            url(&place.other.url(), "/x"),
            refused,
            &["the host refused: ", "127.0.0.1"],
        ),
        ("urlopen", url(&place.target.url(), "/ok"), refused, &[]),
        (
            "open_file",
            file("/workspace/inside.txt"),
            "ok",
            &["inside"],
        ),
        ("open_file", file("/workspace/link.txt"), refused, &[]),
        ("open_file", file("/workspace/../outside.txt"), refused, &[]),
        ("open_file", file(&outside), refused, &[]),
        ("write_file", file("/workspace/written.txt"), "ok", &[]),
        (
            "write_file",
            file("/workspace/../written.txt"),
            refused,
            &[],
        ),
        ("hard_link", file("/workspace/../outside.txt"), refused, &[]),
        ("hard_link", file(&outside), refused, &[]),
        ("soft_link", file("../outside.txt"), refused, &[]),
        ("surroundings", json!({}), "ok", &["\"variables\": {}"]),
    ];
    let attacked = check("py", place.home, &attacks).await;
    assert_eq!(place.target.seen(), ["GET /ok", "GET /away"]);
    assert_eq!(place.other.seen(), [""; 0]);
    assert_eq!(attacked.world.home.read("written.txt"), "by the guest");
}

#[tokio::test]
async fn python_is_held_to_its_limits_and_leaves_nothing_behind() {
    let place = place("python", "").await;
    let amount = |amount: u64| json!({ "amount": amount });
    let attacks: Vec<Ends> = vec![
        (
            "burn",
            amount(10_000),
            "fault",
            &["more than 500ms of processor time"],
        ),
        ("burn", amount(1), "ok", &["done"]),
        ("nap", amount(60_000), "fault", &["took longer than 20s"]),
        ("nap", amount(10), "ok", &["done"]),
        ("eat", amount(200), "fault|error", &["emory"]),
        ("eat", amount(20), "ok", &["20 MiB"]),
        ("recurse", amount(10_000_000), "fault|error", &[]),
        ("recurse", amount(50), "ok", &["50"]),
        (
            "entropy",
            amount(1 << 32),
            "fault",
            &["more than 1048576 random bytes"],
        ),
        ("entropy", amount(1 << 10), "ok", &["1024"]),
        ("flood", amount(2048), "ok", &["done"]),
        ("leave", json!({}), "fault", &[]),
        ("remember", json!({ "text": "of call A" }), "ok", &["left"]),
        ("recall", json!({}), "ok", &["[] None"]),
    ];
    let attacked = check("py", place.home, &attacks).await;
    assert!(attacked.done.stdout.len() < 1 << 20);
}

#[tokio::test]
async fn javascript_reaches_nothing_that_was_not_granted() {
    let place = place("javascript", "").await;
    let at = json!({ "host": "127.0.0.1", "port": place.port() });
    let url = |base: &str, path: &str| json!({ "url": format!("{base}{path}") });
    let refused = "denied|error";
    let attacks: Vec<Ends> = vec![
        ("connect", at, refused, &[]),
        ("resolve", json!({ "host": "localhost" }), refused, &[]),
        (
            "fetch_url",
            url(&place.target.url(), "/ok"),
            refused,
            &["the host refused: ", "[plugins.javascript.grant]"],
        ),
        ("open_file", json!({ "path": "inside.txt" }), refused, &[]),
        (
            "surroundings",
            json!({}),
            "ok",
            &["\"variables\":[]", "\"arguments\":[]", "\"folders\":[]"],
        ),
    ];
    check("js", place.home, &attacks).await;
    assert_eq!((place.target.seen(), place.other.seen()), (vec![], vec![]));
    place.listener.accept().unwrap_err();
}

#[tokio::test]
async fn javascript_with_a_grant_reaches_that_and_no_more() {
    let place = place("javascript", OPENED).await;
    let url = |base: &str, path: &str| json!({ "url": format!("{base}{path}") });
    let file = |path: &str| json!({ "path": path });
    let outside = place.outside();
    let refused = "denied|error";
    let attacks: Vec<Ends> = vec![
        (
            "fetch_url",
            url(&place.target.url(), "/ok"),
            "ok",
            &["200 hello"],
        ),
        (
            "follow",
            url(&place.target.url(), "/away"),
            refused,
            &["the host refused: ", "127.0.0.1", "plugin.toml"],
        ),
        (
            "fetch_url",
            url(&place.other.url(), "/x"),
            refused,
            &["the host refused: ", "127.0.0.1"],
        ),
        (
            "send",
            json!({ "url": place.target.url(), "text": "x" }),
            refused,
            &["the host refused: ", "POST"],
        ),
        ("open_file", file("inside.txt"), "ok", &["inside"]),
        ("open_file", file("link.txt"), refused, &[]),
        ("open_file", file("../outside.txt"), refused, &[]),
        ("open_file", file(&outside), refused, &[]),
        ("hard_link", file("../outside.txt"), refused, &[]),
        ("soft_link", file("../outside.txt"), refused, &[]),
    ];
    check("js", place.home, &attacks).await;
    assert_eq!(place.target.seen(), ["GET /ok", "GET /away"]);
    assert_eq!(place.other.seen(), [""; 0]);
}

#[tokio::test]
async fn javascript_is_held_to_its_limits_and_leaves_nothing_behind() {
    let place = place("javascript", "").await;
    let amount = |amount: u64| json!({ "amount": amount });
    let attacks: Vec<Ends> = vec![
        (
            "burn",
            amount(1_000_000),
            "fault",
            &["more than 500ms of processor time"],
        ),
        ("burn", amount(1), "ok", &["done"]),
        ("nap", amount(60_000), "fault", &["took longer than 20s"]),
        ("nap", amount(10), "ok", &["done"]),
        ("never", json!({}), "fault", &[]),
        ("eat", amount(500), "fault|error", &[]),
        ("eat", amount(10), "ok", &["10 MiB"]),
        ("recurse", json!({}), "fault|error", &[]),
        ("flood", amount(2048), "ok", &["done"]),
        ("reject", json!({}), "error", &["thrown by the guest"]),
        ("evaluate", json!({ "text": "6 * 7" }), "ok", &["42"]),
        ("remember", json!({ "text": "of call A" }), "ok", &["left"]),
        ("recall", json!({}), "ok", &["[[],null]"]),
    ];
    let attacked = check("js", place.home, &attacks).await;
    assert!(attacked.done.stdout.len() < 1 << 20);
}
