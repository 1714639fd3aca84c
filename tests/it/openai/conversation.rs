use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Call, Exchange, FakeOpenAi, Reply, Script},
    world::{World, of_type, results},
};

/// Panics unless the messages are one of the system and then alternate, with every call
/// answered at once, in order and by its own id.
#[track_caller]
fn assert_well_formed(exchange: &Exchange) {
    let request = exchange.json();
    let messages = request["messages"].as_array().unwrap();
    let ids = |message: &Value| {
        let calls = message["tool_calls"].as_array();
        let calls = calls.into_iter().flatten();
        calls.map(|call| call["id"].clone()).collect::<Vec<_>>()
    };
    let mut open: Vec<Value> = vec![];
    for (at, message) in messages.iter().enumerate() {
        let before = at
            .checked_sub(1)
            .map(|at| messages[at]["role"].as_str().unwrap());
        let here = message["role"].as_str().unwrap();
        let may_follow = match before {
            None => here == "system",
            Some("system") => here == "user",
            Some("user") => here == "assistant",
            // The host may have a word with the model after results.
            Some("tool") if open.is_empty() => here == "assistant" || here == "user",
            Some("assistant") if open.is_empty() => here == "user",
            Some(_) => here == "tool",
        };
        assert!(
            may_follow,
            "message {at}, by {here} after {before:?}: {request}"
        );
        if here == "tool" {
            assert_eq!(message["tool_call_id"], open.remove(0), "{request}");
        }
        if here == "assistant" {
            open = ids(message);
        }
    }
    assert!(open.is_empty(), "{request}");
}

#[track_caller]
fn assert_good_requests(fake: &FakeOpenAi) {
    fake.assert_all_accepted();
    fake.assert_one_connection();
    assert_eq!(fake.prefix_breaks(), [0; 0]);
    for exchange in fake.chats() {
        assert_well_formed(&exchange);
    }
}

fn read_write_answer() -> Script {
    Script::steps([
        Reply::message(
            "I look at both files.",
            [
                Call::new("read", json!({"path": "a.txt"})),
                Call::new("read", json!({"path": "b.txt"})),
                Call::new("list", json!({})),
            ],
        ),
        Reply::call("write", json!({"path": "c.txt", "content": "both\n"})),
        Reply::text("c.txt holds what both say."),
    ])
}

async fn read_write(flags: &[&str]) -> (World, Vec<Value>) {
    let world = World::new(read_write_answer()).await;
    world.home.write("a.txt", "the first secret of a\n");
    world.home.write("b.txt", "the second secret of b\n");
    world.home.age("a.txt");
    world.home.age("b.txt");
    let args = ["--permission-mode=auto-edit", "merge a.txt and b.txt"];
    let done = world.run_json(flags.iter().chain(&args)).run().await;
    done.assert_code(0);
    assert_eq!(done.result()["message"], "c.txt holds what both say.");
    assert_eq!(done.result()["artifacts"], json!(["c.txt"]));
    assert_eq!(world.home.read("c.txt"), "both\n");
    assert_good_requests(&world.fake);
    assert_eq!(world.fake.chats().len(), 3);
    (world, done.events())
}

#[tokio::test]
async fn a_stream_and_whole_answers_make_the_same_conversation() {
    let (streamed, events) = read_write(&[]).await;
    let (whole, quiet) = read_write(&["--no-stream"]).await;
    for (world, stream) in [(&streamed, true), (&whole, false)] {
        for chat in world.fake.chats() {
            assert_eq!(chat.json()["stream"] == true, stream);
        }
    }
    let said = |world: &World| {
        let last = world.fake.chats().last().unwrap().json();
        // The system prompt names the folder, which differs.
        last["messages"].as_array().unwrap()[1..].to_vec()
    };
    assert_eq!(said(&streamed), said(&whole));
    assert!(of_type(&events, "text.delta").len() > 5);
    assert!(of_type(&quiet, "text.delta").is_empty());
}

#[tokio::test]
async fn results_of_tools_reach_the_model() {
    let (world, _) = read_write(&[]).await;
    let results = results(&world.fake.chats()[1]);
    assert_eq!(results.len(), 3, "{results:?}");
    assert!(results[0].contains("the first secret of a"), "{results:?}");
    assert!(results[1].contains("the second secret of b"), "{results:?}");
    assert!(results[2].contains("a.txt") && results[2].contains("b.txt"));
}

#[tokio::test]
async fn calls_that_only_read_run_side_by_side() {
    let (_, events) = read_write(&[]).await;
    let calls = events.iter().filter_map(|event| event["type"].as_str());
    let calls: Vec<&str> = calls
        .filter(|kind| matches!(*kind, "tool.started" | "tool.finished"))
        .collect();
    let (started, finished) = ("tool.started", "tool.finished");
    assert_eq!(
        calls,
        [
            started, started, started, finished, finished, finished, started, finished
        ]
    );
}

#[tokio::test]
async fn arguments_may_come_in_any_fragments() {
    // Escapes and characters of two to four bytes, cut wherever it hurts.
    let content = "naïve — \u{1f427} \"quoted\" \\ tab\t\u{7f16}\n".repeat(20);
    for bytes in [1, 3, 1000] {
        let calls = [
            Call::new("write", json!({"path": "ü.txt", "content": content})),
            Call::new("write", json!({"path": "second.txt", "content": "2"})),
        ];
        let world = World::new(Script::steps([
            Reply::message("pingüino \u{1f427} ", calls).pieces_of(bytes),
            Reply::text("fertig \u{1f427}").pieces_of(bytes),
        ]))
        .await;
        let done = world
            .run(["--permission-mode=auto-edit", "write"])
            .run()
            .await;
        done.assert_code(0);
        assert_eq!(done.stdout, "fertig \u{1f427}\n");
        assert_eq!(world.home.read("ü.txt"), content);
        assert_eq!(world.home.read("second.txt"), "2");
        assert_good_requests(&world.fake);
    }
}

/// Ten replies, among them everything that can be wrong with a call.
#[tokio::test]
async fn every_call_is_answered_whatever_is_wrong_with_it() {
    let bad = [
        Call::new("reed", json!({"path": "a.txt"})),
        Call::raw("read", "{\"path\": \"a.t"),
        Call::raw("read", "[]"),
        Call::new("read", json!({"path": 7})),
        Call::new("read", json!({"path": "nowhere.txt"})),
        Call::new("read", json!({"path": "../outside.txt"})),
        Call::new("read", json!({"path": "a.txt"})),
    ];
    let replies = (0..9).map(|round| {
        let calls = bad.iter().cycle().skip(round).take(1 + round % 3).cloned();
        Reply::message(format!("round {round}"), calls)
    });
    let replies = [Reply::calls(bad.clone())].into_iter().chain(replies);
    let world = World::new(Script::steps(replies.chain([Reply::text("done")]))).await;
    world.home.write("a.txt", "content of a\n");
    let done = world.run(["go"]).run().await;
    done.assert_code(0);
    assert_eq!(world.fake.chats().len(), 11);
    assert_good_requests(&world.fake);
    let results = results(&world.fake.chats()[1]);
    for (result, words) in results.iter().zip([
        "did you mean `read`",
        "JSON",
        "object",
        "path",
        "nowhere.txt",
        "outside",
        "content of a",
    ]) {
        assert!(result.contains(words), "`{words}` in `{result}`");
    }
}

#[tokio::test]
async fn a_base_url_may_lie_below_a_folder() {
    let fake = FakeOpenAi::start_below("/gateway/team-7", read_write_answer()).await;
    for slash in ["", "/"] {
        let home = crate::support::ml_intern::Home::new();
        home.set("OPENAI_BASE_URL", fake.base_url() + slash);
        let args = [
            "run",
            "-m",
            "openai/fake-model",
            "--permission-mode=auto-edit",
            "go",
        ];
        let done = home.ml_intern(args).run().await;
        done.assert_code(0);
    }
    fake.assert_all_accepted();
    let paths: Vec<String> = fake.exchanges().into_iter().map(|one| one.path).collect();
    let all = paths
        .iter()
        .all(|path| path.starts_with("/gateway/team-7/v1/"));
    assert!(all, "{paths:?}");
}
