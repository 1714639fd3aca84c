//! From an author's folder to a component.

use std::fs;
use std::path::{Path, PathBuf};

use ml_intern_manifest::PluginManifest;
use ml_intern_registry::{Inspected, MANIFEST_SECTION, inspect};
use wasmparser::{Parser, Payload};

use crate::componentize::with_manifest;
use crate::error::Error;
use crate::language::Language;
use crate::sdk::{self, write_file};
use crate::workshop::{Options, Progress, Workshop};
use crate::{c, go, javascript, python, rust};

/// What was built.
#[derive(Debug)]
pub struct Built {
    /// `build/NAME.wasm` in the plugin's folder, absolute.
    pub component: PathBuf,
    /// Of its source.
    pub language: Language,
    /// Size of the component in bytes.
    pub bytes: u64,
    /// What the component says of itself.
    pub inspected: Inspected,
}

/// Builds the plugin in `folder` to `build/NAME.wasm` there, with its `plugin.toml` in it.
/// `progress` is told each step and each line that a compiler writes, as they come. Dropping the
/// future ends the compilers.
///
/// # Errors
/// No plugin in the folder, a tool chain that is missing, a source with mistakes, or a component
/// that the host would refuse. What was built before stays then.
pub async fn build(
    folder: &Path,
    options: &Options,
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Built, Error> {
    let file = folder.join("plugin.toml");
    let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let manifest = PluginManifest::parse(&file.display().to_string(), &text)?;
    let language = Language::of(folder)?;
    let mut workshop = Workshop::new(folder, &manifest, options, &mut progress)?;
    if options.renew_sdk {
        workshop.step("writing this program's SDK to sdk/");
        sdk::write(&workshop.folder, language)?;
    }
    let component = match language {
        Language::Rust => rust::component(&mut workshop).await?,
        Language::Python => python::component(&mut workshop).await?,
        Language::JavaScript | Language::TypeScript => javascript::component(&mut workshop).await?,
        Language::C => c::component(&mut workshop).await?,
        Language::Go => go::component(&mut workshop).await?,
    };
    let component = match has_manifest(&component) {
        true => component,
        false => with_manifest(component, &text),
    };
    let path = workshop.build.join(format!("{}.wasm", workshop.name));
    let inspected = inspect(&path.display().to_string(), &component, None)?;
    // Renamed, so that whoever reads the file meanwhile has the old one or the new one.
    let new = path.with_extension("wasm.new");
    write_file(&new, &component)?;
    fs::rename(&new, &path).map_err(Error::file("write", &path))?;
    Ok(Built {
        component: path,
        language,
        bytes: component.len() as u64,
        inspected,
    })
}

/// Whether an SDK has put the manifest in already. What does not parse is `inspect`'s to refuse.
fn has_manifest(component: &[u8]) -> bool {
    let sections = Parser::new(0).parse_all(component);
    sections.flatten().any(|payload| {
        matches!(payload, Payload::CustomSection(section) if section.name() == MANIFEST_SECTION)
    })
}
