//! `plugin verify`: everything on disk, looked at as if for the first time.

use super::show;
use crate::compose::plugins::Described;
use crate::compose::{Plugins, fetch, lock};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail as _, Result};
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{Entry, LockEntry, Section};
use ml_intern_registry::{Signed, verify as check_signature};
use serde_json::json;

/// One line of the report.
struct Checked {
    name: String,
    what: String,
    /// What is wrong; none = nothing.
    problem: Option<String>,
}

pub(super) async fn verify(config: &Config, json: bool) -> Result<u8> {
    let plugins = Plugins::new(config)?;
    let mut report = Vec::new();
    let entries = config.manifest.entries();
    for (section, entry) in entries.filter(|(_, entry)| !entry.source().is_builtin()) {
        let found = check(&plugins, section, entry).await;
        report.push(Checked {
            name: section.path(&entry.name),
            what: entry.source().to_string(),
            problem: found.err().map(|failure| format!("{:#}", failure.error)),
        });
    }
    report.extend(unlisted(config, &plugins));
    let known = |digest| {
        plugins
            .lockfile
            .iter()
            .any(|(_, _, entry)| entry.sha256 == digest)
    };
    let stored = plugins
        .store
        .list()
        .map_err(|error| fetch::failure(&error))?;
    for (digest, _) in stored.into_iter().filter(|(digest, _)| !known(*digest)) {
        report.push(Checked {
            name: "store".to_owned(),
            what: digest.to_string(),
            problem: plugins
                .store
                .read(&digest)
                .err()
                .map(|error| error.to_string()),
        });
    }
    show(&report, json);
    match report.iter().filter(|one| one.problem.is_some()).count() {
        0 => Ok(0),
        1 => Err(wrong("1 thing is not as it should be")),
        count => Err(wrong(&format!("{count} things are not as they should be"))),
    }
}

fn wrong(text: &str) -> Failure {
    Failure::new(Kind::Plugin, anyhow::anyhow!("{text}"))
}

/// The bytes, what they say, who signed them, and what they say when they run.
async fn check(plugins: &Plugins<'_>, section: Section, entry: &Entry) -> Result<()> {
    let path = section.path(&entry.name);
    let locked = fetch::locked(plugins.lockfile.get(section, &entry.name), &path)?;
    if entry.source().is_remote() {
        let looked = plugins
            .store
            .look_again(&locked.sha256, &entry.source().to_string());
        looked.map_err(|error| fetch::failure(&error))?;
    }
    let mut loaded = vec![plugins.load(section, entry)?];
    lock::check(plugins.config, &plugins.lockfile, &mut loaded)?;
    signature(plugins, locked)?;
    for one in &loaded {
        let described = show::description(plugins, one).await?;
        if let Some(now) = described.as_ref().map(Described::digest) {
            lock::check_description(plugins.config, one, now)?;
        }
    }
    Ok(())
}

fn signature(plugins: &Plugins<'_>, locked: &LockEntry) -> Result<()> {
    let Some(key) = locked
        .signed_by
        .as_ref()
        .filter(|_| locked.resolved.is_some())
    else {
        return Ok(());
    };
    let Some(text) = plugins.store.signature(&locked.sha256) else {
        return Err(wrong(
            "its signature is not in the store; `ml-intern plugin update` fetches it again",
        ));
    };
    let bytes = plugins.store.read(&locked.sha256).or_fail(Kind::Plugin)?;
    let signed = Signed {
        id: &locked.id,
        version: &locked.version,
        bytes: &bytes.unwrap_or_default(),
    };
    check_signature(key, &text, &signed).or_fail(Kind::Plugin)
}

/// What the lockfile has and the manifest does not.
fn unlisted<'a>(
    config: &'a Config,
    plugins: &'a Plugins<'_>,
) -> impl Iterator<Item = Checked> + use<'a> {
    let locked = plugins.lockfile.iter();
    let unlisted = locked.filter(|(section, name, _)| config.entry(*section, name).is_none());
    unlisted.map(|(section, name, entry)| Checked {
        name: section.path(name),
        what: entry.source.clone(),
        problem: Some("is in the lockfile, and the run manifest does not list it".to_owned()),
    })
}

fn show(report: &[Checked], json: bool) {
    if json {
        let lines = report.iter().map(|one| {
            json!({"name": one.name, "what": one.what, "ok": one.problem.is_none(), "problem": one.problem})
        });
        ui::out(&json!(lines.collect::<Vec<_>>()).to_string());
        return;
    }
    if report.is_empty() {
        ui::out("nothing to verify: every plugin comes with the program");
        return;
    }
    let mut table = Table::new(&["", "NAME", "WHAT", "PROBLEM"]).last(300);
    for one in report {
        let mark = if one.problem.is_some() { "✗" } else { "✓" };
        let problem = one.problem.clone().unwrap_or_default();
        table.row([mark.to_owned(), one.name.clone(), one.what.clone(), problem]);
    }
    ui::out(&table.render(Style::stdout()));
}
