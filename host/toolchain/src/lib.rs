//! Builds plugins, in every language: writes the folder of a new one, and makes a component of an
//! author's source. It starts compilers and executes no component.
//!
//! Start from [`Language`], [`scaffold`] and [`build`]:
//!
//! ```no_run
//! # async fn example() -> Result<(), ml_intern_toolchain::Error> {
//! use ml_intern_manifest::Kind;
//! use ml_intern_toolchain::{Language, Options, build, scaffold};
//! use std::path::Path;
//!
//! let folder = Path::new("/home/user/word-count");
//! scaffold(folder, "acme/word-count", Language::Rust, Kind::Tool)?;
//! let built = build(folder, &Options::default(), |_| {}).await?;
//! assert_eq!(built.inspected.kinds, [Kind::Tool]);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod bindings;
mod build;
mod c;
mod componentize;
mod error;
mod go;
mod javascript;
mod language;
mod names;
mod python;
mod rust;
mod scaffold;
mod sdk;
mod tools;
mod workshop;
mod world;

pub use build::{Built, build};
pub use componentize::{WIT, componentize, with_manifest};
pub use error::Error;
pub use language::Language;
pub use scaffold::scaffold;
pub use workshop::{Options, Progress};
pub use world::world_text;
