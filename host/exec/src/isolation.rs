//! What the operating system keeps away from a program.
//!
//! The strongest level builds a small world for each program, with nothing but what the kernel
//! offers to every user: a tree of files that holds the system, the workspace and what the user
//! added; a process namespace whose end is the end of all that is in it; a network with nobody
//! in it; no capabilities; and two filters, for files and for system calls, behind that.

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod contain;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod held;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod layout;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod placeholder;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod room;
#[cfg(target_os = "linux")]
mod sys;
mod toolchain;
mod view;
#[cfg(target_os = "linux")]
mod wire;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Network, Room};

#[cfg(target_os = "linux")]
pub(crate) use contain::{Contained, Inside, Native};
#[cfg(target_os = "linux")]
pub(crate) use held::Held;
#[cfg(target_os = "linux")]
pub use room::{Network, Room};
pub use toolchain::toolchains;
pub use view::View;

/// How a program is kept from the rest of the machine, beyond its environment and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Isolation {
    /// The program has the rights of the user who runs the host.
    #[default]
    None,
    /// Files by Landlock, no sockets but connected pairs, and a filter for system calls. The
    /// program sees which other processes there are; files within the workspace are all alike,
    /// the protected ones too; there is no network at all.
    Landlock,
    /// Namespaces for users, mounts, processes, the network, IPC and the host's name; a filter
    /// for system calls; and Landlock where the kernel has it.
    Full,
}

impl Isolation {
    /// The word in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Landlock => "landlock",
            Self::Full => "full",
        }
    }
}

impl std::str::FromStr for Isolation {
    type Err = crate::ExecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::None, Self::Landlock, Self::Full]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| {
                crate::ExecError::InvalidInput(format!(
                    "the isolation is `none`, `landlock` or `full`, not `{text}`"
                ))
            })
    }
}

/// Removes the empty folders that a host which was killed left at protected paths: they keep the places free while a
/// program runs. Those of hosts that live stay.
pub fn free_places(protected: &[std::path::PathBuf]) {
    #[cfg(target_os = "linux")]
    placeholder::clear(protected);
    #[cfg(not(target_os = "linux"))]
    let _nothing_is_kept_free_here = protected;
}

/// What this machine can do, as a trial showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// The strongest level.
    pub level: Isolation,
    /// What the level lacks or what a stronger one would need, each with its remedy.
    pub missing: Vec<String>,
    /// Whether the memory and the number of processes of a whole tree are bounded by the kernel.
    pub groups: bool,
}

impl Support {
    /// Tries, once in the life of this process.
    pub async fn of_this_machine() -> &'static Self {
        static FOUND: tokio::sync::OnceCell<Support> = tokio::sync::OnceCell::const_new();
        FOUND.get_or_init(Self::find).await
    }

    #[cfg(target_os = "linux")]
    async fn find() -> Self {
        probe::find().await
    }

    #[cfg(not(target_os = "linux"))]
    async fn find() -> Self {
        Self {
            level: Isolation::None,
            missing: vec![
                "programs are isolated on Linux only; run the host in a virtual machine with Linux"
                    .to_owned(),
            ],
            groups: false,
        }
    }
}
