use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Asked, Call, Reply},
    guests::{Installed, ends, install, ran, world},
    ml_intern::Home,
    world::{World, of_type, results},
};

/// Dollars for a million tokens.
const PRICES: &str = "\n[providers.openai]\nsource = \"builtin:openai\"\nconfig = { input-price = 2.5, output-price = 10 }\n";

/// What the model is told it is.
fn system<'a>(asked: &'a Asked<'_>) -> &'a str {
    asked.messages[0]["content"].as_str().unwrap_or_default()
}

/// A session with a plugin that asks the model, reads a file and starts an agent that reads it.
/// Every model call takes $0.008.
async fn asking() -> World {
    let home = Home::new();
    let plugin = Installed::guest("hostile-agent")
        .named("asker")
        .grant("agent = { complete = true, tools = [\"read\"] }");
    install(&home, &[plugin]).await;
    home.write("ml-intern.toml", home.read("ml-intern.toml") + PRICES);
    home.write("notes.txt", "the answer is 42\n");
    let read = || json!({ "path": "notes.txt" });
    let calls = [
        Call::new("ask", json!({ "prompt": "what is six times seven?" })),
        Call::new("call", json!({ "name": "read", "arguments": read() })),
        Call::new(
            "start",
            json!({ "tools": ["read"], "prompt": "what is in the notes?", "amount": 5 }),
        ),
    ];
    let aside = move |asked: &Asked<'_>| {
        let reply = match (system(asked), asked.assistant_messages()) {
            ("An aside.", _) => Reply::text("42"),
            ("An agent aside.", 0) => {
                Reply::message("I look at the notes.", [Call::new("read", read())])
            }
            ("An agent aside.", _) => Reply::text("the notes say 42"),
            _ => return None,
        };
        Some(reply.usage(2000, 300))
    };
    world(home, calls, aside).await
}

#[tokio::test]
async fn a_tool_asks_the_model_calls_a_tool_and_starts_an_agent() {
    let world = asking().await;
    let (events, done) = ran(&world, &[]).await;
    done.assert_code(0);
    let ended: Vec<_> = ends(&events)
        .iter()
        .map(|end| {
            (
                end["status"].as_str().unwrap(),
                end["content"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(ended[0], ("ok", "42"));
    assert!(ended[1].1.contains("the answer is 42"), "{ended:?}");
    let report: Value = serde_json::from_str(ended[2].1).unwrap();
    assert_eq!(report["text"], "the notes say 42");
    assert_eq!(
        (&report["iterations"], &report["stopped"]),
        (&json!(2), &Value::Null)
    );
    assert!(
        (report["cost"].as_f64().unwrap() - 0.016).abs() < 1e-9,
        "{report}"
    );

    // The question was one question; the agent had its own conversation and one tool.
    let chats: Vec<Value> = world.fake.chats().iter().map(|chat| chat.json()).collect();
    let of = |system: &str| {
        let own = chats
            .iter()
            .filter(|chat| chat["messages"][0]["content"] == system);
        own.cloned().collect::<Vec<_>>()
    };
    let asked = &of("An aside.")[0];
    assert_eq!(asked["messages"].as_array().unwrap().len(), 2);
    assert!(asked.get("tools").is_none(), "{asked}");
    let limits = [&asked["max_completion_tokens"], &asked["max_tokens"]];
    assert!(limits.contains(&&json!(100)), "{asked}");
    let agent = of("An agent aside.");
    assert_eq!(agent.len(), 2);
    assert_eq!(agent[0]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(agent[0]["tools"][0]["function"]["name"], "read");

    // The session's own conversation knows of the results only.
    assert_eq!(results(world.fake.chats().last().unwrap()).len(), 3);
}

#[tokio::test]
async fn what_a_tool_asks_is_in_the_log_and_in_the_costs_of_the_session() {
    let world = asking().await;
    let (events, done) = ran(&world, &[]).await;
    done.assert_code(0);
    let started = of_type(&events, "tool.started");
    let within: Vec<_> = started
        .iter()
        .filter(|event| event["call"].as_str().unwrap().contains('/'))
        .collect();
    assert_eq!(within.len(), 2, "{started:#?}");
    let outer = |number: usize| ends(&events)[number]["call"].as_str().unwrap().to_owned();
    assert_eq!(within[0]["call"], format!("{}/1", outer(1)));
    assert!(
        within[1]["call"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{}/1/c", outer(2)))
    );
    for event in within {
        assert_eq!(
            (&event["tool"], &event["arguments"]["path"]),
            (&json!("read"), &json!("notes.txt"))
        );
    }
    let logs = of_type(&events, "tool.log");
    let said = logs
        .iter()
        .find(|event| event["text"] == "I look at the notes.")
        .unwrap();
    assert_eq!(said["call"], outer(2));

    // Three model calls aside, at $0.008 each.
    let usages = of_type(&events, "usage");
    assert_eq!(usages.len(), 4 + 3);
    let dollars: f64 = usages
        .iter()
        .filter_map(|usage| usage["cost_usd"].as_f64())
        .sum();
    assert!(dollars >= 0.024);
    let total = done.result()["cost_usd"].as_f64().unwrap();
    assert!((total - dollars).abs() < 1e-9, "{total} is not {dollars}");
    let id = done.result()["session"].as_str().unwrap().to_owned();
    let shown = world.home.ml_intern(["sessions", "show", &id]).run().await;
    shown.assert_code(0);
    let shown = shown.stdout + &shown.stderr;
    assert!(shown.contains("4 model calls, 5 tool calls"), "{shown}");
    assert!(shown.contains(&format!("${dollars:.2}")), "{shown}");
    assert!(
        shown.contains("  ✓ read path: notes.txt") || shown.contains("  ✓ read notes.txt"),
        "{shown}"
    );

    // A session whose log holds such calls goes on.
    let next = ["--output-format=stream-json", "--resume", &id, "more"];
    let next = world.run(next).run().await;
    next.assert_code(0);
    assert_eq!(next.result()["message"], "done");
}
