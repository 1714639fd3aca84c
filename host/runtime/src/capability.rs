//! What the host can do for a plugin, one file each, all of one shape: a view of the state that
//! holds this capability's own rules and no others, the host side of its interface, and `link`.

pub(crate) mod agent;
pub(crate) mod clocks;
pub(crate) mod config;
pub(crate) mod credential;
pub(crate) mod fs;
pub(crate) mod http;
pub(crate) mod jobs;
pub(crate) mod keyvalue;
pub(crate) mod log;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod sink;
pub(crate) mod sockets;
pub(crate) mod stdio;

use wasmtime::component::Linker;

use crate::abi::{self, Version};
use crate::engine::World;
use crate::state::PluginState;

/// Links what plugins of this world and version may import. An import that is not here does not load.
pub(crate) fn link(
    linker: &mut Linker<PluginState>,
    world: World,
    version: Version,
) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    clocks::link(linker)?;
    random::link(linker)?;
    poll::link(linker)?;
    fs::link(linker)?;
    sockets::link(linker)?;
    http::link(linker)?;
    config::link(linker)?;
    if world == World::Tool {
        keyvalue::link(linker)?;
    }
    match version {
        Version::V0_1 => abi::v0_1::link(linker, world),
        Version::V0_2 => link_newest(linker, world),
        Version::Foreign => abi::foreign::link(linker),
    }
}

/// Our own interfaces in their newest version.
fn link_newest(linker: &mut Linker<PluginState>, world: World) -> wasmtime::Result<()> {
    log::link(linker)?;
    credential::link(linker)?;
    match world {
        World::Tool => {
            agent::link(linker)?;
            jobs::link(linker)?;
            process::link(linker)
        }
        World::Provider => sink::link(linker),
        World::Notifier => Ok(()),
    }
}
