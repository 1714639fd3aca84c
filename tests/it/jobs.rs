use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, Reply, Script},
    ml_intern::{Finished, Running},
    world::{World, of_type},
};

mod ended;
mod followed;

/// Longest wait for a job to get somewhere; each does in well under a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A script that says `ready` and then waits for the file `go`, for a minute at most.
const WAITS: &str = "\
import os, sys, time
print('ready', flush=True)
for _ in range(600):
    if os.path.exists('go'):
        print('went', flush=True)
        sys.exit(int(open('go').read() or 0))
    time.sleep(0.1)
sys.exit(9)
";

/// A model that runs `script` as a job and then says `done`.
fn job(script: &str) -> Script {
    job_with(json!({"script": script, "timeout": 90, "wait": 60}))
}

fn job_with(arguments: Value) -> Script {
    Script::steps([Reply::call("job_run", arguments), Reply::text("done")])
}

/// A run whose job has said `ready`, and the job's id.
async fn ready(world: &World) -> (Running, String) {
    let running = world.run_json(["--permission-mode=auto", "go"]).start();
    let started = running
        .wait_for_event("the job", |event| event["type"] == "job.started")
        .await;
    running
        .wait_for_event("ready", |event| {
            event["type"] == "tool.log" && event["text"] == "ready"
        })
        .await;
    (running, started["job"]["id"].as_str().unwrap().to_owned())
}

async fn jobs(world: &World, args: &[&str]) -> Finished {
    world.home.ml_intern([&["jobs"], args].concat()).run().await
}

/// What `jobs … --json` prints.
async fn printed(world: &World, args: &[&str]) -> Value {
    let done = jobs(world, &[args, &["--json"]].concat()).await;
    done.assert_code(0);
    serde_json::from_str(&done.stdout).unwrap()
}

/// Waits until the job is in `state`.
async fn wait_for_state(world: &World, id: &str, state: &str) -> Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let job = printed(world, &["show", id]).await;
        if job["state"] == state {
            return job;
        }
        assert!(std::time::Instant::now() < deadline, "not {state}: {job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn other_programs_see_a_job_while_its_session_runs() {
    let world = World::new(job(WAITS)).await;
    let (running, id) = ready(&world).await;

    let list = printed(&world, &["list"]).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["id"], &list[0]["state"]),
        (&json!(id), &json!("running"))
    );
    assert_eq!(list[0]["cost_usd"], 0.0);
    assert_eq!(printed(&world, &["show", &id]).await["state"], "running");
    let text = jobs(&world, &["list"]).await.stdout;
    assert!(text.starts_with("ID "), "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with(&id), "{text}");
    let text = jobs(&world, &["show", &id]).await.stdout;
    assert!(text.contains("running"), "{text}");
    // Without -f what is there, at once.
    let logs = jobs(&world, &["logs", &id]).await;
    logs.assert_code(0);
    assert_eq!(logs.stdout, "ready\n");

    world.home.write("go", "");
    let done = running.finish().await;
    done.assert_code(0);
    let events = done.events();
    assert_eq!(
        of_type(&events, "job.finished")[0]["job"]["state"],
        "succeeded"
    );
    let result: Value = serde_json::from_str(&world.results()[0]).unwrap();
    assert_eq!(
        (&result["id"], &result["state"]),
        (&json!(id), &json!("succeeded"))
    );
    assert!(result["log"].to_string().contains("went"), "{result}");
}

#[tokio::test]
async fn a_job_outlives_its_host_and_is_found_again_by_the_same_call() {
    let world = World::new(job(WAITS)).await;
    let (running, id) = ready(&world).await;
    running.signal(Signal::KILL);
    let dead = running.finish().await;
    assert_eq!(dead.signal(), Some(9));

    let list = printed(&world, &["list"]).await;
    assert_eq!(
        (&list[0]["id"], &list[0]["state"]),
        (&json!(id), &json!("running"))
    );

    let running = world
        .run_json(["--permission-mode=auto", "--continue"])
        .start();
    // The repeated call shows the log from its start.
    running
        .wait_for_event("ready", |event| {
            event["type"] == "tool.log" && event["text"] == "ready"
        })
        .await;
    world.home.write("go", "");
    let done = running.finish().await;
    done.assert_code(0);
    let result: Value = serde_json::from_str(&world.results()[0]).unwrap();
    assert_eq!(
        (&result["id"], &result["state"]),
        (&json!(id), &json!("succeeded"))
    );
    assert_eq!(
        printed(&world, &["list"]).await.as_array().unwrap().len(),
        1
    );
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn a_job_of_another_session_is_not_there_for_the_tools() {
    let world = World::new(job("print('mine')")).await;
    world
        .run(["--permission-mode=auto", "go"])
        .run()
        .await
        .assert_code(0);
    let id = printed(&world, &["list"]).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let calls =
        ["job_status", "job_logs", "job_cancel"].map(|tool| Call::new(tool, json!({"id": id})));
    let list = Call::new("job_list", json!({}));
    let made_up = Call::new("job_status", json!({"id": "../../sessions"}));
    let script = Script::steps([
        Reply::calls(calls.into_iter().chain([made_up, list])),
        Reply::text("done"),
    ]);
    let other = crate::support::fake_openai::FakeOpenAi::start(script).await;
    world.home.set("OPENAI_BASE_URL", other.base_url());
    world
        .run(["--permission-mode=auto", "go"])
        .run()
        .await
        .assert_code(0);
    let results = crate::support::world::results(other.chats().last().unwrap());
    for result in &results[..3] {
        assert!(
            result.contains(&format!("this session has no job `{id}`")),
            "{result}"
        );
    }
    assert!(
        results[3].contains("this session has no job"),
        "{}",
        results[3]
    );
    assert_eq!(results[4], "{\"jobs\":[]}");
}

#[tokio::test]
async fn a_job_sees_nothing_of_the_hosts_environment() {
    let world = World::new(job(
        "import os\nfor name in os.environ: print(name, os.environ[name])",
    ))
    .await;
    world.home.set("OPENAI_API_KEY", "sk-secret-1");
    world.home.set("HF_TOKEN", "hf-secret-2");
    world.home.set("FAVOURITE", "blue");
    world
        .run(["--permission-mode=auto", "go"])
        .run()
        .await
        .assert_code(0);
    let log = world.results()[0].clone();
    assert!(log.contains("PATH"), "{log}");
    for unseen in ["OPENAI", "HF_TOKEN", "secret", "FAVOURITE", "blue"] {
        assert!(!log.contains(unseen), "{unseen} in {log}");
    }
}
