//! The local back end with real processes. This test binary is its own supervisor: it is
//! started again to run the one test `supervisor_entry` with a job folder as an argument.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]
#![cfg(target_os = "linux")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ml_intern_exec::{Signal, Tree};
use ml_intern_jobs::{
    Backend, Container, Job, JobError, LocalBackend, LocalOptions, Mount, Script, Spec, State,
    Workload,
};
use rustix::fs::FlockOperation;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "the supervisor process of the other tests"]
fn supervisor_entry() {
    let folder = PathBuf::from(std::env::args_os().next_back().unwrap());
    // Without a job folder this is a test of its own: there is nothing to supervise.
    let expected = i32::from(!folder.is_absolute());
    let nothing: ml_intern_jobs::ServeProxy = |_, _, _| Box::new(());
    assert_eq!(ml_intern_jobs::supervise(&folder, nothing), expected);
}

/// A host that submits a job and dies without a word.
#[test]
#[ignore = "the host process of another test"]
fn host_entry() {
    let workspace = PathBuf::from(std::env::args_os().next_back().unwrap());
    let options = options(&workspace);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = "import time\ntime.sleep(0.5)\nprint('survived')";
    runtime
        .block_on(LocalBackend::new(options).unwrap().submit(script(source)))
        .unwrap();
    rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
}

/// Options with this binary as the supervisor; the jobs are beside the workspace.
fn options(workspace: &Path) -> LocalOptions {
    let mut supervisor = vec![OsString::from(std::env::current_exe().unwrap())];
    supervisor.extend(ENTRY.map(OsString::from));
    let mut options = LocalOptions::new(workspace.with_file_name("jobs"), supervisor, workspace);
    options.running = 4;
    options
}

const ENTRY: [&str; 4] = ["--ignored", "--exact", "supervisor_entry", "--nocapture"];

struct Bench {
    directory: TempDir,
    options: LocalOptions,
    backend: LocalBackend,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut LocalOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let workspace = directory.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        let mut options = options(&workspace);
        change(&mut options);
        Self {
            backend: LocalBackend::new(options.clone()).unwrap(),
            options,
            directory,
        }
    }

    async fn submit(&self, source: &str) -> Job {
        self.backend.submit(script(source)).await.unwrap()
    }

    /// Runs a script to its end.
    async fn check(&self, source: &str) -> Job {
        let job = self.submit(source).await;
        self.end(&job).await
    }

    async fn end(&self, job: &Job) -> Job {
        let job = self.backend.wait(&job.id, LONG).await.unwrap();
        assert!(
            job.state.is_final(),
            "{job:?} {}",
            self.texts(&job).await.join("\n")
        );
        job
    }

    async fn texts(&self, job: &Job) -> Vec<String> {
        let lines = self.backend.logs(&job.id, 0, 10_000, Duration::ZERO).await;
        lines.unwrap().into_iter().map(|line| line.text).collect()
    }

    fn file(&self, job: &Job, name: &str) -> PathBuf {
        self.options.root.join(&job.id).join(name)
    }

    /// Living processes of the job.
    fn left(&self, job: &Job) -> usize {
        let plan = fs::read_to_string(self.file(job, "plan.json")).unwrap();
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        Tree::marked(plan["mark"].as_str().unwrap()).signal(Signal::CONT)
    }

    /// Waits for a file that a script writes into the workspace.
    async fn appears(&self, name: &str) {
        let file = self.options.workspace.join(name);
        let until = Instant::now() + LONG;
        while !file.exists() {
            assert!(Instant::now() < until, "{name} did not appear");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn state(&self, job: &Job, wanted: State) {
        let until = Instant::now() + LONG;
        while self.backend.get(&job.id).await.unwrap().state != wanted {
            assert!(Instant::now() < until, "never {wanted:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The process that runs `supervise` for this job.
    fn supervisor(&self, job: &Job) -> rustix::process::Pid {
        let folder = self.options.root.join(&job.id);
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let text = String::from_utf8_lossy(&line);
            if text
                .trim_end_matches('\0')
                .ends_with(folder.to_str().unwrap())
                && text.contains("supervisor_entry")
            {
                let id = entry.file_name().to_str().unwrap().parse().unwrap();
                return rustix::process::Pid::from_raw(id).unwrap();
            }
        }
        panic!("no supervisor runs");
    }
}

fn script(source: &str) -> Spec {
    Spec {
        name: None,
        workload: Workload::Script(Script {
            source: source.into(),
            arguments: Vec::new(),
            dependencies: Vec::new(),
            python: None,
        }),
        flavor: None,
        timeout_seconds: 60,
        env: Vec::new(),
        credentials: Vec::new(),
        mounts: Vec::new(),
        schedule: None,
        labels: Vec::new(),
        idempotency_key: None,
        outbound: None,
    }
}

const SLEEP: &str = "import time\nopen('ready', 'w').close()\ntime.sleep(300)\n";

#[tokio::test]
async fn a_script_runs_in_the_workspace_and_its_lines_are_kept() {
    let bench = Bench::new();
    let mut spec = script(
        "import sys, os\nprint(os.getcwd())\nprint(sys.argv[1:], os.environ['A'])\nprint('err', file=sys.stderr)\n",
    );
    if let Workload::Script(script) = &mut spec.workload {
        script.arguments = vec!["x y".into(), "--flag".into()];
    }
    spec.env = vec![("A".into(), "given".into())];
    let job = bench.backend.submit(spec).await.unwrap();
    assert_eq!(job.state, State::Queued);
    let job = bench.end(&job).await;
    assert_eq!(
        (job.state, job.message.as_deref()),
        (State::Succeeded, None)
    );
    assert!(job.created_ms <= job.started_ms.unwrap());
    assert!(job.started_ms.unwrap() <= job.finished_ms.unwrap());
    let texts = bench.texts(&job).await;
    assert_eq!(texts.len(), 3);
    assert!(texts.contains(&bench.options.workspace.display().to_string()));
    assert!(texts.contains(&"['x y', '--flag'] given".to_owned()));
    assert!(texts.contains(&"err".to_owned()));
}

#[tokio::test]
async fn a_failing_script_says_how_it_ended() {
    let bench = Bench::new();
    let job = bench.check("import sys\nsys.exit(7)").await;
    assert_eq!(job.state, State::Failed);
    assert_eq!(job.message.unwrap(), "the script ended with exit code 7");
    let job = bench.check("import os\nos.kill(os.getpid(), 9)").await;
    assert_eq!(job.state, State::Failed);
    assert!(job.message.unwrap().contains("signal 9"));
    let job = bench.check("raise ValueError('why')").await;
    assert!(
        bench
            .texts(&job)
            .await
            .last()
            .unwrap()
            .contains("ValueError: why")
    );
}

#[tokio::test]
async fn a_memory_limit_ends_the_script_and_not_the_machine() {
    let bench = Bench::with(|options| options.memory_bytes = 256 << 20);
    let job = bench.check("x = bytearray(1 << 30)").await;
    assert_eq!(job.state, State::Failed);
    assert!(bench.texts(&job).await.contains(&"MemoryError".to_owned()));
}

#[tokio::test]
async fn a_timeout_ends_a_tree_that_hides_and_ignores_sigterm() {
    let bench = Bench::new();
    let mut spec = script(
        "import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(['sleep', '300'])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        # Neither session, nor parent, nor mark.
        os.execve('/bin/sleep', ['sleep', '301.25'], {})
    os._exit(0)
print('started', flush=True)
time.sleep(300)",
    );
    spec.timeout_seconds = 1;
    let job = bench.backend.submit(spec).await.unwrap();
    let job = bench.end(&job).await;
    assert_eq!(job.state, State::TimedOut);
    assert_eq!(
        job.message.as_deref(),
        Some("ran longer than its 1 seconds")
    );
    assert_eq!(bench.texts(&job).await, ["started"]);
    assert_eq!(bench.left(&job), 0);
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert_ne!(line, b"sleep\x00301.25\0", "a child without a mark is left");
    }
}

#[tokio::test]
async fn children_that_outlive_the_script_end_with_the_job() {
    let bench = Bench::new();
    let job = bench
        .check("import subprocess\nsubprocess.Popen(['sleep', '300'], start_new_session=True)")
        .await;
    assert_eq!(job.state, State::Succeeded);
    assert_eq!(bench.left(&job), 0);
}

#[tokio::test]
async fn endless_output_is_bounded() {
    let bench = Bench::new();
    let mut spec = script("import sys\nwhile True: sys.stdout.write('x' * 100000 + '\\n')");
    spec.timeout_seconds = 1;
    let job = bench.backend.submit(spec).await.unwrap();
    let job = bench.end(&job).await;
    assert_eq!(job.state, State::TimedOut);
    let size = fs::metadata(bench.file(&job, "log.jsonl")).unwrap().len();
    assert!(size < 80 << 20, "{size}");
    let first = bench
        .backend
        .logs(&job.id, 0, 1, Duration::ZERO)
        .await
        .unwrap();
    assert!(first[0].text.len() < 5000 && first[0].text.ends_with("[line cut]"));
}

#[tokio::test]
async fn a_running_job_can_be_cancelled_and_again() {
    let bench = Bench::new();
    let job = bench.submit(SLEEP).await;
    bench.appears("ready").await;
    let job = bench.backend.cancel(&job.id).await.unwrap();
    assert_eq!(job.state, State::Cancelled);
    assert_eq!(bench.left(&job), 0);
    assert_eq!(bench.backend.cancel(&job.id).await.unwrap(), job);
}

#[tokio::test]
async fn a_queued_job_waits_for_its_slot_and_can_be_cancelled() {
    let bench = Bench::with(|options| options.running = 1);
    let first = bench.submit(SLEEP).await;
    bench.appears("ready").await;
    let second = bench.submit("print('never')").await;
    let third = bench.submit("print('later')").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        bench.backend.get(&second.id).await.unwrap().state,
        State::Queued
    );
    let second = bench.backend.cancel(&second.id).await.unwrap();
    assert_eq!(second.state, State::Cancelled);
    assert_eq!(second.started_ms, None);
    bench.backend.cancel(&first.id).await.unwrap();
    assert_eq!(bench.end(&third).await.state, State::Succeeded);
    assert!(bench.texts(&second).await.is_empty());
}

#[tokio::test]
async fn a_later_host_finds_the_job_and_its_end() {
    let bench = Bench::new();
    let job = bench
        .submit("import time\ntime.sleep(0.3)\nprint('done')")
        .await;
    let later = LocalBackend::new(bench.options.clone()).unwrap();
    assert_eq!(later.list(10).await.unwrap()[0].id, job.id);
    let ended = later.wait(&job.id, LONG).await.unwrap();
    assert_eq!(ended.state, State::Succeeded);
    let lines = later.logs(&job.id, 0, 10, Duration::ZERO).await.unwrap();
    assert_eq!((lines[0].cursor, lines[0].text.as_str()), (1, "done"));
}

#[tokio::test]
async fn a_job_outlives_the_host_that_was_killed() {
    let bench = Bench::new();
    let host = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "host_entry"])
        .arg(&bench.options.workspace)
        .output()
        .unwrap();
    assert!(!host.status.success(), "{host:?}");
    let jobs = bench.backend.list(10).await.unwrap();
    assert_eq!(jobs.len(), 1, "{host:?}");
    assert!(!jobs[0].state.is_final());
    assert_eq!(bench.end(&jobs[0]).await.state, State::Succeeded);
    assert_eq!(bench.texts(&jobs[0]).await, ["survived"]);
}

#[tokio::test]
async fn sigterm_to_the_supervisor_cancels_the_job() {
    let bench = Bench::new();
    let job = bench.submit(SLEEP).await;
    bench.appears("ready").await;
    rustix::process::kill_process(bench.supervisor(&job), Signal::TERM).unwrap();
    assert_eq!(bench.end(&job).await.state, State::Cancelled);
}

#[tokio::test]
async fn a_killed_supervisor_is_noticed_and_its_tree_ended() {
    let bench = Bench::new();
    let job = bench.submit(SLEEP).await;
    bench.appears("ready").await;
    rustix::process::kill_process(bench.supervisor(&job), Signal::KILL).unwrap();
    assert_eq!(bench.left(&job), 1);
    let job = bench.end(&job).await;
    assert_eq!(job.state, State::Failed);
    assert_eq!(
        job.message.as_deref(),
        Some("its supervisor ended unexpectedly")
    );
    assert_eq!(bench.left(&job), 0);
    assert_eq!(bench.backend.cancel(&job.id).await.unwrap(), job);
}

#[tokio::test]
async fn a_supervisor_that_does_nothing_leaves_a_failed_job() {
    let bench = Bench::with(|options| options.supervisor = vec!["/bin/true".into()]);
    let job = bench.check("print(1)").await;
    assert_eq!(job.state, State::Failed);
    assert_eq!(
        job.message.as_deref(),
        Some("its supervisor ended unexpectedly")
    );
}

/// What a host leaves that dies between naming a job's folder and starting its supervisor.
#[tokio::test]
async fn a_job_that_never_began_is_begun_by_the_next_submission_of_its_key() {
    for looked_at in [false, true] {
        let bench = Bench::with(|options| options.supervisor = vec!["/bin/true".into()]);
        let mut spec = script("open('ran', 'a').write('once')");
        spec.idempotency_key = Some("k".into());
        let dead = bench.backend.submit(spec.clone()).await.unwrap();
        let lock = bench.file(&dead, "lock");
        let free = || {
            let file = fs::File::open(&lock).unwrap();
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        };
        while !free() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if looked_at {
            assert_eq!(
                bench.backend.get(&dead.id).await.unwrap().state,
                State::Failed
            );
        }
        let mut alive = bench.options.clone();
        alive.supervisor = options(&alive.workspace).supervisor;
        let later = LocalBackend::new(alive).unwrap();
        for _ in 0..2 {
            assert_eq!(later.submit(spec.clone()).await.unwrap().id, dead.id);
        }
        let job = later.wait(&dead.id, LONG).await.unwrap();
        assert_eq!(job.state, State::Succeeded, "{job:?}");
        let ran = bench.directory.path().join("workspace/ran");
        assert_eq!(fs::read_to_string(ran).unwrap(), "once");
        assert_eq!(later.list(10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_supervisor_that_does_not_start_leaves_no_job() {
    let bench = Bench::with(|options| options.supervisor = vec!["/no/such/program".into()]);
    let mut spec = script("print(1)");
    spec.idempotency_key = Some("k".into());
    let error = bench.backend.submit(spec.clone()).await.unwrap_err();
    assert!(matches!(error, JobError::Io { .. }), "{error}");
    assert!(bench.backend.list(10).await.unwrap().is_empty());
    let again = bench.backend.submit(spec).await.unwrap_err();
    assert!(matches!(again, JobError::Io { .. }), "{again}");
}

#[tokio::test]
async fn one_key_is_one_job_also_for_many_submitters_and_later_hosts() {
    let bench = Bench::new();
    let mut spec = script("print(1)");
    spec.idempotency_key = Some("call/7 ü".into());
    let others: Vec<_> = (0..4)
        .map(|_| LocalBackend::new(bench.options.clone()).unwrap())
        .collect();
    let (a, b, c, d) = tokio::join!(
        others[0].submit(spec.clone()),
        others[1].submit(spec.clone()),
        others[2].submit(spec.clone()),
        others[3].submit(spec.clone()),
    );
    let id = a.unwrap().id;
    for job in [b, c, d] {
        assert_eq!(job.unwrap().id, id);
    }
    let later = LocalBackend::new(bench.options.clone()).unwrap();
    assert_eq!(later.submit(spec.clone()).await.unwrap().id, id);
    assert_eq!(later.list(10).await.unwrap().len(), 1);
    spec.idempotency_key = Some("another".into());
    assert_ne!(later.submit(spec).await.unwrap().id, id);
    for job in later.list(10).await.unwrap() {
        bench.end(&job).await;
    }
}

#[tokio::test]
async fn a_key_without_its_folder_submits_anew() {
    let bench = Bench::new();
    let mut spec = script("print(1)");
    spec.idempotency_key = Some("k".into());
    let first = bench.backend.submit(spec.clone()).await.unwrap();
    bench.end(&first).await;
    fs::remove_dir_all(bench.options.root.join(&first.id)).unwrap();
    // What a crash in the middle of a submission leaves.
    fs::create_dir(bench.options.root.join("new")).unwrap();
    let second = bench.backend.submit(spec).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(bench.end(&second).await.state, State::Succeeded);
}

#[tokio::test]
async fn a_damaged_state_is_reported_and_settled() {
    let bench = Bench::new();
    let job = bench.check("print(1)").await;
    for content in ["", "{\"state\":\"runn", "[]", "\0\0\0"] {
        fs::write(bench.file(&job, "state.json"), content).unwrap();
        let mut seen = bench.backend.get(&job.id).await.unwrap();
        // The supervisor wrote the job's end, and may still be ending itself.
        for _ in 0..100 {
            if seen.state == State::Failed {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            seen = bench.backend.get(&job.id).await.unwrap();
        }
        assert_eq!(seen.state, State::Failed);
        assert!(
            seen.message.as_ref().unwrap().contains("damaged"),
            "{seen:?}"
        );
        assert_eq!(bench.backend.list(10).await.unwrap(), [seen]);
    }
    fs::remove_file(bench.file(&job, "plan.json")).unwrap();
    fs::remove_file(bench.file(&job, "state.json")).unwrap();
    assert_eq!(
        bench.backend.get(&job.id).await.unwrap().state,
        State::Failed
    );
}

#[tokio::test]
async fn a_damaged_state_of_a_living_job_does_not_end_it() {
    let bench = Bench::new();
    let job = bench.submit(SLEEP).await;
    bench.appears("ready").await;
    fs::write(bench.file(&job, "state.json"), "{").unwrap();
    let seen = bench.backend.get(&job.id).await.unwrap();
    assert_eq!(seen.state, State::Running);
    assert!(seen.message.unwrap().contains("damaged"));
    let seen = bench.backend.cancel(&job.id).await.unwrap();
    assert_eq!(seen.state, State::Cancelled);
}

#[tokio::test]
async fn suspend_stops_and_resume_goes_on() {
    let bench = Bench::new();
    let job = bench
        .submit("import time\nfor i in range(400):\n    open('ready', 'w').close()\n    print(i)\n    time.sleep(0.01)\n    if i == 30: open('far', 'w').close()")
        .await;
    bench.appears("ready").await;
    assert!(matches!(bench.backend.resume(&job.id).await, Ok(job) if job.state == State::Running));
    let suspended = bench.backend.suspend(&job.id).await.unwrap();
    assert_eq!(suspended.state, State::Suspended);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = bench.texts(&job).await.len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.texts(&job).await.len(), before);
    let resumed = bench.backend.resume(&job.id).await.unwrap();
    assert_eq!(resumed.state, State::Running);
    bench.appears("far").await;
    bench.backend.suspend(&job.id).await.unwrap();
    // A stopped tree ends as well.
    let ended = bench.backend.cancel(&job.id).await.unwrap();
    assert_eq!(ended.state, State::Cancelled);
    assert_eq!(bench.left(&job), 0);
    let error = bench.backend.suspend(&job.id).await.unwrap_err();
    assert!(matches!(error, JobError::Conflict(_)), "{error}");
}

#[tokio::test]
async fn logs_wait_for_a_line_and_no_longer() {
    let bench = Bench::new();
    let job = bench
        .submit("import time, os\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('a')\nprint('b')\nopen('ready', 'w').close()\ntime.sleep(300)")
        .await;
    bench.state(&job, State::Running).await;
    let started = Instant::now();
    let none = bench
        .backend
        .logs(&job.id, 0, 9, Duration::from_millis(100))
        .await;
    assert!(none.unwrap().is_empty() && started.elapsed() >= Duration::from_millis(100));
    fs::write(bench.options.workspace.join("go"), "").unwrap();
    let first = bench.backend.logs(&job.id, 0, 1, LONG).await.unwrap();
    assert_eq!((first.len(), first[0].cursor), (1, 1));
    bench.appears("ready").await;
    let second = bench.backend.logs(&job.id, 1, 9, LONG).await.unwrap();
    assert_eq!(second[0].text, "b");
    bench.backend.cancel(&job.id).await.unwrap();
    // The job is over: no reason to wait.
    assert!(
        bench
            .backend
            .logs(&job.id, 2, 9, LONG)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn credentials_reach_the_job_and_no_file() {
    let secret = "s3cr3t-value-0815";
    let bench = Bench::with(|options| {
        let pair = ("HF_TOKEN".to_owned(), secret.to_owned());
        options.credentials.insert("hf".into(), vec![pair]);
    });
    let mut spec = script("import os\nprint(len(os.environ['HF_TOKEN']))");
    spec.credentials = vec!["hf".into()];
    let job = bench.backend.submit(spec.clone()).await.unwrap();
    let job = bench.end(&job).await;
    assert_eq!(bench.texts(&job).await, [secret.len().to_string()]);
    for entry in fs::read_dir(bench.options.root.join(&job.id))
        .unwrap()
        .flatten()
    {
        let bytes = fs::read(entry.path()).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes).contains(secret),
            "{entry:?}"
        );
    }
    spec.credentials = vec!["other".into()];
    let error = bench.backend.submit(spec).await.unwrap_err();
    assert!(error.to_string().contains("`other`"), "{error}");
}

#[tokio::test]
async fn what_the_local_back_end_cannot_do_is_refused_with_its_reason() {
    let bench = Bench::new();
    let mut container = script("x");
    container.workload = Workload::Container(Container {
        image: "python:3.12".into(),
        command: Vec::new(),
    });
    let mut schedule = script("x");
    schedule.schedule = Some("0 * * * *".into());
    let mut mounts = script("x");
    mounts.mounts = vec![Mount {
        source: "hf://datasets/a/b".into(),
        path: "/data".into(),
        writable: false,
    }];
    for spec in [container, schedule, mounts] {
        let error = bench.backend.submit(spec).await.unwrap_err();
        assert!(matches!(error, JobError::Unsupported(_)), "{error}");
    }
    let change: [fn(&mut Spec); 6] = [
        |spec| spec.flavor = Some("a100-large".into()),
        |spec| spec.timeout_seconds = 0,
        |spec| spec.timeout_seconds = u32::MAX,
        |spec| spec.env = vec![("LD_PRELOAD".into(), "x".into())],
        |spec| spec.workload = script(" \n").workload,
        |spec| {
            spec.workload = script("# /// script\n# dependencies = [\"-r x\"]\n# ///\n").workload
        },
    ];
    for change in change {
        let mut spec = script("print(1)");
        change(&mut spec);
        let error = bench.backend.submit(spec).await.unwrap_err();
        assert!(matches!(error, JobError::InvalidInput(_)), "{error}");
    }
    assert!(bench.backend.list(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn ids_of_nobody_and_paths_are_not_found() {
    let bench = Bench::new();
    for id in [
        "job-20261123-000000",
        "../workspace",
        "",
        "keys",
        "job-20261123-00000/",
    ] {
        let error = bench.backend.get(id).await.unwrap_err();
        assert!(matches!(error, JobError::NotFound(_)), "{error}");
        assert!(bench.backend.cancel(id).await.is_err());
    }
}

#[tokio::test]
async fn a_python_that_is_not_there_is_refused_at_once() {
    let bench = Bench::new();
    let mut spec = script("print(1)");
    if let Workload::Script(script) = &mut spec.workload {
        script.python = Some("2.6".into());
    }
    // `uv` would try to fetch it, so only without it is this refused.
    if ml_intern_exec::resolve("uv", &[]).is_err() {
        let error = bench.backend.submit(spec).await.unwrap_err();
        assert!(error.to_string().contains("install"), "{error}");
        let newer = "# /// script\n# requires-python = \">=4\"\n# ///\n";
        let error = bench.backend.submit(script(newer)).await.unwrap_err();
        assert!(error.to_string().contains("`>=4`"), "{error}");
    }
    let fitting = "# /// script\n# requires-python = \">=3.0\"\n# ///\nprint(1)";
    assert_eq!(bench.check(fitting).await.state, State::Succeeded);
}

#[tokio::test]
async fn dependencies_are_installed_before_the_script_runs() {
    let bench = Bench::new();
    // A wheel is an archive with three files; no index is asked for a local one.
    let wheel = bench
        .directory
        .path()
        .join("hello_wheel-1.0-py3-none-any.whl");
    let make = format!(
        "import zipfile
with zipfile.ZipFile({wheel:?}, 'w') as z:
    z.writestr('hello_wheel.py', 'WORD = 42')
    z.writestr('hello_wheel-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: hello-wheel\\nVersion: 1.0\\n')
    z.writestr('hello_wheel-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('hello_wheel-1.0.dist-info/RECORD', '')
"
    );
    assert_eq!(bench.check(&make).await.state, State::Succeeded);
    let source = format!(
        "# /// script\n# dependencies = [\"hello-wheel @ file://{}\"]\n# ///\nimport hello_wheel\nprint(hello_wheel.WORD)\n",
        wheel.display()
    );
    let job = bench.check(&source).await;
    let texts = bench.texts(&job).await;
    assert_eq!(job.state, State::Succeeded, "{job:?} {texts:?}");
    assert_eq!(texts[0], "[making the virtual environment]");
    assert_eq!(texts.last().unwrap(), "42");
    let mut broken = script("print(1)");
    if let Workload::Script(script) = &mut broken.workload {
        script.dependencies = vec!["x @ file:///no/such/x-1.0-py3-none-any.whl".into()];
    }
    let job = bench.backend.submit(broken).await.unwrap();
    let job = bench.end(&job).await;
    assert_eq!(job.state, State::Failed);
    assert!(
        job.message
            .unwrap()
            .starts_with("installing the dependencies ended")
    );
}

#[tokio::test]
async fn the_one_flavor_is_this_machine_and_free() {
    let bench = Bench::new();
    let flavors = bench.backend.flavors().await.unwrap();
    assert_eq!(flavors.len(), 1);
    assert_eq!(
        (flavors[0].name.as_str(), flavors[0].hourly_usd),
        ("local", Some(0.0))
    );
    assert!(flavors[0].cpus >= 1 && flavors[0].memory_mib > 0);
}
