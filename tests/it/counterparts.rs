use serde_json::Value;

use crate::support::{
    litellm::{self, LiteLlm},
    ml_intern::Home,
    tiny_llm::{Model, TinyLlm},
    world::of_type,
};

/// A way to the model: the provider's name for it, what the user sets, and what stands in the run manifest.
#[derive(Clone, Copy)]
struct Way {
    model: &'static str,
    /// Variable for where the API begins.
    base_url: &'static str,
    /// Whether that is above `/v1`.
    origin: bool,
    key: &'static str,
    manifest: &'static str,
}

const CHAT: Way = Way {
    model: "openai/tiny-random",
    base_url: "OPENAI_BASE_URL",
    origin: false,
    key: "OPENAI_API_KEY",
    manifest: "",
};
const RESPONSES: Way = Way {
    manifest: "[providers.openai]\nconfig = { api = \"responses\" }\n",
    ..CHAT
};
const MESSAGES: Way = Way {
    model: "anthropic/tiny-random",
    base_url: "ANTHROPIC_BASE_URL",
    origin: true,
    key: "ANTHROPIC_API_KEY",
    manifest: "",
};
const LLAMACPP: Way = Way {
    model: "llamacpp/tiny-random",
    base_url: "LLAMACPP_BASE_URL",
    origin: true,
    key: "LLAMACPP_API_KEY",
    manifest: "",
};
const WAYS: [Way; 4] = [CHAT, RESPONSES, MESSAGES, LLAMACPP];

/// A home in which the server is set up.
fn home(way: Way, server: &TinyLlm) -> Home {
    let home = Home::new();
    let url = server.base_url();
    let url = if way.origin {
        url.trim_end_matches("/v1")
    } else {
        url
    };
    home.set(way.base_url, url);
    home.set(way.key, "k");
    home.write("notes/a.txt", "something to read\n");
    if !way.manifest.is_empty() {
        home.write("ml-intern.toml", way.manifest);
    }
    home
}

/// A session with a model that calls random tools with random arguments. Returns its events.
async fn session(way: Way, model: Model, flags: &[&str]) -> Vec<Value> {
    // A third round of the same call would make the host step in.
    let server = TinyLlm::start(model, &["--tool-rounds=2", "--api-key=k"]).await;
    run(&home(way, &server), way.model, flags).await
}

async fn run(home: &Home, model: &str, flags: &[&str]) -> Vec<Value> {
    let args = ["run", "-m", model, "--output-format=stream-json"];
    let args = args
        .iter()
        .chain(flags)
        .chain(&["Look around in this folder."]);
    let done = home.ml_intern(args).run().await;
    // 4: it wanted something that nobody was there to allow.
    let code = done.code();
    assert!(
        matches!(code, Some(0 | 4)),
        "{model}: {code:?}\n{}\n{}",
        done.stdout,
        done.stderr
    );
    let events = done.events();
    // No request was refused, and none had to be sent twice.
    assert!(of_type(&events, "error").is_empty(), "{}", done.stdout);
    assert!(of_type(&events, "notice").is_empty(), "{}", done.stdout);
    let result = done.result();
    assert_eq!(result["reason"], "done");
    assert!(!result["message"].as_str().unwrap().is_empty());
    assert!(result["usage"]["input"].as_u64().unwrap() > 100);
    assert!(result["usage"]["output"].as_u64().unwrap() > 0);
    events
}

/// Panics unless tools were called, their arguments fit their schemas, and all have a result.
#[track_caller]
fn assert_calls(events: &[Value], least: usize) {
    let started = of_type(events, "tool.started");
    let finished = of_type(events, "tool.finished");
    assert!(started.len() >= least, "{} calls", started.len());
    assert_eq!(started.len(), finished.len());
    for call in finished {
        let status = call["status"].as_str().unwrap();
        let fine = matches!(status, "ok" | "error" | "denied");
        assert!(fine, "{call}");
    }
}

#[tokio::test]
async fn a_stream_of_random_calls_that_may_only_read() {
    for way in WAYS {
        let events = session(way, Model::Plain, &["--permission-mode=plan"]).await;
        assert_calls(&events, 2);
        assert!(!of_type(&events, "text.delta").is_empty(), "{}", way.model);
        assert!(!of_type(&events, "call.delta").is_empty(), "{}", way.model);
    }
}

#[tokio::test]
async fn whole_answers_with_random_calls_that_may_only_read() {
    for way in WAYS {
        let events = session(
            way,
            Model::Plain,
            &["--permission-mode=plan", "--no-stream"],
        )
        .await;
        assert_calls(&events, 2);
        assert!(of_type(&events, "text.delta").is_empty());
    }
}

#[tokio::test]
async fn several_random_calls_at_once() {
    for flag in ["--no-stream", "--verbose"] {
        for way in WAYS {
            let events = session(way, Model::Parallel, &["--permission-mode=plan", flag]).await;
            assert_calls(&events, 2);
        }
    }
}

#[tokio::test]
async fn random_calls_that_may_edit() {
    let events = session(CHAT, Model::Parallel, &["--permission-mode=auto-edit"]).await;
    assert_calls(&events, 2);
}

#[tokio::test]
async fn a_server_of_this_machine_is_found_with_its_context() {
    let server = TinyLlm::start(Model::Plain, &["--api-key=k"]).await;
    let home = home(LLAMACPP, &server);
    let args = ["models", "list", "--provider", "llamacpp", "--json"];
    let listed = home.ml_intern(args).run().await;
    listed.assert_code(0);
    let models: Value = serde_json::from_str(&listed.stdout).unwrap();
    let model = &models[0];
    assert!(
        model["model"].as_str().unwrap().starts_with("llamacpp/"),
        "{models}"
    );
    assert!(
        model["context_window"].as_u64().unwrap() >= 4096,
        "{models}"
    );
    assert_eq!(model["usd_per_million_tokens"]["output"], 0.0, "{models}");
    // What runs here costs nothing, which is known.
    let events = run(&home, LLAMACPP.model, &["--permission-mode=plan"]).await;
    assert_eq!(events.last().unwrap()["cost_usd"], 0.0);
}

/// The model of the one conversation goes on with what the others' protocols made of it.
#[tokio::test]
async fn the_protocol_changes_in_the_middle_of_a_conversation() {
    let server = TinyLlm::start(Model::Plain, &["--api-key=k"]).await;
    let home = home(CHAT, &server);
    let origin = server.base_url().trim_end_matches("/v1").to_owned();
    for way in [MESSAGES, LLAMACPP] {
        home.set(way.base_url, &origin);
        home.set(way.key, "k");
    }
    run(&home, CHAT.model, &["--permission-mode=plan"]).await;
    for way in [MESSAGES, LLAMACPP, CHAT] {
        run(&home, way.model, &["--permission-mode=plan", "--continue"]).await;
    }
    assert_eq!(home.sessions().len(), 1);
}

#[tokio::test]
async fn a_gateway_between_us_and_the_models() {
    let server = TinyLlm::start(Model::Plain, &["--api-key=k"]).await;
    let models = [
        litellm::says("parrot", "hello from behind"),
        litellm::stands_before("tiny", server.base_url(), "k"),
    ];
    let gateway = LiteLlm::start(&models).await;
    let home = Home::new();
    home.set("OPENAI_BASE_URL", gateway.base_url());
    home.set("OPENAI_API_KEY", litellm::MASTER_KEY);
    home.write("notes/a.txt", "something to read\n");
    for flags in [&["--json"][..], &["--json", "--no-stream"]] {
        let args = ["run", "-m", "openai/parrot", "hi"];
        let done = home.ml_intern(args.iter().chain(flags)).run().await;
        done.assert_code(0);
        assert_eq!(done.result()["message"], "hello from behind");
    }
    let events = run(&home, "openai/tiny", &["--permission-mode=plan"]).await;
    assert_calls(&events, 1);
    let wrong = home
        .ml_intern(["run", "-m", "openai/nothing", "hi"])
        .run()
        .await;
    wrong.assert_code(1);
    assert!(wrong.stderr.contains("nothing"), "{}", wrong.stderr);
}
