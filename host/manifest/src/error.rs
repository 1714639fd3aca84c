//! What can be wrong with a manifest, and what a plugin is told when it asks for too much.

use std::fmt;

/// Where in a text something is wrong. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Everything this crate refuses. The message says what to write instead.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file does not say what it must; `key` is the dotted key, empty for the file as a whole.
    #[error("{position}: {}{message}", key_prefix(key))]
    Document {
        /// Where.
        position: Position,
        /// Dotted key such as `request.http[0].host`.
        key: String,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// A single value is malformed (an id, a digest, a size, a host…).
    #[error("{0}")]
    Value(String),
    /// A configuration value does not fit what the plugin uses it for.
    #[error("[{section}.config] `{key}`: {message}")]
    Config {
        /// Section of the run manifest, for example `providers.openai`.
        section: String,
        /// Configuration key.
        key: String,
        /// What is wrong and what to write instead.
        message: String,
    },
}

impl Error {
    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self::Value(message.into())
    }
}

fn key_prefix(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!("`{key}`: ")
    }
}

/// A call outside the effective grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Denial {
    /// Dotted capability id: `http`, `fs.read`, `fs.write`, `process`, `jobs`.
    pub capability: &'static str,
    /// What was asked for, and the manifest line that would allow it.
    pub detail: String,
}
