//! `logout`: removes what is kept, and what is known of where it is.

use crate::args::LogoutArgs;
use crate::credentials::{KeyStore, Sources, edit, refused};
use crate::error::{Kind, OrFail, Result};
use crate::paths::Paths;
use crate::ui;
use ml_intern_manifest::{CredentialOrigin, check_credential_name, remove_credential};
use std::collections::BTreeSet;

pub(crate) async fn logout(arguments: LogoutArgs) -> Result<u8> {
    let paths = Paths::from_environment()?;
    let sources = Sources::open(&paths)?;
    let names = match &arguments.name {
        Some(name) => {
            check_credential_name(name).or_fail(Kind::Usage)?;
            BTreeSet::from([name.clone()])
        }
        None => everything(&sources)?,
    };
    if names.is_empty() {
        ui::err("there is nothing to remove");
    }
    for name in &names {
        // The value first: a place that is forgotten while something is left in it would be found by nobody.
        let kept = remove_value(&sources, name).await?;
        let mut known = false;
        edit(&paths.credential_map(), |file, text| {
            let (text, removed) = remove_credential(file, text, name).or_fail(Kind::Usage)?;
            known = removed;
            Ok(removed.then_some(text))
        })?;
        ui::out(&format!(
            "{name}: {}",
            match (kept, known) {
                (true, _) => "removed",
                (false, true) => "forgotten where it is",
                (false, false) => "nothing was kept; `ml-intern status` shows where it comes from",
            }
        ));
    }
    Ok(0)
}

fn everything(sources: &Sources) -> Result<BTreeSet<String>> {
    let files = sources
        .own
        .names()
        .map_err(|unsafe_file| refused("*", unsafe_file))?;
    let mapped = sources.map.iter().map(|(name, _)| name.to_owned());
    Ok(mapped.chain(files).collect())
}

/// Whether there was one.
async fn remove_value(sources: &Sources, name: &str) -> Result<bool> {
    let mut removed = sources
        .own
        .remove(name)
        .map_err(|unsafe_file| refused(name, unsafe_file))?;
    if sources.map.get(name) == Some(&CredentialOrigin::KeyStore) {
        let in_store = match KeyStore::open().await {
            Ok(store) => store.remove(name).await,
            Err(unavailable) => Err(unavailable),
        };
        removed |= in_store.map_err(|unavailable| unavailable.for_credential(name))?;
    }
    Ok(removed)
}
