//! Cases 2, 19, 28 and 29 and part of 67: descriptions. A plugin that describes itself wrongly
//! is not added and stops a run before it begins; without it, everything goes on.

use crate::support::{
    fake_openai::{FakeOpenAi, Reply, Script},
    guests::{Installed, guest, install},
    ml_intern::{Finished, Home},
    world::World,
};

use super::support::{neighbour, neighbour_answers};

/// The guest that describes itself in way `number`.
pub(super) fn describing(number: u32) -> Installed {
    Installed::component("described", bytes(number))
}

fn bytes(number: u32) -> Vec<u8> {
    let mut bytes = guest("hostile-describe");
    let mark = b"way-000";
    let at = bytes.windows(mark.len()).position(|part| part == mark);
    let at = at.expect("the guest holds its mark");
    bytes[at..at + mark.len()].copy_from_slice(format!("way-{number:03}").as_bytes());
    bytes
}

/// A home with the neighbour, and beside it a file that describes itself in way `number`.
async fn beside(number: u32) -> Home {
    let home = Home::new();
    install(&home, &[neighbour()]).await;
    home.write("described.wasm", bytes(number));
    home
}

async fn add(home: &Home) -> Finished {
    let command = [
        "plugin",
        "add",
        "described.wasm",
        "--name",
        "described",
        "--yes",
    ];
    home.ml_intern(command).run().await
}

/// The description of way `number` is refused with these words, and that of `good` is not.
async fn refused(number: u32, good: u32, says: &[&str]) {
    let home = beside(number).await;
    let added = add(&home).await;
    added.assert_code(7);
    for text in [&["stranger/hostile-describe"], says].concat() {
        assert!(
            added.stderr.contains(text),
            "no `{text}` in {}",
            added.stderr
        );
    }
    // Nothing of it is left, and the neighbour answers.
    let written = ["ml-intern.toml", "ml-intern.lock"].map(|file| home.read(file));
    assert!(written.iter().all(|text| !text.contains("described")));
    neighbour_answers(home).await;

    let home = beside(good).await;
    add(&home).await.assert_code(0);
}

#[tokio::test]
async fn case_02_a_loop_in_describe_ends_by_processor_time() {
    // Where others use the machine, ten seconds are over before five of the processor.
    refused(10, 11, &["describe`: ", "; raise `limits."]).await;
}

#[tokio::test]
async fn case_02_describe_has_no_capability_at_all() {
    let home = beside(14).await;
    home.write("inside.txt", "inside");
    add(&home).await.assert_code(0);
    let shown = home.ml_intern(["plugin", "info", "described"]).run().await;
    let says = "variables: 0, file: false, request: false";
    assert!(shown.stdout.contains(says), "{}", shown.stdout);
}

#[tokio::test]
async fn case_10_memory_of_describe_ends_at_its_limit() {
    refused(12, 0, &["of memory where 268435456 are allowed"]).await;
}

#[tokio::test]
async fn case_19_huge_schemas_texts_and_lists_of_tools_are_refused() {
    refused(30, 31, &["it names 129 tools; at most 128"]).await;
    refused(
        32,
        33,
        &["its input schema has", "at most 65536 are allowed"],
    )
    .await;
    refused(34, 0, &["its input schema is not JSON", "recursion limit"]).await;
    refused(35, 0, &["its description has 9216 bytes; at most 8192"]).await;
}

#[tokio::test]
async fn case_28_names_that_are_long_or_change_direction_are_refused() {
    let rule = "^[a-z][a-z0-9_]{0,63}$";
    refused(20, 0, &["not a tool name", rule]).await;
    refused(21, 0, &["not a tool name: \"read\\u{202e}elif\"", rule]).await;
    refused(25, 0, &["its title has more than 256 bytes"]).await;
    // Ids and versions, which people see when they decide.
    for (key, name) in [
        ("id", format!("stranger/{}", "a".repeat(300))),
        ("id", "stranger/\u{202e}evil".to_owned()),
        ("version", format!("0.1.0-{}\u{202e}", "a".repeat(300))),
    ] {
        let plugin = Installed::guest("hostile-describe").manifest(|text| {
            let lines = text.lines().map(|line| match line.strip_prefix(key) {
                Some(rest) if rest.starts_with(" =") => format!("{key} = {name:?}"),
                _ => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        let home = beside(0).await;
        home.write("described.wasm", plugin.bytes());
        let added = add(&home).await;
        assert!(matches!(added.code(), Some(2 | 7)), "{}", added.stderr);
        assert_clean(&added);
    }
    // Free text is shown, without what commands a terminal or turns its direction around.
    let home = beside(26).await;
    let added = add(&home).await;
    added.assert_code(0);
    let shown = home.ml_intern(["plugin", "info", "described"]).run().await;
    assert!(shown.stdout.contains("desrever"), "{}", shown.stdout);
    for shown in [&added, &shown] {
        assert_clean(shown);
    }
    let garbage = "\u{202e}evil\u{1b}[2J.wasm";
    home.write(garbage, "garbage");
    let added = home
        .ml_intern(["plugin", "add", garbage, "--yes"])
        .run()
        .await;
    added.assert_code(7);
    assert_clean(&added);
}

/// What was printed changes neither the terminal nor the direction of reading.
#[track_caller]
fn assert_clean(shown: &Finished) {
    for text in [&shown.stdout, &shown.stderr] {
        let marks = ['\u{1b}', '\u{7}', '\u{202e}'];
        assert!(!text.contains(marks), "{text:?}");
    }
}

#[tokio::test]
async fn case_29_tools_that_shadow_others_are_refused_and_both_owners_named() {
    refused(24, 0, &["it names the tool `described` twice"]).await;
    refused(22, 0, &["`bash`", "[plugins.shell]", "offers already"]).await;
    refused(
        23,
        0,
        &["`neighbour`", "[plugins.good]", "stranger/good@0.1.0"],
    )
    .await;

    // Written into the manifest by hand, they stop the run.
    let home = Home::new();
    install(&home, &[neighbour(), describing(23)]).await;
    let fake = FakeOpenAi::start(Script::steps([Reply::text("done")])).await;
    home.set("OPENAI_BASE_URL", fake.base_url());
    let world = World { home, fake };
    let stopped = world.run(["go"]).run().await;
    stopped.assert_code(7);
    let says = "the tool `neighbour` is offered by both [plugins.good] and [plugins.described]";
    assert!(stopped.stderr.contains(says), "{}", stopped.stderr);
    assert!(world.fake.exchanges().is_empty());

    install(&world.home, &[neighbour(), describing(0)]).await;
    world.run(["go"]).run().await.assert_code(0);
}
