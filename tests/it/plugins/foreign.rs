//! Components that export plain functions, made for another host: found, described, granted by what
//! their policy asks for, and called by the model.

use std::time::Duration;

use serde_json::{Value, json};

use crate::hostile::languages::component;
use crate::support::{fake_openai::Call, ml_intern::Finished, ml_intern::Home};

use super::{guest, outcomes, run, target::Target};

const AGENT: &str = "[agent]\npermission-mode = \"auto\"\n";

/// A workspace with the component, and what lies beside it.
fn home(beside: &[(&str, &str)]) -> Home {
    let home = Home::new();
    home.write("tools/plain.wasm", guest("plain"));
    home.write("ml-intern.toml", AGENT);
    home.write("inside.txt", "one\ntwo\nthree\n");
    for (file, text) in beside {
        home.write(&format!("tools/{file}"), text);
    }
    home
}

async fn plugin(home: &Home, args: &[&str]) -> Finished {
    home.ml_intern([&["plugin"], args].concat()).run().await
}

async fn added(home: &Home) -> Finished {
    let added = plugin(home, &["add", "tools/plain.wasm", "--yes"]).await;
    added.assert_code(0);
    added
}

fn policy(host: &str) -> String {
    format!(
        "version: \"1.0\"
permissions:
  network: {{ allow: [{{ host: \"{host}\" }}, {{ cidr: 10.0.0.0/8 }}] }}
  storage: {{ allow: [{{ uri: \"fs://workspace/**\", access: [read] }}, {{ uri: \"fs:///etc\", access: [read] }}] }}
  environment: {{ allow: [{{ key: UNITS }}, {{ key: API_TOKEN }}] }}
"
    )
}

#[tokio::test]
async fn a_policy_is_asked_for_granted_by_a_person_and_held_to() {
    let target = Target::start(String::new()).await;
    let other = Target::start(String::new()).await;
    let home = home(&[("policy.yaml", &policy(&target.url()))]);
    let refused = plugin(&home, &["add", "tools/plain.wasm"]).await;
    refused.assert_code(4);
    for said in [
        "foreign/plain@",
        "reads files below the workspace",
        &format!(
            "reaches {}: GET, HEAD, POST, PUT, PATCH, DELETE",
            target.url()
        ),
        "tools: ",
        "list_directory",
        "fetch",
        "its policy permits, and nobody gives it:",
        "the network place `cidr: 10.0.0.0/8`",
        "the storage `fs:///etc`",
        "the variable `API_TOKEN` is named like a secret",
        "1 function is no tool",
    ] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    assert_eq!(home.read("ml-intern.toml"), AGENT);

    added(&home).await;
    let manifest = home.read("ml-intern.toml");
    home.write(
        "ml-intern.toml",
        format!("{manifest}\n[plugins.plain.config]\nunits = \"metric\"\n"),
    );
    plugin(&home, &["lock"]).await.assert_code(0);
    let real = home.workspace().join("inside.txt");
    let calls = [
        Call::new("list_directory", json!({ "path": "." })),
        Call::new("read_file", json!({ "path": "/workspace/inside.txt" })),
        Call::new("read_file", json!({ "path": real })),
        Call::new(
            "search_file",
            json!({ "path": "inside.txt", "pattern": "t", "limit": 1 }),
        ),
        Call::new("get_file_info", json!({ "path": "inside.txt" })),
        Call::new("variable", json!({ "name": "UNITS" })),
        Call::new("fetch", json!({ "url": format!("{}/a", target.url()) })),
        Call::new("fetch", json!({ "url": format!("{}/a", other.url()) })),
        Call::new(
            "write_bytes",
            json!({ "path": "inside.txt", "content": "AAEC" }),
        ),
        Call::new("read_file", json!({ "path": "/etc/hostname" })),
        Call::new("read_file", json!({ "path": "../../../etc/hostname" })),
    ];
    let (world, events, done) = run(home, calls).await;
    done.assert_code(0);
    let outcomes = outcomes(&events);
    let (status, listed) = outcomes[0];
    assert!(
        status == "ok" && listed.contains("\"inside.txt\""),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[1], ("ok", "one\ntwo\nthree\n"));
    assert_eq!(outcomes[2], outcomes[1]);
    assert_eq!(outcomes[3], ("ok", r#"[[2,"two"]]"#));
    assert_eq!(
        outcomes[4],
        ("ok", r#"{"size":14,"is-directory":false,"line-count":3}"#)
    );
    assert_eq!(outcomes[5], ("ok", "\"metric\""));
    assert_eq!(outcomes[6], ("ok", "hello"));
    for denied in [7, 8] {
        let (status, text) = outcomes[denied];
        assert_eq!(status, "error", "{text}");
        assert!(text.contains("the host refused: "), "{text}");
    }
    for outside in [9, 10] {
        assert_ne!(outcomes[outside].0, "ok", "{outcomes:?}");
    }
    assert_eq!(target.seen(), ["GET /a"]);
    assert_eq!(other.seen(), [""; 0]);
    assert_eq!(world.home.read("inside.txt"), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn without_a_policy_it_only_computes_and_each_refusal_says_why() {
    let target = Target::start(String::new()).await;
    let home = home(&[]);
    let shown = added(&home).await;
    assert!(
        shown.stderr.contains("asks for nothing: it only computes"),
        "{}",
        shown.stderr
    );
    let calls = [
        Call::new("variable", json!({ "name": "HOME" })),
        Call::new("read_file", json!({ "path": "inside.txt" })),
        Call::new("fetch", json!({ "url": target.url() })),
        Call::new("fetch", json!({ "url": 5 })),
    ];
    let (_world, events, _) = run(home, calls).await;
    let outcomes = outcomes(&events);
    assert_eq!(outcomes[0], ("ok", "null"));
    let (status, text) = outcomes[1];
    assert_ne!(status, "ok");
    assert!(
        text.contains("the host refused: reading below /workspace"),
        "{text}"
    );
    assert_eq!(outcomes[2].0, "error", "{outcomes:?}");
    assert_ne!(outcomes[3].0, "ok");
    assert_eq!(target.seen(), [""; 0]);
}

#[tokio::test]
async fn a_plugin_toml_beside_it_says_what_its_functions_are() {
    let own = "[plugin]\nid = \"acme/reader\"\nversion = \"1.0.0\"\ndescription = \"Reads\"\nlicense = \"MIT\"\nabi = \"foreign\"\n\n\
        [[request.fs]]\nmount = \"/workspace\"\naccess = \"read-write\"\n\n\
        [tools.read_file]\ndescription = \"The text of a file.\"\nread-only = true\n\n\
        [tools.write_bytes]\nread-only = true\n";
    let home = home(&[("plugin.toml", own)]);
    let shown = added(&home).await;
    assert!(
        shown.stderr.contains("acme/reader@1.0.0"),
        "{}",
        shown.stderr
    );
    let info = plugin(&home, &["info", "reader"]).await;
    info.assert_code(0);
    for said in [
        "plain functions",
        "read-only",
        "The text of a file.",
        "functions that are no tools",
        "init",
        "made by a tool chain",
    ] {
        assert!(info.stdout.contains(said), "{said}: {}", info.stdout);
    }
    let calls = [
        Call::new("read_file", json!({ "path": "inside.txt" })),
        // It was said to read only, and is held to it.
        Call::new(
            "write_bytes",
            json!({ "path": "new.txt", "content": "AAEC" }),
        ),
    ];
    let (world, events, _) = run(home, calls).await;
    let outcomes = outcomes(&events);
    assert_eq!(outcomes[0], ("ok", "one\ntwo\nthree\n"));
    assert_ne!(outcomes[1].0, "ok", "{outcomes:?}");
    assert!(!world.home.workspace().join("new.txt").exists());
    let offered = world.fake.chats()[0].json();
    let offered = offered["tools"].as_array().unwrap();
    let about = |name: &str| -> Value {
        let tool = offered.iter().find(|tool| tool["function"]["name"] == name);
        tool.unwrap_or_else(|| panic!("{name}"))["function"].clone()
    };
    assert_eq!(about("read_file")["description"], "The text of a file.");
    let schema = &about("search_file")["parameters"];
    assert_eq!(schema["required"], json!(["path", "pattern"]));
    assert!(
        schema["properties"]["limit"]
            .to_string()
            .contains("\"maximum\":255"),
        "{schema}"
    );

    let home = world.home;
    home.write(
        "tools/plugin.toml",
        own.replace("tools.read_file", "tools.read_files"),
    );
    let refused = plugin(&home, &["lock"]).await;
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("`read_files`") && refused.stderr.contains("`read_file`"),
        "{}",
        refused.stderr
    );
}

/// The bindings of this tool chain differ from those of Rust, and it leaves exports of its own behind.
#[tokio::test]
async fn a_component_that_python_made_is_a_tool_as_it_is() {
    let home = Home::new();
    home.write("evaluator.wasm", component("python-plain"));
    home.write("policy.yaml", policy("api.example.org"));
    home.write("ml-intern.toml", AGENT);
    home.write("inside.txt", "inside");
    // An unoptimised host takes minutes to compile an interpreter, beside other tests.
    let add = home.ml_intern(["plugin", "add", "evaluator.wasm", "--yes"]);
    let added = add.life(Duration::from_secs(300)).run().await;
    added.assert_code(0);
    let calls = [
        Call::new("evaluate", json!({ "expression": "6 * 7" })),
        Call::new("evaluate", json!({ "expression": "1 / 0" })),
        Call::new("summary", json!({ "numbers": [1, 2.5, 4] })),
        Call::new("read_text", json!({ "path": "inside.txt" })),
        Call::new("read_text", json!({ "path": "/etc/hostname" })),
    ];
    let (_world, events, _) = run(home, calls).await;
    let outcomes = outcomes(&events);
    assert_eq!(outcomes[0], ("ok", "42"));
    assert!(
        outcomes[1].0 != "ok" && outcomes[1].1.contains("ZeroDivisionError"),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[2], ("ok", r#"{"mean":2.5,"count":3}"#));
    assert_eq!(outcomes[3], ("ok", "inside"));
    assert_ne!(outcomes[4].0, "ok");
}
