//! What the host can do for a plugin, one file each, all of one shape: a view of the state that
//! holds this capability's own rules and no others, the host side of its interface, and `link`.

pub(crate) mod agent;
pub(crate) mod config;
pub(crate) mod fs;
pub(crate) mod http;
pub(crate) mod jobs;
pub(crate) mod keyvalue;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod sink;
pub(crate) mod stdio;

use wasmtime::component::Linker;

use crate::engine::World;
use crate::state::PluginState;

/// Links what plugins of this world may import. An import that is not here does not load.
pub(crate) fn link(linker: &mut Linker<PluginState>, world: World) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    fs::link(linker)?;
    http::link(linker)?;
    log::link(linker)?;
    config::link(linker)?;
    match world {
        World::Tool => {
            agent::link(linker)?;
            jobs::link(linker)?;
            process::link(linker)?;
            keyvalue::link(linker)
        }
        World::Provider => sink::link(linker),
        World::Notifier => Ok(()),
    }
}
