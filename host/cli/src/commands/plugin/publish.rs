//! `plugin publish`: a component goes to a registry, to the Hub or into a folder, with its signature and a statement
//! of where it came from.

mod checkout;

use super::{add, show, signer};
use crate::args::PublishArgs;
use crate::commands::confirmed;
use crate::compose::plugins::resolve;
use crate::compose::{Loaded, Plugins, fetch};
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{Effective, Grant, Source};
use ml_intern_registry::{
    Checkout, Published, Release, Resolved, component_file, inspect, provenance, trusted_comment,
};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where it goes.
enum Target {
    Elsewhere(Source),
    Folder(PathBuf),
}

pub(super) async fn publish(config: &Config, given: &PublishArgs) -> Result<u8> {
    let path = given.component.canonicalize().map_err(|error| {
        Failure::usage(format!(
            "cannot read {}: {error}",
            given.component.display()
        ))
    })?;
    let target = target(&given.target)?;
    let resolved = resolve(&Source::Local(path.clone()))?;
    // The file itself: its signature lies beside it.
    let path = component_file(&path).map_err(|error| fetch::failure(&error))?;
    let bytes = resolved
        .bytes
        .read()
        .map_err(|error| fetch::failure(&error))?;
    // A stranger gets one file, so it has to say itself what it is.
    let inspected = inspect(&path.display().to_string(), &bytes, None);
    let inspected = inspected.map_err(|error| fetch::failure(&error))?;
    let signature = signature(&path, given.signature.as_deref())?;
    let signer = signer::check(&resolved, &bytes, signature.as_deref(), None, None);
    let signer = signer.map_err(|error| {
        fetch::failure(&error).hint(format!("sign it with `{}`", how_to_sign(&resolved, &path)))
    })?;
    let plugins = Plugins::new(config)?;
    let loaded = measured(&resolved)?;
    add::compile(&plugins, &loaded).await?;
    show::description(&plugins, &loaded).await?;
    let created = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let origin = checkout::of(path.parent().unwrap_or(Path::new("/"))).await;
    let release = Release {
        provenance: provenance(&resolved, &inspected.digest, origin.as_ref(), &created),
        exports: inspected.exports,
        resolved: &resolved,
        bytes: &bytes,
        signature,
        created,
        origin,
    };
    show_release(&release, &signer.describe(), &given.target);
    if !given.yes && !confirmed("publishing this", "publish this?")? {
        let nothing = anyhow::anyhow!("nothing was published");
        return Err(Failure::new(Kind::Blocked, nothing));
    }
    let published = send(config, &release, &target, given.replace).await?;
    report(&published, &release, &path);
    Ok(0)
}

fn target(text: &str) -> Result<Target> {
    if !text.contains("://") {
        return Ok(Target::Folder(PathBuf::from(text)));
    }
    match text.parse::<Source>().or_fail(Kind::Usage)? {
        source @ (Source::Oci(_) | Source::Hub(_)) => Ok(Target::Elsewhere(source)),
        source => Err(Failure::usage(format!(
            "nothing can be published to {source}; give oci://HOST/REPOSITORY, hf://ORG/REPO/PATH or a folder"
        ))),
    }
}

/// The signature: as given, or beside the file.
fn signature(component: &Path, given: Option<&Path>) -> Result<Option<String>> {
    let beside = component.with_extension("wasm.minisig");
    let path = match given {
        Some(path) => Cow::Borrowed(path),
        None if beside.is_file() => Cow::Owned(beside),
        None => return Ok(None),
    };
    let text = std::fs::read_to_string(&path);
    text.map(Some)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

/// As a project would load it that grants nothing.
fn measured(resolved: &Resolved) -> Result<Loaded> {
    let section = super::candidate::section(resolved);
    let name = resolved.manifest.plugin.id.name().to_owned();
    let effective = Effective::compute(
        &section.path(&name),
        &resolved.manifest.request,
        &Grant::default(),
        &Default::default(),
    );
    Ok(Loaded {
        section,
        limits: resolved.manifest.limits(resolved.kinds[0]),
        name,
        resolved: resolved.clone(),
        effective: effective.or_fail(Kind::Usage)?,
        prefix: String::new(),
        approved: None,
        dev: None,
    })
}

fn show_release(release: &Release<'_>, signer: &str, target: &str) {
    let style = Style::stderr();
    let header = &release.resolved.manifest.plugin;
    ui::err(&style.bold(&ui::one_line(
        &format!("{}@{}", header.id, header.version),
        200,
    )));
    ui::err(&ui::one_line(&header.description, 400));
    let mut table = Table::new(&["to", target]).last(120);
    table.row(["digest".into(), release.resolved.digest.to_string()]);
    table.row(["size".into(), show::bytes(release.bytes.len())]);
    table.row(["signed by".into(), signer.to_owned()]);
    table.row(["licence".into(), header.license.clone()]);
    table.row(["commit".into(), commit(release.origin.as_ref())]);
    ui::err(&table.render(style));
}

fn commit(origin: Option<&Checkout>) -> String {
    match origin {
        None => "unknown: its folder is in no git repository".to_owned(),
        Some(origin) if origin.is_changed => {
            format!("{}, with changes that are not committed", origin.commit)
        }
        Some(origin) => origin.commit.clone(),
    }
}

async fn send(
    config: &Config,
    release: &Release<'_>,
    target: &Target,
    replace: bool,
) -> Result<Published> {
    let _bar = ui::Bar::waiting("publishing");
    let published = match target {
        Target::Folder(folder) => release.to_folder(folder, replace),
        Target::Elsewhere(source) => {
            let mut remote = fetch::remote_for(config, [source]).await?;
            // A mirror is for reading, and a project's manifest may name one.
            remote.logins.mirrors.clear();
            match source {
                Source::Oci(image) => release.to_registry(&remote, image, replace).await,
                Source::Hub(file) => release.to_hub(&remote, file, replace).await,
                other => Err(ml_intern_registry::Error::NotFound {
                    name: other.to_string(),
                    message: "is no place to publish to".to_owned(),
                }),
            }
        }
    };
    published.map_err(|error| fetch::failure(&error))
}

fn report(published: &Published, release: &Release<'_>, path: &Path) {
    let place = match published {
        Published::New(place) => {
            ui::out(&format!("published {place}"));
            place
        }
        Published::Signed(place) => {
            ui::out(&format!("its signature was added: {place}"));
            place
        }
        Published::Same(place) => {
            ui::out(&format!("it is there already, byte for byte: {place}"));
            place
        }
    };
    ui::err(&format!(
        "others add it with `ml-intern plugin add {place}`"
    ));
    if release.signature.is_none() {
        ui::err(&format!(
            "it is not signed; `{}` signs it",
            how_to_sign(release.resolved, path)
        ));
    }
}

/// The command that makes the signature that others check.
fn how_to_sign(resolved: &Resolved, path: &Path) -> String {
    let header = &resolved.manifest.plugin;
    let comment = trusted_comment(&header.id, &header.version, &resolved.digest);
    format!("minisign -S -m {} -t \"{comment}\"", path.display())
}
