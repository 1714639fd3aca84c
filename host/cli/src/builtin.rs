//! The first-party plugins, embedded by the build script.

use ml_intern_registry::Builtin;

/// Sorted by name.
pub(crate) static BUILTINS: &[Builtin] = include!(concat!(env!("OUT_DIR"), "/builtins.rs"));
