use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Reply, Script},
    world::{World, of_type},
};

/// Dollars for a million tokens.
const PRICES: &str = r#"
[providers.openai]
source = "builtin:openai"
config = { input-price = 2.5, output-price = 10 }
"#;

/// Two tool calls and an answer, each of 2000 tokens in and 300 out: $0.008 at [`PRICES`].
async fn world() -> World {
    let list = || Reply::call("list", json!({})).usage(2000, 300);
    World::new(Script::steps([
        list(),
        list(),
        Reply::text("done").usage(2000, 300),
    ]))
    .await
}

#[track_caller]
fn assert_dollars(found: &Value, dollars: f64) {
    let near = found
        .as_f64()
        .is_some_and(|found| (found - dollars).abs() < 1e-9);
    assert!(near, "{found} is not {dollars}");
}

#[tokio::test]
async fn tokens_and_dollars_are_added_up() {
    for flags in [&[][..], &["--no-stream"]] {
        let world = world().await;
        world.home.write("ml-intern.toml", PRICES);
        let done = world.run_json(flags.iter().chain(&["go"])).run().await;
        done.assert_code(0);
        let result = done.result();
        assert_eq!(result["usage"]["input"], 6000);
        assert_eq!(result["usage"]["output"], 900);
        assert_dollars(&result["cost_usd"], 0.024);
        let events = done.events();
        let usages = of_type(&events, "usage");
        assert_eq!(usages.len(), 3);
        for usage in usages {
            assert_dollars(&usage["cost_usd"], 0.008);
        }
        assert!(of_type(&events, "notice").is_empty());
        let list = world.home.ml_intern(["sessions", "list"]).run().await;
        assert!(list.stdout.contains("$0.02"), "{}", list.stdout);
    }
}

#[tokio::test]
async fn a_call_that_would_pass_the_budget_is_not_made() {
    let world = world().await;
    world.home.write("ml-intern.toml", PRICES);
    let done = world.run_json(["--budget-usd=0.015", "go"]).run().await;
    done.assert_code(5);
    let result = done.result();
    assert_eq!(result["reason"], "budget");
    assert_eq!(result["message"], Value::Null);
    assert_dollars(&result["cost_usd"], 0.008);
    // Another call like the first would pass the cap. The first one's calls have their results.
    assert_eq!(world.fake.chats().len(), 1);
    assert_eq!(of_type(&done.events(), "tool.finished").len(), 1);

    let id = result["session"].as_str().unwrap();
    let more = world
        .run(["--resume", id, "--budget-usd=1", "go on"])
        .run()
        .await;
    more.assert_code(0);
    assert_eq!(more.stdout, "done\n");
    world.fake.assert_all_accepted();
}

#[tokio::test]
async fn a_person_decides_whether_the_session_may_cost_more() {
    for (decision, edited, calls, code) in [
        ("allow", Value::Null, 3, 0),
        ("allow", json!({"next_cap_usd": 0.02}), 2, 5),
        ("deny", Value::Null, 1, 5),
    ] {
        let world = world().await;
        world.home.write("ml-intern.toml", PRICES);
        let mut running = world.run_json(["--budget-usd=0.01", "go"]).start();
        let question = running.question(0).await;
        assert_eq!(question["effect"], "budget");
        assert_eq!(question["detail"]["cap_usd"], 0.01);
        assert!(
            question["summary"]
                .as_str()
                .unwrap()
                .contains("$0.0080 of $0.01"),
            "{question}"
        );
        let answer = json!({"type": "permission.answer", "id": question["id"], "decision": decision, "edited": edited});
        running.write_line(&answer).await;
        if decision == "allow" && code == 0 {
            // As much again was not enough.
            let question = running.question(1).await;
            running
                .write_line(&json!({"type": "permission.answer", "id": question["id"], "decision": "allow"}))
                .await;
        }
        let done = running.finish().await;
        done.assert_code(code);
        assert_eq!(world.fake.chats().len(), calls, "{decision} {edited}");
    }
}

#[tokio::test]
async fn a_person_is_told_when_the_budget_is_nearly_spent() {
    let world = world().await;
    world.home.write("ml-intern.toml", PRICES);
    let done = world.run_json(["--budget-usd=0.025", "go"]).run().await;
    done.assert_code(0);
    let events = done.events();
    let told = of_type(&events, "budget.warned");
    assert_eq!(
        told.len(),
        0,
        "two of three calls are less than four fifths"
    );
    let world = self::world().await;
    world.home.write(
        "ml-intern.toml",
        PRICES.replace("2.5", "2500").replace("10 ", "10000 "),
    );
    let done = world.run_json(["go"]).run().await;
    done.assert_code(0);
    let events = done.events();
    let told = of_type(&events, "budget.warned");
    let told: Vec<_> = told.iter().map(|one| &one["threshold_usd"]).collect();
    assert_eq!(told, [&json!(5.0), &json!(10.0)]);
}

#[tokio::test]
async fn a_model_of_unknown_price_counts_as_the_user_says() {
    let world = world().await;
    let manifest = "[budget]\nassumed-usd-per-million-tokens = 10\n";
    world.home.write("ml-intern.toml", manifest);
    // 2300 tokens a call: $0.023.
    let done = world.run_json(["--budget-usd=0.03", "go"]).run().await;
    done.assert_code(5);
    assert_eq!(world.fake.chats().len(), 1);
    let events = done.events();
    let usage = of_type(&events, "usage");
    assert_eq!(
        (&usage[0]["cost_usd"], &usage[0]["assumed_usd"]),
        (&Value::Null, &json!(0.023))
    );
    let list = world.home.ml_intern(["sessions", "list"]).run().await;
    assert!(list.stdout.contains("$0.02"), "{}", list.stdout);
}

#[tokio::test]
async fn a_person_is_told_how_to_raise_the_budget() {
    let world = world().await;
    world.home.write("ml-intern.toml", PRICES);
    let done = world.run(["--budget-usd=0.001", "go"]).run().await;
    done.assert_code(5);
    assert!(done.stderr.contains("--budget-usd"), "{}", done.stderr);
    assert!(done.stderr.contains("$0.0080"), "{}", done.stderr);
    assert_eq!(world.fake.chats().len(), 1);
}

#[tokio::test]
async fn an_unknown_price_is_said_once_where_there_is_a_budget() {
    for (flags, notices) in [(&["--budget-usd=0.01"][..], 1), (&[], 0)] {
        let world = world().await;
        let done = world.run_json(flags.iter().chain(&["go"])).run().await;
        done.assert_code(0);
        assert_eq!(done.result()["cost_usd"], Value::Null);
        let events = done.events();
        let told = of_type(&events, "notice");
        assert_eq!(told.len(), notices, "{told:?}");
        for notice in told {
            assert_eq!(notice["code"], "price_unknown");
            let text = notice["text"].as_str().unwrap();
            assert!(text.contains("`input-price`"), "{text}");
        }
    }
}
