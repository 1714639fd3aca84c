//! Components that export plain functions instead of our interfaces: each function is a tool.
//!
//! The types of a function are those of WIT, known from the component without running it; they make
//! the tool's schema, and say how its arguments and its result are converted. Everything else (the
//! instance of a call, its limits, its grant) is that of any other tool plugin.

mod answer;
mod arguments;
mod docs;
mod functions;
mod schema;

use std::sync::Arc;

use ml_intern_manifest::{Denial, WORKSPACE_MOUNT};
use wasmtime::component::{Component, InstancePre, Linker, Val};
use wasmtime::{AsContextMut, Engine};

use crate::abi::Version;
use crate::capability::config;
use crate::engine::{Host, World};
use crate::state::PluginState;
use crate::tool::{Content, Descriptor, Output};
use crate::types;

pub(crate) use docs::Docs;
pub use functions::Hidden;
use functions::{Function, Functions};

/// The package of our own interfaces.
const OURS: &str = "ml-intern:plugin/";

/// What is handed over as arguments, as JSON: each byte of a `list<u8>` takes 32 here on its way.
/// Small files as base64 fit; what is longer belongs in a file.
const MAX_ARGUMENTS: usize = 2 << 20;

/// Whether a component exports something, and nothing of ours.
pub(crate) fn is_foreign(engine: &Engine, component: &Component) -> bool {
    let mut plain = false;
    for (name, export) in component.component_type().exports(engine) {
        if name.starts_with(OURS) {
            return false;
        }
        plain |= !functions::is_wasi(name) && functions::holds_functions(&export.ty);
    }
    plain
}

/// Links, beside WASI and what every plugin may import, what only such components ask for.
pub(crate) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    config::link_draft(linker)
}

/// A component that is linked, with its functions.
#[derive(Clone)]
pub(crate) struct Pre(Arc<Prepared>);

struct Prepared {
    linked: InstancePre<PluginState>,
    functions: Functions,
}

impl Pre {
    pub(crate) fn new(host: &Host, component: &Component) -> wasmtime::Result<Self> {
        let linker = host.linker(World::Tool, Version::Foreign)?;
        let linked = linker.instantiate_pre(component)?;
        let functions = Functions::of(&host.engine, component);
        Ok(Self(Arc::new(Prepared { linked, functions })))
    }

    /// Functions that are no tools, and why.
    pub(crate) fn hidden(&self) -> &[Hidden] {
        &self.0.functions.hidden
    }

    /// Why there is nothing to call, where that is so.
    pub(crate) fn has_no_tools(&self) -> Option<String> {
        let Functions { tools, hidden } = &self.0.functions;
        if !tools.is_empty() {
            return None;
        }
        let why = hidden.iter().take(5);
        let why: Vec<String> = why
            .map(|one| format!("`{}`: {}", one.name, one.why))
            .collect();
        Some(match why.is_empty() {
            true => "it exports no function".to_owned(),
            false => format!("none of its functions can be a tool ({})", why.join("; ")),
        })
    }

    /// The functions as tools. Nothing runs.
    pub(crate) fn describe(&self) -> Vec<Descriptor> {
        let functions = self.0.functions.tools.iter();
        functions.map(|function| function.describe(None)).collect()
    }

    /// The same, with the words of their author where there are any.
    pub(crate) fn describe_with(&self, docs: &Docs) -> Vec<Descriptor> {
        let functions = self.0.functions.tools.iter();
        let described = functions.map(|one| one.describe(docs.of(&one.path)));
        described.collect()
    }

    /// Calls a function in an instance of its own.
    pub(crate) async fn call(
        &self,
        mut store: impl AsContextMut<Data = PluginState>,
        name: &str,
        arguments: &str,
    ) -> wasmtime::Result<Result<Output, types::Error>> {
        let mut functions = self.0.functions.tools.iter();
        let Some(function) = functions.find(|function| function.tool == name) else {
            let text = format!("the plugin has no tool `{name}`");
            return Ok(Err(types::Error::NotFound(text)));
        };
        let given = match read(function, arguments) {
            Ok(given) => given,
            Err(text) => return Ok(Err(types::Error::InvalidInput(text))),
        };
        let mut store = store.as_context_mut();
        let instance = self.0.linked.instantiate_async(&mut store).await?;
        let callee = instance.get_func(&mut store, function.index);
        let callee = callee.ok_or_else(|| wasmtime::Error::msg("the function is missing"))?;
        // Their number counts; what they are is overwritten.
        let mut results = vec![Val::Bool(false); usize::from(function.result.is_some())];
        callee.call_async(&mut store, &given, &mut results).await?;
        let call = store.data().call();
        let limit = call.setup.limits.output_bytes;
        let answered = answer::output(results.first(), function.result.as_ref(), limit);
        match answered {
            Ok(mut output) => {
                if output.is_error {
                    output.content.extend(refusals(store.data()));
                }
                Ok(Ok(output))
            }
            Err(problem) => {
                call.notice(problem);
                Err(wasmtime::Error::msg("the result is not taken"))
            }
        }
    }
}

/// What the host refused meanwhile: guests often report a refused request as a broken connection, and
/// a folder that they do not see as a file that is not there.
fn refusals(state: &PluginState) -> Vec<Content> {
    let call = state.call();
    let mut refused = call.take_denials();
    if state.misses_folder
        && let Err(denial) = call
            .effective()
            .fs
            .check_path(WORKSPACE_MOUNT, false, WORKSPACE_MOUNT)
    {
        refused.push(denial);
    }
    let line = |denial: Denial| Content::Text(format!("the host refused: {}", denial.detail));
    refused.into_iter().map(line).collect()
}

fn read(function: &Function, arguments: &str) -> Result<Vec<Val>, String> {
    if arguments.len() > MAX_ARGUMENTS {
        return Err(format!(
            "the arguments have {} bytes; at most {MAX_ARGUMENTS} are allowed",
            arguments.len()
        ));
    }
    let arguments = serde_json::from_str(arguments).map_err(|error| error.to_string())?;
    arguments::values(&function.parameters, &arguments)
}

#[cfg(test)]
mod tests;
