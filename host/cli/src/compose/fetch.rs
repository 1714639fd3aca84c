//! Plugins that lie elsewhere: the client that fetches them, and those that are locked and not here yet.

use crate::compose::lock;
use crate::config::{Config, text_of, variable};
use crate::credentials::Sources;
use crate::error::{Failure, Kind, Result};
use crate::paths;
use crate::ui;
use ml_intern_manifest::{Digest, LockEntry, Lockfile, Source};
use ml_intern_registry::{Error, Hub, Logins, Net, Remote, Store};
use std::path::PathBuf;

/// Where the Hub is, unless `HF_ENDPOINT` says otherwise.
const HUB: &str = "https://huggingface.co";

/// Components that were fetched.
pub(crate) fn store(config: &Config) -> Store {
    Store::new(config.paths.plugins())
}

/// The client, as the user's files, variables and logins have it. A token is looked for only where the Hub is asked.
pub(crate) async fn remote(config: &Config, hub: bool) -> Result<Remote> {
    let mut logins = Logins::default();
    logins.mirrors = config.manifest.registry.mirrors.clone();
    logins.files = true;
    if let Some(path) = paths::wasm_packages()
        && let Some(text) = text_of(&path)?
    {
        logins.read_wasm(&text).map_err(|why| {
            Failure::usage(format!(
                "{} is no configuration of the wasm package tools: {why}",
                path.display()
            ))
        })?;
    }
    let roots = variable("SSL_CERT_FILE").map(PathBuf::from);
    let net = Net::new(roots.as_deref(), logins.roots()).map_err(|error| failure(&error))?;
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned());
    let endpoint = endpoint.parse().map_err(|error| {
        Failure::usage(format!("HF_ENDPOINT is no URL: `{endpoint}` ({error})"))
    })?;
    let token = match hub {
        true => Sources::open(&config.paths)?.hub_token().await?,
        false => None,
    };
    Ok(Remote {
        net,
        logins,
        hub: Hub { endpoint, token },
        store: store(config),
    })
}

/// The client for these sources.
pub(crate) async fn remote_for<'a>(
    config: &Config,
    sources: impl IntoIterator<Item = &'a Source>,
) -> Result<Remote> {
    let hub = sources
        .into_iter()
        .any(|source| matches!(source, Source::Hub(_)));
    remote(config, hub).await
}

/// Fetches what a pinned source leads to, with a bar where that takes long.
pub(crate) async fn fetch(
    remote: &Remote,
    pinned: &Source,
    wanted: Option<&Digest>,
) -> Result<Digest> {
    let bar = ui::Bar::bytes(&pinned.to_string());
    let progress = |done, total| bar.set(done, total);
    let fetched = remote.fetch(pinned, wanted, &progress).await;
    drop(bar);
    fetched.map_err(|error| failure(&error))
}

/// Fetches every plugin that the manifest lists, the lockfile has, and the store lacks. Where nothing is missing,
/// nothing is asked and no client is made.
pub(crate) async fn missing(config: &Config, lockfile: &Lockfile) -> Result<()> {
    let store = store(config);
    let locked = config.manifest.entries().filter_map(|(section, entry)| {
        let source = entry.source();
        let locked = lockfile.get(section, &entry.name)?;
        let same = source.is_remote() && locked.source == source.to_string();
        let missing = same && !store.has(&locked.sha256);
        missing.then(|| locked.clone())
    });
    let missing = locked.collect::<Vec<LockEntry>>();
    if missing.is_empty() {
        return Ok(());
    }
    let pinned = missing.iter().filter_map(|entry| entry.resolved.as_ref());
    let remote = remote_for(config, pinned).await?;
    lock::remember(&config.lockfile_path(), &store)?;
    for entry in &missing {
        let Some(pinned) = &entry.resolved else {
            continue;
        };
        // The signature first: once the component is here, nothing is asked any more.
        if entry.signed_by.is_some()
            && let Some(text) = remote.signature(pinned).await.map_err(|e| failure(&e))?
        {
            let kept = store.keep_signature(&entry.sha256, &text);
            kept.map_err(|error| failure(&error))?;
        }
        fetch(&remote, pinned, Some(&entry.sha256)).await?;
    }
    Ok(())
}

/// An error of a registry, with its exit code and what to do.
pub(crate) fn failure(error: &Error) -> Failure {
    let kind = match error {
        Error::Login { .. } => Kind::Credentials,
        _ => Kind::Plugin,
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Failure::new(kind, anyhow::anyhow!(text))
}

/// The digest that a source is locked with.
pub(crate) fn locked<'a>(entry: Option<&'a LockEntry>, path: &str) -> Result<&'a LockEntry> {
    let none = || {
        let error =
            anyhow::anyhow!("[{path}] is not in the lockfile, so nobody has said what it is");
        Failure::new(Kind::Plugin, error)
            .hint("fetch it and accept it with `ml-intern plugin lock`, or add it anew with `ml-intern plugin add`")
    };
    entry.ok_or_else(none)
}
