//! Cases 1 to 20 as far as a plugin of the SDK can try them: each limit names itself, and under a
//! higher one, or with less, the same attack goes through.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Channel};
use hyper::{Response, body::Incoming};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    fake_openai::{Call, FakeOpenAi, Reply, Script},
    guests::Installed,
    http::{Listening, listen},
    world::{World, of_type},
};

use super::support::{attack, audited, home};

/// Limits that stop none of the attacks below.
const RAISED: &str = "memory = \"512MiB\"\ncpu = \"10m\"\ntimeout = \"10m\"\noutput = \"16MiB\"\n";

fn attacker() -> Installed {
    Installed::guest("hostile-limits")
}

fn call(tool: &str, amount: u64) -> Call {
    Call::new(tool, json!({ "amount": amount }))
}

/// The attack ends in a fault that says all of `says`; with higher limits it goes through.
async fn ends_until_raised(tool: &str, amount: u64, says: &[&str]) {
    let attacked = attack(home(&[attacker()]).await, [call(tool, amount)]).await;
    let own = ["stranger/hostile-limits", "0.1.0"];
    let ended = attacked.attacks[0].check("fault", &[&own, says].concat());
    audited(&attacked.events, &ended.call, "limits");

    let raised = home(&[attacker().limits(RAISED)]).await;
    let raised = attack(raised, [call(tool, amount)]).await;
    raised.attacks[0].check("ok", &[]);
}

/// With `much` the attack ends in a fault that says all of `says`, with `less` it goes through.
async fn ends_beyond(tool: &str, much: u64, less: u64, says: &[&str]) {
    let home = home(&[attacker().limits(RAISED)]).await;
    let attacked = attack(home, [call(tool, much), call(tool, less)]).await;
    let ended = attacked.attacks[0].check("fault", says);
    audited(&attacked.events, &ended.call, "limits");
    attacked.attacks[1].check("ok", &["done"]);
}

#[tokio::test]
async fn case_01_an_endless_loop_ends_by_processor_time() {
    let says = ["more than 200ms of processor time", "limits.cpu"];
    ends_until_raised("burn", 3000, &says).await;
}

#[tokio::test]
async fn case_04_a_loop_of_cheap_host_calls_ends_by_processor_time() {
    ends_until_raised("host_calls", 2000, &["more than 200ms of processor time"]).await;
}

#[tokio::test]
async fn case_04_a_patient_loop_of_host_calls_ends_by_their_number() {
    ends_beyond(
        "host_calls",
        6000,
        10,
        &["called the host more than 5000000 times"],
    )
    .await;
}

#[tokio::test]
async fn case_05_a_sleep_past_the_deadline_ends_by_wall_time() {
    ends_until_raised("nap", 4000, &["took longer than 3s", "limits.timeout"]).await;
}

/// A server whose responses send a byte every tenth of a second, as often as their path says.
async fn slow_body() -> Listening {
    listen(|_, request: hyper::Request<Incoming>| async move {
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        let pieces: u64 = request.uri().path()[1..].parse().unwrap();
        tokio::spawn(async move {
            for _ in 0..pieces {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if sender.send_data(Bytes::from_static(b"x")).await.is_err() {
                    return;
                }
            }
        });
        Response::new(body.boxed())
    })
    .await
}

#[tokio::test]
async fn case_06_a_body_that_never_ends_ends_by_wall_time() {
    let server = slow_body().await;
    let target = format!("http://{}", server.addr);
    let plugin = attacker()
        .grant("http = [{ base-url = \"target\" }]")
        .config("target", &target);
    let fetch =
        |pieces: &str| Call::new("fetch_all", json!({ "url": format!("{target}/{pieces}") }));
    let attacks = [fetch("1000000"), fetch("40"), fetch("5")];
    let attacked = attack(home(std::slice::from_ref(&plugin)).await, attacks).await;
    for endless in &attacked.attacks[..2] {
        endless.check("fault", &["took longer than 3s", "limits.timeout"]);
        audited(&attacked.events, &endless.call, "limits");
    }
    attacked.attacks[2].check("ok", &["5 bytes"]);

    let raised = home(&[plugin.limits(RAISED)]).await;
    attack(raised, [fetch("40")]).await.attacks[0].check("ok", &["40 bytes"]);
}

#[tokio::test]
async fn case_07_a_plugin_that_ignores_stop_is_ended() {
    let script = Script::new(|asked| match asked.last_text() {
        "attack" => Reply::calls([call("ignore_stop", 600)]),
        "neighbour" => Reply::calls([Call::new("neighbour", json!({}))]),
        _ => Reply::text("done"),
    });
    let home = home(&[attacker().limits(RAISED)]).await;
    let fake = FakeOpenAi::start(script).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let running = world.run(["--json", "attack"]).start();
    running
        .wait_for_event("the call", |event| event["type"] == "tool.started")
        .await;
    let asked = std::time::Instant::now();
    running.signal(Signal::INT);
    let done = running.finish().await;
    // Ten minutes were left to it.
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    done.assert_code(130);
    let events = done.events();
    assert_eq!(of_type(&events, "tool.finished")[0]["status"], "cancelled");

    let session = done.result()["session"].clone();
    let go_on = ["--json", "--resume", session.as_str().unwrap(), "neighbour"];
    let next = world.run(go_on).run().await;
    next.assert_code(0);
    let events = next.events();
    assert_eq!(of_type(&events, "tool.finished")[0]["content"], "good");

    // Nobody says stop: the same call goes to its end.
    let whole = attack(
        super::support::home(&[attacker()]).await,
        [call("ignore_stop", 1)],
    )
    .await;
    whole.attacks[0].check("ok", &["done"]);
}

#[tokio::test]
async fn case_10_memory_ends_at_the_limit() {
    let says = ["of memory where 16777216 are allowed", "limits.memory"];
    ends_until_raised("eat", 64, &says).await;
}

#[tokio::test]
async fn case_12_endless_recursion_ends_by_a_trap_of_its_own_stack() {
    // The stack that the guest keeps in its memory runs out before the engine's.
    ends_beyond("recurse", 100_000_000, 100, &["trapped", "out of bounds"]).await;
}

#[tokio::test]
async fn case_13_a_text_of_40_mib_to_the_log_is_refused() {
    let says = ["passed more than 16777216 bytes to the host in one call"];
    ends_beyond("log_text", 40, 1, &says).await;
}

#[tokio::test]
async fn case_14_a_list_of_a_million_texts_is_refused() {
    let granted = attacker()
        .limits(RAISED)
        .grant("process = { programs = [\"true\"] }");
    let attacks = [call("long_list", 1000), call("long_list", 1)];
    let attacked = attack(home(&[granted]).await, attacks).await;
    let says = ["passed more than 16777216 bytes to the host in one call"];
    let ended = attacked.attacks[0].check("fault", &says);
    audited(&attacked.events, &ended.call, "limits");
    assert_ne!(
        attacked.attacks[1].status, "fault",
        "{:?}",
        attacked.attacks[1]
    );
}

#[tokio::test]
async fn case_15_a_flood_of_handles_ends_at_their_number() {
    ends_beyond("handles", 300, 200, &["opened more than 256 handles"]).await;
}

#[tokio::test]
async fn case_16_random_bytes_without_number_are_refused() {
    let says = ["asked for more than 1048576 random bytes at once"];
    ends_beyond("random", 1 << 32, 1 << 20, &says).await;
}

#[tokio::test]
async fn case_17_a_flood_of_headers_is_refused() {
    let says = ["made headers of more than 131072 bytes"];
    ends_beyond("headers", 1000, 100, &says).await;
}

#[tokio::test]
async fn case_19_a_huge_result_is_refused() {
    let says = ["where 65536 are allowed", "limits.output"];
    ends_until_raised("huge_result", 65, &says).await;
}

#[tokio::test]
async fn case_20_floods_of_logs_and_of_standard_error_are_cut_off() {
    let attacks = [
        call("flood_log", 1024),
        call("flood_stderr", 1024),
        call("flood_log", 10),
    ];
    let attacked = attack(home(&[attacker().limits(RAISED)]).await, attacks).await;
    let logged = |number: usize| {
        let call = &attacked.attacks[number].check("ok", &["done"]).call;
        let lines = of_type(&attacked.events, "tool.log").into_iter();
        let own = lines.filter(|line| line["call"] == **call);
        own.map(|line| line["text"].as_str().expect("a text").len())
            .sum::<usize>()
    };
    let flood = logged(0);
    assert!((200 << 10..=256 << 10).contains(&flood), "{flood} bytes");
    // Standard error is for whoever asks for it with --verbose.
    assert_eq!((logged(1), logged(2)), (0, 10 << 10));
    assert!(attacked.done.stderr.len() < 1 << 20);
    assert_eq!(attacked.world.home.sessions().len(), 1);
}
