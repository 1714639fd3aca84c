use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::{
    fake_openai::{Asked, Reply, Script},
    world::{World, of_type},
};

const NOTE: &str = "the note of what was read";

/// Reads one file after the other, and sums up when it is asked to.
fn reader(files: usize) -> Script {
    let read = AtomicUsize::new(0);
    Script::new(move |asked: &Asked<'_>| {
        let tokens = json!(asked.messages).to_string().len() as u64 / 4;
        let last = asked.messages.last().unwrap().to_string();
        let reply = if last.contains("about to be cut") {
            Reply::text(NOTE)
        } else {
            match read.fetch_add(1, Ordering::SeqCst) {
                count if count < files => {
                    Reply::call("read", json!({ "path": format!("{count}.txt") }))
                }
                _ => Reply::text("done"),
            }
        };
        reply.usage(tokens, 20)
    })
}

async fn world() -> World {
    let world = World::new(reader(40)).await;
    for file in 0..40 {
        let text = format!("line {file}\n").repeat(400);
        world.home.write(&format!("{file}.txt"), text);
    }
    world
}

#[tokio::test]
async fn a_conversation_that_outgrows_the_model_is_summed_up_and_resumed() {
    let world = world().await;
    world
        .home
        .write("ml-intern.toml", "[agent]\ncontext-window = 16384\n");
    let run = world.run(["--output-format=stream-json", "read them all"]);
    let done = run.run().await;
    done.assert_code(0);
    let events = done.events();
    let compacted = of_type(&events, "compacted");
    assert!(compacted.len() > 2, "{}", compacted.len());
    for event in compacted {
        assert!(
            event["before"].as_u64() > event["after"].as_u64(),
            "{event}"
        );
        assert!(event["summary"].as_str().unwrap().contains(NOTE), "{event}");
    }
    world.fake.assert_all_accepted();
    let largest = world
        .fake
        .chats()
        .iter()
        .map(|chat| chat.messages().len())
        .max();
    assert!(largest.unwrap() < 16384 * 4 + 20_000, "{largest:?}");

    // Another process goes on with what the log says.
    let done = world.run(["--continue", "and now?"]).run().await;
    done.assert_code(0);
    let chats = world.fake.chats();
    let last = chats.last().unwrap().messages();
    assert!(
        last.contains(NOTE) && last.contains("read them all") && last.contains("and now?"),
        "{last}"
    );
    assert!(
        !last.contains("line 3\\n"),
        "what was left out does not come back"
    );
}

#[tokio::test]
async fn a_person_sees_that_the_context_was_shortened() {
    let world = world().await;
    world
        .home
        .write("ml-intern.toml", "[agent]\ncontext-window = 16384\n");
    let done = world.run(["read them all"]).run().await;
    done.assert_code(0);
    assert!(
        done.stderr.contains("older messages summed up"),
        "{}",
        done.stderr
    );
    for wrong in ["context-window = 100\n", "context-window = \"big\"\n"] {
        world
            .home
            .write("ml-intern.toml", format!("[agent]\n{wrong}"));
        world.run(["go"]).run().await.assert_code(2);
    }
}

/// Small windows are not asked for: a service that refuses says enough.
#[tokio::test]
async fn a_service_that_refuses_what_is_too_long_is_asked_again_with_less() {
    let refused = AtomicUsize::new(0);
    let script = Script::new(move |asked: &Asked<'_>| {
        let text = json!(asked.messages).to_string();
        if asked
            .messages
            .last()
            .unwrap()
            .to_string()
            .contains("about to be cut")
        {
            return Reply::text(NOTE);
        }
        if text.contains(NOTE) {
            return Reply::text("done");
        }
        match asked.assistant_messages() {
            count @ 0..3 => Reply::call("read", json!({ "path": format!("{count}.txt") })),
            _ => {
                refused.fetch_add(1, Ordering::SeqCst);
                Reply::context_too_long()
            }
        }
    });
    let world = World::new(script).await;
    for file in 0..3 {
        world.home.write(&format!("{file}.txt"), "text");
    }
    let done = world.run(["--output-format=stream-json", "go"]).run().await;
    done.assert_code(0);
    assert_eq!(of_type(&done.events(), "compacted").len(), 1);
}
