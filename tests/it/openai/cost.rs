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
async fn a_spent_budget_ends_the_turn() {
    let world = world().await;
    world.home.write("ml-intern.toml", PRICES);
    let done = world.run_json(["--budget-usd=0.01", "go"]).run().await;
    done.assert_code(5);
    let result = done.result();
    assert_eq!(result["reason"], "budget");
    assert_eq!(result["message"], Value::Null);
    assert_dollars(&result["cost_usd"], 0.016);
    // The second call passed the cap; its result is there, and nothing was asked after it.
    assert_eq!(world.fake.chats().len(), 2);
    assert_eq!(of_type(&done.events(), "tool.finished").len(), 2);

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
