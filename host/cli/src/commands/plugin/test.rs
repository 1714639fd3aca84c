//! `plugin test`: the cases of an author, each one call in a workspace of its own. Nothing reaches the network, and no
//! program and no job runs: recordings answer, after the grants were asked.

mod compare;
mod fakes;
mod place;
mod report;
mod update;

use super::call::{Called, Ended, only_tools};
use super::chosen::{AUTHORS, of_file, text_of};
pub(super) use report::{sorted_lines, sum};

use crate::args::TestArgs;
use crate::compose::Plugins;
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui;
use ml_intern_manifest::{Case, Cases, shorten};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The author's cases.
pub(super) const CASES: &str = "cases.toml";
/// Bytes of a file of cases, recordings included.
const CASES_BYTES: u64 = 4 << 20;

/// How a case came out.
pub(super) struct Tried {
    pub(super) name: String,
    pub(super) tool: String,
    pub(super) took: Duration,
    /// What is not as expected, each in one or more lines; none where the case passes.
    pub(super) problems: Vec<String>,
    /// Its expectation was written.
    pub(super) updated: bool,
    /// How the call ended; none where it could not be made.
    pub(super) called: Option<Called>,
}

pub(super) async fn test(config: &Config, arguments: &TestArgs) -> Result<u8> {
    let began = Instant::now();
    let tried = cases(config, arguments).await?;
    let failed = tried.iter().any(|one| !one.problems.is_empty());
    if arguments.json {
        ui::out(&report::as_json(&tried, began.elapsed()).to_string());
    } else {
        report::show(&tried, began.elapsed());
    }
    Ok(if failed { Kind::Failed as u8 } else { 0 })
}

/// Runs the cases one after the other.
pub(super) async fn cases(config: &Config, arguments: &TestArgs) -> Result<Vec<Tried>> {
    let path = config.workspace.join(&arguments.plugin);
    let path = path.canonicalize().map_err(|error| {
        Failure::usage(format!(
            "cannot read {}: {error}",
            arguments.plugin.display()
        ))
    })?;
    let file = match &arguments.cases {
        Some(file) => config.workspace.join(file),
        None => folder_of(&path).join(CASES),
    };
    let mut text = text_of(&file, CASES_BYTES).map_err(|failure| {
        failure.hint("`cases.toml` lies in the plugin's folder; --cases FILE names another")
    })?;
    let label = file.display().to_string();
    let all = Cases::parse(&label, &text).or_fail(Kind::Usage)?.cases;
    let wanted = |case: &Case| {
        let filter = arguments.filter.as_deref();
        filter.is_none_or(|filter| case.name.contains(filter))
    };
    if let (Some(filter), false) = (&arguments.filter, all.iter().any(wanted)) {
        return Err(Failure::usage(format!(
            "no case of {label} has `{}` in its name",
            shorten(filter)
        )));
    }
    let plugins = Plugins::new(config)?;
    // What is wrong with the plugin itself is said once, and not by every case.
    only_tools(&of_file(&path, None, BTreeMap::new())?.loaded)?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut tried = Vec::new();
    for (number, case) in all.iter().enumerate().filter(|(_, case)| wanted(case)) {
        let mut one = place::try_case(&plugins, &path, folder, case).await?;
        if case.expect.is_none() {
            match (arguments.update, &one.called) {
                (true, Some(called)) => match update::written(&label, &text, number, called) {
                    Ok(new) => {
                        text = new;
                        one.updated = true;
                    }
                    Err(problem) => one.problems.push(problem),
                },
                _ => one.problems.push(
                    "the case expects nothing; `--update` writes down what comes out".to_owned(),
                ),
            }
        }
        tried.push(one);
    }
    if tried.iter().any(|one| one.updated) {
        crate::compose::lock::replace(&file, &text)?;
    }
    Ok(tried)
}

/// The folder of the plugin that a path names: itself, or the one above that has its `plugin.toml`.
fn folder_of(path: &Path) -> PathBuf {
    let mut above = path.ancestors();
    // `FOLDER/target/wasm32-wasip2/release/NAME.wasm` is the deepest place where a component is left.
    let found = above
        .by_ref()
        .take(5)
        .find(|folder| folder.join(AUTHORS).is_file());
    let beside = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(path)
    };
    found.unwrap_or(beside).to_path_buf()
}

/// What kind of end it was, in a word.
fn ended(ended: &Ended) -> &'static str {
    match ended {
        Ended::Output(output) if output.is_error => "an output that says it failed",
        Ended::Output(_) => "an output",
        Ended::Error { .. } => "an error",
        Ended::Fault { .. } => "a fault",
        Ended::Cancelled => "a cancellation",
    }
}
