use std::time::Duration;

use serde_json::{Value, json};

use super::{WAITS, job, job_with, jobs, printed, ready, wait_for_state};
use crate::support::world::{World, of_type};

#[tokio::test]
async fn a_failure_is_told_with_its_exit_code_and_the_end_of_the_log() {
    let script = "import sys\nfor n in range(3): print('step', n)\nraise SystemExit(5)";
    let world = World::new(job(script)).await;
    let done = world.run_json(["--permission-mode=auto", "go"]).run().await;
    // The run is done; what to make of the failure was the model's to say.
    done.assert_code(0);
    let events = done.events();
    assert_eq!(of_type(&events, "tool.finished")[0]["status"], "error");
    assert_eq!(
        of_type(&events, "job.finished")[0]["job"]["state"],
        "failed"
    );
    let result: Value = serde_json::from_str(&world.results()[0]).unwrap();
    assert_eq!(result["state"], "failed");
    assert!(
        result["message"].as_str().unwrap().contains('5'),
        "{result}"
    );
    assert!(result["log"].to_string().contains("step 2"), "{result}");
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_ended() {
    let arguments = json!({"script": "import time\nprint('slow', flush=True)\ntime.sleep(60)", "timeout": 1, "wait": 40});
    let world = World::new(job_with(arguments)).await;
    let done = world.run_json(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    let result: Value = serde_json::from_str(&world.results()[0]).unwrap();
    assert_eq!(result["state"], "timed-out");
    assert!(result["log"].to_string().contains("slow"), "{result}");
    assert!(done.elapsed < Duration::from_secs(30), "{:?}", done.elapsed);
}

#[tokio::test]
async fn a_job_that_somebody_ends_is_told_as_such() {
    let world = World::new(job(WAITS)).await;
    let (running, id) = ready(&world).await;
    let cancelled = jobs(&world, &["cancel", &id]).await;
    cancelled.assert_code(0);
    assert_eq!(cancelled.stdout, format!("job {id} cancelled\n"));
    let done = running.finish().await;
    done.assert_code(0);
    let result: Value = serde_json::from_str(&world.results()[0]).unwrap();
    assert_eq!(result["state"], "cancelled");
    let events = done.events();
    assert_eq!(
        of_type(&events, "job.finished")[0]["job"]["state"],
        "cancelled"
    );
    // A second time changes nothing.
    jobs(&world, &["cancel", &id]).await.assert_code(0);
    assert_eq!(printed(&world, &["show", &id]).await["state"], "cancelled");
}

#[tokio::test]
async fn a_job_that_nobody_waits_for_goes_on_and_the_user_is_told() {
    let arguments = json!({"script": WAITS, "timeout": 90, "wait": 0});
    let world = World::new(job_with(arguments)).await;
    let done = world.run(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    let id = printed(&world, &["list"]).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        done.stderr
            .contains(&format!("`ml-intern jobs cancel {id}` ends it")),
        "{}",
        done.stderr
    );
    jobs(&world, &["cancel", &id]).await.assert_code(0);
    wait_for_state(&world, &id, "cancelled").await;
}
