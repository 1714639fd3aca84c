//! Runs plugins: compiles components, keeps them compiled, gives each call a fresh instance with
//! exactly the capabilities of its grant, and ends what goes beyond its limits.
//!
//! It knows no messages, turns, prompts or model names, reads no environment and fetches nothing.
//! Start from [`Runtime`] (one per process), [`Plugin`] (a component with its grant and settings)
//! and [`CallError`] (the three ways in which a call can fail).
//!
//! ```no_run
//! # async fn example(bytes: Vec<u8>, setup: ml_intern_runtime::Setup) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use ml_intern_runtime::{CallContext, CancellationToken, ComponentSource, Runtime, RuntimeConfig, Unobserved};
//!
//! let runtime = Runtime::new(RuntimeConfig::new("cache".into(), "state/cache-key".into()))?;
//! let plugin = runtime.plugin(ComponentSource::from_bytes("acme/arxiv", "1.2.0", bytes), setup);
//! let context = CallContext { session: "s1".into(), call: "c1".into(), ..CallContext::default() };
//! let output = plugin.call_tool("search", "{}", context, Arc::new(Unobserved), &CancellationToken::new()).await?;
//! println!("{:?}", output.content);
//! # Ok(()) }
//! ```

#![warn(missing_docs)]

mod abi;
pub mod bindings;
mod cache;
mod call;
mod capability;
mod compile;
mod describe;
mod effects;
mod egress;
mod engine;
mod fault;
mod kv;
mod load;
mod meter;
mod outcome;
mod plugin;
mod policy;
mod runtime;
mod services;
mod state;

pub use abi::foreign::Hidden;
pub use bindings::notifier::exports::ml_intern::plugin::notifier;
pub use bindings::provider::exports::ml_intern::plugin::provider;
pub use bindings::provider::ml_intern::plugin::{chat, sink};
pub use bindings::tool::exports::ml_intern::plugin::tool;
pub use bindings::tool::ml_intern::plugin::{agent, jobs, log, process, types};
pub use call::{
    AuditRecord, CallContext, LogLine, Observer, Sink, Stream, Touch, Unobserved, Used, Verdict,
};
pub use capability::fs::{KeepsOriginals, Original, Written, read_below, restore_below};
pub use capability::keyvalue::{Contents, KeyValue};
pub use compile::compile_for_parent;
pub use describe::description_digest;
pub use effects::{
    Answer, Clock, Effect, EffectScripts, End, HttpFailure, Kind, MAX_BODY, MAX_CALL, MAX_READINGS,
    RandomSource, RequestMade,
};
pub use egress::credential::{AwsKeys, Credential, CredentialValue};
pub use egress::explain_request;
#[doc(hidden)]
pub use egress::probe::Probe;
pub use egress::proxy::{Gate, Proxy};
pub use egress::recordings::{Expected, Lost, Recorded, Recording, Recordings, Stray};
pub use egress::resolve::{Resolve, SystemResolver};
pub use egress::secret::Secret;
pub use fault::{CallError, Error, Fault, FaultCause, GuestError, MAX_DENIALS};
pub use load::ComponentSource;
pub use meter::{CallClock, Paused};
pub use plugin::{Plugin, Setup};
pub use policy::Policy;
pub use runtime::{Report, Runtime, RuntimeConfig};
pub use services::{Caller, Effects, Jobs, Processes, RecordsEffects, Services, SessionHost};
pub use tokio_util::sync::CancellationToken;
