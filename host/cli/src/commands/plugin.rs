//! `plugin`: what is installed and what it may do.

mod build;
mod explain;
mod grant;
mod new;

use crate::args::PluginCommand;
use crate::commands::confirmed;
use crate::compose::plugins::Described;
use crate::compose::plugins::values;
use crate::compose::{Loaded, Plugins, lock};
use crate::config::{self, Config};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{
    self as manifest, Effective, Grant, HttpTarget, RunManifest, Section, Source,
};
use ml_intern_runtime::tool::Descriptor;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) async fn plugin(directory: Option<&Path>, command: PluginCommand) -> Result<u8> {
    let manifest = match &command {
        PluginCommand::New(_) | PluginCommand::Build(_) => None,
        PluginCommand::List { manifest, .. }
        | PluginCommand::Info { manifest, .. }
        | PluginCommand::Add { manifest, .. }
        | PluginCommand::Grant { manifest, .. }
        | PluginCommand::Revoke { manifest, .. }
        | PluginCommand::Explain { manifest, .. }
        | PluginCommand::Lock { manifest }
        | PluginCommand::Remove { manifest, .. } => manifest.manifest.clone(),
    };
    let config = Config::load(directory, manifest.as_deref())?;
    match command {
        PluginCommand::List { json, .. } => list(&config, json),
        PluginCommand::Info { name, .. } => info(&config, &name).await,
        PluginCommand::Add {
            source, name, yes, ..
        } => add(&config, &source, name, yes).await,
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
        PluginCommand::Lock { .. } => relock(&config).await,
        PluginCommand::New(arguments) => new::new(directory, &arguments),
        PluginCommand::Build(arguments) => build::build(directory, &arguments).await,
        PluginCommand::Remove { name, .. } => remove(&config, &name),
    }
}

fn list(config: &Config, json: bool) -> Result<u8> {
    let plugins = Plugins::new(config)?;
    let mut rows = Vec::new();
    for (section, entry) in config.manifest.entries() {
        let loaded = plugins.load(section, entry)?;
        rows.push((loaded, entry.source().to_string()));
    }
    if json {
        let list = rows
            .iter()
            .map(|(loaded, source)| as_json(loaded, source))
            .collect::<Vec<_>>();
        ui::out(&json!(list).to_string());
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "KIND", "PLUGIN", "SOURCE", "MAY"]);
    for (loaded, source) in rows {
        let may = loaded.effective.describe();
        let may = if may.is_empty() {
            "only compute".to_owned()
        } else {
            may.join("; ")
        };
        let kind = loaded.kind().as_str().to_owned();
        table.row([loaded.name.clone(), kind, loaded.title(), source, may]);
    }
    ui::out(&table.render(Style::stdout()));
    Ok(0)
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
    let loaded = plugins.load(section, entry)?;
    let style = Style::stdout();
    let header = &loaded.resolved.manifest.plugin;
    ui::out(&style.bold(&ui::one_line(&loaded.title(), 200)));
    ui::out(&ui::one_line(&header.description, 400));
    let mut table = Table::new(&["kind", loaded.kind().as_str()]);
    table.row(["source".into(), entry.source().to_string()]);
    table.row(["digest".into(), loaded.resolved.digest.to_string()]);
    table.row(["ABI".into(), loaded.resolved.abi.to_string()]);
    table.row(["licence".into(), header.license.clone()]);
    ui::out(&table.render(style));
    let values = values(entry, &loaded.resolved);
    reach(&loaded.effective, &wanted(&loaded, &values)?, style);
    if let Some(described) = description(&plugins, &loaded).await? {
        tools(&described.tools, style);
    }
    Ok(0)
}

/// Everything the plugin asks for, as if all of it were granted.
fn wanted(loaded: &Loaded, values: &BTreeMap<String, String>) -> Result<Effective> {
    let request = &loaded.resolved.manifest.request;
    Effective::compute(&loaded.path(), request, &Grant::all_of(request), values)
        .or_fail(Kind::Usage)
}

fn reach(effective: &Effective, wanted: &Effective, style: Style) {
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

fn tools(described: &[Descriptor], style: Style) {
    ui::out(&style.bold("tools"));
    for tool in described {
        let effects = &tool.effects;
        let words = [
            (effects.read_only, "read-only"),
            (effects.idempotent, "idempotent"),
            (effects.destructive, "destructive"),
            (effects.open_world, "open-world"),
        ];
        let words = words
            .iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, word)| *word);
        let words = words.collect::<Vec<_>>().join(", ");
        let name = style.cyan(&ui::one_line(&tool.name, 64));
        ui::out(&format!("  {name}  {}", style.dim(&words)));
        ui::out(&format!("      {}", ui::one_line(&tool.description, 160)));
    }
}

async fn add(config: &Config, source: &str, name: Option<String>, yes: bool) -> Result<u8> {
    let path = config.editable_manifest();
    let folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    let source = typed_source(source, &folder)?;
    let resolved = crate::compose::plugins::resolve(&source.clone().based_at(&folder))?;
    let name = name.unwrap_or_else(|| resolved.manifest.plugin.id.name().to_owned());
    let section = match resolved.kinds.first() {
        Some(manifest::Kind::Provider) => Section::Providers,
        Some(manifest::Kind::Notifier) => Section::Notifiers,
        _ => Section::Plugins,
    };
    let request = &resolved.manifest.request;
    let grant = Grant::all_of(request);
    let text = config::text_of(&path)?.unwrap_or_default();
    let label = path.display().to_string();
    let granted = if source.is_builtin() {
        Grant::default()
    } else {
        grant
    };
    let added = manifest::add_entry(&label, &text, section, &name, &source, &granted)
        .or_fail(Kind::Usage)?;
    // The new text has to hold before it is shown, asked about and written.
    let parsed = RunManifest::parse(&label, &added)
        .or_fail(Kind::Usage)?
        .based_at(&folder);
    let entry = parsed
        .section(section)
        .iter()
        .find(|entry| entry.name == name);
    let entry =
        entry.ok_or_else(|| Failure::usage(format!("{label} has no [{}]", section.path(&name))))?;
    let plugins = Plugins::new(config)?;
    let loaded = plugins.load(section, entry)?;
    let described = description(&plugins, &loaded).await?;
    show_request(&plugins, &loaded, described.as_ref()).await?;
    if !yes && !confirmed("granting this", "grant this?")? {
        return Err(Failure::new(
            Kind::Blocked,
            anyhow::anyhow!("nothing was added"),
        ));
    }
    lock::replace(&path, &added)?;
    if !source.is_builtin() {
        let mut lockfile = lock::read(&config.lockfile_path_for(&path))?;
        let describe = described.as_ref().map(Described::digest);
        let locked = lock::entry(&loaded, source.to_string(), describe);
        lockfile.insert(section, &name, locked);
        lock::write(&config.lockfile_path_for(&path), &lockfile)?;
    }
    ui::out(&format!("added [{}] to {label}", section.path(&name)));
    Ok(0)
}

/// A path is taken from where the user stands, and written relative to the manifest.
fn typed_source(text: &str, manifest_folder: &Path) -> Result<Source> {
    let looks_local = !text.starts_with("builtin:") && Path::new(text).exists();
    if !looks_local {
        return text.parse::<Source>().or_fail(Kind::Usage);
    }
    let absolute = Path::new(text).canonicalize().or_fail(Kind::Usage)?;
    Ok(Source::Local(
        match absolute.strip_prefix(manifest_folder) {
            Ok(below) => PathBuf::from(".").join(below),
            Err(_) => absolute,
        },
    ))
}

/// What a tool plugin says of its tools; nothing of another.
async fn description(plugins: &Plugins<'_>, loaded: &Loaded) -> Result<Option<Described>> {
    if loaded.kind() != manifest::Kind::Tool {
        return Ok(None);
    }
    plugins.describe(loaded).await.map(Some)
}

async fn show_request(
    plugins: &Plugins<'_>,
    loaded: &Loaded,
    described: Option<&Described>,
) -> Result<()> {
    let style = Style::stderr();
    let digest = loaded.resolved.digest;
    ui::err(&format!(
        "{} ({digest})",
        style.bold(&ui::one_line(&loaded.title(), 200))
    ));
    ui::err(&ui::one_line(
        &loaded.resolved.manifest.plugin.description,
        400,
    ));
    let may = loaded.effective.describe();
    ui::err(if may.is_empty() && unset_places(loaded).is_empty() {
        "asks for nothing: it only computes"
    } else {
        "asks for:"
    });
    for line in may.into_iter().chain(unset_places(loaded)) {
        ui::err(&format!("  • {}", ui::clean(&line)));
    }
    if let Some(described) = described {
        let names = described
            .tools
            .iter()
            .map(|tool| tool.name.clone())
            .collect::<Vec<_>>();
        clash(plugins, loaded, &names).await?;
        ui::err(&format!("tools: {}", names.join(", ")));
    }
    Ok(())
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

/// Two owners of one name would make a call go to whoever comes first.
async fn clash(plugins: &Plugins<'_>, new: &Loaded, names: &[String]) -> Result<()> {
    let entries = plugins.config.manifest.section(Section::Plugins).iter();
    // An entry of the same name is replaced.
    for entry in entries.filter(|entry| entry.name != new.name) {
        let other = plugins.load(Section::Plugins, entry)?;
        let described = plugins.describe(&other).await?;
        if let Some(tool) = described
            .tools
            .iter()
            .find(|tool| names.contains(&tool.name))
        {
            let text = format!(
                "{} offers the tool `{}`, which [{}] ({}) offers already",
                new.title(),
                tool.name,
                other.path(),
                other.title()
            );
            return Err(
                Failure::new(Kind::Plugin, anyhow::anyhow!(text)).hint(format!(
                    "put it in the other's place with `--name {0}`, or remove that with \
                     `ml-intern plugin remove {0}`",
                    other.name
                )),
            );
        }
    }
    Ok(())
}

async fn relock(config: &Config) -> Result<u8> {
    let plugins = Plugins::new(config)?;
    let path = config.lockfile_path();
    let old = lock::read(&path)?;
    let mut new = manifest::Lockfile::default();
    // As the manifest writes it: a path of this machine would be wrong on the next.
    let written = match &config.manifest_path {
        Some(path) => config::text_of(path)?.unwrap_or_default(),
        None => String::new(),
    };
    let written = RunManifest::parse("ml-intern.toml", &written).or_fail(Kind::Usage)?;
    let entries = config.manifest.entries();
    for (section, entry) in entries.filter(|(_, entry)| !entry.source().is_builtin()) {
        let loaded = plugins.load(section, entry)?;
        let own = written
            .section(section)
            .iter()
            .find(|own| own.name == entry.name);
        let source = own.unwrap_or(entry).source();
        let described = description(&plugins, &loaded).await?;
        let describe = described.as_ref().map(Described::digest);
        let locked = lock::entry(&loaded, source.to_string(), describe);
        new.insert(section, &entry.name, locked);
    }
    lock::write(&path, &new)?;
    let changes = old.diff(&new);
    for change in &changes {
        ui::out(&ui::clean(&change.to_string()));
    }
    let place = path.display();
    ui::out(&match changes.len() {
        0 => format!("{place} is as it was"),
        1 => format!("1 change in {place}"),
        count => format!("{count} changes in {place}"),
    });
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
