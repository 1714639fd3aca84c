use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::support::{
    fake_openai::{FakeOpenAi, Script},
    ml_intern::{Finished, Home, Program, binary},
    world::of_type,
};

/// `expected.toml` of the example.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expected {
    prompt: String,
    exit_code: i32,
    tools: Vec<String>,
    answer: Vec<String>,
    artifact: Vec<Artifact>,
    metrics: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Artifact {
    path: String,
    contains: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/penguins")
}

fn expected() -> Expected {
    let text = std::fs::read_to_string(example().join("expected.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// Copies the files of the example that belong to it, and none that a run left there.
fn copy_to(home: &Home, folder: &str) {
    let left = ["train.py", "model.json", "metrics.json", "MODEL_CARD.md"];
    let mut copied = 0;
    for entry in std::fs::read_dir(example()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() && !left.contains(&name.as_str()) {
            let content = std::fs::read(entry.path()).unwrap();
            let file = format!("{folder}/{name}");
            home.write(&file, content);
            home.age(&file);
            copied += 1;
        }
    }
    assert!(copied >= 4, "the example has {copied} files");
}

/// The tools of a session in the order in which they started.
fn tools(events: &[Value]) -> Vec<&str> {
    let started = of_type(events, "tool.started").into_iter();
    started
        .map(|event| event["tool"].as_str().unwrap())
        .collect()
}

/// What `sessions show --json` prints.
async fn log(home: &Home, session: &Path) -> Vec<Value> {
    let id = session.file_name().unwrap().to_str().unwrap();
    let shown = home
        .ml_intern(["sessions", "show", id, "--json"])
        .run()
        .await;
    shown.assert_code(0);
    let lines = shown.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Holds the folder of the example to what is expected of it.
#[track_caller]
fn assert_files(home: &Home, folder: &str, expected: &Expected) {
    for artifact in &expected.artifact {
        let text = home.read(&format!("{folder}/{}", artifact.path));
        for words in &artifact.contains {
            assert!(
                text.contains(words.as_str()),
                "`{words}` in {}",
                artifact.path
            );
        }
        for words in &artifact.absent {
            assert!(
                !text.contains(words.as_str()),
                "`{words}` in {}",
                artifact.path
            );
        }
    }
    let metrics: Value =
        serde_json::from_str(&home.read(&format!("{folder}/metrics.json"))).unwrap();
    for (pointer, value) in &expected.metrics {
        let found = metrics.pointer(pointer).and_then(Value::as_f64);
        assert_eq!(found, Some(*value), "{pointer} in {metrics}");
    }
}

#[track_caller]
fn assert_answer(answer: &str, expected: &Expected) {
    for words in &expected.answer {
        assert!(answer.contains(words.as_str()), "`{words}` in {answer}");
    }
    assert!(!answer.contains("{{"), "{answer}");
}

/// The command of the README, word by word.
#[tokio::test]
async fn a_reader_with_an_empty_home_gets_what_the_readme_promises() {
    let expected = expected();
    let readme = std::fs::read_to_string(example().join("README.md")).unwrap();
    let quoted = format!("\"{}\"", expected.prompt);
    let command = readme.lines().find_map(|line| {
        let before = line.strip_suffix(&quoted)?;
        before.strip_prefix("ml-intern ")
    });
    let command = command.expect("a command of the README with the expected prompt");

    let home = Home::cold();
    let folder = "examples/penguins";
    copy_to(&home, folder);
    let run = async || {
        let args = command.split_whitespace().chain([&*expected.prompt]);
        let done = home.ml_intern(args).run().await;
        done.assert_code(expected.exit_code);
        assert_answer(&done.stdout, &expected);
        assert!(done.stderr.contains("job_run"), "{}", done.stderr);
        assert_files(&home, folder, &expected);
        done
    };
    let first = run().await;
    let session = home.session();
    let events = log(&home, &session).await;
    assert_eq!(tools(&events), expected.tools);
    let files = || {
        let paths = expected.artifact.iter();
        paths
            .map(|file| home.read(&format!("{folder}/{}", file.path)))
            .collect::<Vec<_>>()
    };
    let made = files();

    // Again in the same folder: the same files, but made anew.
    home.write(&format!("{folder}/metrics.json"), "{\"accuracy\": 1}");
    let second = run().await;
    assert_eq!(files(), made);
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(home.sessions().len(), 2);
}

#[tokio::test]
async fn the_run_as_events_and_its_log() {
    let expected = expected();
    let home = Home::new();
    copy_to(&home, ".");
    let args = ["run", "--output-format", "stream-json", &expected.prompt];
    let done = home.ml_intern(args).run().await;
    done.assert_code(expected.exit_code);
    let events = done.events();
    assert_eq!(tools(&events), expected.tools);
    assert_files(&home, ".", &expected);

    assert_result(&done, &expected);
    let plans = of_type(&events, "plan");
    let done_items = |plan: &Value| {
        let items = plan["items"].as_array().unwrap().iter();
        items.filter(|item| item["status"] == "completed").count()
    };
    let progress: Vec<usize> = plans.iter().map(|plan| done_items(plan)).collect();
    assert_eq!(progress, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(of_type(&events, "job.started").len(), 1);
    let finished = of_type(&events, "job.finished");
    assert_eq!(finished.len(), 1);
    let started = &of_type(&events, "job.started")[0]["job"];
    assert_eq!(finished[0]["job"]["state"], "succeeded");
    assert_eq!(finished[0]["job"]["id"], started["id"]);
    let epochs = of_type(&events, "tool.log").into_iter();
    let epochs = epochs.filter(|line| line["text"].as_str().unwrap().starts_with("epoch "));
    assert_eq!(epochs.count(), 11, "the training log is shown as it comes");
    let text: String = of_type(&events, "text.delta")
        .iter()
        .map(|delta| delta["text"].as_str().unwrap())
        .collect();
    assert_answer(&text, &expected);
    for kind in ["error", "notice", "permission.requested"] {
        assert!(of_type(&events, kind).is_empty(), "{kind}");
    }

    // The log holds what was shown, but for what is for display only and the last line.
    let session = home.session();
    assert!(session.join("events.jsonl").is_file());
    let log = log(&home, &session).await;
    assert_eq!(log.last().unwrap()["type"], "turn.finished");
    let shown = events.iter().filter(|event| {
        let kind = event["type"].as_str().unwrap();
        ![
            "tool.log",
            "text.delta",
            "reasoning.delta",
            "call.delta",
            "result",
        ]
        .contains(&kind)
    });
    let shown: Vec<&Value> = shown.collect();
    assert_eq!(shown, log[..log.len() - 1].iter().collect::<Vec<_>>());
    assert_page(&home, &session, &expected).await;
}

fn assert_result(done: &Finished, expected: &Expected) {
    let result = done.result();
    assert_eq!(result["reason"], "done");
    assert_eq!(result["exit_code"], expected.exit_code);
    assert_eq!(result["iterations"], 10);
    assert_eq!(result["cost_usd"], 0.0);
    assert_answer(result["message"].as_str().unwrap(), expected);
    let mut wanted: Vec<&str> = expected.artifact.iter().map(|a| a.path.as_str()).collect();
    wanted.sort_unstable();
    assert_eq!(result["artifacts"], serde_json::json!(wanted));
}

/// `sessions show`, as a person reads it, by the beginning of the id.
async fn assert_page(home: &Home, session: &Path, expected: &Expected) {
    let id = session.file_name().unwrap().to_str().unwrap();
    let page = home
        .ml_intern(["sessions", "show", &id[..id.len() - 2]])
        .run()
        .await;
    page.assert_code(0);
    let text = format!("{}{}", page.stdout, page.stderr);
    for tool in &expected.tools {
        assert!(text.contains(tool.as_str()), "`{tool}` in {text}");
    }
    assert!(text.contains("succeeded"), "{text}");
}

#[tokio::test]
async fn the_run_as_one_object() {
    let expected = expected();
    let home = Home::new();
    copy_to(&home, ".");
    let args = ["run", "--output-format", "json", &expected.prompt];
    let done = home.ml_intern(args).run().await;
    done.assert_code(expected.exit_code);
    assert_eq!(done.stdout.lines().count(), 1);
    let result: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(result["type"], "result");
    assert_eq!(result["reason"], "done");
    assert_answer(result["message"].as_str().unwrap(), &expected);
    assert_eq!(
        result["session"].as_str().unwrap(),
        home.session().file_name().unwrap().to_str().unwrap()
    );
}

/// Where the host looks for programs even if `PATH` does not name it.
const FIXED: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// `ml-intern` in a mount namespace in which every `python3` of the machine is a device.
fn without_python3(home: &Home, args: &[&str]) -> Program {
    let found = FIXED.map(|folder| Path::new(folder).join("python3"));
    let found = found.iter().filter(|file| file.exists());
    let hide = "for file do case $file in */python3) mount --bind /dev/null \"$file\"; shift;; \
                *) exec \"$@\";; esac; done";
    let mut all: Vec<OsString> = ["-rm", "/bin/sh", "-ec", hide, "sh"].map(Into::into).into();
    all.extend(found.map(Into::into));
    all.push(binary().into());
    all.extend(args.iter().map(Into::into));
    home.program(Path::new("/usr/bin/unshare"), all)
}

#[tokio::test]
async fn a_missing_python3_is_an_error_before_anything_starts() {
    let fake = FakeOpenAi::start(Script::steps([])).await;
    let home = Home::new();
    home.set("OPENAI_BASE_URL", fake.base_url());
    copy_to(&home, ".");
    let allowed = home.program(Path::new("/usr/bin/unshare"), ["-rm", "true"]);
    if allowed.run().await.code() != Some(0) {
        // Nothing can be hidden from the program without a namespace, which some containers do
        // not allow; what it finds is then at least what it says.
        let done = home.ml_intern(["doctor"]).run().await;
        assert!(done.stdout.contains("python3 is /"), "{}", done.stdout);
        return;
    }
    for model in ["replay/penguins", "openai/fake-model"] {
        let done = without_python3(&home, &["run", "-m", model, &expected().prompt])
            .run()
            .await;
        done.assert_code(2);
        assert_eq!(done.stdout, "");
        assert!(done.stderr.contains("needs `python3`"), "{}", done.stderr);
        assert!(done.stderr.contains("hint: "), "{}", done.stderr);
    }
    assert_eq!(home.sessions(), Vec::<PathBuf>::new());
    assert!(fake.exchanges().is_empty());
}

#[tokio::test]
async fn a_recording_that_does_not_match_stops_at_its_step() {
    let home = Home::new();
    copy_to(&home, ".");
    let recording = home.read("recording.toml");
    let changed = recording.replacen("contains = [\"train.py\"]", "contains = [\"train.rs\"]", 1);
    assert_ne!(recording, changed);
    home.write("recording.toml", changed);
    home.age("recording.toml");

    let args = ["run", "--output-format", "stream-json", &expected().prompt];
    let done = home.ml_intern(args).run().await;
    done.assert_code(1);
    let events = done.events();
    let result = done.result();
    assert_eq!(result["reason"], "error");
    assert_eq!(result["message"], Value::Null);
    let error = result["error"].as_str().unwrap();
    for words in ["step 4", "`c7`", "train.rs"] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(of_type(&events, "error").len(), 1);
    assert!(of_type(&events, "job.started").is_empty());
    assert_eq!(tools(&events).last(), Some(&"write"));
    assert_eq!(result["artifacts"], serde_json::json!(["train.py"]));
    assert!(!home.workspace().join("metrics.json").exists());

    // For people, too, and the session is not taken for a complete one.
    std::fs::remove_file(home.workspace().join("train.py")).unwrap();
    let done = home.ml_intern(["run", &expected().prompt]).run().await;
    done.assert_code(1);
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("step 4"), "{}", done.stderr);
    let list = home.ml_intern(["sessions", "list", "--json"]).run().await;
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list[0]["state"], "failed");
}
