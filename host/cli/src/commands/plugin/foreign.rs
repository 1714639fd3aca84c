//! What of a component of plain functions is not used, and why.

use crate::compose::{Loaded, Plugins};
use crate::error::{Kind, OrFail, Result};
use crate::ui::{self, Style};
use ml_intern_manifest::Abi;
use ml_intern_runtime::{Hidden, Services};

/// What its policy permits in vain, and how many of its functions are no tools.
pub(super) async fn show_request(plugins: &Plugins<'_>, loaded: &Loaded) -> Result<()> {
    if !loaded.resolved.not_given.is_empty() {
        ui::err("its policy permits, and nobody gives it:");
    }
    for line in &loaded.resolved.not_given {
        ui::err(&format!("  – {}", ui::one_line(line, 400)));
    }
    match hidden(plugins, loaded).await?.len() {
        0 => {}
        1 => ui::err("1 function is no tool"),
        many => ui::err(&format!("{many} functions are no tools")),
    }
    Ok(())
}

/// The same in full.
pub(super) async fn show_info(plugins: &Plugins<'_>, loaded: &Loaded, style: Style) -> Result<()> {
    let policy = loaded.resolved.not_given.iter();
    let policy = policy.map(|line| ui::one_line(line, 400)).collect();
    list("its policy permits, and nobody gives it", policy, style);
    let functions = hidden(plugins, loaded).await?.into_iter();
    let functions = functions.map(|one| ui::one_line(&format!("{}: {}", one.name, one.why), 400));
    list("functions that are no tools", functions.collect(), style);
    Ok(())
}

fn list(title: &str, lines: Vec<String>, style: Style) {
    if !lines.is_empty() {
        ui::out(&style.bold(title));
    }
    for line in lines {
        ui::out(&format!("  {} {line}", style.yellow("–")));
    }
}

async fn hidden(plugins: &Plugins<'_>, loaded: &Loaded) -> Result<Vec<Hidden>> {
    if loaded.resolved.abi != Abi::Foreign {
        return Ok(Vec::new());
    }
    let plugin = plugins.plugin(loaded, None, Services::default());
    plugin.hidden_functions().await.or_fail(Kind::Plugin)
}
