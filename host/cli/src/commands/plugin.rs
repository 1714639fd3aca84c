//! `plugin`: what is installed and what it may do.

mod add;
mod build;
mod call;
mod candidate;
mod chosen;
mod dev;
mod explain;
mod foreign;
mod grant;
mod inspect;
mod new;
mod prune;
mod publish;
mod relock;
mod run;
mod search;
mod show;
mod signer;
mod test;
mod update;
mod verify;

use crate::args::PluginCommand;
use crate::compose::plugins::values;
use crate::compose::{Loaded, Plugins, fetch, lock};
use crate::config::{self, Config};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{self as manifest, Entry, RunManifest, Section};
use serde_json::json;
use std::path::Path;

pub(crate) async fn plugin(directory: Option<&Path>, command: PluginCommand) -> Result<u8> {
    let config = Config::load(directory, command.manifest())?;
    match command {
        PluginCommand::List { json, .. } => list(&config, json),
        PluginCommand::Info { name, .. } => info(&config, &name).await,
        PluginCommand::Add(given) => add::add(&config, given).await,
        PluginCommand::Update(given) => update::update(&config, &given).await,
        PluginCommand::Search(given) => search::search(&config, &given).await,
        PluginCommand::Grant {
            name, what, yes, ..
        } => grant::grant(&config, &name, &what, yes),
        PluginCommand::Revoke { name, what, .. } => grant::revoke(&config, &name, &what),
        PluginCommand::Explain {
            method,
            url,
            plugin,
            json,
            ..
        } => explain::explain(&config, &method, &url, plugin.as_deref(), json),
        PluginCommand::Lock { locked, .. } => relock::relock(&config, locked).await,
        PluginCommand::Verify { json, .. } => verify::verify(&config, json).await,
        PluginCommand::Publish(given) => publish::publish(&config, &given).await,
        PluginCommand::Prune { dry_run } => prune::prune(&config, dry_run),
        PluginCommand::Inspect {
            plugin, wit, json, ..
        } => inspect::inspect(&config, &plugin, wit, json),
        PluginCommand::Run(arguments) => run::run(&config, &arguments).await,
        PluginCommand::Test(arguments) => test::test(&config, &arguments).await,
        PluginCommand::Dev(arguments) => dev::dev(&config, &arguments).await,
        PluginCommand::New(arguments) => new::new(directory, &arguments),
        PluginCommand::Build(arguments) => build::build(directory, &arguments).await,
        PluginCommand::Remove { name, .. } => remove(&config, &name),
    }
}

fn list(config: &Config, json: bool) -> Result<u8> {
    let plugins = Plugins::new(config)?;
    let mut objects = Vec::new();
    let mut table = Table::new(&["NAME", "KIND", "PLUGIN", "SOURCE", "MAY"]);
    for (section, entry) in config.manifest.entries() {
        if is_missing(&plugins, section, entry) {
            objects.push(json!({
                "name": entry.name, "source": entry.source().to_string(), "fetched": false,
            }));
            let section = section.as_str().trim_end_matches('s').to_owned();
            let source = entry.source().to_string();
            let missing = "not fetched yet".to_owned();
            table.row([entry.name.clone(), section, missing, source, String::new()]);
            continue;
        }
        let loaded = plugins.load(section, entry)?;
        objects.push(as_json(&loaded, &entry.source().to_string()));
        table.row(row(&loaded, entry));
    }
    match json {
        true => ui::out(&json!(objects).to_string()),
        false => ui::out(&table.render(Style::stdout())),
    }
    Ok(0)
}

/// Whether an entry lies elsewhere and is not here.
fn is_missing(plugins: &Plugins<'_>, section: Section, entry: &Entry) -> bool {
    let locked = plugins.lockfile.get(section, &entry.name);
    let here = locked.is_some_and(|locked| plugins.store.has(&locked.sha256));
    entry.source().is_remote() && !here
}

fn row(loaded: &Loaded, entry: &Entry) -> [String; 5] {
    let may = loaded.effective.describe();
    let may = match may.is_empty() {
        true => "only compute".to_owned(),
        false => may.join("; "),
    };
    let kind = loaded.kind().as_str().to_owned();
    let source = entry.source().to_string();
    [loaded.name.clone(), kind, loaded.title(), source, may]
}

fn as_json(loaded: &Loaded, source: &str) -> serde_json::Value {
    json!({
        "name": loaded.name,
        "kind": loaded.kind().as_str(),
        "id": loaded.resolved.manifest.plugin.id.to_string(),
        "version": loaded.resolved.manifest.plugin.version.to_string(),
        "source": source,
        "digest": loaded.resolved.digest.to_string(),
        "grants": loaded.effective.describe(),
    })
}

async fn info(config: &Config, name: &str) -> Result<u8> {
    let (section, entry) = config
        .any_entry(name)
        .ok_or_else(|| unknown(config, name))?;
    let plugins = Plugins::new(config)?;
    fetch::missing(config, &plugins.lockfile).await?;
    let loaded = plugins.load(section, entry)?;
    let style = Style::stdout();
    let header = &loaded.resolved.manifest.plugin;
    ui::out(&style.bold(&ui::one_line(&loaded.title(), 200)));
    ui::out(&ui::one_line(&header.description, 400));
    let mut table = Table::new(&["kind", loaded.kind().as_str()]).last(120);
    table.row(["source".into(), entry.source().to_string()]);
    if let Some(locked) = plugins.lockfile.get(section, name) {
        let pinned = locked.resolved.as_ref();
        if let Some(pinned) = pinned {
            table.row(["pinned".into(), pinned.to_string()]);
        }
        let key = locked.signed_by.clone();
        table.row(["signed by".into(), key.unwrap_or_else(|| "nobody".into())]);
    }
    table.row(["digest".into(), loaded.resolved.digest.to_string()]);
    let bytes = loaded.resolved.bytes.read();
    let bytes = bytes.map_err(|error| fetch::failure(&error))?;
    table.row(["size".into(), show::bytes(bytes.len())]);
    table.row(["ABI".into(), show::abi(loaded.resolved.abi)]);
    table.row(["licence".into(), header.license.clone()]);
    ui::out(&table.render(style));
    let values = values(entry, &loaded.resolved);
    show::reach(&loaded.effective, &show::wanted(&loaded, &values)?, style);
    if let Some(described) = show::description(&plugins, &loaded).await? {
        show::tools(&described.tools, style);
    }
    foreign::show_info(&plugins, &loaded, style).await?;
    Ok(0)
}

fn remove(config: &Config, name: &str) -> Result<u8> {
    let path = config.editable_manifest();
    let label = path.display().to_string();
    let text = config::text_of(&path)?.unwrap_or_default();
    let project = RunManifest::parse(&label, &text).or_fail(Kind::Usage)?;
    let section = project
        .entries()
        .find(|(_, entry)| entry.name == name)
        .map(|(section, _)| section);
    let Some(section) = section else {
        let failure = Failure::usage(format!("{label} has no plugin `{name}`"));
        return Err(match config.any_entry(name) {
            Some(_) => failure.hint("it comes with the program; `default-plugins = false` in [agent] leaves out what the manifest does not list"),
            None => failure.hint("`ml-intern plugin list` shows all"),
        });
    };
    let (text, _) = manifest::remove_entry(&label, &text, section, name).or_fail(Kind::Usage)?;
    lock::replace(&path, &text)?;
    let lock_path = config.lockfile_path_for(&path);
    let mut lockfile = lock::read(&lock_path)?;
    if lockfile.remove(section, name) {
        lock::write(&lock_path, &lockfile)?;
    }
    ui::out(&format!("removed [{}] from {label}", section.path(name)));
    Ok(0)
}

fn unknown(config: &Config, name: &str) -> Failure {
    let names = config
        .manifest
        .entries()
        .map(|(_, entry)| entry.name.as_str())
        .collect::<Vec<_>>();
    Failure::usage(format!(
        "there is no plugin `{name}`; there are: {}",
        names.join(", ")
    ))
}
