//! `plugin search`: plugins that an index lists. An index is a plain file, which may lie where plugins lie.

use crate::args::SearchArgs;
use crate::builtin::BUILTINS;
use crate::compose::fetch;
use crate::config::Config;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::{self, Style, Table};
use ml_intern_manifest::{Index, Listed, PluginManifest, Source};
use serde_json::json;
use std::io::Read as _;
use std::path::Path;

/// Bytes of an index.
const MOST: u64 = 4 << 20;

pub(super) async fn search(config: &Config, given: &SearchArgs) -> Result<u8> {
    let mut found = Vec::new();
    let sources = match &given.index {
        Some(text) => vec![typed(text)?],
        None => {
            found.extend(bundled()?);
            config.manifest.registry.index.clone()
        }
    };
    let mut failed = None;
    for source in &sources {
        match read(config, source).await {
            Ok(index) => found.extend(index.plugins),
            Err(failure) => {
                // One index that is out of reach does not hide what the others have.
                ui::warn(&format!("{source}: {:#}", failure.error));
                failed = Some(failure);
            }
        }
    }
    if let (Some(failure), true) = (failed, found.is_empty()) {
        return Err(failure);
    }
    let words = given.words.iter().map(|word| word.to_lowercase());
    let words = words.collect::<Vec<_>>();
    found.retain(|one| words.iter().all(|word| one.mentions(word)));
    show(&found, given.json);
    Ok(0)
}

/// The first-party plugins: the index that comes with the program.
fn bundled() -> Result<Vec<Listed>> {
    let list = BUILTINS.iter().map(|builtin| {
        let label = format!("builtin:{}", builtin.name);
        let manifest = PluginManifest::parse(&label, builtin.manifest).or_fail(Kind::Plugin)?;
        Ok(Listed {
            id: manifest.plugin.id,
            description: manifest.plugin.description,
            source: Source::Builtin(builtin.name.to_owned()),
            kinds: builtin.kinds.to_vec(),
            version: Some(manifest.plugin.version),
            license: Some(manifest.plugin.license),
            public_key: None,
        })
    });
    list.collect()
}

fn typed(text: &str) -> Result<Source> {
    match Path::new(text).is_file() {
        true => Ok(Source::Local(text.into())),
        false => text.parse().or_fail(Kind::Usage),
    }
}

async fn read(config: &Config, source: &Source) -> Result<Index> {
    let bytes = match source {
        Source::Local(path) => {
            let file = std::fs::File::open(path).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", path.display()))
            })?;
            let mut bytes = Vec::new();
            file.take(MOST + 1)
                .read_to_end(&mut bytes)
                .or_fail(Kind::Usage)?;
            bytes
        }
        _ => from_elsewhere(config, source).await?,
    };
    if bytes.len() as u64 > MOST {
        return Err(Failure::usage(format!(
            "{source} has more than {MOST} bytes"
        )));
    }
    let text = String::from_utf8(bytes).or_fail(Kind::Plugin)?;
    Index::parse(&source.to_string(), &text).or_fail(Kind::Plugin)
}

async fn from_elsewhere(config: &Config, source: &Source) -> Result<Vec<u8>> {
    let remote = fetch::remote_for(config, [source]).await?;
    let pinned = remote
        .pin(source)
        .await
        .map_err(|error| fetch::failure(&error))?;
    let digest = fetch::fetch(&remote, &pinned, None).await?;
    let bytes = remote
        .store
        .read(&digest)
        .map_err(|error| fetch::failure(&error))?;
    Ok(bytes.unwrap_or_default())
}

fn show(found: &[Listed], json: bool) {
    if json {
        let list = found.iter().map(|one| {
            json!({
                "id": one.id.to_string(),
                "description": one.description,
                "source": one.source.to_string(),
                "kinds": one.kinds,
                "version": one.version.as_ref().map(ToString::to_string),
                "license": one.license,
                "public-key": one.public_key,
            })
        });
        ui::out(&json!(list.collect::<Vec<_>>()).to_string());
        return;
    }
    if found.is_empty() {
        ui::out("no index lists such a plugin");
        return;
    }
    let mut table = Table::new(&["PLUGIN", "KIND", "SOURCE", "DESCRIPTION"]).last(100);
    for one in found {
        let kinds = one.kinds.iter().map(|kind| kind.as_str());
        let version = one.version.as_ref();
        let version = version.map(|version| format!("@{version}"));
        table.row([
            format!("{}{}", one.id, version.unwrap_or_default()),
            kinds.collect::<Vec<_>>().join(", "),
            one.source.to_string(),
            one.description.clone(),
        ]);
    }
    ui::out(&table.render(Style::stdout()));
    ui::out("add one with `ml-intern plugin add SOURCE`");
}
