use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    ml_intern::{Finished, Program},
    webhook_sink::{Delivery, WebhookSink},
    world::World,
};

/// A signing key, the token of the webhook and the key of the model's service: none may show.
const SECRETS: [&str; 3] = ["signing-7f3a", "token-91bc", "sk-model-55"];

/// A world whose manifest has a webhook notifier at `url` that hears of `events`.
async fn world(script: Script, url: &str, events: &[&str], config: &str) -> World {
    let world = World::new(script).await;
    let events = json!(events);
    let manifest = format!(
        "[plugins.files]\n[plugins.shell]\n[plugins.train]\n\n[notifiers.hook]\nsource = \"builtin:webhook\"\n\
         events = {events}\nconfig = {{ url = \"{url}\"{config} }}\n"
    );
    world.home.write("ml-intern.toml", manifest);
    world
}

fn kinds(deliveries: &[Delivery]) -> Vec<Value> {
    let mut kinds = deliveries
        .iter()
        .map(|one| one.json()["kind"].clone())
        .collect::<Vec<_>>();
    kinds.sort_by_key(Value::to_string);
    kinds
}

/// HMAC-SHA-256 by another implementation than the plugin's.
fn hmac(world: &World, key: &str, message: &[u8]) -> Program {
    let code = "import hmac, sys; print(hmac.new(sys.argv[1].encode(), bytes.fromhex(sys.argv[2]), 'sha256').hexdigest())";
    let hex = message
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let python = ["-c", code, key, &hex];
    world.home.program("python3".as_ref(), python)
}

#[tokio::test]
async fn notices_arrive_signed_and_without_secrets() {
    let script = Script::steps([
        Reply::call(
            "job_run",
            json!({"script": "print(1)", "timeout": 60, "wait": 40}),
        ),
        Reply::text("the answer"),
    ]);
    let sink = WebhookSink::start().await;
    let config = format!(", signing-key = \"{}\"", SECRETS[0]);
    let events = [
        "approval_required",
        "error",
        "job_finished",
        "turn_complete",
    ];
    let fake = FakeOpenAi::start_with(script.clone(), Some(SECRETS[2]), &["fake-model"]).await;
    let world = world(script, &sink.url(), &events, &config).await;
    world.home.set("OPENAI_BASE_URL", fake.base_url());
    world.home.set("OPENAI_API_KEY", SECRETS[2]);
    world.home.set("ML_INTERN_WEBHOOK_TOKEN", SECRETS[1]);

    let mut running = world.run_json(["go"]).start();
    let question = running.question(0).await;
    running
        .write_line(
            &json!({"type": "permission.answer", "id": question["id"], "decision": "allow"}),
        )
        .await;
    let done = running.finish().await;
    done.assert_code(0);
    assert!(!done.stderr.contains("notifier"), "{}", done.stderr);

    let deliveries = sink.wait_for(3).await;
    assert_eq!(
        kinds(&deliveries),
        ["approval_required", "job_finished", "turn_complete"]
    );
    for delivery in &deliveries {
        let body = delivery.json();
        assert_eq!(delivery.method, "POST");
        assert_eq!(delivery.headers["content-type"], "application/json");
        // The token goes where it was granted to go, and nowhere else.
        assert_eq!(
            delivery.headers["authorization"],
            format!("Bearer {}", SECRETS[1])
        );
        assert_eq!(
            delivery.headers["x-ml-intern-id"],
            body["id"].as_str().unwrap()
        );
        let timestamp = delivery.headers["x-ml-intern-timestamp"].to_str().unwrap();
        let signed = [timestamp.as_bytes(), b".", &delivery.body].concat();
        let expected = hmac(&world, SECRETS[0], &signed).run().await;
        let signature = delivery.headers["x-ml-intern-signature"].to_str().unwrap();
        assert_eq!(signature, format!("sha256={}", expected.stdout.trim()));
        let text = String::from_utf8_lossy(&delivery.body);
        assert!(
            !SECRETS.iter().any(|secret| text.contains(secret)),
            "{text}"
        );
    }
    let of_kind = |kind: &str| {
        let found = deliveries.iter().find(|one| one.json()["kind"] == kind);
        found.unwrap().json()
    };
    assert_eq!(of_kind("turn_complete")["body"], "the answer");
    assert_eq!(of_kind("job_finished")["severity"], "success");
    let asked = of_kind("approval_required");
    assert_eq!(asked["data"]["id"], question["id"]);
    assert_eq!(asked["data"]["effect"], "job");
    // What the job would run is for the person at the machine.
    assert!(!asked.to_string().contains("print(1)"));
}

#[tokio::test]
async fn an_error_is_told_and_an_unsigned_notice_has_no_signature() {
    let script = Script::new(|_| Reply::unauthorized());
    let sink = WebhookSink::start().await;
    let world = world(script, &sink.url(), &["error", "turn_complete"], "").await;
    world.run(["go"]).run().await.assert_code(3);
    let deliveries = sink.wait_for(1).await;
    assert_eq!(kinds(&deliveries), ["error"]);
    assert_eq!(deliveries[0].json()["data"]["kind"], "auth");
    assert!(!deliveries[0].headers.contains_key("x-ml-intern-signature"));
    assert!(!deliveries[0].headers.contains_key("authorization"));
}

/// A run whose webhook answers with `statuses`, and what reached it.
async fn turn(statuses: &[u16]) -> (Finished, Vec<Delivery>) {
    let sink = WebhookSink::start_with(statuses).await;
    let script = Script::steps([Reply::text("done")]);
    let world = world(script, &sink.url(), &["turn_complete"], "").await;
    let done = world.run(["go"]).run().await;
    done.assert_code(0);
    assert_eq!(done.stdout, "done\n");
    (done, sink.deliveries())
}

#[tokio::test]
async fn a_busy_webhook_is_asked_again_with_the_same_notice() {
    let (done, deliveries) = turn(&[503]).await;
    assert!(!done.stderr.contains("notifier"), "{}", done.stderr);
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[0].body, deliveries[1].body);
}

#[tokio::test]
async fn a_refusal_is_final_and_does_not_fail_the_run() {
    let (done, deliveries) = turn(&[400]).await;
    assert_eq!(deliveries.len(), 1);
    assert!(done.stderr.contains("notifier `hook`"), "{}", done.stderr);
    assert!(done.stderr.contains("400"), "{}", done.stderr);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (done, deliveries) = turn(&[307]).await;
    assert_eq!(deliveries.len(), 1);
    assert!(done.stderr.contains("notifier `hook`"), "{}", done.stderr);
}

#[tokio::test]
async fn a_webhook_that_is_gone_costs_a_message() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    drop(listener);
    let world = world(
        Script::steps([Reply::text("done")]),
        &url,
        &["turn_complete"],
        "",
    )
    .await;
    let done = world.run(["go"]).run().await;
    done.assert_code(0);
    assert_eq!(done.stdout, "done\n");
    assert!(done.stderr.contains("notifier `hook`"), "{}", done.stderr);
    assert!(done.elapsed < Duration::from_secs(20), "{:?}", done.elapsed);
}

#[tokio::test]
async fn a_webhook_that_never_answers_holds_the_program_up_for_a_while_only() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let calls = Call::new("bash", json!({"command": "true"}));
    let script = Script::steps([Reply::calls([calls]), Reply::text("done")]);
    let world = world(script, &url, &["turn_complete", "approval_required"], "").await;
    let done = world.run(["go"]).run().await;
    done.assert_code(4);
    assert!(
        done.stderr.contains("a notice was not delivered"),
        "{}",
        done.stderr
    );
    // The limit, and what a loaded machine adds to the run itself.
    assert!(done.elapsed < Duration::from_secs(35), "{:?}", done.elapsed);
    drop(listener);
}

#[tokio::test]
async fn a_budget_that_is_nearly_spent_is_told_once() {
    // $0.008 a call, the answer included: six of them, of which five pass four fifths of the budget.
    let script = Script::new(|asked| {
        let number = asked.assistant_messages();
        let reply = match number {
            ..5 => Reply::call("list", json!({"path": format!("folder{number}")})),
            _ => Reply::text("done"),
        };
        reply.usage(2000, 300)
    });
    let sink = WebhookSink::start().await;
    let world = world(script, &sink.url(), &["budget"], "").await;
    let prices = "\n[providers.openai]\nsource = \"builtin:openai\"\nconfig = { input-price = 2.5, output-price = 10 }\n";
    let manifest = world.home.read("ml-intern.toml") + prices;
    world.home.write("ml-intern.toml", manifest);
    let done = world.run(["--budget-usd=0.05", "go"]).run().await;
    done.assert_code(0);
    let deliveries = sink.deliveries();
    assert_eq!(kinds(&deliveries), ["budget"]);
    let told = deliveries[0].json();
    assert_eq!(told["title"], "The budget is nearly spent");
    assert!(
        told["body"].as_str().unwrap().contains("$0.04 of $0.05"),
        "{told}"
    );
}
