//! Why a file operation is not done, and how the guest, the model and the user hear of it.

use std::io;

use ml_intern_manifest::{Denial, shorten};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::quota::Spent;

/// Why an operation is not done.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The system's own answer: nobody refused anything.
    Io(io::Error),
    /// A limit of the plugin is used up.
    Spent(Spent),
    /// The host will not.
    Denied(Why),
}

/// What the host does not do whatever the grant says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// A path, or a link on it, leads out of the mount.
    Outside,
    /// A link that would lead out of the mount, with its target.
    LinkOut(String),
    /// The folder was moved out of the mount while it was open.
    Moved,
    /// A FIFO, a device or a socket.
    Special,
    /// A file that only the user changes.
    Protected,
    /// A file with this many names, one of which may lie outside of the mount.
    Shared(u64),
    /// A file that was opened for reading only.
    OpenedToRead,
}

impl Why {
    /// In words; `path` is a guest's text.
    pub(super) fn denial(&self, capability: &'static str, path: &str) -> Denial {
        let path = shorten(path);
        let detail = match self {
            Self::Outside => format!(
                "`{path}` leads out of /workspace, and a plugin reaches nothing else; copy what it needs \
                 into the workspace, or start `ml-intern -C FOLDER` with a folder that holds both"
            ),
            Self::LinkOut(target) => format!(
                "the link `{path}` to `{}` would lead out of /workspace; link to a relative path whose \
                 `..` come first and stay below it",
                shorten(target)
            ),
            Self::Moved => format!(
                "the folder of `{path}` was moved out of /workspace while it was open; nothing is changed there"
            ),
            Self::Special => format!(
                "`{path}` is a FIFO, a device or a socket, and plugins open regular files and folders only; \
                 replace it by a regular file"
            ),
            Self::Protected => format!(
                "`{path}` is yours to change and no plugin's: the manifest, the lockfile and `.ml-intern/` decide \
                 what plugins may do; edit it yourself, or use `ml-intern plugin add`, `remove` and `lock`"
            ),
            Self::Shared(names) => format!(
                "`{path}` is one file with {names} names, of which another may lie outside of /workspace; \
                 write a new file and rename it to `{path}`"
            ),
            Self::OpenedToRead => {
                format!("`{path}` was opened for reading; open it for writing to change its times")
            }
        };
        Denial { capability, detail }
    }
}

impl Refused {
    /// What the guest gets for it.
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Io(error) => error.into(),
            Self::Spent(_) => ErrorCode::Quota,
            Self::Denied(_) => ErrorCode::NotPermitted,
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for Refused {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<Why> for Refused {
    fn from(why: Why) -> Self {
        Self::Denied(why)
    }
}

impl From<Spent> for Refused {
    fn from(spent: Spent) -> Self {
        Self::Spent(spent)
    }
}
