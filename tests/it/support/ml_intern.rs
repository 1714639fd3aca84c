//! The real binary in a world of its own: an empty home, a cleared environment, a workspace,
//! its output captured, its life bounded.
//!
//! ```text
//! let home = Home::new();
//! home.set("OPENAI_BASE_URL", fake.base_url());
//! let done = home.ml_intern(["run", "hello"]).run().await;
//! done.assert_code(0);
//! ```

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::Permissions,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    time::timeout_at,
};

mod binary;
mod capture;
mod events;
mod terminal;

use self::capture::Capture;
pub(crate) use self::terminal::AtTerminal;

/// How long a program may live unless the test says otherwise; the slowest that a test has a
/// reason to wait for compiles a few plugins first.
const LIFE: Duration = Duration::from_secs(60);
/// How long output may stay open after the program has gone.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// The path of the binary.
pub(crate) fn binary() -> PathBuf {
    binary::path()
}

/// A temporary home with XDG folders and a workspace; removed when dropped.
pub(crate) struct Home {
    root: TempDir,
    environment: RefCell<BTreeMap<OsString, OsString>>,
}

impl Home {
    /// An empty home, but for what the plugins were compiled to; programs started from it see only the variables set here and by
    /// [`Self::set`].
    pub(crate) fn new() -> Self {
        let root = TempDir::with_prefix("ml-intern-test-").unwrap();
        let home = Self {
            root,
            environment: RefCell::default(),
        };
        let folders = [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "home/.config"),
            ("XDG_DATA_HOME", "home/.local/share"),
            ("XDG_STATE_HOME", "home/.local/state"),
            ("XDG_RUNTIME_DIR", "run"),
            ("TMPDIR", "tmp"),
        ];
        for (variable, folder) in folders {
            let folder = home.root.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            home.set(variable, folder);
        }
        std::fs::create_dir(home.workspace()).unwrap();
        home.share_compiled();
        home.set("PATH", "/usr/local/bin:/usr/bin:/bin");
        home.set("LANG", "C.UTF-8");
        home
    }

    /// Compiling the built-in plugins takes seconds, and gives the same for every test. The cache
    /// takes nothing that the key of a home did not sign, so all homes have the same key.
    fn share_compiled(&self) {
        let folder = self.path().join(".local/share/ml-intern");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        let key = folder.join("cache.key");
        std::fs::write(&key, [7; 32]).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        self.set(
            "XDG_CACHE_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/compiled"),
        );
    }

    /// A home with nothing in it, not even compiled plugins: seconds of work for what starts first.
    pub(crate) fn cold() -> Self {
        let home = Self::new();
        std::fs::remove_dir_all(home.path().join(".local/share/ml-intern")).unwrap();
        home.set("XDG_CACHE_HOME", home.path().join(".cache"));
        home
    }

    /// The session's folder; panics unless there is exactly one session.
    pub(crate) fn session(&self) -> PathBuf {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions[0].clone()
    }

    /// The folders of all sessions.
    pub(crate) fn sessions(&self) -> Vec<PathBuf> {
        let folder = self.path().join(".local/share/ml-intern/sessions");
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().path());
        // The index, and what is being made or removed.
        let hidden = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'))
        };
        names.filter(|path| !hidden(path)).collect()
    }

    /// Sets an environment variable for programs that are started from now on.
    pub(crate) fn set(&self, variable: &str, value: impl AsRef<OsStr>) {
        let value = value.as_ref().to_owned();
        self.environment.borrow_mut().insert(variable.into(), value);
    }

    /// The working directory of the programs.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.root.path().join("workspace")
    }

    /// The user's home directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Writes a file below the workspace, with the folders on the way.
    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let file = self.workspace().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// Makes a file below the workspace an hour old, as what a run finds there usually is.
    pub(crate) fn age(&self, file: &str) {
        let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        let file = std::fs::File::open(self.workspace().join(file)).unwrap();
        file.set_modified(hour_ago).unwrap();
    }

    /// Reads a file below the workspace.
    pub(crate) fn read(&self, file: &str) -> String {
        let file = self.workspace().join(file);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// The binary with arguments, ready to start.
    pub(crate) fn ml_intern<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Program {
        self.program(&binary::path(), args)
    }

    /// Any program in the same world.
    pub(crate) fn program<A: AsRef<OsStr>>(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Program {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(self.environment.borrow().iter())
            .current_dir(self.workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that nothing it started outlives the test.
            .process_group(0)
            .kill_on_drop(true);
        Program {
            command,
            input: Input::None,
            life: LIFE,
        }
    }
}

/// A program that has not started.
pub(crate) struct Program {
    command: Command,
    input: Input,
    life: Duration,
}

enum Input {
    None,
    Text(String),
    Open,
}

impl Program {
    /// Gives it `text` as its whole standard input; without this it has none.
    pub(crate) fn stdin(self, text: &str) -> Self {
        Self {
            input: Input::Text(text.to_owned()),
            ..self
        }
    }

    /// Keeps its standard input open for [`Running::write_line`].
    pub(crate) fn open_stdin(self) -> Self {
        Self {
            input: Input::Open,
            ..self
        }
    }

    /// The file that is run, for scripts that start it themselves.
    pub(crate) fn program(&self) -> &Path {
        Path::new(self.command.as_std().get_program())
    }

    /// Starts it in another folder than the workspace.
    pub(crate) fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Changes how long it may live; 60 s otherwise.
    pub(crate) fn life(self, life: Duration) -> Self {
        Self { life, ..self }
    }

    /// Runs it to its end; panics with all its output if that takes too long.
    pub(crate) async fn run(self) -> Finished {
        self.start().finish().await
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Running {
        if !matches!(self.input, Input::None) {
            self.command.stdin(Stdio::piped());
        }
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|error| {
            let program = self.command.as_std().get_program();
            panic!("cannot start {}: {error}", program.display())
        });
        let stdout = Capture::start(child.stdout.take().expect("piped"));
        let stderr = Capture::start(child.stderr.take().expect("piped"));
        let mut stdin = child.stdin.take();
        if let Input::Text(text) = self.input {
            let mut pipe = stdin.take().expect("piped");
            // A program may end without having read all of it: that is no error here.
            tokio::spawn(async move { pipe.write_all(text.as_bytes()).await.unwrap_or_default() });
        }
        Running {
            child,
            stdin,
            stdout,
            stderr,
            started,
            deadline: started + self.life,
        }
    }
}

/// A program that runs; killed with its process group when dropped.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Capture,
    stderr: Capture,
    started: Instant,
    deadline: Instant,
}

impl Running {
    /// Its process id, as long as it has not been waited for.
    fn pid(&self) -> Option<Pid> {
        self.child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
    }

    /// Sends a signal to the program alone, as `kill PID` does.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("it has not been waited for");
        kill_process(pid, signal).unwrap();
    }

    /// What the kernel says of it: a file of its folder in `/proc`.
    pub(crate) fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.id())).unwrap()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// Writes one line of JSON to its standard input.
    pub(crate) async fn write_line(&mut self, line: &Value) {
        let stdin = self.stdin.as_mut().expect("started with `open_stdin`");
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        stdin.flush().await.unwrap();
    }

    /// Ends its standard input.
    pub(crate) fn close_stdin(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits for the first stream-json event that `wanted` accepts and returns it; panics when
    /// the program ends or its life is over without one.
    pub(crate) async fn wait_for_event(
        &self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = |text: &str| events::whole_lines(text).find(&wanted);
        let waiting = self.stdout.wait_for(|text| found(text).is_some());
        match timeout_at(self.deadline.into(), waiting).await {
            Ok(Some(text)) => found(&text).expect("just seen"),
            Ok(None) => panic!("output ended before {what}{}", self.output()),
            Err(_) => panic!("no {what} in time{}", self.output()),
        }
    }

    /// Waits for the event number `number` (from 1) of this type.
    pub(crate) async fn nth_event(&self, kind: &str, number: usize) -> Value {
        let found = |text: &str| {
            let of_kind = events::whole_lines(text).filter(|event| event["type"] == kind);
            of_kind.into_iter().nth(number - 1)
        };
        let waiting = self.stdout.wait_for(|text| found(text).is_some());
        match timeout_at(self.deadline.into(), waiting).await {
            Ok(Some(text)) => found(&text).expect("just seen"),
            _ => panic!("no {kind} number {number}{}", self.output()),
        }
    }

    /// The events that it has written up to now.
    pub(crate) fn events_so_far(&self) -> Vec<Value> {
        events::whole_lines(&self.stdout.text()).collect()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its standard error up to now.
    pub(crate) fn stderr_so_far(&self) -> String {
        self.stderr.text()
    }

    /// Waits until its standard error contains `text`.
    pub(crate) async fn wait_for_stderr(&self, text: &str) {
        let waiting = self.stderr.wait_for(|all| all.contains(text));
        match timeout_at(self.deadline.into(), waiting).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => panic!("no `{text}` on standard error{}", self.output()),
        }
    }

    /// Waits until its standard output contains `text` this often.
    pub(crate) async fn wait_for_stdout(&self, text: &str, times: usize) {
        let waiting = self
            .stdout
            .wait_for(|all| all.matches(text).count() >= times);
        match timeout_at(self.deadline.into(), waiting).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => panic!("no `{text}` on standard output{}", self.output()),
        }
    }

    /// Waits for its end, closing its standard input first; panics with all its output if its
    /// life is over before, or if something it started holds its output open.
    pub(crate) async fn finish(mut self) -> Finished {
        self.close_stdin();
        let Ok(status) = timeout_at(self.deadline.into(), self.child.wait()).await else {
            let life = self.deadline - self.started;
            panic!("still running after {life:?}{}", self.output());
        };
        let elapsed = self.started.elapsed();
        let closed = async { tokio::join!(self.stdout.ended(), self.stderr.ended()) };
        if tokio::time::timeout(LAST_OUTPUT, closed).await.is_err() {
            panic!(
                "it has ended, but something it started keeps its output open{}",
                self.output()
            );
        }
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        Finished {
            status: status.unwrap(),
            stdout,
            stderr,
            elapsed,
        }
    }

    fn output(&self) -> String {
        output(&self.stdout.text(), &self.stderr.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group is gone already, or this is the second signal: both are fine.
        if let Some(pid) = self.pid() {
            kill_process_group(pid, Signal::KILL).unwrap_or_default();
        }
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    status: ExitStatus,
    /// All of its standard output.
    pub(crate) stdout: String,
    /// All of its standard error.
    pub(crate) stderr: String,
    /// From the start to the end of the process.
    pub(crate) elapsed: Duration,
}

impl Finished {
    /// The exit code, or nothing if a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The number of the signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Panics with all its output unless it ended with `code`.
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        let output = || output(&self.stdout, &self.stderr);
        assert_eq!(self.code(), Some(code), "{}{}", self.status, output());
        self
    }

    /// Its standard output as stream-json, checked as a whole: nothing but events, each with its
    /// five common fields, `session.started` first, exactly one `result` and that last.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        match events::stream(&self.stdout) {
            Ok(events) => events,
            Err(why) => panic!("{why}{}", output(&self.stdout, &self.stderr)),
        }
    }

    /// The `result` event.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        self.events().pop().expect("checked: the result is last")
    }
}

fn output(stdout: &str, stderr: &str) -> String {
    format!("\n--- standard output\n{stdout}\n--- standard error\n{stderr}")
}
