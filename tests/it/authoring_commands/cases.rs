use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{plugins::target::Target, support::ml_intern::Home};

use super::{authors, plugin, steady};

const PASSING: &str = r#"
[[case]]
name = "answers"
tool = "good"
expect = { text = "good" }

[[case]]
name = "fetches what is recorded, with the case's credential"
tool = "fetch"
args = { url = "https://target.example.org/token" }
config = { target = "https://target.example.org" }
credentials = ["stranger"]
http = [{ url = "https://target.example.org/token", headers = { x = "y" }, body = "I got stranger-of-the-case" }]
expect = { contains = "200 I got ***" }

[[case]]
name = "a place that is not granted is denied before its recording is asked"
tool = "fetch"
args = { url = "https://never-asked.example.org/" }
http = [{ url = "https://never-asked.example.org/", body = "secret", optional = true }]
expect = { denied = "http" }

[[case]]
name = "a service that is gone"
tool = "fetch"
args = { url = "https://target.example.org/" }
config = { target = "https://target.example.org" }
http = [{ url = "https://target.example.org/", lost = "refused" }]
expect = { error = "upstream" }

[[case]]
name = "a recorded program"
tool = "run_program"
args = { program = "env" }
programs = [{ program = "env", stdout = "A=b" }]
expect = { contains = "A=b" }

[[case]]
name = "a program that is not asked for is denied"
tool = "run_program"
args = { program = "cat" }
expect = { error = "denied", denied = "process" }

[[case]]
name = "writes a file"
tool = "write_file"
files = { "other.txt" = "x" }
expect = { files = { "written.txt" = "by the guest", "other.txt" = { contains = "x" }, "none.txt" = false } }

[[case]]
name = "reads and does not write with a smaller grant"
tool = "write_file"
grant = { fs = [{ mount = "/workspace", access = "read" }] }
expect = { denied = "fs.write", files = { "written.txt" = false } }

[[case]]
name = "keeps for the session"
tool = "remember"
args = { value = "x" }
expect = { text = "remembered" }

[[case]]
name = "a trap"
tool = "trap"
expect = { fault = "trap", contains = "the guest gave up" }

[[case]]
name = "too much"
tool = "huge_result"
expect = { fault = "limits.output" }
"#;

#[tokio::test]
async fn cases_that_hold_pass_in_workspaces_of_their_own() {
    let home = authors(PASSING);
    let done = plugin(&home, &["test"]).await;
    done.assert_code(0);
    assert_snapshot!(steady(&done.stdout));
    assert!(!home.workspace().join("written.txt").exists());
    let json = plugin(
        &home,
        &[
            "test",
            "build/naughty.wasm",
            "--json",
            "--filter",
            "program",
        ],
    )
    .await;
    json.assert_code(0);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&told["passed"], &told["failed"]), (&json!(2), &json!(0)));
    assert_eq!(told["cases"][1]["call"]["kind"], "denied");
    assert_eq!(
        told["cases"][0]["call"]["touched"]["decisions"][0]["capability"],
        "process"
    );
}

const FAILING: &str = r#"
[[case]]
name = "another text"
tool = "good"
expect = { text = "bad\ngood" }

[[case]]
name = "another end"
tool = "good"
expect = { error = "not-found" }

[[case]]
name = "nothing is denied"
tool = "good"
expect = { denied = "http" }

[[case]]
name = "a request without a recording"
tool = "fetch"
args = { url = "https://target.example.org/a?b=c", method = "GET" }
config = { target = "https://target.example.org" }
http = [
    { url = "https://target.example.org/a?b=c", method = "POST" },
    { url = "https://target.example.org/unused" },
    { url = "https://target.example.org/optional", optional = true },
]
expect = { contains = "200" }

[[case]]
name = "a program without a recording"
tool = "run_program"
args = { program = "env", arguments = ["-0", "\u001b[31m"] }
programs = [{ program = "env", args = ["-1"] }]
expect = { contains = "Some(0)" }

[[case]]
name = "a fault that is not expected"
tool = "spin"
expect = { contains = "x" }

[[case]]
name = "files"
tool = "write_file"
expect = { files = { "written.txt" = "by me\n", "gone.txt" = "x" }, progress = ["half"], state = { session = { a = "b" } } }

[[case]]
name = "another tool"
tool = "goood"
expect = { text = "" }

[[case]]
name = "an error that is not expected"
tool = "fetch"
expect = { contains = "x" }

[[case]]
name = "a credential that is not asked for"
tool = "good"
credentials = ["hf"]
expect = { text = "good" }

[[case]]
name = "a configuration that does not fit"
tool = "good"
config = { nothing = "x" }
expect = { text = "good" }

[[case]]
name = "no expectation"
tool = "good"
"#;

#[tokio::test]
async fn what_is_not_as_expected_is_told_and_nothing_else() {
    let home = authors(FAILING);
    let done = plugin(&home, &["test"]).await;
    done.assert_code(1);
    assert!(!done.stdout.contains('\u{1b}'), "{}", done.stdout);
    assert_snapshot!(steady(&done.stdout));
}

#[tokio::test]
async fn nothing_goes_to_the_network_also_where_a_server_listens() {
    let target = Target::start(String::new()).await;
    let url = target.url();
    let home = authors(&format!(
        "[[case]]\nname = \"a\"\ntool = \"fetch\"\nargs = {{ url = \"{url}/ok\" }}\nconfig = {{ target = \"{url}\" }}\nexpect = {{ contains = \"hello\" }}\n"
    ));
    let done = plugin(&home, &["test"]).await;
    done.assert_code(1);
    assert!(
        done.stdout.contains("without a recording"),
        "{}",
        done.stdout
    );
    assert_eq!(target.seen(), [""; 0]);
}

#[tokio::test]
async fn update_writes_what_came_out_and_leaves_the_rest() {
    let cases = "# mine\n[[case]]\nname = \"a\"\ntool = \"good\" # why\n\n[[case]]\nname = \"b\"\ntool = \"trap\"\n\n[[case]]\nname = \"c\"\ntool = \"good\"\nexpect = { text = \"bad\" }\n";
    let home = authors(cases);
    plugin(&home, &["test", "--update"]).await.assert_code(1);
    let written = home.read("cases.toml");
    assert_snapshot!(written, @r#"
    # mine
    [[case]]
    name = "a"
    tool = "good" # why
    expect = { text = "good" }

    [[case]]
    name = "b"
    tool = "trap"
    expect = { fault = "trap" }

    [[case]]
    name = "c"
    tool = "good"
    expect = { text = "bad" }
    "#);
    let again = plugin(&home, &["test"]).await;
    assert!(
        again.stdout.contains("2 passed, 1 failed"),
        "{}",
        again.stdout
    );
}

#[tokio::test]
async fn a_file_with_mistakes_is_a_usage_error_that_says_where() {
    let home = authors("");
    for (text, says) in [
        (
            "[[case]]\nname = \"a\"\nexpct = {}\n",
            "3:1: `case[0].expct`: unknown key `expct`; did you mean `expect`?",
        ),
        (
            "[[case]]\nname = \"a\"\nhttp = [{ ulr = \"x\" }]\n",
            "did you mean `url`?",
        ),
        (
            "[[case]]\nname = \"a\"\nfiles = { \"../x\" = \"\" }\n",
            "without `..`",
        ),
        (
            "[[case]]\nname = \"a\"\n[[case]]\nname = \"a\"\n",
            "another case `a`",
        ),
        ("[[case]\n", "cases.toml:1:"),
        ("\u{0}", "cases.toml"),
        ("", "`case` is missing"),
    ] {
        home.write("cases.toml", text);
        let done = plugin(&home, &["test"]).await;
        done.assert_code(2);
        assert!(done.stderr.contains(says), "{text}: {}", done.stderr);
    }
    std::fs::remove_file(home.workspace().join("cases.toml")).unwrap();
    let none = plugin(&home, &["test"]).await;
    none.assert_code(2);
    assert!(none.stderr.contains("--cases FILE"), "{}", none.stderr);
    home.write("cases.toml", PASSING);
    let none = plugin(&home, &["test", "--filter", "zzz"]).await;
    none.assert_code(2);
    assert!(none.stderr.contains("no case of"), "{}", none.stderr);
    let none = plugin(&home, &["test", "nowhere"]).await;
    none.assert_code(2);
}

#[tokio::test]
async fn a_recording_that_makes_no_sense_is_a_problem_of_its_case() {
    let case = |http: &str| {
        format!(
            "[[case]]\nname = \"a\"\ntool = \"good\"\nhttp = [{http}]\nexpect = {{ text = \"good\" }}\n"
        )
    };
    for (http, says) in [
        ("{ url = \"nowhere\" }", "`http[0]`: `url` is no URL"),
        (
            "{ url = \"https://a.org/\", status = 99 }",
            "`status` is 100 to 599",
        ),
        (
            "{ url = \"https://a.org/\", headers = { \"a b\" = \"\" } }",
            "not the name of a header",
        ),
        (
            "{ url = \"https://a.org/\", body = { base64 = \"?\" } }",
            "`base64` is none",
        ),
        (
            "{ url = \"https://a.org/\", body = { copy = \"none.bin\" } }",
            "cannot copy `none.bin`",
        ),
    ] {
        let home = authors(&case(http));
        let done = plugin(&home, &["test"]).await;
        done.assert_code(1);
        assert!(done.stdout.contains(says), "{http}: {}", done.stdout);
    }
}

const JOBS: &str = r#"
[[case]]
name = "a job that is recorded is submitted, followed and read"
tool = "job_run"
args = { script = "train.py", flavor = "local", wait = 5 }
files = { "train.py" = "print('epoch 1')" }
jobs = [{ flavor = "local", contains = "epoch 1", id = "job-7", states = ["running", "succeeded"], logs = ["accuracy 0.9"] }]
expect = { contains = ["job-7", "accuracy 0.9"] }

[[case]]
name = "a back end that takes none"
tool = "job_run"
args = { script = "train.py", flavor = "local" }
files = { "train.py" = "print('epoch 1')" }
jobs = [{ refused = "no room" }]
expect = { failed = true, contains = "no room" }

[[case]]
name = "a job that no recording knows"
tool = "job_run"
args = { script = "train.py", flavor = "local" }
files = { "train.py" = "print('other')" }
expect = { contains = "job" }

[[case]]
name = "a recorded job that nobody submits"
tool = "job_list"
jobs = [{ contains = "epoch 1" }]
expect = { contains = "" }
"#;

/// With the plugin that trains, as the program carries it.
#[tokio::test]
async fn jobs_are_recorded_like_requests() {
    let built = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/target/wasm32-wasip2/release/ml_intern_plugin_train.wasm"
    );
    let home = Home::new();
    home.write("train.wasm", std::fs::read(built).unwrap());
    home.write("cases.toml", JOBS);
    let tried = plugin(&home, &["test", "train.wasm"]).await;
    tried.assert_code(1);
    for text in [
        "✓ a job that is recorded",
        "✓ a back end that takes none",
        "✗ a job that no recording knows",
        // The recording to add.
        "contains = \"print('other')\"",
        "✗ a recorded job that nobody submits",
        "2 passed, 2 failed",
    ] {
        assert!(tried.stdout.contains(text), "{text}: {}", tried.stdout);
    }
}
