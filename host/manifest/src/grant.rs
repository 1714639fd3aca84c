//! What a plugin asks for, what the user allows, and the intersection that decides.
//!
//! [`Request`] is the author's, [`Grant`] the user's. [`Effective`] is computed from both once,
//! at load, and split into one object of rules per capability, so that a capability sees its own
//! rules and no others.

mod agent;
mod change;
mod credential;
mod effective;
mod fs;
mod http;
mod network;
mod process;
mod request;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::pattern::{FlavorPattern, Method, PathPattern, Scheme};

pub use agent::AgentRules;
pub use credential::{CredentialRule, CredentialUse, Credentials};
pub use effective::Effective;
pub use effective::toml_string;
pub use fs::FsRules;
pub use http::{HttpRule, HttpRules};
pub use network::{NetworkPlace, NetworkRule, NetworkRules};
pub use process::{JobsRules, ProcessRules};
pub use request::{
    Access, AgentRequest, ConfigRequest, CredentialBinding, CredentialKind, CredentialRequest,
    FsRequest, HttpRequest, HttpTarget, JobsRequest, ProcessRequest, Request, names_secret,
};
pub(crate) use request::{MAX_USD, is_program, is_tool_name, is_variable, set, usd};

/// The one mount of this version: the session's workspace.
pub const WORKSPACE_MOUNT: &str = "/workspace";

/// What the user allows one plugin. Nothing by default. What a rule leaves out narrows nothing:
/// a host without methods allows the methods that the plugin asks for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Grant {
    /// Places on the network.
    pub http: Vec<HttpGrant>,
    /// Folders.
    pub fs: Vec<FsGrant>,
    /// Native programs.
    pub process: Option<ProcessGrant>,
    /// Remote compute.
    pub jobs: Option<JobsGrant>,
    /// What it may ask of the session.
    pub agent: Option<AgentGrant>,
    /// Names of credentials that the host may add to this plugin's requests.
    pub credentials: Vec<String>,
}

impl Grant {
    /// Exactly what is requested: the grant of builtin plugins whose entry has none.
    pub fn all_of(request: &Request) -> Self {
        Self {
            http: HttpGrant::all_of(&request.http),
            fs: request
                .fs
                .iter()
                .map(|fs| FsGrant {
                    mount: fs.mount.clone(),
                    access: fs.access,
                })
                .collect(),
            // The network of programs and jobs is off until the user names a place.
            process: request.process.as_ref().map(|process| ProcessGrant {
                programs: process.programs.clone(),
                network: Vec::new(),
            }),
            jobs: request.jobs.as_ref().map(|jobs| JobsGrant {
                flavors: jobs.flavors.clone(),
                max_usd: jobs.max_usd,
                network: Vec::new(),
            }),
            agent: request.agent.as_ref().map(AgentGrant::of),
            credentials: request
                .credential
                .iter()
                .map(|credential| credential.name.clone())
                .collect(),
        }
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One place on the network that the user allows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "request::RawHttp")]
pub struct HttpGrant {
    /// Where.
    pub target: HttpTarget,
    /// With which methods; none = those requested.
    pub methods: Option<Vec<Method>>,
    /// Which paths; none = those requested. Below the base path when the target is a base URL.
    pub paths: Option<Vec<PathPattern>>,
    /// Whether the place may be a loopback or private address. For a host: the user named its port
    /// too. For a base URL: its default may be this machine (builtin plugins); one that the user
    /// set may be private in any case.
    pub private_ok: bool,
}

impl HttpGrant {
    /// Each place once, however many requests name it.
    fn all_of(requests: &[HttpRequest]) -> Vec<Self> {
        let mut grants: Vec<Self> = Vec::new();
        for grant in requests.iter().map(Self::of) {
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        grants
    }

    fn of(request: &HttpRequest) -> Self {
        let private_ok = match &request.target {
            HttpTarget::BaseUrl(_) => true,
            HttpTarget::Host { host, .. } => host.is_loopback(),
        };
        Self {
            target: request.target.clone(),
            methods: None,
            paths: None,
            private_ok,
        }
    }
}

impl TryFrom<request::RawHttp> for HttpGrant {
    type Error = String;

    fn try_from(raw: request::RawHttp) -> Result<Self, String> {
        if raw.max_response.is_some() {
            return Err("`max-response` belongs in plugin.toml; remove it here".to_owned());
        }
        // Naming the port as well is how a user says that a private address is meant.
        let private_ok = match (&raw.host, raw.port) {
            (Some(host), Some(_)) => host.is_exact(),
            _ => false,
        };
        let (methods, paths) = (raw.methods.clone(), raw.paths.clone());
        Ok(Self {
            target: raw.target()?,
            methods,
            paths,
            private_ok,
        })
    }
}

/// One folder that the user allows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsGrant {
    /// `/workspace`.
    #[serde(deserialize_with = "request::mount")]
    pub mount: String,
    /// What may be done there.
    pub access: Access,
}

/// The programs that the user allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessGrant {
    /// Names, without folder.
    #[serde(deserialize_with = "request::programs")]
    pub programs: Vec<String>,
    /// What they may reach.
    #[serde(deserialize_with = "network::granted")]
    pub network: Vec<NetworkPlace>,
}

/// The jobs that the user allows.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "RawJobs")]
pub struct JobsGrant {
    /// Flavors.
    pub flavors: Vec<FlavorPattern>,
    /// US dollars over all jobs of a session.
    pub max_usd: f64,
    /// What they may reach.
    pub network: Vec<NetworkPlace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawJobs {
    #[serde(default, deserialize_with = "request::flavors")]
    flavors: Vec<FlavorPattern>,
    #[serde(default, deserialize_with = "request::optional_usd")]
    max_usd: Option<f64>,
    #[serde(default, deserialize_with = "network::granted")]
    network: Vec<NetworkPlace>,
}

impl TryFrom<RawJobs> for JobsGrant {
    type Error = String;

    fn try_from(raw: RawJobs) -> Result<Self, String> {
        match (raw.flavors.is_empty(), raw.max_usd) {
            (false, None) => Err("the key `max-usd` is missing; write US dollars".to_owned()),
            (true, Some(_)) => Err("the key `flavors` is missing; write a list".to_owned()),
            (_, usd) => Ok(Self {
                flavors: raw.flavors,
                max_usd: usd.unwrap_or(0.0),
                network: raw.network,
            }),
        }
    }
}

/// What the user lets a plugin ask of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentGrant {
    /// Whether it may ask the session's model, alone or through an agent of its own.
    pub complete: bool,
    /// Tools of the session that it may call.
    #[serde(deserialize_with = "request::tools")]
    pub tools: Vec<String>,
}

impl ProcessGrant {
    fn add(&mut self, more: Self) {
        change::extend(&mut self.programs, more.programs);
        change::extend(&mut self.network, more.network);
    }

    fn take(&mut self, less: &Self) {
        self.programs
            .retain(|program| !less.programs.contains(program));
        self.network.retain(|place| !less.network.contains(place));
    }
}

impl JobsGrant {
    fn add(&mut self, more: Self) {
        change::extend(&mut self.flavors, more.flavors);
        self.max_usd = self.max_usd.max(more.max_usd);
        change::extend(&mut self.network, more.network);
    }

    fn take(&mut self, less: &Self) {
        self.flavors.retain(|flavor| !less.flavors.contains(flavor));
        self.network.retain(|place| !less.network.contains(place));
    }
}

impl AgentGrant {
    pub(crate) fn of(request: &AgentRequest) -> Self {
        Self {
            complete: request.complete,
            tools: request.tools.clone(),
        }
    }
}

impl Grant {
    /// The grant as the lines of its TOML table, in the order of the fields.
    pub(crate) fn toml_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let tables = |key: &str, tables: Vec<String>| format!("{key} = [{}]", tables.join(", "));
        if !self.http.is_empty() {
            lines.push(tables(
                "http",
                self.http.iter().map(HttpGrant::toml).collect(),
            ));
        }
        if !self.fs.is_empty() {
            let table = |fs: &FsGrant| {
                format!(
                    "{{ mount = {}, access = \"{}\" }}",
                    toml_string(&fs.mount),
                    fs.access.as_str()
                )
            };
            lines.push(tables("fs", self.fs.iter().map(table).collect()));
        }
        if let Some(process) = &self.process {
            let mut keys = Vec::new();
            if !process.programs.is_empty() {
                keys.push(format!("programs = {}", toml_list(&process.programs)));
            }
            keys.extend(network_key(&process.network));
            lines.push(format!("process = {{ {} }}", keys.join(", ")));
        }
        if let Some(jobs) = &self.jobs {
            let mut keys = Vec::new();
            if !jobs.flavors.is_empty() {
                let flavors = toml_list(jobs.flavors.iter().map(FlavorPattern::as_str));
                keys.push(format!("flavors = {flavors}"));
                keys.push(format!("max-usd = {}", jobs.max_usd));
            }
            keys.extend(network_key(&jobs.network));
            lines.push(format!("jobs = {{ {} }}", keys.join(", ")));
        }
        if let Some(agent) = &self.agent {
            let mut keys = Vec::new();
            if agent.complete {
                keys.push("complete = true".to_owned());
            }
            if !agent.tools.is_empty() {
                keys.push(format!("tools = {}", toml_list(&agent.tools)));
            }
            lines.push(format!("agent = {{ {} }}", keys.join(", ")));
        }
        if !self.credentials.is_empty() {
            lines.push(format!("credentials = {}", toml_list(&self.credentials)));
        }
        lines
    }
}

impl HttpGrant {
    /// A place is written with its port when it may be private, because that is what says so.
    fn toml(&self) -> String {
        let mut keys = match &self.target {
            HttpTarget::BaseUrl(key) => vec![format!("base-url = {}", toml_string(key))],
            HttpTarget::Host { host, scheme, port } => {
                let mut keys = vec![format!("host = \"{host}\"")];
                if *scheme != Scheme::Https {
                    keys.push(format!("scheme = \"{scheme}\""));
                }
                if *port != scheme.default_port() || self.private_ok {
                    keys.push(format!("port = {port}"));
                }
                keys
            }
        };
        keys.extend(self.methods.iter().map(|methods| {
            format!(
                "methods = {}",
                toml_list(methods.iter().map(|method| method.as_str()))
            )
        }));
        keys.extend(self.paths.iter().map(|paths| {
            format!(
                "paths = {}",
                toml_list(paths.iter().map(PathPattern::as_str))
            )
        }));
        format!("{{ {} }}", keys.join(", "))
    }
}

fn network_key(places: &[NetworkPlace]) -> Option<String> {
    let places = places.iter().map(ToString::to_string);
    (places.len() > 0).then(|| format!("network = {}", toml_list(places)))
}

fn toml_list(items: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let items: Vec<String> = items
        .into_iter()
        .map(|item| toml_string(item.as_ref()))
        .collect();
    format!("[{}]", items.join(", "))
}
