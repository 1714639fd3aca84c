//! Cases 1 to 20 as far as a plugin of the SDK can try them: the limit names itself, and with a
//! higher one the same attack goes through.

use serde_json::json;

use crate::support::{fake_openai::Call, guests::Installed};

use super::support::{attack, audited, home};

/// Limits that stop none of the attacks below.
const RAISED: &str = "memory = \"512MiB\"\ncpu = \"10m\"\ntimeout = \"10m\"\noutput = \"16MiB\"\n";

fn attacker() -> Installed {
    Installed::guest("hostile-limits")
}

/// The attack ends in a fault that says all of `says`; with higher limits it goes through.
async fn limited(tool: &str, amount: u64, says: &[&str]) {
    let call = Call::new(tool, json!({ "amount": amount }));
    let attacked = attack(home(&[attacker()]).await, [call.clone()]).await;
    let own = ["stranger/hostile-limits", "0.1.0"];
    let ended = attacked.attacks[0].check("fault", &[&own, says].concat());
    audited(&attacked.events, &ended.call, "limits");

    let raised = attack(home(&[attacker().limits(RAISED)]).await, [call]).await;
    raised.attacks[0].check("ok", &[]);
}

#[tokio::test]
async fn case_01_an_endless_loop_ends_by_processor_time() {
    limited(
        "burn",
        3000,
        &["more than 200ms of processor time", "limits.cpu"],
    )
    .await;
}

#[tokio::test]
async fn case_04_a_loop_of_cheap_host_calls_ends_by_processor_time() {
    limited("host_calls", 2000, &["more than 200ms of processor time"]).await;
}

#[tokio::test]
async fn case_05_a_sleep_past_the_deadline_ends_by_wall_time() {
    limited("nap", 4000, &["took longer than 3s", "limits.timeout"]).await;
}

#[tokio::test]
async fn case_10_memory_ends_at_the_limit() {
    limited(
        "eat",
        64,
        &["of memory where 16777216 are allowed", "limits.memory"],
    )
    .await;
}

#[tokio::test]
async fn case_19_a_huge_result_is_refused() {
    limited("result", 65, &["where 65536 are allowed", "limits.output"]).await;
}
