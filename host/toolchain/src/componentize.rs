//! From what a compiler for another language wrote to a plugin: the component around a core module,
//! and the manifest in it.

use ml_intern_manifest::Kind;
use ml_intern_registry::MANIFEST_SECTION;
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use crate::error::Error;
use crate::names::{without_names, write_length};

/// The worlds of guests with everything that they import, as `scripts/sdk-wit` writes it: one file
/// with packages in it, of which the first has the worlds `tool-guest`, `provider-guest`,
/// `notifier-guest` and, for engines that know no files, `tool-javascript` and so on.
pub const WIT: &str = include_str!("../../../sdk/wit/plugin.wit");

/// How the custom sections begin in which bindings say what world they are of.
const TYPES: &str = "component-type";

/// What modules for WASI preview 1 import; the adapter provides it from WASI 0.2.
const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// The component around a core module, as compilers for C (`wasm32-wasi`) and Go (`wasip1`) write
/// them: a reactor for WASI preview 1. A module that does not say what world it is of is one of `kind`.
/// What is a component already is returned as it is. `name` is the file that errors show.
///
/// # Errors
/// [`Error::Component`] in the encoder's words: no WebAssembly, an export that the world wants
/// and the module lacks, an import that nothing provides.
pub fn componentize(name: &str, bytes: Vec<u8>, kind: Kind) -> Result<Vec<u8>, Error> {
    if Parser::is_component(&bytes) {
        return Ok(bytes);
    }
    encode(bytes, kind).map_err(|error| Error::Component {
        name: name.to_owned(),
        message: format!("does not become a component: {error:#}"),
    })
}

fn encode(mut module: Vec<u8>, kind: Kind) -> anyhow::Result<Vec<u8>> {
    if !names_its_world(&module)? {
        let (resolve, world) = world(kind)?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    }
    let adapter = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(PREVIEW_1, adapter)?
        .encode()?;
    Ok(without_names(component))
}

/// What there is in [`WIT`], and in it the world of a guest of this kind.
pub(crate) fn world(kind: Kind) -> anyhow::Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plugin.wit", WIT)?;
    let world = resolve.select_world(&[package], Some(&format!("{kind}-guest")))?;
    Ok((resolve, world))
}

fn names_its_world(module: &[u8]) -> anyhow::Result<bool> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload?
            && section.name().starts_with(TYPES)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The component with the text of its `plugin.toml` in it. It must not have one already:
/// [`inspect`](ml_intern_registry::inspect()) wants exactly one.
#[must_use]
pub fn with_manifest(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let mut section = Vec::with_capacity(MANIFEST_SECTION.len() + manifest.len() + 1);
    write_length(&mut section, MANIFEST_SECTION.len());
    section.extend_from_slice(MANIFEST_SECTION.as_bytes());
    section.extend_from_slice(manifest.as_bytes());
    // The id of custom sections.
    component.push(0);
    write_length(&mut component, section.len());
    component.extend(section);
    component
}

#[cfg(test)]
mod tests;
