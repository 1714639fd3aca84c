//! A plugin on the screen: what it is, what it asks for, what it offers.

use super::candidate::{Candidate, short};
use crate::compose::plugins::Described;
use crate::compose::{Loaded, Plugins};
use crate::error::{Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{self as manifest, Abi, Effective, Grant, HttpTarget};
use ml_intern_runtime::tool::Descriptor;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes for a person.
pub(super) fn bytes(count: usize) -> String {
    match count {
        0..1_000 => format!("{count} bytes"),
        1_000..1_000_000 => format!("{} KB", count / 1_000),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// What somebody has to know before a yes: where it comes from, what it is, what it asks for.
pub(super) fn request(loaded: &Loaded, candidate: &Candidate, compiled: Option<Duration>) {
    title(loaded);
    ui::err(&facts(loaded, candidate, compiled).render(Style::stderr()));
    asked(loaded);
}

/// What it is called, and what it says of itself.
pub(super) fn title(loaded: &Loaded) {
    let header = &loaded.resolved.manifest.plugin;
    let title = format!("{}@{}", header.id, header.version);
    ui::err(&Style::stderr().bold(&ui::one_line(&title, 200)));
    ui::err(&ui::one_line(&header.description, 400));
}

/// What it asks for, in words.
pub(super) fn asked(loaded: &Loaded) {
    let may = loaded.effective.describe();
    let unset = unset_places(loaded);
    ui::err(if may.is_empty() && unset.is_empty() {
        "asks for nothing: it only computes"
    } else {
        "asks for:"
    });
    for line in may.into_iter().chain(unset) {
        ui::err(&format!("  • {}", ui::clean(&line)));
    }
}

fn facts(loaded: &Loaded, candidate: &Candidate, compiled: Option<Duration>) -> Table {
    let kinds = loaded.resolved.kinds.iter().map(|kind| kind.as_str());
    let mut table = Table::new(&["kind", &kinds.collect::<Vec<_>>().join(", ")]).last(120);
    let header = &loaded.resolved.manifest.plugin;
    table.row(["licence".into(), header.license.clone()]);
    let from = match &candidate.origin.resolved {
        Some(pinned) => pinned.to_string(),
        None => loaded.resolved.source.to_string(),
    };
    table.row(["from".into(), from]);
    table.row(["digest".into(), loaded.resolved.digest.to_string()]);
    if !loaded.resolved.source.is_builtin() {
        table.row(["signed by".into(), candidate.signer.describe()]);
    }
    let size = bytes(candidate.size);
    table.row([
        "size".into(),
        match compiled {
            Some(time) => format!("{size}, compiled in {}", ui::duration(millis(time))),
            None => size,
        },
    ]);
    table.row(["ABI".into(), abi(loaded.resolved.abi)]);
    table
}

/// An ABI, with those that this program takes.
pub(super) fn abi(own: Abi) -> String {
    if own == Abi::Foreign {
        return "none: a component of plain functions".to_owned();
    }
    let [oldest, .., newest] = Abi::SUPPORTED;
    format!("{own}; this program takes {oldest} to {newest}")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Places that the plugin will reach once somebody configures them.
fn unset_places(loaded: &Loaded) -> Vec<String> {
    let requests = loaded.resolved.manifest.request.http.iter();
    let unset = requests.filter_map(|request| match &request.target {
        HttpTarget::BaseUrl(key) if !loaded.effective.config.contains_key(key) => Some(key),
        _ => None,
    });
    let lines = unset.map(|key| format!("reaches the server that is configured as `{key}`"));
    lines.collect()
}

/// Everything the plugin asks for, as if all of it were granted.
pub(super) fn wanted(loaded: &Loaded, values: &BTreeMap<String, String>) -> Result<Effective> {
    let request = &loaded.resolved.manifest.request;
    Effective::compute(&loaded.path(), request, &Grant::all_of(request), values)
        .or_fail(Kind::Usage)
}

/// What it may do, and what it asks for in vain.
pub(super) fn reach(effective: &Effective, wanted: &Effective, style: Style) {
    let granted = effective.describe();
    ui::out(&style.bold("may"));
    for line in &granted {
        ui::out(&format!("  {} {}", style.green("✓"), ui::clean(line)));
    }
    if granted.is_empty() {
        ui::out("  only compute");
    }
    let missing = wanted
        .describe()
        .into_iter()
        .filter(|line| !granted.contains(line));
    let missing = missing.collect::<Vec<_>>();
    if !missing.is_empty() {
        ui::out(&style.bold("asks for, not granted as asked"));
        for line in missing {
            ui::out(&format!("  {} {}", style.yellow("–"), ui::clean(&line)));
        }
    }
}

/// The words for a tool's effects.
pub(super) fn effects(tool: &Descriptor) -> String {
    let effects = &tool.effects;
    let words = [
        (effects.read_only, "read-only"),
        (effects.idempotent, "idempotent"),
        (effects.destructive, "destructive"),
        (effects.open_world, "open-world"),
    ];
    let words = words.iter().filter(|(holds, _)| *holds);
    words.map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

pub(super) fn tools(described: &[Descriptor], style: Style) {
    ui::out(&style.bold("tools"));
    for tool in described {
        let name = style.cyan(&ui::one_line(&tool.name, 64));
        ui::out(&format!("  {name}  {}", style.dim(&effects(tool))));
        ui::out(&format!("      {}", ui::one_line(&tool.description, 160)));
    }
}

/// What a tool plugin says of its tools; nothing of another.
pub(super) async fn description(
    plugins: &Plugins<'_>,
    loaded: &Loaded,
) -> Result<Option<Described>> {
    if loaded.kind() != manifest::Kind::Tool {
        return Ok(None);
    }
    plugins.describe(loaded).await.map(Some)
}

/// `1.2.0 (sha256:…)`.
pub(super) fn version(version: &impl std::fmt::Display, digest: &manifest::Digest) -> String {
    format!("{version} ({})", short(digest))
}
