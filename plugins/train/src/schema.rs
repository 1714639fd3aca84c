//! What the model is told about the tools.

use ml_intern_plugin::Descriptor;
use serde_json::{Value, json};

use crate::request::{DEFAULT_WAIT, MAX_WAIT};

pub(crate) fn descriptors() -> Vec<Descriptor> {
    vec![
        tool("job_run", RUN, &["script"], json!({
            "script": { "type": "string", "minLength": 1, "description": "Python source, or the path of a .py file in the workspace. PEP 723 metadata is honoured." },
            "arguments": strings("Command-line arguments of the script."),
            "dependencies": strings("Python packages, such as \"trl>=0.20\"."),
            "name": { "type": "string", "maxLength": 100 },
            "flavor": { "type": "string", "maxLength": 64, "description": "Hardware by the back end's own name; its default if not given." },
            "timeout": {
                "type": ["string", "integer"],
                "description": "When the job is ended: \"30m\", \"2h\", \"1h30m\" or seconds; 30m if not given. Training usually needs more."
            },
            "env": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Environment variables; no secrets." },
            "wait": wait(DEFAULT_WAIT)
        }))
        .idempotent()
        .open_world(),
        tool("job_status", "The state of a job; with wait, as soon as it ends.", &["id"], json!({
            "id": id(),
            "wait": wait(0)
        }))
        .read_only(),
        tool("job_logs", LOGS, &["id"], json!({
            "id": id(),
            "after": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0, "description": "Cursor of the last line seen; 0 for the start." },
            "limit": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 200, "description": "Most lines." },
            "wait": wait(0)
        }))
        .read_only(),
        tool("job_cancel", "Ends a job. What it has not saved is lost.", &["id"], json!({ "id": id() }))
            .idempotent()
            .destructive(),
        tool("job_list", "The jobs, newest first.", &[], json!({
            "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 20 }
        }))
        .read_only(),
    ]
}

const RUN: &str = "\
Runs a Python script as a job and waits a while for it. The answer has the job's id, state and the end of its log; a job \
that goes on is followed with job_logs and job_status. A remote job's disk is lost when it ends: push results to the Hub. \
Test on a small flavor with few steps first.";

const LOGS: &str = "\
Lines of a job's log after a cursor. The answer's cursor is the place to go on from; cut says that more lines are there already.";

fn tool(name: &str, description: &str, required: &[&str], properties: Value) -> Descriptor {
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false
    });
    Descriptor::new(name, description, &schema)
}

fn id() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 256, "description": "The job's id." })
}

fn strings(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "maxItems": 256, "description": description })
}

fn wait(default: u32) -> Value {
    json!({
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_WAIT,
        "default": default,
        "description": "Most seconds to wait."
    })
}
