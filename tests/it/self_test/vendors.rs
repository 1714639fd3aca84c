//! The vendors' own clients against our fakes of their services: what these programs, which nobody
//! here wrote, take for a proper answer and for an error of a certain type.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::support::{
    fake::{ApiError, Call, Fake, Flaw, MODEL, Model, Reply, Script, Service, Setup},
    venv::python,
};

/// Longest run of one program. Most of it is the import of the client, which takes seconds on a
/// machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);

const KEY: &str = "key-of-the-test";

/// Does what the prompt says.
fn obedient() -> Script {
    Script::new(|asked| {
        let prompt = asked.messages.iter().rfind(|one| one["role"] == "user");
        let prompt = prompt
            .and_then(|one| one["content"].as_str())
            .unwrap_or_default();
        let answered = asked
            .messages
            .last()
            .is_some_and(|last| last["role"] == "tool");
        let call = |city: &str| Call::new("weather", json!({"city": city}));
        match prompt {
            _ if answered => Reply::text(format!("so: {}", results(asked.messages).join(", "))),
            "use a tool" => Reply::message("let me see ", [call("Zürich")]),
            "use two tools" => Reply::calls([call("Köln"), call("Łódź")]),
            "think and use a tool" => {
                Reply::calls([call("Rome")]).reasoning("is it raining in Rome? ", false)
            }
            "refuse" => Reply::refusal("that would be wrong"),
            "fail with 429" => Reply::rate_limited(7),
            "fail with 500" => Reply::server_error(),
            "fail with 529" => Reply::overloaded(),
            "fail with 402" => Reply::unpaid(),
            "fail with context" => Reply::context_too_long(),
            "fail in the stream" => {
                let error = ApiError::new(500, "ThrottlingException", "gone in the middle");
                Reply::text("one two three four").error_after(3, error)
            }
            "break a checksum" => Reply::text("one two three").flawed(Flaw::WrongChecksum),
            _ => Reply::text("grüß dich, world").usage(111, 7),
        }
    })
}

fn results(messages: &[Value]) -> Vec<&str> {
    let results = messages.iter().filter(|one| one["role"] == "tool");
    results.filter_map(|one| one["content"].as_str()).collect()
}

async fn fake(service: Service, key: &str) -> Fake {
    let models = [MODEL, "second", "third-v1:0"].map(Model::new);
    Setup::new(service)
        .key(key)
        .models(models)
        .start(obedient())
        .await
}

/// Runs a program of `tests/vendors` and returns the object that it prints.
async fn run(program: &str, base_url: &str, key: &str, more: &[&str]) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendors");
    let running = Command::new(python("vendor-clients", "scripts/vendor-clients"))
        .arg("-B")
        .arg(folder.join(program))
        .args([base_url, key, MODEL])
        .args(more)
        // Without the keys, proxies and settings of whoever runs the tests.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = timeout(PATIENCE, running)
        .await
        .unwrap_or_else(|_| panic!("{program} took more than {PATIENCE:?}"))
        .unwrap();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{program}: {}\n{complaint}",
        done.status
    );
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&done.stdout);
        panic!("{program}: {error} in `{said}`\n{complaint}")
    })
}

/// Panics unless a case came to the same in a stream and at once, namely to this.
#[track_caller]
fn assert_both(results: &Value, case: &str, expected: &Value) {
    assert_eq!(&results[case]["whole"], expected, "{case}, at once");
    assert_eq!(&results[case]["stream"], expected, "{case}, in a stream");
}

/// Panics unless each case ended in an error that is, or derives from, the type, with this status.
#[track_caller]
fn assert_errors(results: &Value, expected: &[(&str, &str, Value)]) {
    for (case, kind, status) in expected {
        let error = &results["errors"][*case];
        let bases = error["bases"].as_array().cloned().unwrap_or_default();
        assert!(bases.contains(&json!(kind)), "{case}: {error}");
        assert_eq!(&error["status"], status, "{case}: {error}");
    }
    assert_eq!(results["errors"]["rate limit"]["retry_after"], "7");
}

/// Panics unless the second of two requests with the same marks read what the first had written.
#[track_caller]
fn assert_cached(results: &Value) {
    let cache = &results["cache"];
    assert!(cache[0].as_u64().unwrap() > 80, "{cache}");
    assert_eq!(
        [&cache[1], &cache[2], &cache[3]],
        [&json!(0), &json!(0), &cache[0]]
    );
}

/// Panics unless one call, and two at once, came to their answers.
#[track_caller]
fn assert_tools(results: &Value, stop: &str) {
    let one = json!({
        "calls": [["weather", {"city": "Zürich"}]], "stop": stop, "answer": "so: rain in Zürich",
    });
    assert_both(results, "tools", &one);
    let two = json!({
        "calls": [["weather", {"city": "Köln"}], ["weather", {"city": "Łódź"}]], "stop": stop,
        "answer": "so: rain in Köln, rain in Łódź",
    });
    assert_both(results, "parallel", &two);
}

/// Panics unless every one of these kinds of events was taken for what it says that it is.
#[track_caller]
fn assert_events(results: &Value, kinds: &[&str]) {
    let events = results["events"].as_array().unwrap();
    for kind in kinds {
        assert!(events.contains(&json!(kind)), "{kind}: {events:?}");
    }
}

#[tokio::test]
async fn anthropics_client_takes_our_messages_for_anthropics() {
    let fake = fake(Service::Anthropic, KEY).await;
    let got = run("anthropic_client.py", &fake.base_url(), KEY, &[]).await;
    let hello = json!({"text": "grüß dich, world", "stop": "end_turn", "usage": [111, 7]});
    assert_both(&got, "text", &hello);
    assert_tools(&got, "tool_use");
    assert_events(
        &got,
        &["content_block_delta", "message_delta", "message_stop"],
    );
    let thought = json!({"thought": ["is it raining in Rome? "], "answer": "so: rain"});
    assert_both(&got, "thinking", &thought);
    assert_both(
        &got,
        "refusal",
        &json!({"stop": "refusal", "why": "that would be wrong"}),
    );
    assert_eq!(got["models"]["ids"], json!([MODEL, "second", "third-v1:0"]));
    assert_eq!(got["models"]["effort"], true);
    assert!(got["count_tokens"].as_u64().unwrap() > 0);
    assert_cached(&got);
    assert_errors(
        &got,
        &[
            ("rate limit", "RateLimitError", json!(429)),
            ("server", "InternalServerError", json!(500)),
            ("overloaded", "OverloadedError", json!(529)),
            ("unpaid", "PaymentRequiredError", json!(402)),
            ("too long", "BadRequestError", json!(400)),
            // The status of the answer itself was 200.
            ("in the stream", "APIStatusError", json!(200)),
            ("bad request", "BadRequestError", json!(400)),
            ("no model", "NotFoundError", json!(404)),
            ("wrong key", "AuthenticationError", json!(401)),
        ],
    );
}

#[tokio::test]
async fn openais_client_takes_our_responses_for_openais() {
    let fake = fake(Service::OpenAi, KEY).await;
    let got = run("openai_client.py", &fake.base_url(), KEY, &["responses"]).await;
    let hello = json!({"text": "grüß dich, world", "stop": "completed", "usage": [111, 7]});
    assert_both(&got, "text", &hello);
    assert_tools(&got, "completed");
    assert_events(
        &got,
        &[
            "response.reasoning_summary_text.delta",
            "response.function_call_arguments.done",
            "response.output_text.delta",
            "response.refusal.done",
            "response.output_item.done",
            "response.completed",
        ],
    );
    let thought = json!({"thought": ["is it raining in Rome? "], "answer": "so: rain"});
    assert_both(&got, "thinking", &thought);
    assert_both(
        &got,
        "refusal",
        &json!({"stop": "completed", "why": "that would be wrong"}),
    );
    assert_eq!(got["models"]["ids"], json!([MODEL, "second", "third-v1:0"]));
    assert_errors(
        &got,
        &[
            ("rate limit", "RateLimitError", json!(429)),
            ("server", "InternalServerError", json!(500)),
            ("overloaded", "InternalServerError", json!(503)),
            ("unpaid", "RateLimitError", json!(429)),
            ("too long", "BadRequestError", json!(400)),
            ("in the stream", "APIError", Value::Null),
            ("bad request", "BadRequestError", json!(400)),
            ("no model", "BadRequestError", json!(400)),
            ("wrong key", "AuthenticationError", json!(401)),
        ],
    );
}

#[tokio::test]
async fn openais_client_takes_our_completions_for_openais() {
    let fake = fake(Service::OpenAi, KEY).await;
    let got = run("openai_client.py", &fake.base_url(), KEY, &["chat"]).await;
    let hello = json!({"text": "grüß dich, world", "stop": "stop", "usage": [111, 7]});
    assert_both(&got, "text", &hello);
    assert_tools(&got, "tool_calls");
    assert_events(&got, &["chat.completion.chunk"]);
    assert_both(
        &got,
        "refusal",
        &json!({"stop": "stop", "why": "that would be wrong"}),
    );
    assert_eq!(got["models"]["ids"], json!([MODEL, "second", "third-v1:0"]));
    assert_errors(
        &got,
        &[
            ("rate limit", "RateLimitError", json!(429)),
            ("server", "InternalServerError", json!(500)),
            ("overloaded", "InternalServerError", json!(503)),
            ("unpaid", "RateLimitError", json!(429)),
            ("too long", "BadRequestError", json!(400)),
            ("in the stream", "APIError", Value::Null),
            ("bad request", "BadRequestError", json!(400)),
            ("no model", "NotFoundError", json!(404)),
            ("wrong key", "AuthenticationError", json!(401)),
        ],
    );
}

#[tokio::test]
async fn amazons_client_takes_our_converse_for_bedrocks() {
    let key = "AKIATEST:secret/of+the=test";
    let fake = fake(Service::Bedrock, key).await;
    let got = run("bedrock_client.py", &fake.base_url(), key, &[]).await;
    let hello = json!({"text": "grüß dich, world", "stop": "end_turn", "usage": [111, 7]});
    assert_both(&got, "text", &hello);
    assert_tools(&got, "tool_use");
    let thought = json!({"thought": ["is it raining in Rome? "], "answer": "so: rain"});
    assert_both(&got, "thinking", &thought);
    assert_both(
        &got,
        "refusal",
        &json!({"stop": "content_filtered", "why": "that would be wrong"}),
    );
    assert!(got["count_tokens"].as_u64().unwrap() > 0);
    assert_cached(&got);
    assert_errors(
        &got,
        &[
            ("rate limit", "ThrottlingException", json!(429)),
            ("server", "InternalServerException", json!(500)),
            ("overloaded", "ServiceUnavailableException", json!(503)),
            ("unpaid", "AccessDeniedException", json!(403)),
            ("too long", "ValidationException", json!(400)),
            ("in the stream", "EventStreamError", Value::Null),
            ("bad request", "ValidationException", json!(400)),
            ("no model", "ValidationException", json!(400)),
            // Errors of the signature are none of the service's own.
            ("wrong secret", "ClientError", json!(403)),
            ("wrong key", "ClientError", json!(403)),
            ("wrong checksum", "ChecksumMismatch", Value::Null),
        ],
    );
    let said = |case: &str| got["errors"][case]["text"].as_str().unwrap().to_owned();
    assert!(said("wrong secret").contains("InvalidSignatureException"));
    assert!(said("wrong key").contains("UnrecognizedClientException"));
    assert!(said("in the stream").contains("throttlingException"));
}

#[tokio::test]
async fn hugging_faces_client_takes_our_completions_for_the_routers() {
    let fake = fake(Service::Router, KEY).await;
    let got = run("huggingface_client.py", &fake.base_url(), KEY, &[]).await;
    let hello = json!({"text": "grüß dich, world", "stop": "stop", "usage": [111, 7]});
    assert_both(&got, "text", &hello);
    assert_tools(&got, "tool_calls");
    assert_errors(
        &got,
        &[
            ("rate limit", "HfHubHTTPError", json!(429)),
            ("server", "HfHubHTTPError", json!(500)),
            ("unpaid", "HfHubHTTPError", json!(402)),
            ("too long", "BadRequestError", json!(400)),
            ("bad request", "BadRequestError", json!(400)),
            ("no model", "HfHubHTTPError", json!(404)),
            ("no provider", "HfHubHTTPError", json!(404)),
            ("wrong key", "HfHubHTTPError", json!(401)),
        ],
    );
    let payer = fake.chats()[0].header("x-hf-bill-to").map(str::to_owned);
    assert_eq!(payer.as_deref(), Some("an-organisation"));
}

#[tokio::test]
async fn openais_client_takes_our_completions_for_those_of_its_kin() {
    for (service, mode) in [
        (Service::Router, "chat"),
        (Service::Ollama, "chat"),
        (Service::OpenRouter, "openrouter"),
    ] {
        let fake = fake(service, KEY).await;
        let base_url = match service {
            Service::Ollama => format!("{}/v1", fake.base_url()),
            _ => fake.base_url(),
        };
        let got = run("openai_client.py", &base_url, KEY, &[mode]).await;
        let hello = json!({"text": "grüß dich, world", "stop": "stop", "usage": [111, 7]});
        assert_both(&got, "text", &hello);
        assert_tools(&got, "tool_calls");
        assert_eq!(got["models"]["ids"], json!([MODEL, "second", "third-v1:0"]));
        assert_errors(
            &got,
            &[
                ("rate limit", "RateLimitError", json!(429)),
                ("server", "InternalServerError", json!(500)),
                ("overloaded", "InternalServerError", json!(503)),
                ("in the stream", "APIError", Value::Null),
                ("bad request", "BadRequestError", json!(400)),
                ("no model", "NotFoundError", json!(404)),
                ("wrong key", "AuthenticationError", json!(401)),
            ],
        );
        if service == Service::OpenRouter {
            let thought = json!({"thought": ["is it raining in Rome? "], "answer": "so: rain"});
            assert_both(&got, "thinking", &thought);
            assert_eq!(got["cache"], json!([0.000_118, 0]));
            assert_eq!(got["errors"]["unpaid"]["status"], 402);
        }
    }
}

#[tokio::test]
async fn ollamas_client_takes_our_catalogue_for_ollamas() {
    let fake = fake(Service::Ollama, KEY).await;
    let got = run("ollama_client.py", &fake.base_url(), KEY, &[]).await;
    assert_eq!(
        got["catalogue"],
        json!({
            "models": [MODEL, "second", "third-v1:0"],
            "capabilities": ["completion", "tools", "vision", "thinking"],
            "context": 128_000, "family": "fake",
            "missing": [404, "model 'none' not found"],
        })
    );
}
