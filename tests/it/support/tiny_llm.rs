//! A real llama.cpp server with a random model of 0.75 MB: a stranger's implementation of the
//! chat-completions API, for what a fake of ours would get wrong in the same way as its client.
//!
//! What it says is word salad; what it does is in `tests/tiny-llm/README.md`. It needs the Python
//! environment that `scripts/tiny-llm-venv` makes once below the target directory.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::venv::python;

/// Longest wait for the model file, and again for the server; each takes under a second on an
/// idle machine, but they share it with the tests and, the first time, with a cold disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the model is like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Model {
    /// One tool call for a user's message where tools are offered, then about 30 tokens of text.
    Plain,
    /// Often several tool calls in one message.
    Parallel,
    /// Text that never ends by itself.
    Endless,
}

impl Model {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Parallel => &["--parallel"],
            Self::Endless => &["--eos-bias=-40"],
        }
    }
}

/// The running server; killed when dropped.
pub(crate) struct TinyLlm {
    base_url: String,
    /// Ends with its standard input, should even the kill on drop be skipped.
    _server: Child,
    _dir: TempDir,
}

impl TinyLlm {
    /// Makes the model and serves it; `flags` are those of `serve.py`.
    pub(crate) async fn start(model: Model, flags: &[&str]) -> Self {
        let dir = TempDir::with_prefix("ml-intern-llm-").unwrap();
        let file = dir.path().join("tiny.gguf");
        let made = script("make_tiny_gguf.py")
            .arg(&file)
            .args(model.flags())
            .output();
        let made = timeout(PATIENCE, made)
            .await
            .expect("making the model took too long")
            .unwrap();
        let complaint = String::from_utf8_lossy(&made.stderr);
        assert!(
            made.status.success(),
            "make_tiny_gguf.py: {}\n{complaint}",
            made.status
        );

        let log = dir.path().join("stderr");
        let mut server = script("serve.py")
            .arg(&file)
            .args(["--port=0", "--until-eof"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(server.stdout.take().expect("piped"));
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        let ready = serde_json::from_str::<Value>(&line).ok();
        let Some(origin) = ready.as_ref().and_then(|ready| ready["base_url"].as_str()) else {
            let log = std::fs::read_to_string(&log).unwrap();
            panic!("serve.py did not say where it listens ({read:?}, `{line}`)\n{log}");
        };
        Self {
            base_url: format!("{origin}/v1"),
            _server: server,
            _dir: dir,
        }
    }

    /// What a client calls the base URL, `/v1` included.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }
}

fn script(name: &str) -> Command {
    let mut command = Command::new(python("tiny-llm-venv", "scripts/tiny-llm-venv"));
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tiny-llm");
    command.arg(scripts.join(name)).kill_on_drop(true);
    command
}
