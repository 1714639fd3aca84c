//! `sessions audit`: what plugins asked for in a session, and which rule decided.

use serde_json::{Value, json};

use crate::support::{fake_openai::Call, guests::run, world::of_type};

#[tokio::test]
async fn every_decision_of_a_session_is_a_line_with_its_rule_or_reason() {
    let home = crate::plugins::home(
        "process = { programs = [\"env\"] }\nfs = [{ mount = \"/workspace\", access = \"read\" }]",
    )
    .await;
    home.write("inside.txt", "inside");
    let calls = [
        Call::new("run_program", json!({"program": "env"})),
        Call::new("run_program", json!({"program": "sh"})),
        Call::new("read_outside", json!({"path": "/workspace/inside.txt"})),
        Call::new(
            "fetch",
            json!({"url": "https://asked.example.org/path?secret=1"}),
        ),
        Call::new("spin", json!({})),
    ];
    let (world, events, _) = run(home, calls).await;
    let audits = of_type(&events, "audit");
    let find = |capability: &str, target: &str| -> &Value {
        let found = audits.iter().find(|audit| {
            audit["capability"] == capability && audit["target"].as_str().unwrap().contains(target)
        });
        found.unwrap_or_else(|| panic!("no {capability} {target} in {audits:?}"))
    };
    let env = find("process", "env");
    assert_eq!(
        (&env["verdict"], &env["rule"]),
        (&json!("allowed"), &json!("runs programs: env"))
    );
    assert_eq!(
        env["plugin"].as_str().unwrap().split('@').next(),
        Some("stranger/naughty")
    );
    let sh = find("process", "sh");
    assert_eq!(sh["verdict"], "denied");
    assert!(
        sh["detail"]
            .as_str()
            .unwrap()
            .contains("[plugins.naughty.grant]"),
        "{sh}"
    );
    assert_eq!(find("fs.read", "/workspace")["verdict"], "allowed");
    let fetch = find("http", "GET https://asked.example.org/path");
    assert_eq!(fetch["verdict"], "denied");
    assert!(!fetch.to_string().contains("secret=1"), "{fetch}");
    assert_eq!(find("limits", "limits.cpu")["verdict"], "limited");
    let model = find("http", "/chat/completions");
    assert_eq!(
        (&model["verdict"], &model["status"]),
        (&json!("allowed"), &json!(200))
    );
    assert!(model["received_bytes"].as_u64().unwrap() > 0, "{model}");
    assert!(
        model["call"].as_str().unwrap().starts_with("model-"),
        "{model}"
    );

    let id = world.home.session();
    let id = id.file_name().unwrap().to_str().unwrap();
    let audit = async |args: &[&str]| {
        let done = world
            .home
            .ml_intern([&["sessions", "audit", id], args].concat())
            .run()
            .await;
        done.assert_code(0);
        done.stdout
    };
    let table = audit(&[]).await;
    assert_eq!(table.lines().count(), audits.len() + 1, "{table}");
    let refused = audit(&["--refused", "--plugin", "stranger/"]).await;
    assert!(
        refused.contains("denied") && refused.contains("limited"),
        "{refused}"
    );
    assert!(!refused.contains("allowed,"), "{refused}");
    let lines = audit(&["--json"]).await;
    assert_eq!(lines.lines().count(), audits.len());
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["type"], "audit");
    }
}
