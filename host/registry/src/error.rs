//! Why a plugin is not loaded, by what to do about it.

use std::path::PathBuf;

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
}
