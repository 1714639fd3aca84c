//! What a service refuses, and what a person is told of it.

use serde_json::json;

use super::{Bench, Case, Provider, bench::Ran, cases};
use crate::support::fake::{Asked, Reply, Script};

pub(super) const CASES: &[Case] = cases![
    "wrong key" => is_told_of_the_key,
    "unknown model" => is_told_of_close_names,
    "rate limit" => waits_as_long_as_it_is_told,
    "overloaded" => tries_an_overloaded_service_again,
    "server error" => tries_a_broken_service_again,
    "no money" => does_not_ask_for_more,
    "context overflow" => makes_room,
    "refusal" => passes_a_refusal_on,
    "cut by its limit" => runs_no_cut_call,
];

async fn is_told_of_the_key(provider: &'static Provider) {
    let bench = Bench::new(provider, Script::steps([Reply::text("never")])).await;
    for variable in provider.keys {
        bench.home.set(variable, "wrong-3xYtV5");
    }
    let ran = bench.ended(3, &["go"]).await;
    assert_eq!(ran.error()["kind"], "auth");
    assert_eq!(bench.bodies().len(), 1, "a wrong key does not get better");
    assert!(!ran.done.stdout.contains("wrong-3xYtV5"));
    let message = ran.error()["message"].as_str().unwrap();
    assert!(message.contains(provider.keys[0]), "{message}");
}

async fn is_told_of_close_names(provider: &'static Provider) {
    let bench = Bench::steps(provider, [Reply::text("never")]).await;
    // The last letter is another one.
    let known = provider.named();
    let mistyped = format!("{}x", &known[..known.len() - 1]);
    let running = bench.run_as(&mistyped, ["go"]);
    let done = running.run().await;
    let ran = Ran {
        events: done.events(),
        done,
    };
    assert_ne!(ran.done.code(), Some(0));
    let message = ran.error()["message"].as_str().unwrap();
    assert_eq!(ran.error()["kind"], "not_found", "{message}");
    let (_, name) = mistyped.split_once('/').unwrap();
    assert!(message.contains(name), "{message}");
    assert!(message.contains(&known), "{message}");
    assert!(bench.bodies().len() <= 1);
}

/// One failure and then an answer, with a notice in between.
async fn told_of(provider: &'static Provider, failure: Reply) -> Ran {
    let bench = Bench::steps(provider, [failure.then(Reply::text("done"))]).await;
    let ran = bench.done(&["go"]).await;
    assert_eq!(ran.answer(), "done");
    assert_eq!(bench.bodies().len(), 2);
    assert_eq!(ran.notices("retry").len(), 1);
    ran
}

async fn waits_as_long_as_it_is_told(provider: &'static Provider) {
    let ran = told_of(provider, Reply::rate_limited(1)).await;
    let notice = ran.notices("retry")[0];
    assert!(
        notice.contains("429") && notice.contains("again in 1 s"),
        "{notice}"
    );
    assert!(ran.done.elapsed >= std::time::Duration::from_secs(1));
}

async fn tries_an_overloaded_service_again(provider: &'static Provider) {
    let ran = told_of(provider, Reply::overloaded().retry_after(0)).await;
    let status = if provider.name == "anthropic" {
        "529"
    } else {
        "503"
    };
    assert!(
        ran.notices("retry")[0].contains(status),
        "{:?}",
        ran.notices("retry")
    );
}

async fn tries_a_broken_service_again(provider: &'static Provider) {
    let ran = told_of(provider, Reply::server_error().retry_after(0)).await;
    assert!(
        ran.notices("retry")[0].contains("500"),
        "{:?}",
        ran.notices("retry")
    );
}

async fn does_not_ask_for_more(provider: &'static Provider) {
    let bench = Bench::steps(provider, [Reply::unpaid()]).await;
    let ran = bench.ended(1, &["go"]).await;
    assert_eq!(bench.bodies().len(), 1);
    assert_eq!(ran.error()["kind"], "billing");
    let message = ran.error()["message"].as_str().unwrap();
    assert!(message.contains("go on with another model"), "{message}");
}

const NOTE: &str = "the note of what was read";

/// The service refuses the fourth request, until what came before is summed up.
async fn makes_room(provider: &'static Provider) {
    let script = Script::new(|asked: &Asked<'_>| {
        let text = json!(asked.messages).to_string();
        let last = asked.messages.last().unwrap().to_string();
        match asked.assistant_messages() {
            _ if last.contains("about to be cut") => Reply::text(NOTE),
            _ if text.contains(NOTE) => Reply::text("done"),
            count @ 0..3 => Reply::call("read", json!({"path": format!("{count}.txt")})),
            _ => Reply::context_too_long(),
        }
    });
    let bench = Bench::new(provider, script).await;
    for file in 0..3 {
        bench.home.write(&format!("{file}.txt"), "text");
    }
    let ran = bench.done(&["go"]).await;
    assert_eq!(ran.answer(), "done");
    assert_eq!(ran.of("compacted").len(), 1);
    assert_eq!(ran.notices("retry"), [""; 0]);
}

async fn passes_a_refusal_on(provider: &'static Provider) {
    for flags in [&["go"][..], &["--no-stream", "go"]] {
        let bench = Bench::steps(provider, [Reply::refusal("I will not do that.")]).await;
        let ran = bench.done(flags).await;
        assert_eq!(ran.answer(), "I will not do that.");
        assert_eq!(bench.bodies().len(), 1);
    }
}

/// A call whose arguments may be cut is not run, and the model is told. A cut text is an answer.
async fn runs_no_cut_call(provider: &'static Provider) {
    let call = Reply::call("write", json!({"path": "half.txt", "content": "half"}));
    let replies = [
        call.finish("length"),
        Reply::text("Half a").finish("length"),
    ];
    let bench = Bench::steps(provider, replies).await;
    let ran = bench.done(&["go"]).await;
    assert!(!bench.home.workspace().join("half.txt").exists());
    assert_eq!(ran.notices("truncated").len(), 1);
    assert_eq!(ran.answer(), "Half a");
}
