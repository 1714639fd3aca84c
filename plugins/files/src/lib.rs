//! The tools `read`, `write`, `edit`, `list` and `search` over the files of the workspace.
//!
//! This file is the glue; each tool is a module that knows a [`Workspace`](path::Workspace) folder
//! and a [`Memory`](seen::Memory) of what was read, and nothing of the host.

mod diff;
mod edit;
mod glob;
mod list;
mod matching;
mod path;
mod python;
mod read;
mod schema;
mod search;
mod seen;
mod store;
mod text;
mod write;

use ml_intern_plugin::{
    Context, Descriptor, Error, Output, Tool, arguments, config, keyvalue::Bucket,
};
use serde::de::DeserializeOwned;

use path::Workspace;
use seen::Memory;

/// Where the host opens the workspace for a plugin.
const MOUNT: &str = "/workspace";

struct Files;

ml_intern_plugin::export_tool!(Files);

impl Tool for Files {
    fn describe() -> Result<Vec<Descriptor>, Error> {
        Ok(schema::descriptors())
    }

    fn call(name: String, raw: String, _context: Context) -> Result<Output, Error> {
        let outcome = match name.as_str() {
            "read" => with_memory(&raw, read::run),
            "write" => with_memory(&raw, write::run),
            "edit" => with_memory(&raw, edit::run),
            "list" => parsed(&raw).and_then(|call| list::run(&workspace()?, &call)),
            "search" => parsed(&raw).and_then(|call| search::run(&workspace()?, &call)),
            _ => return Err(Error::unknown_tool(&name)),
        };
        match outcome {
            Ok(text) => Ok(Output::text(text)),
            Err(Failure::Tool(text)) => Ok(Output::error(text)),
            Err(Failure::Host(error)) => Err(error),
        }
    }
}

/// Why a call has no result.
#[derive(Debug)]
enum Failure {
    /// The model can correct this; the text says how.
    Tool(String),
    /// The host failed or refused.
    Host(Error),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Tool(text)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidInput(text) => Self::Tool(text),
            other => Self::Host(other),
        }
    }
}

fn parsed<T: DeserializeOwned>(raw: &str) -> Result<T, Failure> {
    Ok(arguments(raw)?)
}

fn workspace() -> Result<Workspace, Failure> {
    Ok(Workspace::new(MOUNT, config::get("workspace")?))
}

fn with_memory<T: DeserializeOwned>(
    raw: &str,
    run: impl Fn(&Workspace, &dyn Memory, &T) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let call = parsed(raw)?;
    run(&workspace()?, &Bucket::session()?, &call)
}

impl Memory for Bucket {
    fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.get(key)?)
    }

    fn remember(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        Ok(self.set(key, value)?)
    }
}
