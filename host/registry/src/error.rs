//! Why a plugin is not loaded, by what to do about it.

use std::path::PathBuf;

use ml_intern_manifest::Digest;

/// Every variant names the plugin's file or source first.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are something else, or damaged: build or copy the component again.
    #[error("{name} {message}")]
    NotAComponent {
        /// File or source.
        name: String,
        /// What it is instead, and what to do.
        message: String,
    },
    /// The component speaks another version of the interfaces, or none of them.
    #[error("{name} {message}")]
    Abi {
        /// File or source.
        name: String,
        /// Both versions, and what to do.
        message: String,
    },
    /// The component does not say, or not clearly, what it asks for.
    #[error("{name} {message}")]
    Manifest {
        /// File or source.
        name: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// The manifest does not parse; its message has the position.
    #[error(transparent)]
    Parse(#[from] ml_intern_manifest::Error),
    /// There is no such plugin.
    #[error("{name} {message}")]
    NotFound {
        /// File or source.
        name: String,
        /// What there is instead.
        message: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of ours is no longer what it was.
    #[error("{} {message}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// What was fetched is something else than what was asked for.
    #[error(
        "what was sent has the SHA-256 {got}, not {wanted}: it was changed on the way or on the server; nothing was kept"
    )]
    Digest {
        /// What was asked for.
        wanted: Digest,
        /// What came.
        got: Digest,
    },
    /// A server refused or does not know the caller.
    #[error("{place}: {message}")]
    Login {
        /// The server.
        place: String,
        /// What to do.
        message: String,
    },
    /// A server could not be used.
    #[error("{place}: {message}")]
    Server {
        /// The server, or an address on it.
        place: String,
        /// What it did.
        message: String,
    },
    /// Something else is where something was to be published.
    #[error(
        "{place} has something else already ({there}); publish another version, or replace it with --replace"
    )]
    Taken {
        /// The place.
        place: String,
        /// What is there.
        there: Digest,
    },
    /// A signature is missing, or not the one that is trusted.
    #[error("{name} {message}")]
    Signature {
        /// The plugin.
        name: String,
        /// What is wrong and what to do.
        message: String,
    },
}
