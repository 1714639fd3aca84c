//! Write `ml-intern` plugins in Rust.
//!
//! A plugin is one WASI 0.2 component built for `wasm32-wasip2`. This crate hides the binding
//! boilerplate and nothing else: it knows no tool, no provider and no policy, and whatever it
//! does not cover is reachable through [`bindings`] (the `wit/` interfaces) and `wasip2`.
//!
//! Start from [`Tool`], [`Descriptor`] and [`Output`]; [`Provider`] and [`Notifier`] have the
//! same shape. Anything that a plugin asks of the world goes through WASI or through [`config`],
//! [`keyvalue`], [`http`], [`jobs`], [`process`], [`agent`], [`credential`] and [`log`], and is refused unless the
//! plugin's manifest requests it and the user granted it.
//!
//! ```
//! use ml_intern_plugin::{Context, Descriptor, Error, Output, Tool, arguments};
//! use serde_json::json;
//!
//! struct Dice;
//!
//! #[derive(serde::Deserialize)]
//! struct Roll {
//!     sides: u32,
//! }
//!
//! impl Tool for Dice {
//!     fn describe() -> Result<Vec<Descriptor>, Error> {
//!         let schema = json!({
//!             "type": "object",
//!             "properties": { "sides": { "type": "integer", "minimum": 1, "maximum": 100 } },
//!             "required": ["sides"],
//!             "additionalProperties": false
//!         });
//!         Ok(vec![Descriptor::new("roll", "Rolls one die.", &schema).read_only()])
//!     }
//!
//!     fn call(name: String, raw: String, context: Context) -> Result<Output, Error> {
//!         match name.as_str() {
//!             "roll" => {
//!                 let roll: Roll = arguments(&raw)?;
//!                 Ok(Output::text(format!("{}", context.deadline_ms % roll.sides + 1)))
//!             }
//!             _ => Err(Error::unknown_tool(&name)),
//!         }
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! followed, at the crate's root, by `ml_intern_plugin::export_tool!(Dice);`. The macro also embeds
//! the crate's `plugin.toml`, and does nothing on targets other than wasm: a plugin's own tests
//! run natively with `cargo test`. Host functions panic there, so keep logic apart from them.
//!
//! Do not print: standard output and error belong to nobody in a component. Use [`log`].

extern crate self as ml_intern_plugin;

pub mod bindings;
pub mod config;
mod error;
mod export;
pub mod http;
pub mod keyvalue;
pub mod log;
pub mod provider;
mod tool;

pub use bindings::notifier::exports::ml_intern::plugin::notifier::{
    Guest as Notifier, Notice, Receipt, Severity,
};
pub use bindings::provider::exports::ml_intern::plugin::provider::{
    Guest as Provider, Listing, LongPrice, Model, Price, Request, Response,
};
pub use bindings::provider::ml_intern::plugin::{chat, sink};
pub use bindings::tool::exports::ml_intern::plugin::tool::{
    Content, Context, Descriptor, Effects, Guest as Tool, Operation, Output,
};
pub use bindings::tool::ml_intern::plugin::types::{Blob, Control, Denial, Error, Upstream};
pub use bindings::tool::ml_intern::plugin::{agent, credential, jobs, process};
pub use tool::arguments;

#[doc(hidden)]
pub use wit_bindgen::rt as __wit_bindgen_rt;
