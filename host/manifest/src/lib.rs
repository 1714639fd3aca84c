//! The words and files that the host shares with plugin authors and users: plugin ids and
//! sources, digests, the plugin manifest `plugin.toml`, the run manifest `ml-intern.toml`, the
//! lockfile, and the rules of what a plugin may do.
//!
//! Text goes in, values come out. This crate reads no file, no environment variable and no
//! clock, and knows nothing of components, HTTP clients or the agent.
//!
//! Start from [`PluginManifest`] (what an author asks for), [`RunManifest`] (what a user allows)
//! and [`Effective`] (the intersection of the two, which answers yes or no).
//!
//! ```
//! use std::collections::BTreeMap;
//! use ml_intern_manifest::{Effective, PluginManifest, RunManifest};
//!
//! let plugin = PluginManifest::parse("plugin.toml", r#"
//!     [plugin]
//!     id = "acme/arxiv"
//!     version = "1.2.0"
//!     description = "Search arXiv papers"
//!     license = "Apache-2.0"
//!     abi = "0.1"
//!     [[request.http]]
//!     host = "export.arxiv.org"
//! "#)?;
//! let run = RunManifest::parse("ml-intern.toml", r#"
//!     [plugins.arxiv]
//!     source = "./arxiv.wasm"
//!     grant = { http = [{ host = "export.arxiv.org", paths = ["/api/**"] }] }
//! "#)?;
//! let entry = &run.plugins[0];
//! let grant = entry.grant_for(&plugin.request);
//! let effective = Effective::compute("plugins.arxiv", &plugin.request, &grant, &BTreeMap::new())?;
//! assert!(effective.http.check("GET", "https", "export.arxiv.org", 443, "/api/query").is_ok());
//! assert!(effective.http.check("GET", "https", "example.org", 443, "/api/query").is_err());
//! # Ok::<(), ml_intern_manifest::Error>(())
//! ```

#![warn(missing_docs)]

mod cases;
mod credential_map;
mod digest;
mod document;
mod edit;
mod error;
mod grant;
mod index;
mod limits;
mod lockfile;
mod pattern;
mod plugin_manifest;
mod plugin_ref;
mod run_manifest;
mod size;
mod source;

pub use cases::{
    CallRecording, Case, Cases, Content, ErrorKind, Expect, FileAfter, HttpRecording, JobRecording,
    JobState, Lost, ModelRecording, ProgramRecording, RecordedBody, State, Texts, set_expectation,
};
pub use credential_map::{
    CredentialMap, CredentialOrigin, check_credential_name, remove_credential, set_credential,
};
pub use digest::Digest;
pub use document::suggestion;
pub use edit::{add_entry, remove_entry, set_grant};
pub use error::{Denial, Error, Position};
pub use grant::{
    Access, AgentGrant, AgentRequest, AgentRules, ConfigRequest, CredentialBinding, CredentialKind,
    CredentialRequest, CredentialRule, CredentialUse, Credentials, Effective, FsGrant, FsRequest,
    FsRules, Grant, HttpGrant, HttpRequest, HttpRule, HttpRules, HttpTarget, JobsGrant,
    JobsRequest, JobsRules, NetworkPlace, NetworkRule, NetworkRules, ProcessGrant, ProcessRequest,
    ProcessRules, Request, WORKSPACE_MOUNT, names_secret, toml_string,
};
pub use index::{Index, Listed};
pub use limits::{Limits, RequestedLimits, SESSION_CALLS};
pub use lockfile::{Change, LockEntry, Lockfile};
pub use pattern::{FlavorPattern, HostPattern, Method, PathPattern, Scheme};
pub use plugin_manifest::{Abi, Kind, PluginHeader, PluginManifest, ToolWords};
pub use plugin_ref::{PluginId, printable, shorten};
pub use run_manifest::{
    AgentSection, BudgetSection, Entry, Event, JobBackend, JobsSection, PermissionMode,
    ProgramIsolation, ProgramsSection, RunManifest, Section,
};
pub use size::{Size, format_duration, parse_duration};
pub use source::{HubRef, HubRepo, OciRef, PackageRef, Source, WebRef};
