//! Case 62: jobs over the budget, without number, and other people's.

use super::*;
use crate::support::fake_openai::{FakeOpenAi, Script};

/// The attacker with jobs of these flavors.
fn submitter(flavors: &str) -> Installed {
    Installed::guest("hostile-agent")
        .grant(&format!("jobs = {{ flavors = [{flavors}], max-usd = 1 }}"))
}

fn submit(amount: u32, flavor: &str, then: &str) -> Call {
    Call::new(
        "submit",
        json!({ "amount": amount, "name": flavor, "job": then }),
    )
}

fn job(what: &str, id: &str) -> Call {
    Call::new("job", json!({ "name": what, "job": id }))
}

#[tokio::test]
async fn case_62_jobs_run_only_on_hardware_that_was_granted() {
    let attacked = attack(
        home(&[submitter("\"cpu-basic\"")]).await,
        [submit(1, "local", "")],
    )
    .await;
    let says = ["denied (jobs)", "`local`", "[plugins.hostile-agent.grant]"];
    let ended = attacked.attacks[0].check("denied", &says);
    audited(&attacked.events, &ended.call, "jobs");
    assert!(of_type(&attacked.events, "job.started").is_empty());

    let attacked = attack(
        home(&[submitter("\"local\"")]).await,
        [submit(1, "local", "")],
    )
    .await;
    attacked.attacks[0].check("ok", &["1 jobs: "]);
}

#[tokio::test]
async fn case_62_a_thousand_submits_end_at_the_number_of_jobs_that_may_run() {
    let attacks = [submit(1000, "local", ""), submit(2, "local", "")];
    let attacked = attack(home(&[submitter("\"local\"")]).await, attacks).await;
    let ended = attacked.attacks[0].check("error", &["limit reached: 64 jobs: "]);
    audited(&attacked.events, &ended.call, "jobs");
    // They have been ended, so there is room again.
    attacked.attacks[1].check("ok", &["2 jobs: "]);
    assert_eq!(of_type(&attacked.events, "job.started").len(), 66);
}

#[tokio::test]
async fn case_62_a_job_of_another_session_is_not_there() {
    let own = attack(
        home(&[submitter("\"local\"")]).await,
        [submit(1, "local", "stay")],
    )
    .await;
    let id = of_type(&own.events, "job.started")[0]["job"]["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let home = own.world.home;
    let attacks = ["get", "logs", "wait", "cancel"].map(|what| job(what, &id));
    let attacks = attacks
        .into_iter()
        .chain([job("list", ""), job("get", "../../etc")]);
    let attacked = attack(home, attacks).await;
    for attack in attacked.attacks[..4].iter().chain(&attacked.attacks[5..]) {
        attack.check("error", &["not found: this session has no job"]);
        audited(&attacked.events, &attack.call, "jobs");
    }
    attacked.attacks[4].check("ok", &["0 jobs"]);

    // Its own session finds it, still running, and may end it.
    let session = own.done.result()["session"].as_str().unwrap().to_owned();
    let home = attacked.world.home;
    let (first, second) = (job("get", &id), job("cancel", &id));
    let fake = FakeOpenAi::start(Script::new(move |asked| {
        let calls = [&first, &second];
        // The session's earlier turn has said three things.
        match calls.get(asked.assistant_messages() - 3) {
            Some(&call) => Reply::calls([call.clone()]),
            None => Reply::text("done"),
        }
    }))
    .await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = crate::support::world::World { home, fake };
    let shown = ["jobs", "show", &id, "--json"];
    let shown = world.home.ml_intern(shown).run().await;
    let state: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(state["state"], "running");
    let (events, done) = ran(&world, &["--resume", &session]).await;
    done.assert_code(0);
    let statuses: Vec<_> = ends(&events)
        .iter()
        .map(|end| end["status"].clone())
        .collect();
    assert_eq!(statuses, ["ok", "ok"], "{:#?}", ends(&events));
    let shown = world
        .home
        .ml_intern(["jobs", "show", &id, "--json"])
        .run()
        .await;
    let state: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(state["state"], "cancelled");
}
