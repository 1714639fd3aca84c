//! Cases 62, 63 and 64: jobs, what is asked of the session, and words to the model and the terminal.

mod jobs;
mod words;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Asked, Call, Reply},
    guests::{Installed, ends, ran, world},
    world::{of_type, results},
};

use super::support::{Attack, Attacked, attack, attack_with, audited, home, neighbour};

/// The attacker with what is in `agent = { … }` of its grant.
fn attacker(agent: &str) -> Installed {
    Installed::guest("hostile-agent").grant(&format!("agent = {{ {agent} }}"))
}

/// The same plugin by another author, its tools under `b_…`.
fn other(agent: &str) -> Installed {
    attacker(agent)
        .named("other")
        .prefix("b_")
        .manifest(|text| text.replace("stranger/hostile-agent", "stranger/other"))
}

fn hop(path: &[&str]) -> Call {
    Call::new("hop_1", json!({ "path": path }))
}

fn start(tools: &[&str]) -> Call {
    Call::new(
        "start",
        json!({ "tools": tools, "prompt": "go on", "amount": 5 }),
    )
}

fn call(name: &str, arguments: Value) -> Call {
    Call::new("call", json!({ "name": name, "arguments": arguments }))
}

/// What the model is told it is.
fn system<'a>(asked: &'a Asked<'_>) -> &'a str {
    asked.messages[0]["content"].as_str().unwrap_or_default()
}

/// A model whose agents make these calls one after the other and then say `agent done`.
fn agents(
    calls: impl IntoIterator<Item = Call>,
) -> impl Fn(&Asked<'_>) -> Option<Reply> + Send + Sync + 'static {
    let calls: Vec<Call> = calls.into_iter().collect();
    move |asked| match system(asked) {
        "An agent aside." => Some(match calls.get(asked.assistant_messages()) {
            Some(call) => Reply::calls([call.clone()]),
            None => Reply::text("agent done"),
        }),
        "An aside." => Some(Reply::text("an answer")),
        _ => None,
    }
}

/// An audit event of this verdict about the agent capability, whichever call it was of.
#[track_caller]
fn decided(attacked: &Attacked, attack: &Attack, verdict: &str) {
    let own = |event: &&&Value| {
        let call = event["call"].as_str().unwrap_or_default();
        (call == attack.call || call.starts_with(&format!("{}/", attack.call)))
            && event["capability"] == "agent"
            && event["verdict"] == verdict
    };
    let found = of_type(&attacked.events, "audit");
    assert!(found.iter().any(|event| own(&event)), "{found:#?}");
}

#[tokio::test]
async fn case_63_the_model_answers_only_where_that_is_granted() {
    let attacks = || [Call::new("ask", json!({ "prompt": "hello" })), start(&[])];
    let attacked = attack_with(home(&[attacker("")]).await, attacks(), &[], agents([])).await;
    for attack in &attacked.attacks {
        let says = [
            "is not granted",
            "[plugins.hostile-agent.grant]",
            "complete = true",
        ];
        attack.check("denied", &says);
        audited(&attacked.events, &attack.call, "agent");
    }
    assert!(
        attacked
            .world
            .fake
            .chats()
            .iter()
            .all(|chat| chat.json()["tools"].is_array())
    );

    let open = home(&[attacker("complete = true")]).await;
    let attacked = attack_with(open, attacks(), &[], agents([])).await;
    attacked.attacks[0].check("ok", &["an answer"]);
    attacked.attacks[1].check("ok", &["agent done"]);
}

#[tokio::test]
async fn case_63_a_tool_is_called_only_where_that_is_granted() {
    let attacks = || [call("bash", json!({ "command": "echo from within" }))];
    let closed = home(&[attacker("complete = true, tools = [\"neighbour\"]")]).await;
    let attacked = attack(closed, attacks()).await;
    let says = [
        "calling the tool `bash` is not granted",
        "tools = [\"neighbour\", \"bash\"]",
    ];
    let ended = attacked.attacks[0].check("denied", &says);
    audited(&attacked.events, &ended.call, "agent");
    assert!(
        of_type(&attacked.events, "tool.started")
            .iter()
            .all(|event| event["tool"] != "bash")
    );

    let attacked = attack(home(&[attacker("tools = [\"bash\"]")]).await, attacks()).await;
    attacked.attacks[0].check("ok", &["from within"]);
}

#[tokio::test]
async fn case_63_a_tool_that_the_session_does_not_have_is_not_found() {
    let grant = "complete = true, tools = [\"nobody\", \"neighbour\"]";
    let attacks = [
        call("nobody", json!({})),
        start(&["nobody"]),
        call("neighbour", json!({})),
    ];
    let attacked = attack_with(home(&[attacker(grant)]).await, attacks, &[], agents([])).await;
    for attack in &attacked.attacks[..2] {
        attack.check("error", &["not found: the session has no tool `nobody`"]);
        decided(&attacked, attack, "failed");
    }
    attacked.attacks[2].check("ok", &["good"]);
}

#[tokio::test]
async fn case_63_arguments_of_a_call_within_are_held_to_the_schema() {
    let attacks = [
        call("bash", json!({ "command": 7 })),
        call("bash", json!({ "command": "true" })),
    ];
    let attacked = attack(home(&[attacker("tools = [\"bash\"]")]).await, attacks).await;
    attacked.attacks[0].check("error", &["invalid input", "`/command`"]);
    attacked.attacks[1].check("ok", &[]);
}

#[tokio::test]
async fn case_63_an_agent_gets_no_tool_its_plugin_was_not_granted() {
    let within = || {
        agents([Call::new(
            "bash",
            json!({ "command": "echo reached > reached.txt" }),
        )])
    };
    let closed = [attacker("complete = true, tools = [\"neighbour\"]")];
    // It asks for the tool, or its model calls what it was not given.
    let attacks = [start(&["neighbour", "bash"]), start(&["neighbour"])];
    let attacked = attack_with(home(&closed).await, attacks, &[], within()).await;
    let ended = attacked.attacks[0].check("denied", &["calling the tool `bash` is not granted"]);
    audited(&attacked.events, &ended.call, "agent");
    attacked.attacks[1].check("ok", &["agent done"]);
    let told = attacked.world.fake.chats();
    let told = told
        .iter()
        .map(results)
        .find(|told| told[..] == ["there is no tool `bash`; the tools are: neighbour"]);
    assert!(told.is_some());
    assert!(!attacked.world.home.workspace().join("reached.txt").exists());

    let open = home(&[attacker(
        "complete = true, tools = [\"neighbour\", \"bash\"]",
    )])
    .await;
    let attacked = attack_with(open, [start(&["neighbour", "bash"])], &[], within()).await;
    attacked.attacks[0].check("ok", &["agent done"]);
    assert_eq!(attacked.world.home.read("reached.txt"), "reached\n");
}

#[tokio::test]
async fn case_63_calls_do_not_come_back_to_a_tool_that_waits() {
    let grant = "tools = [\"hop_1\", \"hop_2\", \"b_hop_1\"]";
    let home = home(&[attacker(grant), other(grant)]).await;
    let attacks = [
        hop(&["hop_1"]),
        hop(&["b_hop_1", "hop_1"]),
        // The same ways around with one step less or another end.
        hop(&["b_hop_1", "hop_2"]),
    ];
    let attacked = attack(home, attacks).await;
    let says = "the call would come back to a tool that waits for it";
    let ended = attacked.attacks[0].check("error", &["limit reached", says, "hop_1 → hop_1"]);
    decided(&attacked, ended, "limited");
    let ended = attacked.attacks[1].check("error", &[says, "hop_1 → b_hop_1 → hop_1"]);
    decided(&attacked, ended, "limited");
    attacked.attacks[2].check("ok", &["the end"]);
}

#[tokio::test]
async fn case_63_calls_within_calls_are_four_deep_at_most() {
    let names = ["hop_2", "hop_3", "hop_4", "hop_5", "hop_6"];
    let home = home(&[attacker(&format!("tools = {names:?}"))]).await;
    let attacked = attack(home, [hop(&names), hop(&names[..4])]).await;
    let says = [
        "limit reached",
        "at most 4 deep",
        "hop_1 → hop_2 → hop_3 → hop_4 → hop_5",
    ];
    let ended = attacked.attacks[0].check("error", &says);
    decided(&attacked, ended, "limited");
    attacked.attacks[1].check("ok", &["the end"]);
}

#[tokio::test]
async fn case_63_agents_do_not_start_each_other_in_a_circle() {
    let grant = "complete = true, tools = [\"start\", \"b_start\", \"neighbour\"]";
    let plugins = [attacker(grant), other(grant)];
    // `start`'s agent calls `b_start`, whose agent would get `start`.
    let around = |last: &'static str| {
        move |asked: &Asked<'_>| {
            if system(asked) != "An agent aside." {
                return None;
            }
            let tools = asked.request["tools"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let has = |name: &str| tools.iter().any(|tool| tool["function"]["name"] == name);
            let next = json!({ "tools": [last], "prompt": "deeper" });
            Some(match asked.assistant_messages() {
                0 if has("b_start") => Reply::calls([Call::new("b_start", next)]),
                _ => Reply::text(format!("agent done: {}", asked.last_text())),
            })
        }
    };
    let attacks = [start(&["start"]), start(&["b_start"])];
    let attacked = attack_with(home(&plugins).await, attacks, &[], around("start")).await;
    let says = ["limit reached", "start → start"];
    let ended = attacked.attacks[0].check("error", &says);
    decided(&attacked, ended, "limited");
    let ended = attacked.attacks[1].check("ok", &["start → b_start → start"]);
    decided(&attacked, ended, "limited");

    let attacks = [start(&["b_start"])];
    let attacked = attack_with(home(&plugins).await, attacks, &[], around("neighbour")).await;
    attacked.attacks[0].check("ok", &["agent done: ", "deeper"]);
}

#[tokio::test]
async fn case_63_one_call_makes_a_bounded_number_of_others() {
    let again = |amount: u32| Call::new("again", json!({ "name": "neighbour", "amount": amount }));
    let home = home(&[attacker("tools = [\"neighbour\"]")]).await;
    let attacked = attack(home, [again(1000), again(128)]).await;
    let ended = attacked.attacks[0].check("error", &["limit reached", "at most 128"]);
    decided(&attacked, ended, "limited");
    attacked.attacks[1].check("ok", &["done"]);
    let started = of_type(&attacked.events, "tool.started").into_iter();
    let within = started.filter(|event| event["call"].as_str().is_some_and(|id| id.contains('/')));
    assert_eq!(within.count(), 256);
}

#[tokio::test]
async fn case_63_what_reads_only_has_calls_that_read_only() {
    let write = |tool: &str| {
        let arguments = json!({ "path": format!("{tool}.txt"), "content": "x" });
        Call::new(tool, json!({ "name": "write", "arguments": arguments }))
    };
    let bash = json!({ "name": "bash", "arguments": { "command": "echo x > bash.txt" } });
    let home = home(&[attacker("tools = [\"write\", \"bash\"]")]).await;
    let attacked = attack(
        home,
        [write("look"), Call::new("look", bash), write("call")],
    )
    .await;
    // The file's tool makes an error of it, the shell's a denial.
    attacked.attacks[0].check("error", &["permission denied"]);
    attacked.attacks[1].check("denied", &[]);
    for (attack, capability) in attacked.attacks.iter().zip(["fs.write", "process"]) {
        audited(&attacked.events, &format!("{}/1", attack.call), capability);
    }
    decided(&attacked, &attacked.attacks[1], "denied");
    attacked.attacks[2].check("ok", &[]);
    let there = ["look.txt", "bash.txt", "call.txt"];
    let there = there.map(|file| attacked.world.home.workspace().join(file).exists());
    assert_eq!(there, [false, false, true]);
}

/// Dollars for a million tokens.
const PRICES: &str = "\n[providers.openai]\nsource = \"builtin:openai\"\nconfig = { input-price = 0.001, output-price = 10 }\n";

#[tokio::test]
async fn case_63_agents_and_questions_end_with_the_budget() {
    let priced = |usd: &'static str| async move {
        let grant = "complete = true, tools = [\"neighbour\"]";
        let home = home(&[attacker(grant)]).await;
        home.write("ml-intern.toml", home.read("ml-intern.toml") + PRICES);
        // $0.008 each, beside which the session's own calls cost next to nothing.
        let aside = |asked: &Asked<'_>| {
            let reply = match system(asked) {
                "An agent aside." => Reply::call("neighbour", json!({})),
                "An aside." => Reply::text("an answer"),
                _ => return None,
            };
            Some(reply.usage(0, 800))
        };
        let ask = Call::new("ask", json!({ "prompt": "again", "amount": 5 }));
        let world = world(home, [ask, start(&["neighbour"])], aside).await;
        let (events, done) = ran(&world, &[&format!("--budget-usd={usd}")]).await;
        (world, events, done)
    };
    // Three questions are paid, and then neither the plugin nor the session goes on.
    let (_world, events, done) = priced("0.02").await;
    let ended = ends(&events);
    assert_eq!(ended[0]["status"], "error");
    let text = ended[0]["content"].as_str().unwrap();
    assert!(
        text.contains("limit reached: the session's budget is spent"),
        "{text}"
    );
    let limited = of_type(&events, "audit");
    assert!(
        limited
            .iter()
            .any(|audit| audit["verdict"] == "limited" && audit["capability"] == "agent")
    );
    assert_eq!(of_type(&events, "usage").len(), 4);
    assert_eq!(done.result()["reason"], "budget");
    assert_eq!(done.code(), Some(5), "{}", done.stderr);

    // Five questions are paid, and the agent has what is left of the session's: one call, and not enough for another.
    let (_world, events, _done) = priced("0.055").await;
    let ended = ends(&events);
    assert_eq!(ended[0]["status"], "ok");
    let report: Value = serde_json::from_str(ended[1]["content"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&report["stopped"], &report["iterations"]),
        (&json!("budget"), &json!(1))
    );
    assert_eq!(of_type(&events, "usage").len(), 3 + 5 + 1);

    // With enough, its own number of model calls ends it.
    let (_world, events, done) = priced("5").await;
    let report: Value =
        serde_json::from_str(ends(&events)[1]["content"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&report["stopped"], &report["iterations"]),
        (&json!("iterations"), &json!(5))
    );
    assert_eq!(done.code(), Some(0));
}

#[tokio::test]
async fn case_63_an_agent_ends_with_the_call_that_started_it() {
    let grant = "complete = true, tools = [\"bash\"]";
    let sleep = |seconds: &str| {
        Call::new(
            "bash",
            json!({ "command": format!("sleep {seconds}; echo slept > slept.txt") }),
        )
    };
    let short = home(&[attacker(grant).limits("timeout = \"2s\"")]).await;
    let attacked = attack_with(short, [start(&["bash"])], &[], agents([sleep("4")])).await;
    let ended = attacked.attacks[0].check("fault", &["took longer than 2s"]);
    let finished = of_type(&attacked.events, "tool.finished");
    let within = finished
        .iter()
        .find(|event| event["tool"] == "bash")
        .unwrap();
    assert_eq!(within["status"], "cancelled");
    assert!(
        within["call"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{}/1/", ended.call))
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!attacked.world.home.workspace().join("slept.txt").exists());

    let long = home(&[attacker(grant)]).await;
    let attacked = attack_with(long, [start(&["bash"])], &[], agents([sleep("0.1")])).await;
    attacked.attacks[0].check("ok", &["agent done"]);
    assert_eq!(attacked.world.home.read("slept.txt"), "slept\n");
}

#[tokio::test]
async fn case_63_a_person_is_asked_about_calls_within_and_has_the_time_they_need() {
    let grant = "complete = true, tools = [\"bash\", \"write\"]";
    let plugins = [attacker(grant).limits("timeout = \"3s\""), neighbour()];
    let home = home(&plugins[..1]).await;
    let write = Call::new("write", json!({ "path": "agent.txt", "content": "x" }));
    let bash = call("bash", json!({ "command": "echo x > tool.txt" }));
    let world = world(
        home,
        [bash.clone(), start(&["write"]), bash],
        agents([write]),
    )
    .await;
    let mut running = world.run_json(["--permission-mode=ask", "go"]).start();
    for (number, (tool, decision)) in [("bash", "allow"), ("write", "allow"), ("bash", "deny")]
        .into_iter()
        .enumerate()
    {
        let question = running.question(number).await;
        assert_eq!(question["tool"], tool);
        assert!(
            question["call"].as_str().unwrap().contains("/1"),
            "{question}"
        );
        // Longer than the plugin's own time.
        let wait = if decision == "allow" { 3200 } else { 0 };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let answer =
            json!({ "type": "permission.answer", "id": question["id"], "decision": decision });
        running.write_line(&answer).await;
    }
    let done = running.finish().await;
    let events = done.events();
    let statuses: Vec<_> = ends(&events)
        .iter()
        .map(|end| end["status"].clone())
        .collect();
    assert_eq!(statuses, ["ok", "ok", "denied"], "{:#?}", ends(&events));
    for file in ["agent.txt", "tool.txt"] {
        assert!(world.home.workspace().join(file).exists(), "{file}");
    }
}
