use serde_json::json;

use super::{answers, printed, turn};
use crate::support::{fake_openai::Reply, fake_openai::Script, world::World};

#[tokio::test]
async fn nothing_is_listed_where_nothing_was_done() {
    let world = World::new(answers()).await;
    assert_eq!(
        printed(&world, &["sessions", "list", "--json"]).await,
        json!([])
    );
    let done = world.home.ml_intern(["sessions", "list"]).run().await;
    done.assert_code(0);
    assert_eq!(done.stdout, "");
    assert!(
        done.stderr.contains("there are no sessions"),
        "{}",
        done.stderr
    );
}

#[tokio::test]
async fn sessions_are_listed_newest_first_with_what_a_reader_wants_to_know() {
    let script = Script::new(|asked| match asked.last_text() {
        "fail" => Reply::unauthorized(),
        _ => Reply::text("fine").usage(11, 7),
    });
    let world = World::new(script).await;
    let first = turn(&world, &["the first\nof two lines"]).await;
    world.run(["fail"]).run().await.assert_code(3);

    let list = printed(&world, &["sessions", "list", "--json"]).await;
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(
        (&list[0]["title"], &list[0]["state"]),
        (&json!("fail"), &json!("failed"))
    );
    let old = &list[1];
    assert_eq!(old["id"], first);
    assert_eq!(
        (&old["title"], &old["state"]),
        (&json!("the first"), &json!("done"))
    );
    assert_eq!(
        (&old["model"], &old["turns"]),
        (&json!("openai/fake-model"), &json!(1))
    );
    assert_eq!(
        (&old["usage"]["input"], &old["usage"]["output"]),
        (&json!(11), &json!(7))
    );
    let workspace = world.home.workspace().canonicalize().unwrap();
    assert_eq!(old["workspace"], workspace.to_str().unwrap());
    assert!(old["started_ms"].as_u64() <= old["last_ms"].as_u64());

    let text = world
        .home
        .ml_intern(["sessions", "list"])
        .run()
        .await
        .stdout;
    let rows = text.lines().collect::<Vec<_>>();
    assert!(
        rows[0].starts_with("ID ") && rows[0].ends_with("TITLE"),
        "{text}"
    );
    assert!(
        rows[1].contains("failed") && rows[1].contains("fail"),
        "{text}"
    );
    assert!(
        rows[2].starts_with(&first) && rows[2].ends_with("the first"),
        "{text}"
    );
    let limited = printed(&world, &["sessions", "list", "--json", "-n", "1"]).await;
    assert_eq!(limited.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_is_shown_as_it_was_and_as_events() {
    let script = Script::steps([
        Reply::call("write", json!({"path": "a.txt", "content": "one\n"})),
        Reply::text("the \u{1b}]0;x\u{7}answer"),
    ]);
    let world = World::new(script).await;
    let id = turn(&world, &["--permission-mode=auto", "write it"]).await;
    let done = world.home.ml_intern(["sessions", "show", &id]).run().await;
    done.assert_code(0);
    let text = done.stdout + &done.stderr;
    for shown in ["> write it\n", "✓ write a.txt", "the answer\n", "done in "] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");

    let done = world
        .home
        .ml_intern(["sessions", "show", &id[..id.len() - 1], "--json"])
        .run()
        .await;
    done.assert_code(0);
    let events = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let events = events.collect::<Vec<serde_json::Value>>();
    assert_eq!(events[0]["type"], "session.started");
    assert_eq!(events.last().unwrap()["type"], "turn.finished");
    let numbers = events.iter().map(|event| event["seq"].as_u64().unwrap());
    assert!(numbers.eq(1..=events.len() as u64));
    assert!(events.iter().all(|event| event["session"] == *id));
}

#[tokio::test]
async fn a_damaged_log_is_named_with_its_line_and_hides_no_other() {
    let world = World::new(answers()).await;
    let bad = turn(&world, &["one"]).await;
    let good = turn(&world, &["two"]).await;
    let folder = world
        .home
        .path()
        .join(".local/share/ml-intern/sessions")
        .join(&bad);
    let log = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
        .unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    let mut lines = text.lines().collect::<Vec<_>>();
    lines[2] = "{\"v\":1,\"type\":";
    std::fs::write(&log, lines.join("\n") + "\n").unwrap();

    for args in [["sessions", "show", &bad], ["run", "--resume", &bad]] {
        let done = world.home.ml_intern(args).run().await;
        assert!(matches!(done.code(), Some(1 | 2)), "{}", done.stderr);
        assert!(done.stderr.contains("line 3 of"), "{}", done.stderr);
        assert!(done.stderr.contains("is damaged"), "{}", done.stderr);
    }
    let done = world
        .home
        .ml_intern(["sessions", "list", "--json"])
        .run()
        .await;
    done.assert_code(0);
    assert!(done.stderr.contains("line 3 of"), "{}", done.stderr);
    let list: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(list[0]["id"], good);
    assert_eq!(list.as_array().unwrap().len(), 1);
    // The newest that can be read.
    assert_eq!(turn(&world, &["--continue", "three"]).await, good);
}

#[tokio::test]
async fn what_a_session_took_is_summed_up() {
    let script = Script::steps([
        Reply::call("list", json!({})).usage(11, 7),
        Reply::text("fine").usage(13, 2),
    ]);
    let world = World::new(script).await;
    turn(&world, &["go"]).await;
    let sums = printed(&world, &["sessions", "usage", "1", "--json"]).await;
    assert_eq!(sums["llm"]["calls"], 2);
    assert_eq!(
        (&sums["llm"]["input_tokens"], &sums["llm"]["total_tokens"]),
        (&json!(24), &json!(33))
    );
    assert_eq!(sums["llm"]["calls_by_model"]["openai/fake-model"], 2);
    assert_eq!(
        (&sums["tools"]["by_name"]["list"], &sums["turns"]["done"]),
        (&json!(1), &json!(1))
    );
    let shown = world.home.ml_intern(["sessions", "usage", "1"]).run().await;
    shown.assert_code(0);
    for text in [
        "2 (2 conversation)",
        "24 in (0 % from a cache), 9 out",
        "1 list",
        "2 calls of unknown price",
    ] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
}

#[tokio::test]
async fn a_session_is_followed_while_it_is_written() {
    let script =
        Script::new(|asked| Reply::text(format!("answer {}", asked.assistant_messages() + 1)));
    let world = World::new(script).await;
    turn(&world, &["one"]).await;
    let following = world
        .home
        .ml_intern(["sessions", "show", "1", "--json", "--follow"])
        .start();
    following.nth_event("turn.finished", 1).await;
    turn(&world, &["--continue", "two"]).await;
    let end = following.nth_event("turn.finished", 2).await;
    assert_eq!(end["message"], "answer 2");
    following.signal(rustix::process::Signal::INT);
    let done = following.finish().await;
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
}
