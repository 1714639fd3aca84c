use std::path::Path;

use serde_json::json;

use crate::support::{
    fake_openai::{ApiError, Call, FakeOpenAi, MODEL, Reply, Script},
    ml_intern::{Finished, Home},
};

const KEY: &str = "sk-test-7Vq2mXw9LkZr4TnB8sYd";

async fn world(script: Script) -> (Home, FakeOpenAi) {
    let fake = FakeOpenAi::start_with(script, Some(KEY), &[MODEL]).await;
    // Without compiled plugins of other tests, so that everything here was written by this run.
    let home = Home::cold();
    home.set("OPENAI_BASE_URL", fake.base_url());
    home.set("OPENAI_API_KEY", KEY);
    (home, fake)
}

async fn run(home: &Home, flags: &[&str]) -> Finished {
    let args = ["run", "-m", "openai/fake-model", "--permission-mode=auto"];
    home.ml_intern(args.iter().chain(flags)).run().await
}

/// Panics if the key, as it is or in base64, is in the output or in any file of the home.
async fn assert_nowhere(home: &Home, done: &Finished) {
    // The key's own bytes, and its base64 at each of the three places in a longer text.
    let spellings = [
        KEY,
        "c2stdGVzdC03VnEybVh3OUxrWnI0VG5COHNZ",
        "ay10ZXN0LTdWcTJtWHc5TGtacjRUbkI4c1",
        "LXRlc3QtN1ZxMm1YdzlMa1pyNFRuQjhzWW",
    ];
    let root = home.path();
    let root = root.parent().unwrap().to_str().unwrap();
    for spelling in spellings {
        assert!(!done.stdout.contains(spelling), "{}", done.stdout);
        assert!(!done.stderr.contains(spelling), "{}", done.stderr);
        let args = ["-raFl", "-e", spelling, root];
        let found = home.program(Path::new("/bin/grep"), args).run().await;
        // 1: not found.
        found.assert_code(1);
    }
}

#[tokio::test]
async fn the_key_reaches_the_server_and_nothing_else() {
    let script = "import os; print(dict(os.environ))";
    let (home, fake) = world(Script::steps([
        Reply::calls([
            Call::new("bash", json!({"command": "env; set; export -p"})),
            Call::new("job_run", json!({"script": script, "wait": 20})),
        ]),
        // A server that knows the key may say it.
        Reply::message(
            format!("your key is {KEY} "),
            [Call::new("list", json!({}))],
        ),
        Reply::text(format!("Bearer {KEY}")),
    ]))
    .await;
    let done = run(&home, &["--output-format=stream-json", "-v", "go"]).await;
    done.assert_code(0);
    fake.assert_all_accepted();
    let expected = format!("Bearer {KEY}");
    for exchange in fake.exchanges() {
        assert_eq!(exchange.headers["authorization"], expected.as_str());
        let body = String::from_utf8_lossy(&exchange.body).into_owned();
        assert!(!body.contains(KEY), "{body}");
    }
    let job = home.path().join(".local/share/ml-intern/jobs");
    assert!(job.is_dir(), "a job ran");
    assert_nowhere(&home, &done).await;
    // It would be found if it were there.
    home.write("leak", format!("x{KEY}x"));
    let root = home.path();
    let args = ["-raFl", KEY, root.parent().unwrap().to_str().unwrap()];
    home.program(Path::new("/bin/grep"), args)
        .run()
        .await
        .assert_code(0);
}

#[tokio::test]
async fn an_error_that_quotes_the_key_does_not_spread_it() {
    let message = format!("Incorrect API key provided: {KEY}.");
    let refused = ApiError::new(401, "invalid_request_error", message).code("invalid_api_key");
    let (home, _fake) = world(Script::steps([Reply::refused(refused)])).await;
    let done = run(&home, &["go"]).await;
    done.assert_code(3);
    assert!(done.stderr.contains("OPENAI_API_KEY"), "{}", done.stderr);
    assert_nowhere(&home, &done).await;
}

#[tokio::test]
async fn without_a_key_the_server_says_so() {
    let (home, fake) = world(Script::steps([])).await;
    home.set("OPENAI_API_KEY", " ");
    let done = run(&home, &["go"]).await;
    done.assert_code(3);
    assert!(done.stderr.contains("OPENAI_API_KEY"), "{}", done.stderr);
    let sent = fake.exchanges();
    assert!(
        sent.iter()
            .all(|one| !one.headers.contains_key("authorization"))
    );
}
