//! Isolated jobs. This test binary is its own supervisor, as in `local.rs`.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]
#![cfg(target_os = "linux")]

use std::any::Any;
use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ml_intern_exec::{Signal, Tree, View};
use ml_intern_jobs::{
    Backend, Job, JobError, LocalBackend, LocalOptions, Outbound, Script, Spec, State, Workload,
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "the supervisor process of the other tests"]
fn supervisor_entry() {
    let folder = PathBuf::from(std::env::args_os().next_back().unwrap());
    let expected = i32::from(!folder.is_absolute());
    assert_eq!(ml_intern_jobs::supervise(&folder, serve), expected);
}

/// A proxy that answers every request with its rules and the folder it was told.
fn serve(rules: &str, listener: TcpListener, folder: &Path) -> Box<dyn Any + Send + Sync> {
    let answer = format!("{rules} {}", folder.file_name().unwrap().display());
    listener.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            let _request = stream.read(&mut request).unwrap();
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length";
            write!(stream, "{head}: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    });
    Box::new(())
}

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
        let top = directory.path().canonicalize().unwrap();
        for folder in ["workspace", "home"] {
            fs::create_dir(top.join(folder)).unwrap();
        }
        fs::write(top.join("home/token"), "hf_secret").unwrap();
        let mut supervisor = vec![OsString::from(std::env::current_exe().unwrap())];
        let entry = ["--ignored", "--exact", "supervisor_entry", "--nocapture"];
        supervisor.extend(entry.map(OsString::from));
        let mut options = LocalOptions::new(top.join("jobs"), supervisor, top.join("workspace"));
        options.isolated = true;
        options.view = View {
            hidden: vec![top.join("jobs")],
            home: Some(top.join("home")),
            protected: vec![top.join("workspace/ml-intern.toml")],
            ..View::default()
        };
        change(&mut options);
        Self {
            backend: LocalBackend::new(options.clone()).unwrap(),
            options,
            directory,
        }
    }

    fn top(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    async fn run(&self, spec: Spec) -> (Job, String) {
        let job = self.backend.submit(spec).await.unwrap();
        let job = self.backend.wait(&job.id, LONG).await.unwrap();
        let lines = self.backend.logs(&job.id, 0, 10_000, Duration::ZERO).await;
        let texts: Vec<String> = lines.unwrap().into_iter().map(|line| line.text).collect();
        (job, texts.join("\n"))
    }

    async fn check(&self, source: &str) -> String {
        let (job, log) = self.run(script(source)).await;
        assert_eq!(job.state, State::Succeeded, "{job:?} {log}");
        log
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

fn outbound(granted: bool) -> Outbound {
    Outbound {
        rules: "the rules".into(),
        direct: vec!["localhost".into()],
        granted,
        advice: "allow it with `the command`".into(),
    }
}

fn with_dependencies(dependencies: &[&str], outbound: Option<Outbound>) -> Spec {
    let mut spec = script("print('ran')");
    if let Workload::Script(script) = &mut spec.workload {
        script.dependencies = dependencies.iter().map(|&text| text.into()).collect();
    }
    spec.outbound = outbound;
    spec
}

#[tokio::test]
async fn a_job_sees_its_workspace_and_not_the_home_or_the_hosts_files() {
    let look = "import os
def try_to(what):
    try: return what()
    except OSError as error: return type(error).__name__
print(try_to(lambda: open('../home/token').read()))
print(try_to(lambda: open('ml-intern.toml', 'w').write('grant')))
folder = os.path.dirname(os.path.abspath(__file__))
print(sorted(try_to(lambda: os.listdir(folder))))
print(try_to(lambda: open(folder + '/../../jobs/submit.lock').read()))
open('made', 'w').write('x'); open('/tmp/made', 'w').write('x')
print(os.getcwd(), len([p for p in os.listdir('/proc') if p.isdigit()]))";
    let bench = Bench::new();
    let log = bench.check(look).await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "FileNotFoundError");
    assert_ne!(lines[1], "5");
    assert_eq!(lines[2], "['script.py']");
    assert_eq!(lines[3], "FileNotFoundError");
    assert_eq!(
        lines[4],
        format!("{} 2", bench.top().join("workspace").display())
    );
    assert!(bench.top().join("workspace/made").is_file());
    // The same without isolation.
    let free = Bench::with(|options| options.isolated = false);
    let log = free.check(look).await;
    assert!(log.starts_with("hf_secret\n5\n"), "{log}");
}

#[tokio::test]
async fn a_job_has_the_network_that_was_granted_and_its_supervisor_serves_it() {
    let bench = Bench::new();
    let fetch = "import urllib.request as r
try: print(r.urlopen('http://service.test/', timeout=5).read().decode())
except OSError as error: print('refused')";
    assert_eq!(bench.check(fetch).await, "refused");
    let mut spec = script(fetch);
    spec.outbound = Some(outbound(true));
    let (job, log) = bench.run(spec).await;
    assert_eq!(log, format!("the rules {}", job.id));
}

#[tokio::test]
async fn packages_need_a_granted_network_before_anything_runs() {
    let bench = Bench::new();
    for outbound in [None, Some(outbound(false))] {
        let asked = outbound.is_some();
        let spec = with_dependencies(&["some-package"], outbound);
        let error = bench.backend.submit(spec).await.unwrap_err();
        assert!(matches!(error, JobError::NotGranted(_)), "{error}");
        assert_eq!(
            error.to_string().contains("`the command`"),
            asked,
            "{error}"
        );
    }
    assert!(bench.backend.list(10).await.unwrap().is_empty());
    // Those that lie in a file do not.
    let spec = with_dependencies(&["x @ file:///no/such/x-1.0-py3-none-any.whl"], None);
    let (job, log) = bench.run(spec).await;
    assert_eq!(job.state, State::Failed);
    assert!(log.contains("no/such"), "{log}");
}

#[tokio::test]
async fn a_package_from_a_file_is_installed_into_the_jobs_own_environment() {
    let bench = Bench::new();
    let make = "import zipfile
with zipfile.ZipFile('hello_wheel-1.0-py3-none-any.whl', 'w') as z:
    z.writestr('hello_wheel.py', 'WORD = 42')
    z.writestr('hello_wheel-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: hello-wheel\\nVersion: 1.0\\n')
    z.writestr('hello_wheel-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('hello_wheel-1.0.dist-info/RECORD', '')";
    bench.check(make).await;
    let wheel = bench
        .top()
        .join("workspace/hello_wheel-1.0-py3-none-any.whl");
    let mut spec = with_dependencies(
        &[&format!("hello-wheel @ file://{}", wheel.display())],
        None,
    );
    if let Workload::Script(script) = &mut spec.workload {
        script.source = "import hello_wheel\nprint(hello_wheel.WORD)".into();
    }
    let (job, log) = bench.run(spec).await;
    assert_eq!(job.state, State::Succeeded, "{log}");
    assert!(log.ends_with("42"), "{log}");
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_job_with_it() {
    let bench = Bench::new();
    let source = "import os, time\nopen('ready', 'w').close()\nif os.fork() == 0: os.setsid()\ntime.sleep(300)";
    let job = bench.backend.submit(script(source)).await.unwrap();
    let ready = bench.top().join("workspace/ready");
    let until = Instant::now() + LONG;
    while !ready.exists() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let folder = bench.options.root.join(&job.id);
    let plan = fs::read_to_string(folder.join("plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["confinement"]["isolation"], "full");
    let tree = Tree::marked(plan["mark"].as_str().unwrap());
    assert!(tree.signal(Signal::CONT) >= 2);
    rustix::process::kill_process(supervisor(&folder), Signal::KILL).unwrap();
    while tree.signal(Signal::CONT) > 0 {
        assert!(Instant::now() < until, "the job outlived its supervisor");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let job = bench.backend.wait(&job.id, LONG).await.unwrap();
    assert_eq!(job.state, State::Failed);
}

#[tokio::test]
async fn a_job_can_be_suspended_resumed_and_cancelled_in_its_namespace() {
    let bench = Bench::new();
    let source =
        "import time\nfor i in range(2000):\n    print(i, flush=True)\n    time.sleep(0.01)";
    let job = bench.backend.submit(script(source)).await.unwrap();
    let first = bench.backend.logs(&job.id, 0, 1, LONG).await.unwrap();
    assert_eq!(first.len(), 1);
    let count = async || {
        let lines = bench.backend.logs(&job.id, 0, 10_000, Duration::ZERO).await;
        lines.unwrap().len()
    };
    let suspended = bench.backend.suspend(&job.id).await.unwrap();
    assert_eq!(suspended.state, State::Suspended);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = count().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count().await, before);
    bench.backend.resume(&job.id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(count().await > before);
    let job = bench.backend.cancel(&job.id).await.unwrap();
    assert_eq!(job.state, State::Cancelled);
}

/// The process that supervises the job in this folder.
fn supervisor(folder: &Path) -> rustix::process::Pid {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line);
        if text.contains("supervisor_entry") && text.contains(folder.to_str().unwrap()) {
            let id = entry.file_name().to_str().unwrap().parse().unwrap();
            return rustix::process::Pid::from_raw(id).unwrap();
        }
    }
    panic!("no supervisor runs");
}
