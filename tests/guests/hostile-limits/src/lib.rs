//! Each tool takes more than its share of one thing. How much is an argument, so that the tests can
//! show that a higher limit lets the same attack through.

mod size;
mod time;

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, arguments};
use serde_json::json;

struct Hostile;
ml_intern_plugin::export_tool!(Hostile);

/// What any of the tools may be told.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Told {
    /// How much, in the unit of the tool.
    amount: u64,
    url: String,
}

type Run = fn(Told) -> Result<Output, Error>;

const TOOLS: &[(&str, &str, Run)] = &[
    ("burn", "runs `amount` million rounds of a loop", time::burn),
    (
        "host_calls",
        "asks the host for the time `amount` thousand times",
        time::host_calls,
    ),
    ("nap", "sleeps for `amount` milliseconds", time::nap),
    ("fetch_all", "reads a response to its end", time::fetch_all),
    (
        "ignore_stop",
        "reports progress `amount` thousand times and hears no answer",
        time::ignore_stop,
    ),
    ("eat", "allocates `amount` MiB", size::eat),
    ("recurse", "calls itself `amount` times", size::recurse),
    ("log_text", "logs one text of `amount` MiB", size::log_text),
    (
        "long_list",
        "passes the host a list of `amount` thousand texts",
        size::long_list,
    ),
    (
        "handles",
        "opens `amount` handles and keeps them",
        size::handles,
    ),
    (
        "random",
        "asks for `amount` random bytes at once",
        size::random,
    ),
    (
        "headers",
        "makes `amount` headers of a KiB each",
        size::headers,
    ),
    (
        "huge_result",
        "answers with `amount` KiB",
        size::huge_result,
    ),
    (
        "flood_log",
        "logs `amount` KiB in lines of a KiB",
        size::flood_log,
    ),
    (
        "flood_stderr",
        "writes `amount` KiB to standard error",
        size::flood_stderr,
    ),
];

impl Tool for Hostile {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let schema = json!({
            "type": "object",
            "properties": { "amount": { "type": "integer" }, "url": { "type": "string" } },
            "additionalProperties": false
        });
        let tools = TOOLS.iter();
        Ok(tools
            .map(|(name, description, _)| Descriptor::new(*name, *description, &schema))
            .collect())
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        match TOOLS.iter().find(|(own, _, _)| *own == name) {
            Some((_, _, run)) => run(arguments(&raw)?),
            None => Err(Error::unknown_tool(&name)),
        }
    }
}

fn done() -> Result<Output, Error> {
    Ok(Output::text("done"))
}
