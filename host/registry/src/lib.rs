//! Where plugins come from: finds a component, reads what it says of itself, and refuses what
//! cannot be one. Nothing is executed or compiled here.
//!
//! Start from [`Catalog::resolve`] (a source of the run manifest becomes a [`Resolved`] plugin)
//! and [`inspect`] (what a component's bytes say).
//!
//! ```
//! use ml_intern_registry::{Catalog, Error};
//!
//! let catalog = Catalog::new(&[]);
//! let missing = catalog.resolve(&"builtin:files".parse()?);
//! assert!(matches!(missing, Err(Error::NotFound { .. })));
//! # Ok::<(), ml_intern_manifest::Error>(())
//! ```

#![warn(missing_docs)]

mod error;
mod inspect;
mod local;
mod resolve;

pub use error::Error;
pub use inspect::{Inspected, MANIFEST_SECTION, MAX_COMPONENT_BYTES, inspect};
pub use resolve::{Builtin, Catalog, ComponentBytes, Resolved};
