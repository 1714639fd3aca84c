//! A model that does seven things one after the other. It knows nothing but the conversation, so
//! it finds its place in it after every crash; and as the host tells a model to, it looks before
//! it does again what may have been done.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    fake_openai::{Asked, Call, FakeOpenAi, Reply, Script},
    ml_intern::{Finished, Home},
    world::of_type,
};

/// What the model says at the end.
pub(super) const ANSWER: &str = "All seven things are done.";
const PROMPT: &str = "do the seven things";

/// Something the model does, and how it finds out whether it was done.
struct Task {
    call: Call,
    /// A file, and words in it when the task was done; nothing where doing it again is harmless.
    trace: Option<(&'static str, &'static str)>,
}

fn task(name: &str, arguments: Value) -> Task {
    Task {
        call: Call::new(name, arguments),
        trace: None,
    }
}

fn traced(name: &str, arguments: Value, file: &'static str, words: &'static str) -> Task {
    Task {
        trace: Some((file, words)),
        ..task(name, arguments)
    }
}

fn plan(status: &str) -> Value {
    json!({"items": [{"id": "a", "content": "seven things", "status": status}]})
}

/// The tasks of a session of thirty rounds: between the seven things, the model looks at what there is.
fn many_tasks() -> Vec<Task> {
    let mut looks =
        (0..).map(|number| task("search", json!({"pattern": format!("the start {number}")})));
    let mut all = Vec::new();
    for task in tasks() {
        if !all.is_empty() {
            all.extend(looks.by_ref().take(3));
        }
        all.push(task);
    }
    all
}

fn tasks() -> Vec<Task> {
    // A job's own mark, so that a job that ran twice is seen.
    let script = "import time\nopen('jobs.txt', 'a').write('job\\n')\nprint('step', flush=True)\ntime.sleep(0.3)";
    let append =
        |line: &str| json!({"command": format!("sleep 0.1; echo {line} >>log.txt; sleep 0.1")});
    vec![
        task("read", json!({"path": "start.txt"})),
        task("plan", plan("in_progress")),
        task(
            "write",
            json!({"path": "notes.md", "content": "one\ntwo\n"}),
        ),
        traced(
            "edit",
            json!({"path": "notes.md", "old_str": "two", "new_str": "second"}),
            "notes.md",
            "second",
        ),
        traced("bash", append("first"), "log.txt", "first"),
        task("job_run", json!({"script": script, "wait": 20})),
        traced("bash", append("second"), "log.txt", "second"),
        task("plan", plan("completed")),
    ]
}

/// A call of the model in the conversation with its result.
struct Done<'a> {
    name: &'a str,
    arguments: &'a str,
    result: &'a str,
}

fn history<'a>(messages: &'a [Value]) -> Vec<Done<'a>> {
    let results = messages.iter().filter(|message| message["role"] == "tool");
    let calls = messages
        .iter()
        .filter_map(|message| message["tool_calls"].as_array())
        .flatten();
    let pairs = calls.zip(results).map(|(call, result)| Done {
        name: call["function"]["name"].as_str().unwrap(),
        arguments: call["function"]["arguments"].as_str().unwrap(),
        result: result["content"].as_str().unwrap(),
    });
    pairs.collect()
}

/// What the model does next, if anything.
fn next(history: &[Done<'_>], tasks: Vec<Task>) -> Option<Call> {
    let mut from = 0;
    for task in tasks {
        let same = |done: &Done<'_>| task.call.is(done.name, done.arguments);
        let Some(at) = history[from..].iter().rposition(same) else {
            return Some(task.call);
        };
        from += at;
        if !history[from].result.contains("was interrupted") {
            continue;
        }
        let (file, words) = task.trace.expect("only a call with traces is left open");
        let look = Call::new("read", json!({"path": file}));
        let seen = history[from..]
            .iter()
            .rfind(|done| look.is(done.name, done.arguments));
        match seen {
            None => return Some(look),
            Some(seen) if !seen.result.contains(words) => return Some(task.call),
            Some(_) => {}
        }
    }
    None
}

fn model(asked: &Asked<'_>, tasks: Vec<Task>) -> Reply {
    match next(&history(asked.messages), tasks) {
        Some(call) => Reply::message("One more thing. ", [call]),
        None => Reply::text(ANSWER),
    }
}

/// A home, its model and its one session.
pub(super) struct World {
    pub(super) home: Home,
    pub(super) fake: FakeOpenAi,
}

impl World {
    pub(super) async fn new() -> Self {
        let script = Script::new(|asked| model(asked, tasks()).pace(Duration::from_millis(5)));
        Self::with(script).await
    }

    /// With a model that makes thirty rounds.
    pub(super) async fn long() -> Self {
        Self::with(Script::new(|asked| model(asked, many_tasks()))).await
    }

    pub(super) async fn with(script: Script) -> Self {
        let fake = FakeOpenAi::start(script).await;
        let home = Home::new();
        home.set("OPENAI_BASE_URL", fake.base_url());
        home.write("start.txt", "the start\n");
        Self { home, fake }
    }

    /// The command that begins the session, or goes on with it if it has begun.
    pub(super) async fn command(&self) -> Vec<String> {
        let base = [
            "run",
            "--json",
            "--permission-mode=auto",
            "-m",
            "openai/fake-model",
        ];
        let mut all: Vec<String> = base.map(str::to_owned).into();
        match self.turns().await {
            None => all.push(PROMPT.to_owned()),
            Some(0) => all.extend(["--continue", PROMPT].map(str::to_owned)),
            Some(_) => all.push("--continue".to_owned()),
        }
        all
    }

    /// Turns of the newest session; none where there is no session to go on with.
    async fn turns(&self) -> Option<u64> {
        let newest = self.newest().await?;
        // A log without its first entry is of no folder.
        (newest["workspace"] != "").then(|| newest["turns"].as_u64().unwrap())
    }

    async fn newest(&self) -> Option<Value> {
        let list = self
            .home
            .ml_intern(["sessions", "list", "--json"])
            .run()
            .await;
        list.assert_code(0);
        assert_eq!(list.stderr, "", "every log can be read");
        let list: Value = serde_json::from_str(&list.stdout).unwrap();
        list.as_array().unwrap().first().cloned()
    }

    /// Whether the session's turn is over.
    pub(super) async fn is_done(&self) -> bool {
        self.newest()
            .await
            .is_some_and(|newest| newest["state"] == "done")
    }

    /// Runs the session to its end.
    pub(super) async fn finish(&self) -> Finished {
        let done = self.home.ml_intern(self.command().await).run().await;
        done.assert_code(0);
        done
    }

    /// Entries of the log of the one session that has a turn.
    pub(super) async fn log(&self) -> Vec<Value> {
        let id = self.newest().await.unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let shown = self
            .home
            .ml_intern(["sessions", "show", &id, "--json"])
            .run()
            .await;
        shown.assert_code(0);
        let lines = shown.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Holds the world at the end to what an undisturbed run leaves.
    pub(super) async fn assert_whole(&self) {
        let log = self.log().await;
        assert_log(&log);
        let end = log
            .iter()
            .rfind(|event| event["type"] == "turn.finished")
            .unwrap();
        assert_eq!(
            (&end["reason"], &end["message"]),
            (&json!("done"), &json!(ANSWER))
        );

        assert_eq!(self.home.read("notes.md"), "one\nsecond\n");
        assert_eq!(self.home.read("log.txt"), "first\nsecond\n");
        let jobs = self.home.ml_intern(["jobs", "list", "--json"]).run().await;
        let jobs: Value = serde_json::from_str(&jobs.stdout).unwrap();
        let jobs = jobs.as_array().unwrap();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        assert_eq!(jobs[0]["state"], "succeeded");
        assert_eq!(of_type(&log, "job.started").len(), 1);
        assert_eq!(of_type(&log, "job.finished").len(), 1);
        assert_eq!(self.home.read("jobs.txt"), "job\n");
        assert_eq!(
            self.files(),
            ["jobs.txt", "log.txt", "notes.md", "start.txt"]
        );

        // The model never saw another past than the one it had seen before.
        self.fake.assert_all_accepted();
        assert_eq!(self.fake.prefix_breaks(), [0; 0]);
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.workspace()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

/// The log's positions have no gap, no call has two results, none lacks one, and none that may
/// not be repeated has started twice.
#[track_caller]
fn assert_log(log: &[Value]) {
    let positions: Vec<u64> = log
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    let wanted: Vec<u64> = (1..=log.len() as u64).collect();
    assert_eq!(positions, wanted);
    let started = of_type(log, "tool.started");
    let finished = of_type(log, "tool.finished");
    for event in &started {
        let call = &event["call"];
        let results: Vec<_> = finished.iter().filter(|one| one["call"] == *call).collect();
        assert_eq!(results.len(), 1, "{call}: {results:?}");
        // A second start of a call that cannot be repeated is the host's, to say so, or that of one that waited for a
        // person and had done nothing.
        let runs = started
            .iter()
            .filter(|one| one["call"] == *call && one["repeatable"] == false);
        let asked = of_type(log, "permission.requested");
        let waited = asked.iter().any(|one| one["call"] == *call);
        let told = results[0]["status"] == "interrupted";
        assert!(runs.count() <= 1 || waited || told, "{call} ran twice");
    }
    let finishes = finished.iter().map(|one| one["call"].to_string());
    let distinct: std::collections::BTreeSet<_> = finishes.collect();
    assert_eq!(distinct.len(), finished.len());
}

/// The log of the session on the disk.
pub(super) fn events_file(session: &Path) -> std::path::PathBuf {
    session.join("events.jsonl")
}

#[tokio::test]
async fn an_undisturbed_run_does_the_seven_things() {
    let world = World::new().await;
    let done = world.finish().await;
    assert_eq!(done.result()["message"], ANSWER);
    assert!(world.is_done().await);
    world.assert_whole().await;
    assert_eq!(world.fake.chats().len(), tasks().len() + 1);
}
