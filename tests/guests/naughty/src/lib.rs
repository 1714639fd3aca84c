//! Each tool here breaks one rule, or tries to.

include!("tools.rs");

mod limits;
mod reach;

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, arguments};
use serde_json::{Value, json};

use limits::*;
use reach::*;

struct Naughty;

ml_intern_plugin::export_tool!(Naughty);

/// What any of the tools may be told.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Told {
    /// Of a file, as it is.
    path: String,
    url: String,
    method: Option<String>,
    /// Follow a redirect, as HTTP libraries do.
    follow: bool,
    program: String,
    arguments: Vec<String>,
    value: String,
}

fn schema() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            "path": text, "url": text, "method": text, "follow": { "type": "boolean" },
            "program": text, "arguments": { "type": "array", "items": text }, "value": text
        },
        "additionalProperties": false
    })
}

macro_rules! export {
    ($($name:ident $description:literal)*) => {
        const TOOLS: &[(&str, &str)] = &[$((stringify!($name), $description)),*];

        fn dispatch(name: &str, told: Told) -> Result<Output, Error> {
            match name {
                $(stringify!($name) => $name(told),)*
                _ => Err(Error::unknown_tool(name)),
            }
        }
    };
}
foreach_tool!(export);

impl Tool for Naughty {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let descriptor = |(name, description): &(&str, &str)| {
            let descriptor = Descriptor::new(*name, *description, &schema());
            match *name {
                "fetch" | "recall" | "write_when_read_only" => descriptor.read_only(),
                _ => descriptor,
            }
        };
        Ok(TOOLS.iter().map(descriptor).collect())
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        dispatch(&name, arguments(&raw)?)
    }
}
