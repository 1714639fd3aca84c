//! `plugin prune`: what was fetched and nobody needs.

use super::show;
use crate::compose::{fetch, lock};
use crate::config::Config;
use crate::error::Result;
use crate::ui;
use ml_intern_manifest::Digest;
use std::collections::BTreeSet;
use std::time::SystemTime;

pub(super) fn prune(config: &Config, dry_run: bool) -> Result<u8> {
    let store = fetch::store(config);
    let failed = |error| fetch::failure(&error);
    let mut needed = BTreeSet::<Digest>::new();
    let mut lockfiles = store.lockfiles().map_err(failed)?;
    lockfiles.push(config.lockfile_path());
    for path in &lockfiles {
        // A lockfile that cannot be read may name anything: nothing is deleted then.
        let lockfile = lock::read(path)?;
        needed.extend(lockfile.iter().map(|(_, _, entry)| entry.sha256));
    }
    let mut freed = 0;
    let mut count = 0;
    for (digest, size) in store.list().map_err(failed)? {
        if needed.contains(&digest) {
            continue;
        }
        ui::out(&format!("{digest}  {}", show::bytes(size as usize)));
        if !dry_run {
            store.remove(&digest).map_err(failed)?;
        }
        freed += size;
        count += 1;
    }
    if !dry_run {
        freed += store.remove_leftovers(SystemTime::now()).map_err(failed)?;
    }
    let words = if dry_run { "would be freed" } else { "freed" };
    let plugins = if count == 1 {
        "component"
    } else {
        "components"
    };
    ui::out(&format!(
        "{count} {plugins}, {} {words}",
        show::bytes(freed as usize)
    ));
    Ok(0)
}
