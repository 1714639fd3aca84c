//! What comes over the wire is not always what the protocol says.

use rustix::process::Signal;
use serde_json::json;

use super::{Bench, Case, Provider, bench::Ran, cases};
use crate::support::fake::{ApiError, Asked, Call, Flaw, Reply, Script};

pub(super) const CASES: &[Case] = cases![
    "error in a stream" => hears_an_error_in_a_stream,
    "cut connection" => notices_a_cut,
    "end mark missing" => notices_a_missing_end,
    "wrong checksum" => notices_a_wrong_checksum,
    "web page of a proxy" => hears_a_proxy,
    "login page" => sees_through_a_login_page,
    "nothing said" => asks_again_after_nothing,
    "tokens not reported" => does_without_tokens,
    "calls without an id" => makes_up_ids,
    "calls with one id" => tells_calls_apart,
    "arguments of another type" => takes_arguments_of_another_type,
    "mixed fragments" => sorts_fragments,
    "CRLF" => takes_other_line_ends,
    "keep-alive" => ignores_keep_alive,
    "split characters" => joins_characters,
    "interrupted" => ends_at_once,
];

const ANSWER: &str = "Größe 5 \u{1f427} — fertig.";

/// Half of an answer and a failure, then the whole; what is left of the half is nothing.
async fn tried_again(provider: &'static Provider, failing: Reply) -> Ran {
    let bench = Bench::steps(provider, [failing.then(Reply::text(ANSWER))]).await;
    let ran = bench.done(&["go"]).await;
    assert_eq!(ran.answer(), ANSWER);
    assert_eq!(bench.bodies().len(), 2);
    let bodies = bench.bodies();
    assert_eq!(bodies[0], bodies[1], "the same request, byte for byte");
    let notices = ran.notices("retry");
    assert_eq!(notices.len(), 1, "{}", ran.done.stdout);
    assert!(notices[0].contains("attempt 2 of 3"), "{notices:?}");
    let messages = ran.of("message").into_iter();
    let said: Vec<_> = messages
        .filter(|message| message["role"] == "assistant")
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    ran
}

/// Says that what came before the failure does not count.
#[track_caller]
fn assert_left_out(ran: &Ran) {
    let notice = ran.notices("retry")[0];
    assert!(
        notice.contains("the part of the answer that came is left out"),
        "{notice}"
    );
    assert!(
        ran.joined("text.delta", "text").starts_with("lost "),
        "{}",
        ran.done.stdout
    );
}

const LOST: &str = "lost words that nobody will see again in the end";

/// Events after which some of [`LOST`] has come, in every protocol.
const SOME: usize = 8;

async fn hears_an_error_in_a_stream(provider: &'static Provider) {
    let error = match provider.name {
        "bedrock" => ApiError::new(500, "modelStreamErrorException", "the model broke down"),
        "anthropic" => ApiError::new(529, "overloaded_error", "the model broke down"),
        _ => ApiError::new(500, "server_error", "the model broke down").code("server_error"),
    };
    let ran = tried_again(provider, Reply::text(LOST).error_after(SOME, error)).await;
    assert_left_out(&ran);
    assert!(ran.notices("retry")[0].contains("the model broke down"));
}

async fn notices_a_cut(provider: &'static Provider) {
    let ran = tried_again(provider, Reply::text(LOST).cut_after(SOME)).await;
    assert_left_out(&ran);
}

/// Without the mark nobody knows whether the answer is whole. Where another event has said so, it is.
async fn notices_a_missing_end(provider: &'static Provider) {
    let bench = Bench::steps(
        provider,
        [Reply::text(ANSWER)
            .flawed(Flaw::NoDone)
            .then(Reply::text(ANSWER))],
    )
    .await;
    let ran = bench.done(&["go"]).await;
    assert_eq!(ran.answer(), ANSWER);
    // A finish reason is as good as the mark.
    let again = usize::from(matches!(provider.name, "openai (Responses)" | "bedrock"));
    assert_eq!(ran.notices("retry").len(), again, "{}", ran.done.stdout);
}

async fn notices_a_wrong_checksum(provider: &'static Provider) {
    let ran = tried_again(provider, Reply::text(LOST).flawed(Flaw::WrongChecksum)).await;
    assert!(
        ran.notices("retry")[0].contains("was changed on its way"),
        "{:?}",
        ran.notices("retry")
    );
}

async fn hears_a_proxy(provider: &'static Provider) {
    let ran = tried_again(provider, Reply::proxy_page(502)).await;
    let notice = ran.notices("retry")[0];
    assert!(
        notice.contains("502") && notice.contains("Bad Gateway"),
        "{notice}"
    );
}

async fn sees_through_a_login_page(provider: &'static Provider) {
    let ran = tried_again(provider, Reply::web_page()).await;
    let notice = ran.notices("retry")[0];
    assert!(notice.contains("web page"), "{notice}");
}

async fn asks_again_after_nothing(provider: &'static Provider) {
    for stream in [true, false] {
        let nothing = Reply::text("").flawed(Flaw::Empty);
        let bench = Bench::steps(provider, [nothing.then(Reply::text(ANSWER))]).await;
        let flags: &[&str] = if stream {
            &["go"]
        } else {
            &["--no-stream", "go"]
        };
        let ran = bench.done(flags).await;
        assert_eq!(ran.answer(), ANSWER);
        let notices = ran.notices("empty_reply").len() + ran.notices("retry").len();
        assert_eq!(notices, 1, "{}", ran.done.stdout);
    }
}

async fn does_without_tokens(provider: &'static Provider) {
    let bench = Bench::steps(provider, [Reply::text(ANSWER).flawed(Flaw::NoUsage)]).await;
    let ran = bench.done(&["go"]).await;
    assert_eq!(ran.answer(), ANSWER);
}

/// Two calls with a flaw, whose results reach the model each as the answer to its own call.
async fn called(provider: &'static Provider, flaw: Flaw) {
    for flags in [&["go"][..], &["--no-stream", "go"]] {
        let read = |path: &str| Call::new("read", json!({"path": path}));
        let replies = [
            Reply::calls([read("a.txt"), read("b.txt")]).flawed(flaw),
            Reply::calls([read("c.txt")]).flawed(flaw),
            Reply::text(ANSWER),
        ];
        let bench = Bench::steps(provider, replies).await;
        for name in ["a", "b", "c"] {
            bench
                .home
                .write(&format!("{name}.txt"), format!("the secret of {name}\n"));
        }
        let ran = bench.done(flags).await;
        assert_eq!(ran.answer(), ANSWER);
        let finished = ran.of("tool.finished");
        let mut read: Vec<_> = finished
            .iter()
            .filter_map(|event| event["content"].as_str())
            .collect();
        read.sort_unstable();
        assert_eq!(read.len(), 3, "{}", ran.done.stdout);
        for (text, name) in read.iter().zip(["a", "b", "c"]) {
            assert!(text.contains(&format!("the secret of {name}")), "{text}");
        }
    }
}

async fn makes_up_ids(provider: &'static Provider) {
    called(provider, Flaw::NoCallId).await;
}

async fn tells_calls_apart(provider: &'static Provider) {
    called(provider, Flaw::SameCallId).await;
}

async fn takes_arguments_of_another_type(provider: &'static Provider) {
    called(provider, Flaw::ArgumentsType).await;
}

async fn sorts_fragments(provider: &'static Provider) {
    called(provider, Flaw::MixedFragments).await;
}

/// A call and an answer that come in an unusual way.
async fn heard(provider: &'static Provider, unusual: impl Fn(Reply) -> Reply) {
    let write = Call::new("write", json!({"path": "ü.txt", "content": ANSWER}));
    let replies = [
        Reply::message("Ich schreibe — \u{7f16}.", [write]),
        Reply::text(ANSWER),
    ];
    let bench = Bench::steps(provider, replies.map(&unusual)).await;
    let ran = bench.done(&["go"]).await;
    assert_eq!(ran.answer(), ANSWER);
    assert_eq!(bench.home.read("ü.txt"), ANSWER);
    assert_eq!(ran.notices("retry"), [""; 0]);
}

async fn takes_other_line_ends(provider: &'static Provider) {
    heard(provider, |reply| reply.flawed(Flaw::CrLf)).await;
}

async fn ignores_keep_alive(provider: &'static Provider) {
    heard(provider, |reply| reply.flawed(Flaw::KeepAlive)).await;
}

async fn joins_characters(provider: &'static Provider) {
    for bytes in [1, 3] {
        heard(provider, |reply| reply.pieces_of(bytes)).await;
    }
}

/// A person stops a model that has stopped by itself: the connection goes, what came stays, and the
/// session goes on.
async fn ends_at_once(provider: &'static Provider) {
    let script = Script::new(|asked: &Asked<'_>| match asked.messages.len() {
        2 => Reply::text(LOST).hang_after(SOME),
        _ => Reply::text(ANSWER),
    });
    let bench = Bench::new(provider, script).await;
    let running = bench.run(["go"]).start();
    running.nth_event("text.delta", 1).await;
    running.signal(Signal::INT);
    let done = running.finish().await;
    done.assert_code(130);
    assert_eq!(done.result()["reason"], "interrupted");
    let left = |all: &[crate::support::fake::Exchange]| all.iter().all(|one| one.ended.is_some());
    bench
        .fake()
        .wait_for("the end of the connection", left)
        .await;
    assert!(!bench.fake().chats()[0].complete);
    let id = done.result()["session"].as_str().unwrap().to_owned();
    let ran = bench.done(&["--resume", &id, "go on"]).await;
    assert_eq!(ran.answer(), ANSWER);
    assert!(bench.bodies().last().unwrap().contains("lost "));
}
