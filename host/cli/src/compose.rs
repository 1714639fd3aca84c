//! Builds the object graph. No branches on plugin names.

pub(crate) mod dev;
pub(crate) mod fetch;
pub(crate) mod lock;
pub(crate) mod plugins;
pub(crate) mod prompt;
pub(crate) mod undo;
pub(crate) mod watch;
pub(crate) mod words;
pub(crate) mod workbench;

pub(crate) use plugins::{Loaded, Plugins};
pub(crate) use workbench::Workbench;
