//! What the model asks for.

use serde::Deserialize;
use serde_json::{Value, json};

const DEFAULT_SECONDS: u32 = 120;
const MAX_SECONDS: u32 = 36_000;

pub(crate) const DESCRIPTION: &str = "\
Runs a command with sh in the workspace and returns its standard output and error. Each call is a new shell: \
chain dependent commands with &&, send independent ones as parallel calls. To read, write, edit, list or search \
files use those tools. Standard input is closed. The default timeout is 120 seconds. For long work start it in the \
background and poll: nohup CMD > log.txt 2>&1 & echo $!  then  kill -0 PID; tail log.txt";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) command: String,
    /// For the person who watches; the host shows a call's arguments.
    #[serde(rename = "description")]
    _description: Option<String>,
    work_dir: Option<String>,
    timeout: Option<u32>,
}

impl Call {
    pub(crate) fn seconds(&self) -> u32 {
        let asked = self.timeout.filter(|seconds| *seconds > 0);
        asked.unwrap_or(DEFAULT_SECONDS).min(MAX_SECONDS)
    }

    /// Relative to the workspace, as the host wants it.
    pub(crate) fn folder(&self) -> Option<String> {
        let folder = self.work_dir.as_deref()?.trim();
        let below = match folder.strip_prefix("/workspace") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
            _ => folder,
        };
        (!below.is_empty() && below != ".").then(|| below.to_owned())
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "command": { "type": "string", "minLength": 1, "description": "The command, as for sh -c." },
            "description": {
                "type": "string",
                "maxLength": 200,
                "description": "What it does, in 5 to 10 words, for the user."
            },
            "work_dir": {
                "type": "string",
                "maxLength": 4096,
                "description": "Folder to run in, relative to the workspace; the workspace if not given."
            },
            "timeout": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_SECONDS,
                "default": DEFAULT_SECONDS,
                "description": "Seconds until the command and all it started is ended."
            }
        },
        "required": ["command"],
        "additionalProperties": false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(raw: &str) -> Call {
        serde_json::from_str(raw).expect("a call")
    }

    #[test]
    fn timeout_has_a_default_and_a_bound() {
        assert_eq!(call(r#"{"command":"x"}"#).seconds(), 120);
        assert_eq!(call(r#"{"command":"x","timeout":0}"#).seconds(), 120);
        assert_eq!(call(r#"{"command":"x","timeout":5}"#).seconds(), 5);
        assert_eq!(call(r#"{"command":"x","timeout":99999}"#).seconds(), 36_000);
    }

    #[test]
    fn folder_is_relative_to_the_workspace() {
        let folder = |work_dir: &str| {
            call(&json!({ "command": "x", "work_dir": work_dir }).to_string()).folder()
        };
        assert_eq!(folder("/workspace"), None);
        assert_eq!(folder("."), None);
        assert_eq!(folder("/workspace/a/b"), Some("a/b".to_owned()));
        assert_eq!(folder("/workspaces/a"), Some("/workspaces/a".to_owned()));
        assert_eq!(folder("a"), Some("a".to_owned()));
        assert_eq!(call(r#"{"command":"x","description":"d"}"#).folder(), None);
    }
}
