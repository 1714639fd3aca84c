//! The Hub's own client, in Python. It needs the environment that `scripts/vendor-clients` makes.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ml_intern::Home, venv::python};

/// Longest run. Most of it is the import of the client, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);

/// Does steps of `tests/vendors/hub_client.py` and returns what each came to.
pub(crate) async fn hub_client(endpoint: &str, token: Option<&str>, steps: &[Value]) -> Vec<Value> {
    let folder = TempDir::with_prefix("ml-intern-hub-client-").unwrap();
    let home = Home::new();
    home.set("HF_HOME", folder.path());
    home.set("HF_ENDPOINT", endpoint);
    if let Some(token) = token {
        home.set("HF_TOKEN", token);
    }
    for switch in [
        // The other way of sending large files, which needs another server.
        "HF_HUB_DISABLE_XET",
        "HF_HUB_DISABLE_TELEMETRY",
        "HF_HUB_DISABLE_PROGRESS_BARS",
    ] {
        home.set(switch, "1");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendors/hub_client.py");
    let python = python("vendor-clients", "scripts/vendor-clients");
    let running = home.program(&python, [Path::new("-B"), &script]);
    let running = running.stdin(&json!(steps).to_string()).life(PATIENCE);
    let done = running.run().await;
    done.assert_code(0);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// Panics unless a step ended in an error of this name, with this status.
#[track_caller]
pub(crate) fn assert_refused(step: &Value, name: &str, status: u16) {
    let names = step["error"].as_array().cloned().unwrap_or_default();
    assert!(names.contains(&json!(name)), "{step}");
    assert_eq!(step["status"], status, "{step}");
}
