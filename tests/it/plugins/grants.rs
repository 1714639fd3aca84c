use serde_json::json;

use crate::support::fake_openai::Call;

use super::{home, outcomes, run, target::Target};

fn calls(target: &str) -> Vec<Call> {
    vec![
        Call::new("good", json!({})),
        Call::new("read_outside", json!({"path": "/workspace/inside.txt"})),
        Call::new("write_file", json!({})),
        Call::new("fetch", json!({ "url": format!("{target}/allowed") })),
        Call::new("fetch", json!({ "url": format!("{target}/other") })),
        Call::new("run_program", json!({"program": "env"})),
    ]
}

#[tokio::test]
async fn a_plugin_without_a_grant_only_computes_and_each_refusal_says_how_to_allow_it() {
    let target = Target::start(String::new()).await;
    let config = format!(
        "\n[plugins.naughty.config]\ntarget = \"{}\"\n",
        target.url()
    );
    let home = home(&config).await;
    home.write("inside.txt", "inside");
    let (world, events, done) = run(home, calls(&target.url())).await;
    let outcomes = outcomes(&events);
    let statuses: Vec<&str> = outcomes.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses[0], "ok");
    assert!(!statuses[1..].contains(&"ok"), "{outcomes:?}");
    assert!(!outcomes[1].1.contains("inside"), "{outcomes:?}");
    for denied in [3, 4, 5] {
        let (status, text) = outcomes[denied];
        assert_eq!(status, "denied", "{text}");
        assert!(text.contains("[plugins.naughty.grant]"), "{text}");
    }
    done.assert_code(0);
    assert_eq!(target.seen(), [""; 0]);
    assert!(!world.home.workspace().join("written.txt").exists());
}

#[tokio::test]
async fn a_narrow_grant_allows_that_and_no_more() {
    let target = Target::start(String::new()).await;
    let home = home(&format!(
        "http = [{{ base-url = \"target\", methods = [\"GET\"], paths = [\"/allowed\"] }}]\n\
         fs = [{{ mount = \"/workspace\", access = \"read\" }}]\n\
         [plugins.naughty.config]\ntarget = \"{}\"",
        target.url()
    ))
    .await;
    home.write("inside.txt", "inside");
    let (world, events, _) = run(home, calls(&target.url())).await;
    let outcomes = outcomes(&events);
    let statuses: Vec<&str> = outcomes.iter().map(|(status, _)| *status).collect();
    assert_eq!(
        statuses,
        ["ok", "ok", "denied", "ok", "denied", "denied"],
        "{outcomes:?}"
    );
    assert_eq!(target.seen(), ["GET /allowed"]);
    assert!(!world.home.workspace().join("written.txt").exists());
}
