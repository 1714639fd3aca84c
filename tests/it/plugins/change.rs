//! What a plugin may do, changed and explained from the command line, also under a running session.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    guests::outcomes,
    ml_intern::{Finished, Home},
    world::{World, of_type},
};

use super::{home, target::Target};

async fn plugin(home: &Home, args: &[&str]) -> Finished {
    home.ml_intern([&["plugin"], args].concat()).run().await
}

#[tokio::test]
async fn what_is_granted_holds_in_the_next_run_and_what_is_revoked_does_not() {
    let home = home("").await;
    let before = home.read("ml-intern.toml");
    let refused = plugin(&home, &["grant", "naughty", "--program", "env"]).await;
    refused.assert_code(4);
    assert!(
        refused.stderr.contains("+ runs programs: env"),
        "{}",
        refused.stderr
    );
    assert_eq!(home.read("ml-intern.toml"), before);

    let line = "[plugins.naughty.grant] process = { programs = [\"env\"] }";
    plugin(&home, &["grant", "naughty", line, "--fs", "read", "--yes"])
        .await
        .assert_code(0);
    let info = plugin(&home, &["info", "naughty"]).await.stdout;
    for text in ["✓ runs programs: env", "✓ reads files below the workspace"] {
        assert!(info.contains(text), "{info}");
    }
    let calls = || [Call::new("run_program", json!({"program": "env"}))];
    let (world, events, _) = super::run(home, calls()).await;
    assert_eq!(outcomes(&events)[0].0, "ok", "{:?}", outcomes(&events));

    let home = world.home;
    let revoked = plugin(&home, &["revoke", "naughty", "--program", "env"]).await;
    revoked.assert_code(0);
    assert!(
        revoked.stderr.contains("- runs programs: env"),
        "{}",
        revoked.stderr
    );
    let (_, events, _) = super::run(home, calls()).await;
    assert_eq!(outcomes(&events)[0].0, "denied");
}

#[tokio::test]
async fn everything_can_be_taken_from_a_builtin_plugin_and_given_back() {
    let home = Home::new();
    plugin(&home, &["revoke", "shell", "--all"])
        .await
        .assert_code(0);
    let info = plugin(&home, &["info", "shell"]).await.stdout;
    assert!(
        info.contains("only compute") && info.contains("– runs programs: sh"),
        "{info}"
    );
    plugin(&home, &["grant", "shell", "--all", "--yes"])
        .await
        .assert_code(0);
    let info = plugin(&home, &["info", "shell"]).await.stdout;
    assert!(info.contains("✓ runs programs: sh"), "{info}");
}

#[tokio::test]
async fn what_cannot_be_granted_or_was_not_granted_is_said() {
    let home = home("process = { programs = [\"env\"] }").await;
    for (args, says) in [
        (
            &["grant", "naughty", "--program", "git", "--yes"][..],
            "gains nothing",
        ),
        (&["grant", "naughty", "--http", "*", "--yes"], "`*`"),
        (&["grant", "naughty", "nonsense", "--yes"], "the grant"),
        (
            &["grant", "nobody", "--all", "--yes"],
            "there is no plugin `nobody`",
        ),
        (
            &["revoke", "naughty", "--program", "sh"],
            "was not granted that",
        ),
        (&["grant", "naughty"], "required"),
    ] {
        let done = plugin(&home, args).await;
        done.assert_code(2);
        assert!(done.stderr.contains(says), "{args:?}: {}", done.stderr);
    }
}

#[tokio::test]
async fn a_request_is_explained_by_the_rule_that_allows_or_the_line_that_would() {
    let target = Target::start(String::new()).await;
    let url = target.url();
    let home = home(&format!(
        "http = [{{ base-url = \"target\", paths = [\"/allowed\"] }}]\n\n[plugins.naughty.config]\ntarget = \"{url}\""
    ))
    .await;
    let explained = async |method: &str, url: &str| {
        let args = ["explain", method, url, "--plugin", "naughty", "--json"];
        let done = plugin(&home, &args).await;
        done.assert_code(0);
        serde_json::from_str::<Value>(&done.stdout).unwrap()[0].clone()
    };
    let allowed = explained("GET", &format!("{url}/allowed?x=1")).await;
    assert_eq!(allowed["allowed"], true, "{allowed}");
    assert!(
        allowed["rule"].as_str().unwrap().contains("/allowed"),
        "{allowed}"
    );
    let asked = explained("GET", "https://asked.example.org/").await;
    let reason = asked["reason"].as_str().unwrap();
    assert!(reason.contains("[plugins.naughty.grant] http"), "{reason}");
    let never = explained("GET", "https://user@never.example.org/").await;
    assert!(
        never["reason"].as_str().unwrap().contains("user name"),
        "{never}"
    );
    // The line that is shown is the line that allows.
    let line = reason.split_once("with: ").unwrap().1;
    plugin(&home, &["grant", "naughty", line, "--yes"])
        .await
        .assert_code(0);
    let asked = explained("GET", "https://asked.example.org/").await;
    assert_eq!(asked["allowed"], true, "{asked}");
    let table = plugin(&home, &["explain", "DELETE", "https://example.org/"]).await;
    table.assert_code(0);
    assert!(
        table.stdout.contains("✗ denied to [plugins.naughty]"),
        "{}",
        table.stdout
    );
    assert_eq!(target.seen(), [""; 0]);
}

#[tokio::test]
async fn a_grant_taken_back_ends_a_running_program_and_denies_the_next() {
    let home = home(
        "process = { programs = [\"env\", \"sleep\"] }\n\n[plugins.naughty.limits]\ntimeout = \"2m\"",
    )
    .await;
    let sleep = Call::new(
        "run_program",
        json!({"program": "sleep", "arguments": ["100"]}),
    );
    let env = Call::new("run_program", json!({"program": "env"}));
    let calls = [sleep.clone(), sleep, env].map(|call| Reply::calls([call]));
    let replies = calls.into_iter().chain([Reply::text("done")]);
    let fake = FakeOpenAi::start(Script::steps(replies.collect::<Vec<_>>())).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let running = world.run(["--output-format=stream-json", "go"]).start();
    running
        .wait_for_event("a call", |event| event["type"] == "tool.started")
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    plugin(&world.home, &["revoke", "naughty", "--program", "sleep"])
        .await
        .assert_code(0);
    let done = running.finish().await;
    done.assert_code(0);
    assert!(done.elapsed < Duration::from_secs(60), "{:?}", done.elapsed);
    let events = done.events();
    let outcomes = outcomes(&events);
    assert_eq!(outcomes[0].0, "denied", "{outcomes:?}");
    assert!(
        outcomes[0].1.contains("programs = [\"sleep\"]"),
        "{outcomes:?}"
    );
    assert_eq!(
        (outcomes[1].0, outcomes[2].0),
        ("denied", "ok"),
        "{outcomes:?}"
    );
    let notices = of_type(&events, "notice");
    let told = notices
        .iter()
        .any(|notice| notice["code"] == "grant_revoked");
    assert!(told, "{notices:?}");
}

#[tokio::test]
async fn a_running_session_gains_nothing_from_the_manifest() {
    let home = home("").await;
    let program = |name: &str| Call::new("run_program", json!({"program": name}));
    // The model of this session writes the grant itself, as a program of no isolation could.
    let calls = [program("env"), program("env")].map(|call| Reply::calls([call]));
    let replies = calls.into_iter().chain([Reply::text("done")]);
    let fake = FakeOpenAi::start(Script::steps(replies.collect::<Vec<_>>())).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let running = world.run(["--output-format=stream-json", "go"]).start();
    running
        .wait_for_event("a session", |event| event["type"] == "session.started")
        .await;
    let granted = plugin(
        &world.home,
        &["grant", "naughty", "--program", "env", "--yes"],
    )
    .await;
    granted.assert_code(0);
    let done = running.finish().await;
    let events = done.events();
    for (status, text) in outcomes(&events) {
        assert_eq!(status, "denied", "{text}");
    }
}

#[tokio::test]
async fn a_prefix_sets_two_plugins_with_the_same_tools_apart() {
    let home = home("").await;
    home.write("other.wasm", super::guest("naughty"));
    let both = format!(
        "{}\n[plugins.other]\nsource = \"./other.wasm\"\n",
        home.read("ml-intern.toml")
    );
    home.write("ml-intern.toml", &both);
    plugin(&home, &["lock"]).await.assert_code(0);
    let clash = home.ml_intern(["run", "-m", "openai/x", "go"]).run().await;
    clash.assert_code(7);
    for text in [
        "[plugins.naughty]",
        "[plugins.other]",
        "prefix = \"other_\"",
    ] {
        assert!(clash.stderr.contains(text), "{}", clash.stderr);
    }
    home.write("ml-intern.toml", format!("{both}prefix = \"other_\"\n"));
    let calls = [
        Call::new("good", json!({})),
        Call::new("other_good", json!({})),
    ];
    let (_, events, _) = super::run(home, calls).await;
    assert_eq!(outcomes(&events), [("ok", "good"), ("ok", "good")]);
}

#[tokio::test]
async fn limits_of_the_user_lie_over_those_of_the_author() {
    let home = home("\n[plugins.naughty.limits]\nmemory = \"32MiB\"\noutput = \"4MiB\"").await;
    let calls = [
        Call::new("huge_result", json!({})),
        Call::new("eat", json!({})),
    ];
    let (_, events, _) = super::run(home, calls).await;
    let outcomes = outcomes(&events);
    assert_eq!(outcomes[0].0, "ok");
    assert!(
        outcomes[1].1.contains("where 33554432 are allowed"),
        "{outcomes:?}"
    );
}
