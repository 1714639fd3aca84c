//! `plugin lock`: the lockfile says what is there now.

use super::candidate::{Before, Candidate};
use super::{add, show};
use crate::compose::lock::Origin;
use crate::compose::plugins::{Described, load_resolved};
use crate::compose::{Plugins, fetch, lock};
use crate::config::{self, Config};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui;
use ml_intern_manifest::{Entry, LockEntry, Lockfile, RunManifest, Section};

/// `only_check`: nothing is written, and a difference is a failure.
pub(super) async fn relock(config: &Config, only_check: bool) -> Result<u8> {
    let plugins = Plugins::new(config)?;
    fetch::missing(config, &plugins.lockfile).await?;
    let path = config.lockfile_path();
    let written = written(config)?;
    let mut new = Lockfile::default();
    let entries = config.manifest.entries();
    for (section, entry) in entries.filter(|(_, entry)| !entry.source().is_builtin()) {
        let own = written.section(section).iter();
        let source = own.into_iter().find(|own| own.name == entry.name);
        let source = source.unwrap_or(entry).source().to_string();
        new.insert(
            section,
            &entry.name,
            locked(&plugins, section, entry, source).await?,
        );
    }
    let changes = plugins.lockfile.diff(&new);
    for change in &changes {
        ui::out(&ui::clean(&change.to_string()));
    }
    let place = path.display();
    if only_check && !changes.is_empty() {
        let error = anyhow::anyhow!("{place} would change, and is not to");
        return Err(Failure::new(Kind::Plugin, error)
            .hint("look at the differences, and run `ml-intern plugin lock` without --locked"));
    }
    if !only_check {
        lock::write(&path, &new)?;
        lock::remember(&path, &plugins.store)?;
    }
    ui::out(&match changes.len() {
        0 => format!("{place} is as it was"),
        1 => format!("1 change in {place}"),
        count => format!("{count} changes in {place}"),
    });
    Ok(0)
}

/// The project's manifest as it is written: a path of this machine would be wrong on the next.
fn written(config: &Config) -> Result<RunManifest> {
    let text = match &config.manifest_path {
        Some(path) => config::text_of(path)?.unwrap_or_default(),
        None => String::new(),
    };
    RunManifest::parse("ml-intern.toml", &text).or_fail(Kind::Usage)
}

/// An entry as it is now. What lies elsewhere stays at what was locked for the same source; `plugin update` is what
/// looks it up anew.
async fn locked(
    plugins: &Plugins<'_>,
    section: Section,
    entry: &Entry,
    written: String,
) -> Result<LockEntry> {
    let old = plugins.lockfile.get(section, &entry.name);
    let kept = old.filter(|old| entry.source().is_remote() && old.source == written);
    let (loaded, origin) = match kept {
        Some(old) => (plugins.load(section, entry)?, Origin::of(old)),
        None => {
            let before = Before {
                entry: old,
                key: None,
            };
            let candidate = Candidate::find(plugins, &entry.source(), before).await?;
            let loaded = load_resolved(section, entry, candidate.resolved)?;
            (loaded, candidate.origin)
        }
    };
    add::compile(plugins, &loaded).await?;
    let described = show::description(plugins, &loaded).await?;
    let describe = described.as_ref().map(Described::digest);
    Ok(lock::entry(&loaded, written, describe, origin))
}
