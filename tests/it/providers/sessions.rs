//! Whole sessions: what they cost, what is cached, answers of a shape, and other models on the way.

use serde_json::{Value, json};

use super::{
    Bench, Case, Provider,
    bench::{Ran, configure, served, text},
    cases, column,
};
use crate::support::{
    fake::{Asked, Call, Reply, Script, Service},
    ml_intern::Finished,
};

pub(super) const CASES: &[Case] = cases![
    "usage and cost" => counts_tokens_and_dollars,
    "cache" => counts_what_is_cached,
    "cache asked for" => asks_for_the_cache,
    "answer by a schema" => repairs_an_answer,
    "schema never met" => gives_up_on_an_answer,
    "resumed" => goes_on_after_a_pause,
    "switched away and back" => goes_on_with_others_and_back,
];

#[track_caller]
fn assert_dollars(found: &Value, dollars: f64) {
    let near = found
        .as_f64()
        .is_some_and(|found| (found - dollars).abs() < 1e-6);
    assert!(near, "{found} is not {dollars}");
}

async fn counts_tokens_and_dollars(provider: &'static Provider) {
    let replies = [Reply::call("list", json!({})), Reply::text("done")];
    let replies = replies.map(|reply| reply.usage(2000, 300).cached(0, 0).reasoning_tokens(120));
    for flags in [&["go"][..], &["--no-stream", "go"]] {
        let bench = Bench::steps(provider, replies.clone()).await;
        let ran = bench.done(flags).await;
        let usage = &ran.result()["usage"];
        if provider.service.is_some() {
            assert_eq!(
                (&usage["input"], &usage["output"]),
                (&json!(4000), &json!(600))
            );
            let thought = if provider.name == "bedrock" { 0 } else { 240 };
            assert_eq!(usage["reasoning"], thought);
        }
        assert_dollars(
            &ran.result()["cost_usd"],
            2.0 * provider.cost(2000, 0, 0, 300),
        );
    }
}

/// What comes from the cache is counted as what it costs.
async fn counts_what_is_cached(provider: &'static Provider) {
    let (first, second) = ((0, 1500), (1500, 300));
    let writes = provider.marks();
    let written = |tokens: u64| if writes { tokens } else { 0 };
    let replies = [
        Reply::call("list", json!({}))
            .usage(2000, 100)
            .cached(first.0, written(first.1)),
        Reply::text("done")
            .usage(2200, 100)
            .cached(second.0, written(second.1)),
    ];
    let bench = Bench::steps(provider, replies).await;
    let ran = bench.done(&["go"]).await;
    let usages = ran.of("usage");
    let read: Vec<_> = usages
        .iter()
        .map(|usage| usage["cache_read"].as_u64().unwrap_or(0))
        .collect();
    assert_eq!(read, [0, 1500]);
    let wrote: Vec<_> = usages
        .iter()
        .map(|usage| usage["cache_write"].as_u64().unwrap_or(0))
        .collect();
    assert_eq!(wrote, [written(1500), written(300)]);
    let dollars =
        provider.cost(2000, 0, written(1500), 100) + provider.cost(2200, 1500, written(300), 100);
    assert_dollars(&ran.result()["cost_usd"], dollars);
}

/// By marks; the fakes of services with marks cache by them and by nothing else.
async fn asks_for_the_cache(provider: &'static Provider) {
    let replies = (0..6).map(|file| Reply::call("read", json!({"path": format!("{file}.txt")})));
    let bench = Bench::steps(provider, replies.chain([Reply::text("done")])).await;
    let ran = bench.done(&["go"]).await;
    let marker = provider.caches.expect("it asks for a cache");
    assert!(bench.bodies().iter().all(|body| body.contains(marker)));
    if !matches!(
        provider.service,
        Some(Service::Anthropic | Service::Bedrock)
    ) {
        return;
    }
    let usages = ran.of("usage");
    let read = |usage: &Value| usage["cache_read"].as_u64().unwrap_or(0);
    // From the second on, all that was written before is read.
    for pair in usages.windows(2) {
        let before = read(pair[0]) + pair[0]["cache_write"].as_u64().unwrap_or(0);
        assert_eq!(read(pair[1]), before, "{usages:?}");
        assert!(before > 1000);
    }
}

const SCHEMA: &str = r#"{"type":"object","properties":{"answer":{"type":"integer"}},"required":["answer"],"additionalProperties":false}"#;

/// The schema goes out where the protocol has a field for it, and prose is sent back once.
async fn repairs_an_answer(provider: &'static Provider) {
    let replies = [Reply::text("It is 42."), Reply::text("{\"answer\": 42}")];
    let bench = Bench::steps(provider, replies).await;
    bench.home.write("schema.json", SCHEMA);
    let ran = bench
        .done(&["--output-schema=schema.json", "what is it?"])
        .await;
    assert_eq!(ran.answer(), "{\"answer\": 42}");
    assert_eq!(ran.notices("answer_repair").len(), 1);
    let expected: Value = serde_json::from_str(SCHEMA).unwrap();
    for chat in bench.fake().chats() {
        let sent = chat.json().pointer(provider.schema).cloned();
        let sent = sent.unwrap_or_else(|| panic!("no {}: {}", provider.schema, chat.json()));
        // Some services have it as text.
        let sent = match sent.as_str() {
            Some(text) => serde_json::from_str(text).unwrap(),
            None => sent,
        };
        assert_eq!(sent, expected);
    }
}

async fn gives_up_on_an_answer(provider: &'static Provider) {
    let bench = Bench::steps(provider, (0..4).map(|_| Reply::text("It is 42."))).await;
    bench.home.write("schema.json", SCHEMA);
    let ran = bench
        .ended(1, &["--output-schema=schema.json", "what is it?"])
        .await;
    bench.assert_accepted();
    assert_eq!(ran.error()["kind"], "output_schema");
    assert_eq!(bench.bodies().len(), 3);
}

async fn goes_on_after_a_pause(provider: &'static Provider) {
    let replies = [
        Reply::call("list", json!({})).reasoning("I look first.", false),
        Reply::text("First."),
        Reply::text("Second."),
    ];
    let bench = Bench::steps(provider, replies).await;
    let ran = bench.done(&["one"]).await;
    assert_eq!(ran.answer(), "First.");
    let id = ran.result()["session"].as_str().unwrap();
    let ran = bench.done(&["--resume", id, "two"]).await;
    assert_eq!(ran.answer(), "Second.");
}

/// What each model of a session says: a call and its thoughts first, then an answer.
fn turns() -> Script {
    Script::new(|asked: &Asked<'_>| {
        let last = asked.messages.last().unwrap();
        match last["role"] == "tool" {
            // Services that show no reasoning keep it.
            true => Reply::text("Done.").reasoning(THOUGHT, false),
            false => {
                let read = |path| Call::new("read", json!({"path": path}));
                let calls = ["a.txt", "b.txt"].map(read);
                Reply::message("I read.", calls).reasoning(THOUGHT, false)
            }
        }
    })
}

const THOUGHT: &str = "I ponder what was asked.";

/// One of each protocol, and one that returns reasoning in chat completions.
const OTHERS: [&Provider; 5] = [
    &column::anthropic::PROVIDER,
    &column::bedrock::PROVIDER,
    &column::openai_responses::PROVIDER,
    &column::openrouter::PROVIDER,
    &column::ollama::PROVIDER,
];

/// One turn with each of the others, and one turn of its own after each: every service takes what
/// the others said, with its own reasoning and with that of nobody else.
async fn goes_on_with_others_and_back(provider: &'static Provider) {
    let bench = Bench::new(provider, turns()).await;
    bench.home.write("a.txt", "the secret of a\n");
    bench.home.write("b.txt", "the secret of b\n");
    let effort = "--effort=high";
    let first = bench.done(&[effort, "read"]).await;
    let id = first.result()["session"].as_str().unwrap().to_owned();
    let mut turns_of_its_own = 1;
    for other in OTHERS {
        // One home has one URL for each plugin.
        if other.prefix == provider.prefix || are_local(other, provider) {
            continue;
        }
        let manifest = format!("{}{}", provider.manifest, other.manifest);
        configure(&bench.home, &manifest, bench.fake()).await;
        let fake = served(&bench.home, other, other.models(), turns()).await;
        let run = bench.run_as(&other.named(), ["--resume", id.as_str(), effort, "again"]);
        let there = ended_well(run.run().await);
        assert_eq!(there.answer(), "Done.", "{}", other.name);
        fake.assert_all_accepted();
        for chat in fake.chats() {
            let body = text(&chat);
            assert!(
                body.contains("the secret of a"),
                "{} has the results",
                other.name
            );
            assert_only_own_reasoning(other, &body, 1);
        }
        restore(&bench, provider);
        let back = bench.done(&["--resume", &id, effort, "again"]).await;
        assert_eq!(back.answer(), "Done.");
        turns_of_its_own += 1;
        let body = bench.bodies().pop().unwrap();
        assert_only_own_reasoning(provider, &body, turns_of_its_own);
    }
    assert!(turns_of_its_own >= 5);
}

fn ended_well(done: Finished) -> Ran {
    done.assert_code(0);
    Ran {
        events: done.events(),
        done,
    }
}

/// Of the `turns` of its own, the last of which is under way, all reasoning but what is to come.
#[track_caller]
fn assert_only_own_reasoning(provider: &Provider, body: &str, turns: usize) {
    let markers = [
        "\"signature\":",
        "\"reasoningContent\":",
        "\"encrypted_content\":",
        "\"reasoning_details\":",
    ];
    for marker in markers {
        let found = body.matches(marker).count();
        let own = match provider.returns {
            Some(own) if own == marker => 2 * turns - 1,
            // The seals of these two are signatures as well.
            Some("\"reasoningContent\":" | "\"reasoning_details\":")
                if marker == "\"signature\":" =>
            {
                found
            }
            _ => 0,
        };
        assert!(found <= own, "{}: {found} times {marker}", provider.name);
    }
}

/// Whether both are one plugin.
fn are_local(one: &Provider, other: &Provider) -> bool {
    let local = |provider: &Provider| matches!(provider.prefix, "ollama" | "vllm");
    local(one) && local(other)
}

/// Gives the variables that another provider has changed back to this one.
fn restore(bench: &Bench, provider: &Provider) {
    for variable in provider.base {
        bench.home.set(variable, bench.fake().base_url());
    }
}
