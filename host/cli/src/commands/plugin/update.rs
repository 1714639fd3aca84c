//! `plugin update`: what the sources have now, next to what was accepted.

use super::candidate::{Before, Candidate, short};
use super::{add, show, unknown};
use crate::args::UpdateArgs;
use crate::commands::confirmed;
use crate::compose::plugins::{Described, load_resolved, values};
use crate::compose::{Loaded, Plugins, lock};
use crate::config::Config;
use crate::error::{Failure, Kind, Result};
use crate::ui::{self, Style};
use ml_intern_manifest::{Entry, LockEntry, Section};
use ml_intern_runtime::tool::Descriptor;

/// Characters of a description that are shown when it changed.
const WORDS: usize = 300;

pub(super) async fn update(config: &Config, given: &UpdateArgs) -> Result<u8> {
    let mut plugins = Plugins::new(config)?;
    let mut left = 0;
    for (section, entry) in chosen(config, &given.names)? {
        let old = plugins.lockfile.get(section, &entry.name).cloned();
        let before = Before {
            entry: old.as_ref(),
            key: given.key.as_deref(),
        };
        let found = Candidate::find(&plugins, &entry.source(), before).await;
        let candidate = found
            .map_err(|failure| failure.hint(format!("it is [{}]", section.path(&entry.name))))?;
        let loaded = load_resolved(section, entry, candidate.resolved.clone())?;
        let changed = Changed {
            entry,
            loaded: &loaded,
            candidate: &candidate,
            old: old.as_ref(),
        };
        if !changed.accept(&plugins, given).await? {
            left += 1;
            continue;
        }
        let described = show::description(&plugins, &loaded).await?;
        let describe = described.as_ref().map(Described::digest);
        let source = match &old {
            Some(old) if !entry.source().is_remote() => old.source.clone(),
            _ => entry.source().to_string(),
        };
        let locked = lock::entry(&loaded, source, describe, candidate.origin);
        plugins.lockfile.insert(section, &entry.name, locked);
        lock::write(&config.lockfile_path(), &plugins.lockfile)?;
    }
    lock::remember(&config.lockfile_path(), &plugins.store)?;
    Ok(match left {
        0 => 0,
        _ => Kind::Blocked as u8,
    })
}

/// The entries by these names, or all that can change.
fn chosen<'a>(config: &'a Config, names: &[String]) -> Result<Vec<(Section, &'a Entry)>> {
    if names.is_empty() {
        let entries = config.manifest.entries();
        return Ok(entries
            .filter(|(_, entry)| !entry.source().is_builtin())
            .collect());
    }
    let find = |name: &String| {
        let found = config
            .any_entry(name)
            .ok_or_else(|| unknown(config, name))?;
        match found.1.source().is_builtin() {
            true => Err(Failure::usage(format!(
                "`{name}` comes with the program, and is updated with it"
            ))),
            false => Ok(found),
        }
    };
    names.iter().map(find).collect()
}

/// An entry, what was accepted for it, and what is there now.
struct Changed<'a> {
    entry: &'a Entry,
    loaded: &'a Loaded,
    candidate: &'a Candidate,
    old: Option<&'a LockEntry>,
}

impl Changed<'_> {
    /// Shows what is different, and asks. False where the answer is no.
    async fn accept(&self, plugins: &Plugins<'_>, given: &UpdateArgs) -> Result<bool> {
        let name = &self.entry.name;
        let now = &self.loaded.resolved;
        let same_bytes = self.old.filter(|old| old.sha256 == now.digest);
        if let Some(old) = same_bytes
            && old.signed_by == self.candidate.origin.signed_by
        {
            let version = show::version(&old.version, &old.sha256);
            ui::out(&format!("{name} is up to date: {version}"));
            return Ok(true);
        }
        self.is_same_plugin()?;
        let compiled = add::compile(plugins, self.loaded).await?;
        if self.old.is_none() {
            show::request(self.loaded, self.candidate, compiled);
        } else {
            self.show(plugins).await?;
        }
        no_step_back(self.old, self.loaded, given.allow_downgrade)?;
        if !given.yes && !confirmed("taking this", "take this?")? {
            ui::out(&format!("{name} stays as it was"));
            return Ok(false);
        }
        ui::out(&format!(
            "{name} is now {}",
            show::version(&now.manifest.plugin.version, &now.digest)
        ));
        Ok(true)
    }

    /// A source that leads to another plugin now is no update.
    fn is_same_plugin(&self) -> Result<()> {
        let id = &self.loaded.resolved.manifest.plugin.id;
        match self.old.filter(|old| old.id != *id) {
            None => Ok(()),
            Some(old) => {
                let path = self.loaded.path();
                let error = anyhow::anyhow!("[{path}] now leads to {id}, not to {}", old.id);
                Err(Failure::new(Kind::Plugin, error)
                    .hint("where you want that one, add it with `ml-intern plugin add`"))
            }
        }
    }

    async fn show(&self, plugins: &Plugins<'_>) -> Result<()> {
        let Some(old) = self.old else {
            return Ok(());
        };
        let style = Style::stderr();
        let header = &self.loaded.resolved.manifest.plugin;
        let title = format!(
            "{}: {} {} → {} {}",
            self.entry.name, old.id, old.version, header.id, header.version
        );
        ui::err(&style.bold(&ui::one_line(&title, 300)));
        line(
            "digest",
            &short(&old.sha256),
            &short(&self.loaded.resolved.digest),
        );
        let key = |key: &Option<String>| key.clone().unwrap_or_else(|| "nobody".to_owned());
        let new_key = key(&self.candidate.origin.signed_by);
        line("signed by", &key(&old.signed_by), &new_key);
        ui::err(&format!("  size {}", show::bytes(self.candidate.size)));
        match self.before(plugins, old) {
            Some(before) => self.compare(plugins, &before).await,
            None => {
                ui::err("  what it was is no longer here to compare; it asks for:");
                lines(style, &[], &self.wanted(self.loaded)?);
                Ok(())
            }
        }
    }

    /// What was accepted, where its bytes are still here.
    fn before(&self, plugins: &Plugins<'_>, old: &LockEntry) -> Option<Loaded> {
        let source = self.entry.source();
        let resolved = plugins.fetched(&source, &old.sha256).ok()?;
        load_resolved(self.loaded.section, self.entry, resolved).ok()
    }

    async fn compare(&self, plugins: &Plugins<'_>, before: &Loaded) -> Result<()> {
        let style = Style::stderr();
        let (old, new) = (self.wanted(before)?, self.wanted(self.loaded)?);
        match old == new {
            true => ui::err("  asks for the same as before"),
            false => {
                ui::err("  what it asks for changes:");
                lines(style, &old, &new);
                let granted = self.loaded.effective.describe();
                if new
                    .iter()
                    .any(|line| !old.contains(line) && !granted.contains(line))
                {
                    ui::err(&format!(
                        "  what is new is not granted by an update; `ml-intern plugin grant {}` does that",
                        self.entry.name
                    ));
                }
            }
        }
        let old = show::description(plugins, before).await?;
        let new = show::description(plugins, self.loaded).await?;
        if let (Some(old), Some(new)) = (old, new) {
            tools(style, &old.tools, &new.tools);
        }
        Ok(())
    }

    fn wanted(&self, loaded: &Loaded) -> Result<Vec<String>> {
        let values = values(self.entry, &loaded.resolved);
        Ok(show::wanted(loaded, &values)?.describe())
    }
}

fn line(what: &str, old: &str, new: &str) {
    match old == new {
        true => ui::err(&format!("  {what} {}", ui::one_line(new, 120))),
        false => ui::err(&format!(
            "  {what} {} → {}",
            ui::one_line(old, 120),
            ui::one_line(new, 120)
        )),
    }
}

/// What went and what came.
fn lines(style: Style, old: &[String], new: &[String]) {
    for gone in old.iter().filter(|line| !new.contains(line)) {
        ui::err(&format!("    {} {}", style.red("-"), ui::clean(gone)));
    }
    for come in new.iter().filter(|line| !old.contains(line)) {
        ui::err(&format!("    {} {}", style.green("+"), ui::clean(come)));
    }
}

/// Which tools went, came and are described in other words. What a model reads of a tool decides what it does with it.
fn tools(style: Style, old: &[Descriptor], new: &[Descriptor]) {
    for gone in old.iter().filter(|tool| named(new, &tool.name).is_none()) {
        let name = ui::one_line(&gone.name, 64);
        ui::err(&format!("    {} tool {name}", style.red("-")));
    }
    for tool in new {
        let name = ui::one_line(&tool.name, 64);
        let Some(before) = named(old, &tool.name) else {
            let words = ui::one_line(&tool.description, WORDS);
            ui::err(&format!("    {} tool {name}: {words}", style.green("+")));
            continue;
        };
        let parts = [
            (before.description != tool.description, "description"),
            (before.input_schema != tool.input_schema, "arguments"),
            (before.output_schema != tool.output_schema, "output"),
            (before.effects != tool.effects, "effects"),
            (before.operations != tool.operations, "operations"),
        ];
        let parts = parts.iter().filter(|(differs, _)| *differs);
        let parts = parts.map(|(_, part)| *part).collect::<Vec<_>>();
        if parts.is_empty() {
            continue;
        }
        ui::err(&format!(
            "    {} tool {name}: {}",
            style.yellow("~"),
            parts.join(", ")
        ));
        if before.description != tool.description {
            let (old, new) = (&before.description, &tool.description);
            ui::err(&format!(
                "      {} {}",
                style.red("-"),
                ui::one_line(old, WORDS)
            ));
            ui::err(&format!(
                "      {} {}",
                style.green("+"),
                ui::one_line(new, WORDS)
            ));
        }
        if before.effects != tool.effects {
            let (old, new) = (show::effects(before), show::effects(tool));
            ui::err(&format!("      {old} → {new}"));
        }
    }
}

fn named<'a>(tools: &'a [Descriptor], name: &str) -> Option<&'a Descriptor> {
    tools.iter().find(|tool| tool.name == name)
}

/// An older version than the accepted one may have holes that the newer one has not, so a server cannot bring it back
/// by itself.
fn no_step_back(old: Option<&LockEntry>, new: &Loaded, allowed: bool) -> Result<()> {
    let header = &new.resolved.manifest.plugin;
    let newer = old.filter(|old| old.id == header.id && old.version > header.version);
    let Some(old) = newer.filter(|_| !allowed) else {
        return Ok(());
    };
    let question = format!(
        "{} is accepted, and this is the older {}; go back?",
        old.version, header.version
    );
    match confirmed("going back to an older version", &question) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let error = anyhow::anyhow!("it stays at {}", old.version);
            Err(Failure::new(Kind::Blocked, error))
        }
        Err(failure) => Err(Failure::new(
            failure.kind,
            anyhow::anyhow!(
                "{} {} is older than the accepted {}",
                header.id,
                header.version,
                old.version
            ),
        )
        .hint("add --allow-downgrade where you mean it")),
    }
}
