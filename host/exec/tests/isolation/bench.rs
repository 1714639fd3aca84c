//! A workspace, a home beside it, and attacks that are made with and without isolation.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ml_intern_exec::{Command, Isolation, Outcome, Support, View, random_hex, run};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) workspace: PathBuf,
    /// What no program may see.
    pub(crate) home: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        let (workspace, home) = (top.join("workspace"), top.join("home"));
        fs::create_dir(&workspace).unwrap();
        fs::create_dir(&home).unwrap();
        fs::write(home.join("token"), "hf_secret").unwrap();
        Self {
            directory,
            workspace,
            home,
        }
    }

    pub(crate) fn view(&self) -> View {
        View {
            home: Some(self.home.clone()),
            protected: ["ml-intern.toml", "ml-intern.lock", ".ml-intern"]
                .map(|name| self.workspace.join(name))
                .to_vec(),
            ..View::of(&self.workspace)
        }
    }

    pub(crate) fn command(&self, program: &str, arguments: &[&str], level: Isolation) -> Command {
        let mut command = Command::new(program, &self.workspace);
        command.arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        command.isolation = level;
        command.view = self.view();
        command.limits.wall = Duration::from_secs(30);
        command.keep_children = false;
        command.mark = Some(random_hex(8).unwrap());
        command
    }

    pub(crate) fn shell(&self, script: &str, level: Isolation) -> Command {
        self.command("/bin/sh", &["-c", script], level)
    }

    pub(crate) fn python(&self, script: &str, level: Isolation) -> Command {
        self.command("/usr/bin/python3", &["-c", script], level)
    }

    /// A Python script that prints `reached` only where it succeeds.
    pub(crate) async fn attack(&self, script: &str) {
        let free = finish(self.python(script, Isolation::None)).await;
        assert_eq!(text(&free), "reached", "it has to succeed when it is free");
        self.held(script).await;
    }

    /// The same, where it could not succeed on this machine in any case.
    pub(crate) async fn held(&self, script: &str) {
        check_support().await;
        let held = finish(self.python(script, Isolation::Full)).await;
        assert_ne!(text(&held), "reached");
        // An exception, and not a missing module or a syntax error.
        let expected = ["Error", "reached not"].iter().any(|word| {
            String::from_utf8_lossy(&held.stderr).contains(word) || text(&held).contains(word)
        });
        assert!(expected, "{held:?}");
    }

    /// Runs a shell script at the strongest level and returns what it printed.
    pub(crate) async fn sh(&self, script: &str) -> String {
        check_support().await;
        let outcome = finish(self.shell(script, Isolation::Full)).await;
        assert_eq!(outcome.exit_code, Some(0), "{outcome:?}");
        text(&outcome)
    }
}

pub(crate) async fn check_support() {
    let support = Support::of_this_machine().await;
    assert_eq!(support.level, Isolation::Full, "{:?}", support.missing);
}

pub(crate) async fn finish(command: Command) -> Outcome {
    run(command, &CancellationToken::new(), |_, _| {})
        .await
        .unwrap()
}

pub(crate) fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).trim().to_owned()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
