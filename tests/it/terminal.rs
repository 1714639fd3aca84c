use std::time::Duration;

use serde_json::json;

use crate::support::{
    fake_openai::{Call, Reply, Script},
    world::World,
};

const CHOICES: &str =
    "[y]es, [n]o, for the [s]ession, in this [f]older, [a]lways, or words to the model: ";
/// What begins every colour.
const CSI: &str = "\u{1b}[";

async fn world(script: Script) -> World {
    let world = World::new(script).await;
    world.home.set("TERM", "xterm-256color");
    world
}

fn bash(command: &str) -> Reply {
    Reply::call("bash", json!({ "command": command }))
}

/// The text without colours.
fn plain(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(CSI) {
        kept.push_str(before);
        let end = after
            .find(|c: char| c.is_ascii_alphabetic())
            .expect("a whole sequence");
        rest = &after[end + 1..];
    }
    (kept + rest).replace("\r\n", "\n")
}

#[tokio::test]
async fn text_comes_as_it_is_said_and_calls_come_with_their_times() {
    let paced = Reply::text("one two three four five six seven eight");
    let script = Script::steps([
        Reply::message(
            "First the plan.",
            [Call::new(
                "plan",
                json!({"items": [
                    {"id": "a", "content": "look", "status": "completed"},
                    {"id": "b", "content": "write", "status": "in_progress"},
                    {"id": "c", "content": "check", "status": "pending"},
                ]}),
            )],
        ),
        Reply::call("write", json!({"path": "a.txt", "content": "one\ntwo\n"})),
        Reply::call(
            "edit",
            json!({"path": "a.txt", "old_str": "two", "new_str": "three"}),
        ),
        Reply::call(
            "plan",
            json!({"items": [{"id": "a", "content": "all of it", "status": "completed"}]}),
        ),
        paced.pieces_of(40).pace(Duration::from_millis(40)),
    ]);
    let world = world(script).await;
    let terminal = world.run(["--permission-mode=auto", "go"]).at_terminal(100);
    // The end of the answer is not there yet when its start is.
    let early = terminal.wait_for("one two").await;
    assert!(!early.contains("eight"), "{early}");
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");

    for colored in [
        "\u{1b}[1mplan\u{1b}[0m",
        "\u{1b}[2m  ✓ look\u{1b}[0m",
        "\u{1b}[36m  ▸ write\u{1b}[0m",
        "\u{1b}[32m✓\u{1b}[0m \u{1b}[1mwrite\u{1b}[0m",
        "\u{1b}[31m-two\u{1b}[0m",
        "\u{1b}[32m+three\u{1b}[0m",
        "\u{1b}[32mdone\u{1b}[0m in ",
    ] {
        assert!(written.contains(colored), "{colored:?} in {written}");
    }
    let text = plain(&written);
    assert!(text.contains("First the plan.\n"), "{text}");
    assert!(
        text.contains("✓ write a.txt · content: 8 characters  "),
        "{text}"
    );
    assert!(text.contains(" ms\n"), "{text}");
    assert!(
        text.contains("one two three four five six seven eight\ndone in "),
        "{text}"
    );
    assert_eq!(text.matches("one two three").count(), 1, "{text}");
}

#[tokio::test]
async fn an_answer_that_was_not_streamed_is_shown_once() {
    let world = world(Script::steps([Reply::text("the whole answer")])).await;
    let terminal = world.run(["--no-stream", "go"]).at_terminal(100);
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    assert_eq!(written.matches("the whole answer").count(), 1, "{written}");
}

#[tokio::test]
async fn waiting_is_shown_on_one_line_that_is_taken_back() {
    let command = format!("sleep 2.2 # {}", "long ".repeat(30));
    let world = world(Script::steps([bash(&command), Reply::text("done")])).await;
    let terminal = world.run(["--permission-mode=auto", "go"]).at_terminal(40);
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    let waiting = written
        .split("\r\u{1b}[2K")
        .filter(|part| plain(part).starts_with("… bash"));
    let waiting = waiting.map(plain).collect::<Vec<_>>();
    assert!(!waiting.is_empty(), "{written}");
    for line in &waiting {
        let width = line.lines().next().unwrap_or_default().chars().count();
        assert!(width < 40, "{line:?}");
    }
    assert!(!written.ends_with("… "), "{written}");
}

#[tokio::test]
async fn a_question_shows_the_whole_command_and_the_answers_and_waits_silently() {
    let command = "echo one > a.txt\n: \u{1b}]0\necho \u{7} \u{202e}two >> a.txt";
    let world = world(Script::steps([bash(command), Reply::text("done")])).await;
    let mut terminal = world.run(["--permission-mode=ask", "go"]).at_terminal(100);
    let asked = terminal.wait_for(CHOICES).await;
    let text = plain(&asked);
    assert!(text.contains("? bash of ml-intern/shell@"), "{text}");
    assert!(
        text.contains("wants to run `sh`\n    sh -c 'echo one > a.txt\n"),
        "{text}"
    );
    // What a terminal would hide is what a person has to see.
    assert!(
        text.contains("    : \\u{1b}]0\n    echo \\u{7} \\u{202e}two >> a.txt'"),
        "{text}"
    );
    assert!(text.contains("    it runs programs: sh\n"), "{text}");

    // Longer than any silence after which waiting is shown.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(terminal.written(), asked);
    terminal.type_line("y");
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    assert!(world.home.read("a.txt").starts_with("one\n"));
    assert!(plain(&written).contains("✓ bash command: "), "{written}");
}

#[tokio::test]
async fn each_answer_that_is_offered_is_understood() {
    let write = |path: &str| Reply::call("write", json!({"path": path, "content": "x"}));
    let script = Script::steps([
        bash("echo a > a.txt"),
        bash("echo b > b.txt"),
        bash("echo c > c.txt"),
        bash("echo d > d.txt"),
        write("e.txt"),
        write("f.txt"),
        Reply::text("done"),
    ]);
    let world = world(script).await;
    let mut terminal = world.run(["--permission-mode=ask", "go"]).at_terminal(100);
    for (number, answer) in ["n", "use  less \u{1b}[A memory", "s", "always"]
        .iter()
        .enumerate()
    {
        let wanted = |text: &str| text.matches(CHOICES).count() == number + 1;
        terminal.wait_until("the next question", wanted).await;
        terminal.type_line(answer);
    }
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    let results = world.results();
    assert_eq!(
        results[0],
        "denied (process): the user denied the request to run `sh`"
    );
    assert!(results[1].contains("use  less"), "{results:?}");
    let there = |file: &str| world.home.workspace().join(file).exists();
    let files = ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt"].map(there);
    assert_eq!(files, [false, false, true, true, true, true]);
    let kept = world.home.path().join(".config/ml-intern/approvals.jsonl");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(
        kept.contains("\"write\"") && !kept.contains("\"bash\""),
        "{kept}"
    );
}

#[tokio::test]
async fn what_was_typed_before_a_question_does_not_answer_it() {
    let slow = bash("echo x > a.txt").wait(Duration::from_secs(2));
    let world = world(Script::steps([slow, Reply::text("done")])).await;
    let mut terminal = world.run(["--permission-mode=ask", "go"]).at_terminal(100);
    terminal.wait_for("waiting for the model").await;
    terminal.type_line("y");
    terminal.wait_for(CHOICES).await;
    terminal.type_line("n");
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(0), "{written}");
    assert!(!world.home.workspace().join("a.txt").exists(), "{written}");
}

#[tokio::test]
async fn the_end_of_the_input_at_a_question_is_nobody_there() {
    let world = world(Script::steps([bash("echo x > a.txt"), Reply::text("done")])).await;
    // A question cannot be left out, however quiet the run is to be.
    let mut terminal = world.run(["-q", "go"]).at_terminal(100);
    terminal.wait_for(CHOICES).await;
    terminal.type_end();
    let (code, written) = terminal.finish().await;
    assert_eq!(code, Some(4), "{written}");
    assert!(!world.home.workspace().join("a.txt").exists());
}

#[tokio::test]
async fn nothing_that_a_model_or_a_tool_says_commands_the_terminal() {
    let evil = "a\u{1b}]52;c;aGVsbG8=\u{7}b\u{1b}[2Jc\u{9b}31md\u{202e}e\u{8}f\u{1b}[?1049h";
    world_of_evil(evil, &["--permission-mode=auto", "-v", "go"]).await;
    world_of_evil(evil, &["--permission-mode=auto", "-v", "--no-stream", "go"]).await;
}

async fn world_of_evil(evil: &str, args: &[&str]) {
    let script = Script::steps([
        Reply::message(
            evil,
            [
                Call::new(
                    "bash",
                    json!({"command": format!("printf '%s\\n' '{evil}'"), "timeout": 5}),
                ),
                Call::new(evil, json!({})),
                Call::new(
                    "plan",
                    json!({"items": [{"id": "a", "content": evil, "status": "pending"}]}),
                ),
                Call::new("write", json!({"path": "a.txt", "content": evil})),
                Call::new("read", json!({"path": evil})),
            ],
        ),
        Reply::text(evil).pieces_of(3),
    ]);
    let world = world(script).await;
    let terminal = world.run(args).at_terminal(100);
    let (_, written) = terminal.finish().await;
    assert!(written.matches("abc31mdef").count() > 5, "{written}");
    for command in [
        "\u{1b}]",
        "\u{1b}[2J",
        "\u{1b}[?",
        "\u{9b}",
        "\u{202e}",
        "\u{7}",
        "\u{8}",
    ] {
        assert!(!written.contains(command), "{command:?} in {written:?}");
    }
    // Every sequence is one of ours: a colour, or taking a line back.
    for sequence in written.split('\u{1b}').skip(1) {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        let ours = ["[0m", "[1m", "[2m", "[31m", "[32m", "[33m", "[36m", "[2K"];
        assert!(
            ours.contains(&&sequence[..=end]),
            "{sequence:?} in {written:?}"
        );
    }
}

#[tokio::test]
async fn colours_are_for_those_who_want_them() {
    let script = || Script::steps([bash("true"), Reply::text("done")]);
    for args in [["--color=never"], ["--color=auto"]] {
        let world = world(script()).await;
        world
            .home
            .set("NO_COLOR", if args == ["--color=auto"] { "1" } else { "" });
        let run = world.run([args[0], "--permission-mode=auto", "go"]);
        let (code, written) = run.at_terminal(100).finish().await;
        assert_eq!(code, Some(0), "{written}");
        let colour = written
            .split(CSI)
            .skip(1)
            .any(|rest| !rest.starts_with("2K"));
        assert!(!colour, "{written:?}");
        assert!(written.contains("✓ bash true"), "{written:?}");
    }
    // Piped: no colours and nothing that is taken back, unless somebody insists.
    let world = world(script()).await;
    let done = world.run(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    assert!(!done.stderr.contains('\u{1b}') && !done.stdout.contains('\u{1b}'));
    let done = world
        .run(["--color=always", "--permission-mode=auto", "go"])
        .run()
        .await;
    assert!(
        done.stderr.contains("\u{1b}[32m✓\u{1b}[0m"),
        "{}",
        done.stderr
    );
    assert_eq!(done.stdout, "done\n");
}

#[tokio::test]
async fn a_calls_output_keeps_its_indentation_and_has_an_end() {
    let command = "echo '{'; for i in $(seq 40); do echo \"    line $i\"; done";
    let script = || Script::steps([bash(command), Reply::text("done")]);
    let world = world(script()).await;
    let done = world.run(["--permission-mode=auto", "go"]).run().await;
    done.assert_code(0);
    assert!(
        done.stderr
            .contains("\n  │     line 19\n  │ … more; -v shows all\n"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("line 20\n"), "{}", done.stderr);
    let done = world
        .run(["-v", "--permission-mode=auto", "go"])
        .run()
        .await;
    assert!(
        done.stderr.contains("\n  │     line 40\n"),
        "{}",
        done.stderr
    );
}
