//! The second lock: which files a program may open, held by Landlock.

use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use super::sys;
use super::view::{Access, Exposure};

/// The newest version whose every right is decided about below.
const KNOWN: i32 = 7;

/// The first version that watches files being shortened; without that a program can empty any
/// file of the user.
pub(super) const WITH_TRUNCATION: i32 = 3;
/// The first version that keeps signals and abstract sockets inside.
pub(super) const WITH_SCOPES: i32 = 6;

/// The version of this kernel that is made use of; 0 without Landlock.
pub(super) fn version() -> i32 {
    sys::landlock_version().unwrap_or(0).min(KNOWN)
}

fn abi() -> ABI {
    ABI::from(version())
}

/// What is allowed below a folder (`folder`) or on a file.
pub(super) fn rights(access: Access, folder: bool) -> u64 {
    let abi = abi();
    let read = AccessFs::from_read(abi);
    let rights: BitFlags<AccessFs> = match access {
        Access::Read => read,
        // Nodes of devices could only be made by somebody with a capability; sending commands to
        // one is for those that are shown.
        Access::Write => {
            AccessFs::from_all(abi)
                & !(AccessFs::MakeChar | AccessFs::MakeBlock)
                & !BitFlags::from(AccessFs::IoctlDev)
        }
        Access::Device => {
            let device = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
            device & AccessFs::from_all(abi)
        }
    };
    let possible = if folder {
        AccessFs::from_all(abi)
    } else {
        AccessFs::from_file(abi)
    };
    (rights & possible).bits()
}

/// A set without rules: everything is refused, and signals and abstract sockets stay inside.
/// None where the kernel has no Landlock.
pub(super) fn empty() -> Result<Option<RulesetCreated>, String> {
    let known = ABI::from(KNOWN);
    let ruleset = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(known))?
            .scope(Scope::from_all(known))?
            .create()
    };
    if version() == 0 {
        return Ok(None);
    }
    ruleset().map(Some).map_err(|error| error.to_string())
}

/// The set for a program that keeps the host's mounts.
pub(super) fn for_exposures(
    exposures: &[Exposure],
    more: &[(&Path, Access)],
) -> Result<OwnedFd, String> {
    let mut set = empty()?.ok_or("this kernel has no Landlock")?;
    let listed = exposures.iter().map(|one| (&*one.path, one.access));
    for (path, access) in listed.chain(more.iter().copied()) {
        set = add(set, path, access).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Option::<OwnedFd>::from(set).ok_or_else(|| "this kernel has no Landlock".to_owned())
}

fn add(set: RulesetCreated, path: &Path, access: Access) -> Result<RulesetCreated, String> {
    let file = PathFd::new(path).map_err(|error| error.to_string())?;
    let rights = BitFlags::from_bits_truncate(rights(access, path.is_dir()));
    set.add_rule(PathBeneath::new(file, rights))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_less_than_writing_and_a_file_less_than_a_folder() {
        if version() == 0 {
            return;
        }
        let (read, write) = (rights(Access::Read, true), rights(Access::Write, true));
        assert_eq!(read & write, read);
        assert_ne!(read, write);
        let file = rights(Access::Write, false);
        assert_eq!(file & write, file);
        assert_ne!(file, write);
    }
}
