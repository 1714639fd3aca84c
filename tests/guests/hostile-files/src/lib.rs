//! Each tool does one thing with files as WASI itself offers it, so that no library in between
//! tidies up a path. Which path is an argument: the tests show with another that the tool works.

mod files;
mod flood;
mod keys;

use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, arguments};
use serde_json::json;

struct Hostile;
ml_intern_plugin::export_tool!(Hostile);

/// What any of the tools may be told.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Told {
    /// Below `from`, as it is.
    path: String,
    /// A folder of the workspace that is opened first, to start from.
    from: String,
    /// The second path below `from`, a link's target, a bucket or a value.
    other: String,
    /// How much, in the unit of the tool.
    amount: u64,
}

type Run = fn(Told) -> Result<Output, Error>;

const TOOLS: &[(&str, &str, Run)] = &[
    ("read_path", "reads a file", files::read),
    ("write_path", "writes a file", files::write),
    ("append", "opens a file and appends to it", files::append),
    ("resize", "makes a file `amount` bytes long", files::resize),
    (
        "look",
        "asks for a file's size, and where it leads",
        files::look,
    ),
    ("make_folder", "makes a folder", files::make_folder),
    ("remove", "removes a file", files::remove),
    ("remove_folder", "removes a folder", files::remove_folder),
    ("rename", "renames a file to `other`", files::rename),
    ("link", "makes `other` a second name of a file", files::link),
    ("symlink", "makes a link to `other`", files::symlink),
    ("touch", "changes a file's times by its path", files::touch),
    (
        "touch_open",
        "changes the times of a file opened for reading",
        files::touch_open,
    ),
    (
        "set_mode",
        "makes a file executable for everybody",
        files::set_mode,
    ),
    (
        "read_often",
        "reads a file `amount` times and tells what it saw",
        files::read_often,
    ),
    ("fill", "writes `amount` KiB to a file", flood::fill),
    (
        "write_far",
        "writes a byte after `amount` bytes",
        flood::write_far,
    ),
    ("many", "makes `amount` files in a folder", flood::many),
    ("keep", "sets a key to `other`", keys::keep),
    ("recall", "tells a key's value", keys::recall),
    ("list_keys", "tells the keys", keys::list_keys),
    ("open_bucket", "opens the bucket `other`", keys::open_bucket),
    (
        "keep_often",
        "sets `amount` keys of a KiB each",
        keys::keep_often,
    ),
];

impl Tool for Hostile {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        let text = json!({ "type": "string" });
        let schema = json!({
            "type": "object",
            "properties": {
                "path": text, "from": text, "other": text, "amount": { "type": "integer" }
            },
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
