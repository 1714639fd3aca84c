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

mod anatomy;
mod error;
mod foreign;
mod hub;
mod inspect;
mod local;
mod net;
mod oci;
mod package;
mod publish;
mod remote;
mod resolve;
mod signature;
mod store;
mod web;

pub use anatomy::{Anatomy, Part, Producer, Section, anatomy};
pub use error::Error;
pub use hub::Hub;
pub use inspect::{Inspected, MANIFEST_SECTION, MAX_COMPONENT_BYTES, inspect};
pub use local::component_file;
pub use net::{Net, Progress};
pub use oci::{Attached, Image, Layer, Login, Logins, Oci, Pushed, Upload};
pub use publish::{Checkout, PROVENANCE, Published, Release, provenance};
pub use remote::Remote;
pub use resolve::{Builtin, Catalog, ComponentBytes, Resolved};
pub use signature::{MAX_SIGNATURE_BYTES, Signed, key_of, trusted_comment, verify};
pub use store::{Draft, Store};
