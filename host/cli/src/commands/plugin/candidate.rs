//! A plugin as its source has it now, before anybody accepted it: found, fetched, and its signature checked.

use super::signer::{self, Signer};
use crate::compose::lock::Origin;
use crate::compose::plugins::resolve;
use crate::compose::{Plugins, fetch};
use crate::error::{Failure, Kind, OrFail, Result};
use ml_intern_manifest::{Digest, LockEntry, Lockfile, PluginId, Section, Source};
use ml_intern_registry::{MAX_SIGNATURE_BYTES, Resolved, component_file};
use std::io::{ErrorKind, Read as _};

pub(super) struct Candidate {
    pub(super) resolved: Resolved,
    pub(super) origin: Origin,
    pub(super) signer: Signer,
    /// Bytes of the component.
    pub(super) size: usize,
}

/// What is known of a plugin beforehand.
#[derive(Clone, Copy, Default)]
pub(super) struct Before<'a> {
    /// What is locked for the entry.
    pub(super) entry: Option<&'a LockEntry>,
    /// The key that the user gave.
    pub(super) key: Option<&'a str>,
}

impl Candidate {
    /// What `source` means now.
    pub(super) async fn find(
        plugins: &Plugins<'_>,
        source: &Source,
        before: Before<'_>,
    ) -> Result<Self> {
        let (resolved, pinned, signature) = match source.is_remote() {
            true => from_elsewhere(plugins, source, before.entry).await?,
            false => (resolve(source)?, None, beside(source)?),
        };
        let bytes = resolved
            .bytes
            .read()
            .map_err(|error| fetch::failure(&error))?;
        let id = &resolved.manifest.plugin.id;
        let pin = pinned_key(&plugins.lockfile, before.entry, id);
        let signer = signer::check(&resolved, &bytes, signature.as_deref(), pin, before.key)
            .map_err(|error| fetch::failure(&error))
            .map_err(|failure| failure.hint(signer::HINT))?;
        if let (Some(text), true) = (&signature, pinned.is_some()) {
            let kept = plugins.store.keep_signature(&resolved.digest, text);
            kept.map_err(|error| fetch::failure(&error))?;
        }
        Ok(Self {
            size: bytes.len(),
            origin: Origin {
                resolved: pinned,
                signed_by: signer.key().map(str::to_owned),
            },
            signer,
            resolved,
        })
    }
}

async fn from_elsewhere(
    plugins: &Plugins<'_>,
    source: &Source,
    old: Option<&LockEntry>,
) -> Result<(Resolved, Option<Source>, Option<String>)> {
    let remote = fetch::remote_for(plugins.config, [source]).await?;
    let pinned = remote
        .pin(source)
        .await
        .map_err(|error| fetch::failure(&error))?;
    // What was looked up before and is here is not fetched again.
    let same = old.filter(|old| old.resolved.as_ref() == Some(&pinned));
    let digest = fetch::fetch(&remote, &pinned, same.map(|old| &old.sha256)).await?;
    let signature = remote.signature(&pinned).await;
    let signature = signature.map_err(|error| fetch::failure(&error))?;
    let resolved = plugins.fetched(source, &digest)?;
    Ok((resolved, Some(pinned), signature))
}

/// The signature beside a file of the user's.
fn beside(source: &Source) -> Result<Option<String>> {
    let Source::Local(path) = source else {
        return Ok(None);
    };
    let component = component_file(path).map_err(|error| fetch::failure(&error))?;
    let path = component.with_extension("wasm.minisig");
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.or_fail(Kind::Usage)?,
    };
    let mut text = String::new();
    let read = file
        .take(MAX_SIGNATURE_BYTES as u64)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    Ok(Some(text))
}

/// The key that the publisher's plugins are signed with: the entry's own, else that of another plugin of the publisher.
fn pinned_key<'a>(
    lockfile: &'a Lockfile,
    entry: Option<&'a LockEntry>,
    id: &PluginId,
) -> Option<&'a str> {
    let own = entry.filter(|entry| entry.id.publisher() == id.publisher());
    let others = lockfile.iter().map(|(_, _, entry)| entry);
    let of_publisher = others.filter(|other| other.id.publisher() == id.publisher());
    own.into_iter()
        .chain(of_publisher)
        .find_map(|entry| entry.signed_by.as_deref())
}

/// The section that a plugin belongs in.
pub(super) fn section(resolved: &Resolved) -> Section {
    match resolved.kinds.first() {
        Some(ml_intern_manifest::Kind::Provider) => Section::Providers,
        Some(ml_intern_manifest::Kind::Notifier) => Section::Notifiers,
        _ => Section::Plugins,
    }
}

/// Enough of a digest to tell two apart on a screen.
pub(super) fn short(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("sha256:{}…", hex.get(..12).unwrap_or(&hex))
}
