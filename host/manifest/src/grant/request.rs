//! The `request` tables of a plugin manifest.

mod credential;
mod read;

use serde::Deserialize;

use super::NetworkPlace;
use crate::pattern::{FlavorPattern, HostPattern, Method, PathPattern, Scheme};
use crate::size::Size;

pub use credential::{CredentialBinding, CredentialKind, CredentialRequest};
pub use read::names_secret;
pub(crate) use read::{
    MAX_USD, few, flavors, is_program, is_tool_name, is_variable, mount, optional_usd, programs,
    set, tools, usd,
};

/// Everything that a plugin asks for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "RawRequest")]
pub struct Request {
    /// Places on the network.
    pub http: Vec<HttpRequest>,
    /// Credentials that the host adds to requests; the plugin never sees their values.
    pub credential: Vec<CredentialRequest>,
    /// Values the user may set, which the plugin reads.
    pub config: Vec<ConfigRequest>,
    /// Folders.
    pub fs: Vec<FsRequest>,
    /// Native programs.
    pub process: Option<ProcessRequest>,
    /// Remote compute.
    pub jobs: Option<JobsRequest>,
    /// The session's model and tools.
    pub agent: Option<AgentRequest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    #[serde(default, deserialize_with = "read::few")]
    http: Vec<HttpRequest>,
    #[serde(default, deserialize_with = "read::few")]
    credential: Vec<CredentialRequest>,
    #[serde(default, deserialize_with = "read::few")]
    config: Vec<ConfigRequest>,
    #[serde(default, deserialize_with = "read::few")]
    fs: Vec<FsRequest>,
    process: Option<ProcessRequest>,
    jobs: Option<JobsRequest>,
    agent: Option<AgentRequest>,
}

impl TryFrom<RawRequest> for Request {
    type Error = String;

    /// Checks what one table cannot see alone: names used twice, and base URLs and regions that name
    /// a key which does not exist.
    fn try_from(raw: RawRequest) -> Result<Self, String> {
        read::distinct(
            "credential",
            raw.credential.iter().map(|credential| &credential.name),
        )?;
        read::distinct("config key", raw.config.iter().map(|config| &config.key))?;
        read::distinct("mount", raw.fs.iter().map(|fs| &fs.mount))?;
        named_keys(&raw)?;
        if let Some(index) =
            (1..raw.http.len()).find(|index| raw.http[..*index].contains(&raw.http[*index]))
        {
            return Err(format!(
                "request.http[{index}] is written twice; remove one"
            ));
        }
        Ok(Self {
            http: raw.http,
            credential: raw.credential,
            config: raw.config,
            fs: raw.fs,
            process: raw.process,
            jobs: raw.jobs,
            agent: raw.agent,
        })
    }
}

/// Configuration keys that base URLs and regions name are declared, and none is both.
fn named_keys(raw: &RawRequest) -> Result<(), String> {
    let places = raw.http.iter().filter_map(|rule| rule.target.base_url());
    let bound = raw.credential.iter();
    let bound = bound.filter_map(|one| one.binding.base_url());
    let base_urls = places.chain(bound).collect::<Vec<_>>();
    let regions = raw.credential.iter().filter_map(|one| one.kind.region());
    let regions = regions.collect::<Vec<_>>();
    let named = base_urls.iter().map(|key| ("base-url", *key));
    let mut named = named.chain(regions.iter().map(|key| ("region", *key)));
    let unknown = |(_, key): &(&str, &str)| raw.config.iter().all(|config| config.key != *key);
    if let Some((what, key)) = named.find(unknown) {
        return Err(format!(
            "`{what}` names the configuration key `{key}`, which is not declared; add [[request.config]] key = \"{key}\""
        ));
    }
    match regions.iter().find(|key| base_urls.contains(key)) {
        Some(key) => Err(format!(
            "the configuration key `{key}` is both a base URL and a region; declare one for each"
        )),
        None => Ok(()),
    }
}

/// One place on the network that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawHttp")]
pub struct HttpRequest {
    /// Where.
    pub target: HttpTarget,
    /// With which methods; GET and HEAD unless said otherwise.
    pub methods: Vec<Method>,
    /// Which paths; all unless said otherwise. Below the base path when the target is a base URL.
    pub paths: Vec<PathPattern>,
    /// Largest response body, in bytes after decompression.
    pub max_response: Size,
}

/// The place that a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpTarget {
    /// Hosts, with one scheme and port.
    Host {
        /// Which hosts.
        host: HostPattern,
        /// `https` unless said otherwise.
        scheme: Scheme,
        /// The scheme's own port unless said otherwise.
        port: u16,
    },
    /// The configuration key whose value is a URL: scheme, host, port and path prefix come from it.
    BaseUrl(String),
}

impl HttpTarget {
    /// The configuration key, when the place comes from one.
    pub fn base_url(&self) -> Option<&str> {
        match self {
            Self::BaseUrl(key) => Some(key),
            Self::Host { .. } => None,
        }
    }
}

/// Both a request and a grant, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawHttp {
    pub(crate) host: Option<HostPattern>,
    #[serde(default, deserialize_with = "read::optional_key")]
    base_url: Option<String>,
    scheme: Option<Scheme>,
    #[serde(default, deserialize_with = "read::port")]
    pub(crate) port: Option<u16>,
    #[serde(default, deserialize_with = "read::set")]
    pub(crate) methods: Option<Vec<Method>>,
    #[serde(default, deserialize_with = "read::set")]
    pub(crate) paths: Option<Vec<PathPattern>>,
    #[serde(default, deserialize_with = "read::max_response")]
    pub(crate) max_response: Option<Size>,
}

impl RawHttp {
    pub(crate) fn target(self) -> Result<HttpTarget, String> {
        match (self.host, self.base_url) {
            (Some(host), None) => {
                let scheme = self.scheme.unwrap_or(Scheme::Https);
                Ok(HttpTarget::Host {
                    host,
                    scheme,
                    port: self.port.unwrap_or(scheme.default_port()),
                })
            }
            (None, Some(key)) if self.scheme.is_none() && self.port.is_none() => {
                Ok(HttpTarget::BaseUrl(key))
            }
            (None, Some(_)) => {
                Err("`scheme` and `port` come from the base URL; remove them".to_owned())
            }
            (Some(_), Some(_)) => Err("`host` and `base-url` are both given; keep one".to_owned()),
            (None, None) => Err("the key `host` is missing; write `host` or `base-url`".to_owned()),
        }
    }
}

impl TryFrom<RawHttp> for HttpRequest {
    type Error = String;

    fn try_from(raw: RawHttp) -> Result<Self, String> {
        let methods = raw
            .methods
            .clone()
            .unwrap_or_else(|| vec![Method::Get, Method::Head]);
        let paths = raw
            .paths
            .clone()
            .unwrap_or_else(|| vec![PathPattern::any()]);
        let max_response = raw.max_response.unwrap_or(Size(8 << 20));
        Ok(Self {
            target: raw.target()?,
            methods,
            paths,
            max_response,
        })
    }
}

/// A value that the user may set and the plugin may read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRequest {
    /// The key.
    #[serde(deserialize_with = "read::name")]
    pub key: String,
    /// One line that says what it is for.
    #[serde(default, deserialize_with = "read::optional_line")]
    pub description: Option<String>,
    /// Environment variables that set it, first match wins; at most 8. In TOML a string or a list.
    /// One that is named like a secret is refused, because the plugin reads the value.
    #[serde(default, deserialize_with = "read::public_variables")]
    pub env: Vec<String>,
    /// The value when nothing sets it.
    #[serde(default)]
    pub default: Option<String>,
}

/// A folder that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsRequest {
    /// `/workspace`.
    #[serde(deserialize_with = "read::mount")]
    pub mount: String,
    /// What it does there.
    pub access: Access,
}

/// What may be done in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read and list.
    Read,
    /// Also create, change and delete.
    ReadWrite,
}

impl Access {
    /// The word in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        }
    }
}

/// The programs that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRequest {
    /// Names, without folder.
    #[serde(deserialize_with = "read::programs")]
    pub programs: Vec<String>,
    /// What they need to reach; `named` where the user is to name hosts with their ports.
    #[serde(default, deserialize_with = "super::network::requested")]
    pub network: Vec<NetworkPlace>,
}

/// The jobs that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobsRequest {
    /// Flavors.
    #[serde(deserialize_with = "read::flavors")]
    pub flavors: Vec<FlavorPattern>,
    /// US dollars over all jobs of a session.
    #[serde(deserialize_with = "read::usd")]
    pub max_usd: f64,
    /// What they need to reach; `named` where the user is to name hosts with their ports.
    #[serde(default, deserialize_with = "super::network::requested")]
    pub network: Vec<NetworkPlace>,
}

/// What a plugin asks of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentRequest {
    /// Whether it asks the session's model, alone or through an agent of its own.
    pub complete: bool,
    /// Tools of the session that it calls.
    #[serde(deserialize_with = "read::tools")]
    pub tools: Vec<String>,
}
