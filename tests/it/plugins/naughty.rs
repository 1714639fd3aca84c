use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::fake_openai::Call;

use super::{home, outcomes, run, target::Target};

include!("../../guests/naughty/src/tools.rs");

/// What stands outside the guest's grants.
struct Place {
    target: String,
    other: String,
    outside: String,
}

/// One call and how it has to end.
struct Case {
    arguments: Value,
    status: &'static str,
    /// In the text for the model.
    says: Vec<String>,
}

fn case(arguments: Value, status: &'static str, says: &[&str]) -> Case {
    Case {
        arguments,
        status,
        says: says.iter().map(|&text| text.to_owned()).collect(),
    }
}

macro_rules! cases {
    ($($name:ident $description:literal)*) => {
        fn cases(place: &Place) -> Vec<(&'static str, Case)> {
            let of_tools = [$((stringify!($name), $name(place))),*];
            let named = of_tools
                .into_iter()
                .flat_map(|(name, cases)| cases.into_iter().map(move |case| (name, case)));
            named.collect()
        }
    };
}
foreach_tool!(cases);

fn bad_result_json(_: &Place) -> Vec<Case> {
    vec![case(
        json!({}),
        "fault",
        &["stranger/naughty", "0.1.0", "JSON"],
    )]
}

fn eat(_: &Place) -> Vec<Case> {
    vec![case(
        json!({}),
        "fault",
        &["of memory where 16777216 are allowed", "limits.memory"],
    )]
}

fn env_and_args(_: &Place) -> Vec<Case> {
    vec![case(json!({}), "ok", &["variables: []", "root: "])]
}

fn fetch(place: &Place) -> Vec<Case> {
    let Place { target, other, .. } = place;
    let url = |base: &str, path: &str| json!({ "url": format!("{base}{path}") });
    vec![
        case(url(target, "/ok"), "ok", &["200 hello"]),
        case(url(target, "/away"), "ok", &["302"]),
        case(
            json!({ "url": format!("{target}/away"), "follow": true }),
            "denied",
            &[other.trim_start_matches("http://"), "plugin.toml"],
        ),
        case(url(other, "/x"), "denied", &["127.0.0.1"]),
        case(
            url("https://asked.example.org", "/"),
            "denied",
            &[
                "is not granted",
                "[plugins.naughty.grant]",
                "host = \"asked.example.org\"",
            ],
        ),
        case(
            url("https://never-asked.example.org", "/"),
            "denied",
            &["plugin.toml", "never-asked.example.org"],
        ),
        case(
            json!({ "url": format!("{target}/post"), "method": "POST" }),
            "denied",
            &["POST", "read-only"],
        ),
        case(url(target, "/token"), "ok", &["200 Bearer "]),
    ]
}

fn flood_log(_: &Place) -> Vec<Case> {
    vec![case(json!({}), "ok", &["flooded"])]
}

fn good(_: &Place) -> Vec<Case> {
    vec![case(json!({}), "ok", &["good"])]
}

fn huge_result(_: &Place) -> Vec<Case> {
    vec![case(
        json!({}),
        "fault",
        &["where 65536 are allowed", "limits.output"],
    )]
}

fn read_outside(place: &Place) -> Vec<Case> {
    let inside = case(json!({"path": "/workspace/inside.txt"}), "ok", &["inside"]);
    let outside = [
        "/workspace/../outside.txt",
        "/workspace/link.txt",
        "/workspace/folder/outside.txt",
        "/workspace/ml-intern.toml/../../outside.txt",
        "../outside.txt",
        "outside.txt",
        &place.outside,
        "/etc/passwd",
        "/proc/self/environ",
    ];
    let outside = outside.map(|path| case(json!({ "path": path }), "refused", &[]));
    [inside].into_iter().chain(outside).collect()
}

fn recall(_: &Place) -> Vec<Case> {
    vec![case(json!({}), "ok", &["nothing"])]
}

fn recurse(_: &Place) -> Vec<Case> {
    // The stack that the guest keeps in its memory runs out before the engine's.
    vec![case(json!({}), "fault", &["trapped", "out of bounds"])]
}

fn remember(_: &Place) -> Vec<Case> {
    vec![case(json!({"value": "x"}), "ok", &["remembered"])]
}

fn run_program(_: &Place) -> Vec<Case> {
    vec![
        case(json!({"program": "env"}), "ok", &["Some(0)", "PATH="]),
        case(
            json!({"program": "sh", "arguments": ["-c", "true"]}),
            "denied",
            &[
                "running `sh` is not granted",
                "[plugins.naughty.grant]",
                "programs = [\"sh\"]",
            ],
        ),
        case(
            json!({"program": "cat", "arguments": ["/etc/passwd"]}),
            "denied",
            &["not among what the plugin asks for", "plugin.toml"],
        ),
        case(
            json!({"program": "/usr/bin/env"}),
            "denied",
            &["without folder"],
        ),
        // The program ends with the call.
        case(
            json!({"program": "sleep", "arguments": ["600"]}),
            "fault",
            &["took longer than 3s", "limits.timeout"],
        ),
    ]
}

fn sleep_long(_: &Place) -> Vec<Case> {
    vec![case(
        json!({}),
        "fault",
        &["took longer than 3s", "limits.timeout"],
    )]
}

fn spin(_: &Place) -> Vec<Case> {
    vec![case(
        json!({}),
        "fault",
        &["more than 200ms of processor time", "limits.cpu"],
    )]
}

fn trap(_: &Place) -> Vec<Case> {
    vec![case(
        json!({}),
        "fault",
        &["trapped", "the guest gave up", "stranger/naughty"],
    )]
}

fn write_file(_: &Place) -> Vec<Case> {
    vec![case(json!({}), "ok", &["written"])]
}

fn write_when_read_only(_: &Place) -> Vec<Case> {
    vec![case(
        json!({}),
        "denied",
        &["writing below /workspace", "read-only: false"],
    )]
}

/// What the host's environment and files hold and nobody may see.
const SECRETS: [&str; 3] = [
    "sk-of-the-host",
    "outside the workspace",
    "token-of-stranger",
];

#[tokio::test]
async fn each_misbehaviour_ends_in_its_outcome_and_the_guest_still_answers() {
    let other = Target::start(String::new()).await;
    let target = Target::start(format!("{}/stolen", other.url())).await;
    let home = home(&format!(
        "http = [{{ base-url = \"target\" }}]\n\
         fs = [{{ mount = \"/workspace\", access = \"read-write\" }}]\n\
         process = {{ programs = [\"env\", \"sleep\"] }}\n\
         credentials = [\"stranger\"]\n\n\
         [plugins.naughty.config]\ntarget = \"{}\"",
        target.url()
    ))
    .await;
    home.set("HOST_SECRET", SECRETS[0]);
    home.set("STRANGER_TOKEN", SECRETS[2]);
    let above = home.workspace().parent().unwrap().to_owned();
    let outside = above.join("outside.txt");
    std::fs::write(&outside, SECRETS[1]).unwrap();
    symlink("../outside.txt", home.workspace().join("link.txt")).unwrap();
    symlink(&above, home.workspace().join("folder")).unwrap();
    home.write("inside.txt", "inside");

    let place = Place {
        target: target.url(),
        other: other.url(),
        outside: outside.display().to_string(),
    };
    let cases = cases(&place);
    let calls = cases.iter().flat_map(|(tool, case)| {
        [
            Call::new(tool, case.arguments.clone()),
            Call::new("good", json!({})),
        ]
    });
    let (world, events, done) = run(home, calls.collect::<Vec<_>>()).await;

    let outcomes = outcomes(&events);
    assert_eq!(outcomes.len(), 2 * cases.len());
    for ((tool, case), pair) in cases.iter().zip(outcomes.chunks(2)) {
        let (status, text) = pair[0];
        let called = format!("{tool} {}: {status}: {text}", case.arguments);
        match case.status {
            "refused" => assert!(["denied", "error"].contains(&status), "{called}"),
            wanted => assert_eq!(wanted, status, "{called}"),
        }
        for says in &case.says {
            assert!(text.contains(says), "no `{says}` in {called}");
        }
        assert_eq!(pair[1], ("ok", "good"), "after {called}");
        for secret in SECRETS {
            assert!(!text.contains(secret), "{called}");
        }
        assert!(!text.contains('\u{1b}'), "{called}");
    }
    // Something was denied and nobody asked: the grants had decided before.
    done.assert_code(0);
    assert_eq!(done.result()["message"], "done");
    assert!(!done.stdout.contains(SECRETS[2]), "{}", done.stdout);
    assert_eq!(other.seen(), [""; 0]);
    assert_eq!(
        target.seen(),
        ["GET /ok", "GET /away", "GET /away", "GET /token"]
    );
    assert_eq!(world.home.read("written.txt"), "by the guest");

    let flood: usize = events
        .iter()
        .filter(|event| event["type"] == "tool.log")
        .map(|event| event["text"].as_str().unwrap().len())
        .sum();
    assert!((200 << 10..=300 << 10).contains(&flood), "{flood} bytes");
}

#[tokio::test]
async fn a_call_held_to_reading_leaves_no_file() {
    let home = home("fs = [{ mount = \"/workspace\", access = \"read-write\" }]").await;
    let (world, events, _) = run(home, [Call::new("write_when_read_only", json!({}))]).await;
    assert_eq!(outcomes(&events)[0].0, "denied");
    assert!(!world.home.workspace().join("written.txt").exists());
}
