//! Which folders one plugin sees.

use crate::error::Denial;
use crate::grant::effective::Held;
use crate::grant::request::Access;
use crate::grant::{Grant, Request, WORKSPACE_MOUNT};
use crate::plugin_ref::shorten;

/// The folders in force for one plugin.
#[derive(Debug, Clone)]
pub struct FsRules {
    workspace: Option<Access>,
    requested: Option<Access>,
    held: Held,
}

impl FsRules {
    pub(super) fn compute(request: &Request, grant: &Grant, held: Held) -> Self {
        let requested = request.fs.iter().map(|fs| fs.access).max();
        let granted = grant.fs.iter().map(|fs| fs.access).max();
        Self {
            workspace: requested
                .zip(granted)
                .map(|(requested, granted)| requested.min(granted)),
            requested,
            held,
        }
    }

    /// What may be done below `mount`; none = it is not there.
    pub fn access(&self, mount: &str) -> Option<Access> {
        let access = self.workspace.filter(|_| mount == WORKSPACE_MOUNT)?;
        Some(if self.held.read_only {
            Access::Read
        } else {
            access
        })
    }

    /// Whether `mount` may be read or, with `write`, changed.
    pub fn allows(&self, mount: &str, write: bool) -> bool {
        self.access(mount)
            .is_some_and(|access| access >= needed(write))
    }

    /// Whether `mount` may be read or, with `write`, changed; and why not.
    ///
    /// # Errors
    /// A denial with the line that would allow it.
    pub fn check(&self, mount: &str, write: bool) -> Result<(), Denial> {
        if self.allows(mount, write) {
            return Ok(());
        }
        Err(self.denial(mount, write, ""))
    }

    /// The same for one file of the mount, which a denial then names. `path` is a guest's text.
    ///
    /// # Errors
    /// A denial with the line that would allow it.
    pub fn check_path(&self, mount: &str, write: bool, path: &str) -> Result<(), Denial> {
        if self.allows(mount, write) {
            return Ok(());
        }
        Err(self.denial(mount, write, &format!(" (`{}`)", shorten(path))))
    }

    fn denial(&self, mount: &str, write: bool, which: &str) -> Denial {
        let (capability, verb) = if write {
            ("fs.write", "writing")
        } else {
            ("fs.read", "reading")
        };
        let needed = needed(write);
        let asked = format!("{verb} below {}{which}", shorten(mount));
        if mount == WORKSPACE_MOUNT && self.workspace.is_some_and(|access| access >= needed) {
            return self.held.denial(capability, &asked);
        }
        let rule = format!(
            "fs = [{{ mount = \"{WORKSPACE_MOUNT}\", access = \"{}\" }}]",
            needed.as_str()
        );
        let detail = if mount != WORKSPACE_MOUNT {
            format!("{asked} cannot be granted; the only mount is `{WORKSPACE_MOUNT}`")
        } else if self.requested.is_some_and(|access| access >= needed) {
            format!(
                "{asked} is not granted; allow it in ml-intern.toml with: {}",
                self.held.grant_line(&rule)
            )
        } else {
            format!(
                "{asked} is not among what the plugin asks for; its author can ask in plugin.toml with: request.{rule}"
            )
        };
        Denial { capability, detail }
    }

    pub(super) fn hold_read_only(&mut self) {
        self.held.read_only = true;
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let workspace = self.workspace.zip(other.workspace);
        Self {
            workspace: workspace.map(|(own, other)| own.min(other)),
            ..self.clone()
        }
    }

    /// What is allowed, in words; none when no folder is.
    pub fn describe(&self) -> Option<String> {
        Some(match self.access(WORKSPACE_MOUNT)? {
            Access::Read => "reads files below the workspace".to_owned(),
            Access::ReadWrite => "reads and writes files below the workspace".to_owned(),
        })
    }
}

fn needed(write: bool) -> Access {
    if write {
        Access::ReadWrite
    } else {
        Access::Read
    }
}
