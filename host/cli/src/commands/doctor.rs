//! `doctor`: is everything there that a run needs?

use super::status::missing;
use crate::args::ManifestArg;
use crate::compose::Plugins;
use crate::compose::workbench::has_python;
use crate::config::{Config, program_folders};
use crate::credentials::Sources;
use crate::error::{Kind, Result};
use crate::ui::{self, Style};
use ml_intern_exec::{Isolation, Support};
use ml_intern_manifest::{ProgramIsolation, Section};
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// Works, but a user may miss something.
    Weak,
    Bad,
}

struct Check {
    name: String,
    health: Health,
    text: String,
}

pub(crate) async fn doctor(
    directory: Option<&Path>,
    manifest: ManifestArg,
    json: bool,
) -> Result<u8> {
    let config = Config::load(directory, manifest.manifest.as_deref())?;
    let mut checks = vec![
        manifest_check(&config),
        writable("session log", &config.paths.sessions()),
        writable("compile cache", &config.paths.components()),
        writable("workspace", &config.workspace),
        programs(),
        python(&config),
        isolation(&config).await,
    ];
    checks.extend(plugins(&config).await?);
    let bad = checks.iter().any(|check| check.health == Health::Bad);
    if json {
        let list = checks.iter().map(|check| json!({ "check": check.name, "health": word(check.health), "text": check.text }));
        ui::out(&json!(list.collect::<Vec<_>>()).to_string());
    } else {
        show(&checks);
    }
    Ok(if bad { Kind::Failed as u8 } else { 0 })
}

fn show(checks: &[Check]) {
    let style = Style::stdout();
    let width = checks
        .iter()
        .map(|check| check.name.chars().count())
        .max()
        .unwrap_or(0);
    for check in checks {
        let mark = match check.health {
            Health::Good => style.green("✓"),
            Health::Weak => style.yellow("!"),
            Health::Bad => style.red("✗"),
        };
        ui::out(&format!(
            "{mark} {:<width$}  {}",
            check.name,
            ui::one_line(&check.text, 600)
        ));
    }
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Good => "good",
        Health::Weak => "weak",
        Health::Bad => "bad",
    }
}

fn check(name: &str, health: Health, text: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        health,
        text: text.into(),
    }
}

fn manifest_check(config: &Config) -> Check {
    let model = config.manifest.agent.model.as_deref();
    let place = match &config.manifest_path {
        Some(path) => path.display().to_string(),
        None => "built in (no ml-intern.toml here or in a folder above)".to_owned(),
    };
    match model {
        Some(model) => check("manifest", Health::Good, format!("{place}, model {model}")),
        None => check(
            "manifest",
            Health::Weak,
            format!("{place}, no model: name one with --model PROVIDER/MODEL"),
        ),
    }
}

fn writable(name: &str, folder: &Path) -> Check {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let write = || {
        // As the host itself makes them: a cache that others can open is not used.
        let mut made = std::fs::DirBuilder::new();
        made.recursive(true).mode(0o700).create(folder)?;
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(&probe)
    };
    match write() {
        Ok(()) => check(name, Health::Good, folder.display().to_string()),
        Err(error) => check(
            name,
            Health::Bad,
            format!("cannot write {}: {error}", folder.display()),
        ),
    }
}

fn programs() -> Check {
    match ml_intern_exec::resolve("sh", &program_folders()) {
        Ok(path) => check(
            "programs",
            Health::Good,
            format!("sh is {}", path.display()),
        ),
        Err(error) => check("programs", Health::Bad, error.to_string()),
    }
}

fn python(config: &Config) -> Check {
    match ml_intern_exec::resolve("python3", &program_folders()) {
        Ok(path) if has_python() => check(
            "job back end",
            Health::Good,
            format!("local, python3 is {}", path.display()),
        ),
        _ => {
            let health = if config.jobs_wanted {
                Health::Bad
            } else {
                Health::Weak
            };
            check(
                "job back end",
                health,
                "local, but there is no python3; install it, for example with `apt-get install python3`",
            )
        }
    }
}

/// How programs and local jobs are kept from the rest of the machine, and what is missing.
async fn isolation(config: &Config) -> Check {
    let support = Support::of_this_machine().await;
    let missing = support.missing.join("; ");
    let with = |text: &str| match missing.as_str() {
        "" => text.to_owned(),
        missing => format!("{text}. Missing: {missing}"),
    };
    let name = "programs run";
    if config.manifest.programs.isolation == Some(ProgramIsolation::None) {
        let text = format!(
            "with your own rights: ml-intern.toml says [programs] isolation = \"none\"; this machine has the level {}",
            support.level.as_str()
        );
        return check(name, Health::Weak, with(&text));
    }
    match support.level {
        Isolation::Full => check(
            name,
            Health::Good,
            with("isolated: own files, processes and network"),
        ),
        Isolation::Landlock => check(
            name,
            Health::Weak,
            with(
                "isolated by Landlock alone: no network at all, they see which processes there are, and they can change ml-intern.toml",
            ),
        ),
        _ => check(
            name,
            Health::Bad,
            with(
                "not at all: this machine cannot isolate them; accept that they have your rights with [programs] isolation = \"none\"",
            ),
        ),
    }
}

async fn plugins(config: &Config) -> Result<Vec<Check>> {
    let plugins = Plugins::new(config)?;
    let sources = Sources::open(&config.paths)?;
    let mut checks = Vec::new();
    for (section, entry) in config.manifest.entries() {
        let name = section.path(&entry.name);
        let loaded = match plugins.load(section, entry) {
            Ok(loaded) => loaded,
            Err(failure) => {
                checks.push(check(&name, Health::Bad, format!("{:#}", failure.error)));
                continue;
            }
        };
        let runnable = match section {
            Section::Plugins => plugins.runtime.describe(&loaded.source()).await.map(|_| ()),
            Section::Providers | Section::Notifiers => {
                plugins
                    .plugin(&loaded, None, Default::default())
                    .prepare()
                    .await
            }
        };
        let keys = missing(&sources, loaded.effective.credentials.rules()).await;
        checks.push(match runnable {
            Err(error) => check(&name, Health::Bad, error.to_string()),
            Ok(()) if !keys.is_empty() => check(
                &name,
                Health::Weak,
                format!("{}, no key in {}", loaded.title(), keys.join(", ")),
            ),
            Ok(()) => check(&name, Health::Good, loaded.title()),
        });
    }
    Ok(checks)
}
