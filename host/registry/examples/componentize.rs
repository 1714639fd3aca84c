//! `componentize MODULE-OR-COMPONENT plugin.toml PLUGIN`: writes the plugin of what a compiler wrote.

use std::error::Error;
use std::fs;

use ml_intern_registry::{componentize, inspect, with_manifest};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, manifest, plugin] = arguments.as_slice() else {
        return Err("componentize MODULE-OR-COMPONENT plugin.toml PLUGIN".into());
    };
    let component = componentize(module, fs::read(module)?)?;
    let bytes = with_manifest(component, &fs::read_to_string(manifest)?);
    inspect(plugin, &bytes, None)?;
    Ok(fs::write(plugin, bytes)?)
}
