//! A program that keeps the host's namespaces, and is held by Landlock and the system call
//! filter alone.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use seccompiler::BpfProgram;

use super::filter::{self, Sockets};
use super::view::{self, Access, View};
use super::{landlock, sys};
use crate::ExecError;

/// Two locks, made before the process that will be held by them.
pub(crate) struct Held {
    ruleset: OwnedFd,
    filters: &'static [BpfProgram],
}

impl Held {
    pub(crate) fn prepare(view: &View) -> Result<Self, ExecError> {
        let exposures = view::exposures(view)?;
        // Other processes cannot be kept out of it; their memory and environment are.
        let mut more = vec![(Path::new("/proc"), Access::Read)];
        if let Some(tmp) = &view.tmp {
            more.push((tmp, Access::Write));
        }
        let ruleset = landlock::for_exposures(&exposures, &more)
            .map_err(|why| ExecError::Isolation(format!("Landlock: {why}")))?;
        let filters = filter::programs(Sockets::PairsOnly)
            .map_err(|why| ExecError::Isolation(format!("the system call filter: {why}")))?;
        Ok(Self { ruleset, filters })
    }

    /// Async-signal-safe; after it nothing but `exec` makes sense.
    pub(crate) fn apply(&self) -> std::io::Result<()> {
        // They open other processes' memory and environment, whatever Landlock says.
        sys::drop_capabilities()?;
        sys::landlock_restrict(self.ruleset.as_fd())?;
        for filter in self.filters {
            seccompiler::apply_filter(filter).map_err(|_| rustix::io::Errno::INVAL)?;
        }
        Ok(())
    }
}
