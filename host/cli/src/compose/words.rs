//! What a `plugin.toml` says of the functions of a component that cannot say it itself.

use ml_intern_manifest::{PluginManifest, suggestion};
use ml_intern_runtime::tool::Descriptor;

/// Puts the words and effects of `[tools]` in the place of what was derived from types.
///
/// # Errors
/// A name that is none of the tools, in words.
pub(crate) fn put(tools: &mut [Descriptor], manifest: &PluginManifest) -> Result<(), String> {
    for (name, said) in &manifest.tools {
        let Some(tool) = tools.iter_mut().find(|tool| tool.name == *name) else {
            let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
            let advice = match suggestion(name, &names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has: {}", names.join(", ")),
            };
            return Err(format!(
                "the plugin.toml of {} speaks of a tool `{name}` that it does not have; {advice}",
                manifest.plugin.id
            ));
        };
        if let Some(description) = &said.description {
            tool.description.clone_from(description);
        }
        tool.effects.read_only = said.read_only;
        tool.effects.destructive = said.destructive;
        tool.effects.idempotent = said.idempotent;
        tool.effects.open_world = said.open_world;
    }
    Ok(())
}
