//! Plugins in Rust: cargo makes the component, and the SDK's macro puts the manifest into it.

use std::fs;

use toml::Table;

use crate::error::Error;
use crate::language::Language;
use crate::names::without_names;
use crate::workshop::{Program, Workshop};

/// The target whose output is a component.
const TARGET: &str = "wasm32-wasip2";

/// The component of the plugin in the workshop's folder, with or without its manifest.
pub(crate) async fn component(workshop: &mut Workshop<'_>) -> Result<Vec<u8>, Error> {
    let library = library(workshop)?;
    tool_chain(workshop).await?;
    workshop.step("compiling with cargo");
    let target = workshop.build.join("cargo");
    let arguments = ["build", "--release", "--target", TARGET, "--target-dir"];
    let mut cargo = Program::new("cargo", arguments).env("CARGO_TERM_COLOR", "never");
    cargo.arguments.push(target.display().to_string());
    workshop.run(cargo).await?;
    let file = target.join(TARGET).join("release").join(library);
    let component = fs::read(&file).map_err(Error::file("read", &file))?;
    Ok(without_names(component))
}

/// The file that cargo writes, by what `Cargo.toml` says.
fn library(workshop: &Workshop<'_>) -> Result<String, Error> {
    let file = workshop.folder.join("Cargo.toml");
    let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let wrong = |message: String| Error::Source {
        folder: file.clone(),
        message,
    };
    let table: Table = text
        .parse()
        .map_err(|error| wrong(format!("is not TOML: {error}")))?;
    let name = |section: &str| table.get(section)?.get("name")?.as_str().map(str::to_owned);
    let name = name("lib")
        .or_else(|| name("package"))
        .ok_or_else(|| wrong("has no `name` in [package]".to_owned()))?;
    Ok(format!("{}.wasm", name.replace('-', "_")))
}

async fn tool_chain(workshop: &mut Workshop<'_>) -> Result<(), Error> {
    let missing = |what: &str, way: &str| Error::ToolChain {
        language: Language::Rust,
        what: what.to_owned(),
        ways: vec![way.to_owned()],
    };
    if workshop.find("cargo").is_none() || workshop.find("rustc").is_none() {
        return Err(missing(
            "cargo",
            "install Rust with rustup: https://rustup.rs",
        ));
    }
    let ask = ["--print", "target-libdir", "--target", TARGET];
    let outcome = workshop.start(Program::new("rustc", ask).quiet()).await?;
    let folder = String::from_utf8_lossy(&outcome.stdout).trim().to_owned();
    if outcome.exit_code != Some(0) || !std::path::Path::new(&folder).is_dir() {
        return Err(missing(
            "Rust's target wasm32-wasip2",
            "rustup target add wasm32-wasip2",
        ));
    }
    Ok(())
}
