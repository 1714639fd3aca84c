//! Long-running compute that the host owns: one [`Backend`] for each place where jobs run.
//!
//! It knows nothing of plugins, grants, prices already approved, or who asked. Start from
//! [`Spec`], [`Backend`] and [`LocalBackend`], which runs jobs on this machine in processes
//! that outlive the host.

mod backend;
mod error;
mod local;
mod spec;

pub use backend::Backend;
pub use error::JobError;
pub use local::{LocalBackend, LocalOptions, ServeProxy, supervise};
pub use spec::{Container, Flavor, Job, LogLine, Mount, Outbound, Script, Spec, State, Workload};
