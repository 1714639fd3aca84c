use serde_json::json;

use crate::support::{
    fake_openai::{Reply, Script},
    world::{World, of_type},
};

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const IN_BASE64: &str = "iVBORw0KGgo=";

#[tokio::test]
async fn a_picture_and_a_text_go_with_the_prompt() {
    let world = World::new(Script::steps([Reply::text("one"), Reply::text("two")])).await;
    world.home.write("plot.png", PICTURE);
    world.home.write("notes.txt", "the loss went up\n");
    let args = ["-f", "plot.png", "--file", "notes.txt", "why?"];
    let done = world.run_json(args).run().await;
    done.assert_code(0);
    let id = done.events()[0]["session"].as_str().unwrap().to_owned();
    let words = "why?\n\n`notes.txt`:\n\nthe loss went up";
    let said = json!([
        {"type": "text", "text": words},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{IN_BASE64}")}},
    ]);
    let sent = |number: usize| world.fake.chats()[number].json()["messages"][1].clone();
    assert_eq!(sent(0)["content"], said);
    assert_eq!(of_type(&done.events(), "input.attached").len(), 1);

    // What is read back from the log is what was sent.
    let more = world.home.ml_intern(["run", "--resume", &id, "and now?"]);
    more.run().await.assert_code(0);
    assert_eq!(sent(1)["content"], said);
    world.fake.assert_all_accepted();
    assert_eq!(world.fake.prefix_breaks(), [0; 0]);
    let replayed = world.home.ml_intern(["sessions", "replay", &id]);
    replayed.run().await.assert_code(0);

    let export = world.home.ml_intern(["sessions", "export", &id]);
    let export = export.run().await;
    export.assert_code(0);
    let first = export.stdout.lines().next().unwrap().to_owned();
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(first["message"]["content"][0]["text"], words);
    assert_eq!(
        first["message"]["content"][1]["source"],
        json!({"type": "base64", "media_type": "image/png", "data": IN_BASE64})
    );
}

#[tokio::test]
async fn what_a_model_cannot_see_is_said_before_anything_is_asked() {
    let world = World::new(Script::steps([Reply::text("never")])).await;
    world.home.write("weights.bin", b"\xff\xfe\x00\x01");
    world.home.write("long.txt", "x".repeat((256 << 10) + 1));
    world.home.write("large.png", vec![0x89; 5_000_001]);
    for (file, words) in [
        (
            "weights.bin",
            "neither a picture (PNG, JPEG, GIF, WebP) nor text",
        ),
        (
            "long.txt",
            "leave it in the workspace and name it in the prompt",
        ),
        ("large.png", "a picture may have 5000000"),
        ("missing.png", "No such file"),
        (".", "it is no file"),
    ] {
        let done = world.run(["--file", file, "look"]).run().await;
        done.assert_code(2);
        assert!(done.stderr.contains(words), "{file}: {}", done.stderr);
        assert!(
            done.stderr.contains(&format!("--file {file}: ")),
            "{}",
            done.stderr
        );
    }
    assert!(world.fake.chats().is_empty());
}
