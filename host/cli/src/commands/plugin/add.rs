//! `plugin add`: a source becomes an entry of the run manifest, after a yes.

use super::candidate::{Before, Candidate, section};
use super::{foreign, show};
use crate::args::AddArgs;
use crate::commands::confirmed;
use crate::compose::plugins::{Described, load_resolved};
use crate::compose::{Loaded, Plugins, lock};
use crate::config::{self, Config};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui;
use futures_util::future::try_join_all;
use ml_intern_manifest::{self as manifest, Grant, RunManifest, Section, Source};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) async fn add(config: &Config, given: AddArgs) -> Result<u8> {
    let path = config.editable_manifest();
    let folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    let source = typed_source(&given.source, &folder)?;
    let mut plugins = Plugins::new(config)?;
    plugins.lockfile = lock::read(&config.lockfile_path_for(&path))?;
    let before = Before {
        entry: None,
        key: given.key.as_deref(),
    };
    let based = source.clone().based_at(&folder);
    let candidate = Candidate::find(&plugins, &based, before).await?;
    let id = &candidate.resolved.manifest.plugin.id;
    let name = given.name.unwrap_or_else(|| id.name().to_owned());
    let section = section(&candidate.resolved);
    let text = Text::new(&path, section, &name, &source, &candidate)?;
    let entry = text.entry(&folder)?;
    let loaded = load_resolved(section, &entry, candidate.resolved.clone())?;
    let compiled = compile(&plugins, &loaded).await?;
    show::request(&loaded, &candidate, compiled);
    let described = show::description(&plugins, &loaded).await?;
    if let Some(described) = &described {
        clash(&plugins, &loaded, described).await?;
        ui::err(&format!("tools: {}", names(described).join(", ")));
    }
    foreign::show_request(&plugins, &loaded).await?;
    if !given.yes && !confirmed("granting this", "grant this?")? {
        let nothing = anyhow::anyhow!("nothing was added");
        return Err(Failure::new(Kind::Blocked, nothing));
    }
    if !source.is_builtin() {
        let describe = described.as_ref().map(Described::digest);
        let locked = lock::entry(&loaded, source.to_string(), describe, candidate.origin);
        let lockfile = &mut plugins.lockfile;
        lockfile.insert(section, &name, locked);
        lock::write(&config.lockfile_path_for(&path), lockfile)?;
    }
    if source.is_remote() {
        lock::remember(&config.lockfile_path_for(&path), &plugins.store)?;
    }
    // Last: what the lockfile has and no manifest lists does no harm, and the other way round nothing runs.
    lock::replace(&path, &text.new)?;
    ui::out(&format!(
        "added [{}] to {}",
        section.path(&name),
        path.display()
    ));
    Ok(0)
}

/// The run manifest with the new entry.
struct Text {
    label: String,
    section: Section,
    name: String,
    new: String,
}

impl Text {
    fn new(
        path: &Path,
        section: Section,
        name: &str,
        source: &Source,
        candidate: &Candidate,
    ) -> Result<Self> {
        let granted = match source.is_builtin() {
            true => Grant::default(),
            false => Grant::all_of(&candidate.resolved.manifest.request),
        };
        let label = path.display().to_string();
        let text = config::text_of(path)?.unwrap_or_default();
        let new = manifest::add_entry(&label, &text, section, name, source, &granted);
        Ok(Self {
            new: new.or_fail(Kind::Usage)?,
            name: name.to_owned(),
            label,
            section,
        })
    }

    /// The new text has to hold before it is shown, asked about and written.
    fn entry(&self, folder: &Path) -> Result<manifest::Entry> {
        let parsed = RunManifest::parse(&self.label, &self.new).or_fail(Kind::Usage)?;
        let parsed = parsed.based_at(folder);
        let mut entries = parsed.section(self.section).iter();
        let entry = entries.find(|entry| entry.name == self.name);
        entry.cloned().ok_or_else(|| {
            let path = self.section.path(&self.name);
            Failure::usage(format!("{} has no [{path}]", self.label))
        })
    }
}

/// Compiles, which the runtime tells a person at a terminal.
pub(super) async fn compile(plugins: &Plugins<'_>, loaded: &Loaded) -> Result<Option<Duration>> {
    let compiled = plugins.runtime.compile(&loaded.source()).await;
    compiled.or_fail(Kind::Plugin)
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

fn names(described: &Described) -> Vec<String> {
    let tools = described.tools.iter();
    tools.map(|tool| tool.name.clone()).collect()
}

/// Two owners of one name would make a call go to whoever comes first.
async fn clash(plugins: &Plugins<'_>, new: &Loaded, described: &Described) -> Result<()> {
    let names = names(described);
    let entries = plugins.config.manifest.section(Section::Plugins).iter();
    // An entry of the same name is replaced.
    let others = entries.filter(|entry| entry.name != new.name);
    let others = others.map(|entry| plugins.load(Section::Plugins, entry));
    let others = others.collect::<Result<Vec<_>>>()?;
    // Side by side: those that were never used are compiled for it.
    let described = try_join_all(others.iter().map(|other| plugins.describe(other))).await?;
    for (other, described) in others.iter().zip(described) {
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
