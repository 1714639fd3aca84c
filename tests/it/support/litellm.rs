//! The LiteLLM proxy: a stranger's gateway with an API of OpenAI's kind, whose models are texts of
//! ours or other servers. It needs the environment that `scripts/vendor-clients` makes.

use std::{
    fs::File,
    net::TcpListener,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{http::send, venv::python};

/// Longest start. It takes 6 s on an idle machine, most of it imports.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two questions whether it is there.
const PAUSE: Duration = Duration::from_millis(200);
/// Starts until one finds its port still free.
const ATTEMPTS: usize = 3;

/// The key of the proxy.
pub(crate) const MASTER_KEY: &str = "sk-master-of-the-test";

/// The running proxy; killed when dropped.
pub(crate) struct LiteLlm {
    origin: String,
    _server: Child,
    _dir: TempDir,
}

/// A model of the proxy's that always says the same.
pub(crate) fn says(name: &str, text: &str) -> Value {
    json!({"model_name": name, "litellm_params": {
        "model": format!("openai/{name}"), "api_key": "none", "mock_response": text,
    }})
}

/// A model of the proxy's that is one of a server which speaks chat completions.
pub(crate) fn stands_before(name: &str, base_url: &str, key: &str) -> Value {
    json!({"model_name": name, "litellm_params": {
        "model": format!("openai/{name}"), "api_key": key, "api_base": base_url,
    }})
}

impl LiteLlm {
    /// Starts the proxy with these models and waits until it answers.
    pub(crate) async fn start(models: &[Value]) -> Self {
        let dir = TempDir::with_prefix("ml-intern-litellm-").unwrap();
        // JSON is YAML.
        let config = json!({
            "model_list": models, "general_settings": {"master_key": MASTER_KEY},
        });
        std::fs::write(dir.path().join("config.yaml"), config.to_string()).unwrap();
        for _ in 0..ATTEMPTS {
            // The proxy takes no port of the system's choice, so another program may be faster.
            let port = free_port();
            let mut server = spawn(dir.path(), port);
            let origin = format!("http://127.0.0.1:{port}");
            if answers(&mut server, &origin).await {
                return Self {
                    origin,
                    _server: server,
                    _dir: dir,
                };
            }
        }
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        panic!("the LiteLLM proxy did not start\n{log}");
    }

    /// What a client calls the base URL, `/v1` included.
    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.origin)
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn spawn(dir: &Path, port: u16) -> Child {
    let python = python("vendor-clients", "scripts/vendor-clients");
    let log = File::create(dir.join("log")).unwrap();
    Command::new(&python)
        .arg(python.with_file_name("litellm"))
        .args(["--config", "config.yaml", "--host", "127.0.0.1"])
        .args(["--telemetry", "False", "--port", &port.to_string()])
        .current_dir(dir)
        // Without the keys, proxies and settings of whoever runs the tests.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        // The list of prices that is in the package, instead of one from the network.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits until the proxy is there; false where it ends instead.
async fn answers(server: &mut Child, origin: &str) -> bool {
    let address = origin.trim_start_matches("http://");
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            let url = format!("{origin}/health/liveliness");
            return send("GET", &url, &[], "").await.status == 200;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}
