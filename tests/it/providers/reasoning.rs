//! How much a model thinks, what is shown of that, and what goes back.

use serde_json::json;

use super::{Bench, Case, Provider, cases};
use crate::support::fake::{ApiError, Asked, Call, Reply, Script};

pub(super) const CASES: &[Case] = cases![
    "reasoning shown" => shows_reasoning,
    "reasoning returned" => returns_reasoning,
    "hidden reasoning returned" => returns_hidden_reasoning,
    "reasoning left out" => leaves_reasoning_out,
    "stale reasoning" => drops_stale_reasoning,
    "effort" => asks_for_an_effort,
    "effort refused" => asks_for_less,
];

const THOUGHT: &str = "I ponder what was asked.";

/// A call, and an answer after it. The effort makes every service show what it has to show.
const THINK: [&str; 2] = ["--effort=high", "think"];

fn thinking(opaque: bool) -> [Reply; 2] {
    let call = Reply::call("list", json!({}));
    [
        call.reasoning(THOUGHT, opaque),
        Reply::text("done").reasoning(THOUGHT, opaque),
    ]
}

async fn shows_reasoning(provider: &'static Provider) {
    let bench = Bench::steps(provider, thinking(false)).await;
    let ran = bench.ended(0, &THINK).await;
    assert_eq!(ran.joined("reasoning.delta", "text"), THOUGHT.repeat(2));
    assert_eq!(ran.answer(), "done");
}

async fn returns_reasoning(provider: &'static Provider) {
    returned(provider, false).await;
}

async fn returns_hidden_reasoning(provider: &'static Provider) {
    returned(provider, true).await;
}

/// The fakes take nothing back but what they gave out, each with its seal.
async fn returned(provider: &'static Provider, opaque: bool) {
    for flags in [&THINK[..], &["--no-stream", "--effort=high", "think"]] {
        returned_with(provider, opaque, flags).await;
    }
}

async fn returned_with(provider: &'static Provider, opaque: bool, flags: &[&str]) {
    let bench = Bench::steps(provider, thinking(opaque)).await;
    let ran = bench.done(flags).await;
    assert_eq!(ran.answer(), "done");
    let id = ran.result()["session"].as_str().unwrap();
    let again = ["--resume", id, "--effort=high", "think"];
    // The script has no third reply; what is asked counts.
    bench.ended(1, &again).await;
    let marker = match (provider.name, opaque) {
        ("anthropic", true) => "\"redacted_thinking\"",
        _ => provider.returns.expect("it returns reasoning"),
    };
    assert_eq!(
        counts(&bench, marker),
        [0, 1, 2],
        "{:?}",
        bench.bodies().last()
    );
    bench.assert_accepted();
}

async fn leaves_reasoning_out(provider: &'static Provider) {
    let bench = Bench::steps(provider, thinking(false)).await;
    let ran = bench.done(&THINK).await;
    assert_eq!(ran.answer(), "done");
    assert!(bench.bodies().iter().all(|body| !body.contains(THOUGHT)));
}

/// The service forgets what it sealed, as after a change of its keys.
async fn drops_stale_reasoning(provider: &'static Provider) {
    let marker = provider.returns.expect("it returns reasoning");
    let script = Script::new(move |asked: &Asked<'_>| {
        let call = |path| Reply::calls([Call::new("read", json!({"path": path}))]);
        match asked.assistant_messages() {
            0 => call("a.txt").reasoning(THOUGHT, false),
            1 if asked.request.to_string().contains(marker) => Reply::refused(stale(asked)),
            1 => call("b.txt").reasoning(THOUGHT, false),
            // What was sealed since is good.
            _ => Reply::text("done"),
        }
    });
    let bench = Bench::new(provider, script).await;
    let ran = bench.ended(0, &THINK).await;
    assert_eq!(ran.answer(), "done");
    let dropped = ran.of("reasoning.dropped");
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0]["pieces"], 1);
    assert!(ran.notices("retry").is_empty(), "healing is no attempt");
    assert_eq!(counts(&bench, marker), [0, 1, 0, 1]);
}

/// How often each request holds a text.
fn counts(bench: &Bench, text: &str) -> Vec<usize> {
    let bodies = bench.bodies();
    bodies
        .iter()
        .map(|body| body.matches(text).count())
        .collect()
}

/// In the words of the service whose protocol it is.
fn stale(asked: &Asked<'_>) -> ApiError {
    if asked.request.get("input").is_some() {
        let message = "The encrypted content gAAA... could not be verified. Reason: Encrypted content could not be decrypted or parsed.";
        return ApiError::new(400, "invalid_request_error", message)
            .code("invalid_encrypted_content");
    }
    let message = "messages.1.content.0: Invalid `signature` in `thinking` block";
    let kind = match asked.request.get("model") {
        Some(_) => "invalid_request_error",
        None => "ValidationException",
    };
    ApiError::new(400, kind, message)
}

async fn asks_for_an_effort(provider: &'static Provider) {
    let bench = Bench::steps(provider, [Reply::text("done")]).await;
    let ran = bench.done(&["--effort=medium", "go"]).await;
    assert!(ran.of("effort.refused").is_empty());
    let chats = bench.fake().chats();
    assert_eq!(
        provider.effort_of(&chats[0].json()).as_deref(),
        Some("medium")
    );
}

/// From `max` downwards, until the model takes it or there is nothing less to ask for. No attempt is
/// used up by that, and what was found out holds for the session.
async fn asks_for_less(provider: &'static Provider) {
    let model = provider.the_model().efforts(provider.efforts);
    let list = || Reply::call("list", json!({}));
    let script = Script::steps([list(), Reply::text("done")]);
    let bench = Bench::with(provider, vec![model], script).await;
    let ran = bench.ended(0, &["--effort=max", "go"]).await;
    assert_eq!(ran.answer(), "done");
    assert!(ran.notices("retry").is_empty());
    let refused = ran.of("effort.refused");
    let refused: Vec<_> = refused
        .iter()
        .filter_map(|event| event["effort"].as_str())
        .collect();
    let expected: &[&str] = match provider.effort {
        Some(_) => &["max", "xhigh"],
        None => &["max", "xhigh", "high", "medium", "low"],
    };
    assert_eq!(refused, expected);
    let chats = bench.fake().chats();
    let taken = chats.iter().filter(|chat| chat.refusal.is_none());
    let asked: Vec<_> = taken.map(|chat| provider.effort_of(&chat.json())).collect();
    let high = provider.effort.map(|_| "high".to_owned());
    assert_eq!(asked, [high.clone(), high]);
}
