//! The `request` tables of a plugin manifest.

use std::collections::BTreeSet;
use std::hash::Hash;

use serde::{Deserialize, Deserializer, de};

use crate::grant::WORKSPACE_MOUNT;
use crate::limits::within;
use crate::pattern::{FlavorPattern, HostPattern, Method, PathPattern, Scheme};
use crate::plugin_manifest::line;
use crate::plugin_ref::{is_name, shorten};
use crate::size::Size;

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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    #[serde(default, deserialize_with = "few")]
    http: Vec<HttpRequest>,
    #[serde(default, deserialize_with = "few")]
    credential: Vec<CredentialRequest>,
    #[serde(default, deserialize_with = "few")]
    config: Vec<ConfigRequest>,
    #[serde(default, deserialize_with = "few")]
    fs: Vec<FsRequest>,
    process: Option<ProcessRequest>,
    jobs: Option<JobsRequest>,
}

impl TryFrom<RawRequest> for Request {
    type Error = String;

    /// Checks what one table cannot see alone: names used twice, and base URLs that name a key
    /// which does not exist.
    fn try_from(raw: RawRequest) -> Result<Self, String> {
        distinct("credential", raw.credential.iter().map(|credential| &credential.name))?;
        distinct("config key", raw.config.iter().map(|config| &config.key))?;
        distinct("mount", raw.fs.iter().map(|fs| &fs.mount))?;
        let known = |key: &str| raw.config.iter().any(|config| config.key == key);
        let http_keys = raw.http.iter().filter_map(|rule| rule.target.base_url());
        let credential_keys = raw.credential.iter().filter_map(|credential| credential.binding.base_url());
        if let Some(key) = http_keys.chain(credential_keys).find(|key| !known(key)) {
            return Err(format!("`base-url` names the configuration key `{key}`, which is not declared; add [[request.config]] key = \"{key}\""));
        }
        if let Some(index) = (1..raw.http.len()).find(|index| raw.http[..*index].contains(&raw.http[*index])) {
            return Err(format!("request.http[{index}] is written twice; remove one"));
        }
        Ok(Self {
            http: raw.http,
            credential: raw.credential,
            config: raw.config,
            fs: raw.fs,
            process: raw.process,
            jobs: raw.jobs,
        })
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
    #[serde(default, deserialize_with = "optional_key")]
    base_url: Option<String>,
    scheme: Option<Scheme>,
    #[serde(default, deserialize_with = "port")]
    pub(crate) port: Option<u16>,
    #[serde(default, deserialize_with = "set")]
    pub(crate) methods: Option<Vec<Method>>,
    #[serde(default, deserialize_with = "set")]
    pub(crate) paths: Option<Vec<PathPattern>>,
    #[serde(default, deserialize_with = "max_response")]
    pub(crate) max_response: Option<Size>,
}

impl RawHttp {
    pub(crate) fn target(self) -> Result<HttpTarget, String> {
        match (self.host, self.base_url) {
            (Some(host), None) => {
                let scheme = self.scheme.unwrap_or(Scheme::Https);
                Ok(HttpTarget::Host { host, scheme, port: self.port.unwrap_or(scheme.default_port()) })
            }
            (None, Some(key)) if self.scheme.is_none() && self.port.is_none() => Ok(HttpTarget::BaseUrl(key)),
            (None, Some(_)) => Err("`scheme` and `port` come from the base URL; remove them".to_owned()),
            (Some(_), Some(_)) => Err("`host` and `base-url` are both given; keep one".to_owned()),
            (None, None) => Err("the key `host` is missing; write `host` or `base-url`".to_owned()),
        }
    }
}

impl TryFrom<RawHttp> for HttpRequest {
    type Error = String;

    fn try_from(raw: RawHttp) -> Result<Self, String> {
        let methods = raw.methods.clone().unwrap_or_else(|| vec![Method::Get, Method::Head]);
        let paths = raw.paths.clone().unwrap_or_else(|| vec![PathPattern::any()]);
        let max_response = raw.max_response.unwrap_or(Size(8 << 20));
        Ok(Self { target: raw.target()?, methods, paths, max_response })
    }
}

/// A credential that the host adds to requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawCredential")]
pub struct CredentialRequest {
    /// The name under which the user knows it.
    pub name: String,
    /// Environment variables where users usually keep it, first match wins; the host reads them.
    pub env: Vec<String>,
    /// Where it is sent.
    pub binding: CredentialBinding,
    /// Header, in lower case; `authorization` unless said otherwise.
    pub header: String,
    /// Header value, with `{}` for the secret; `Bearer {}` unless said otherwise.
    pub format: String,
}

/// The places a credential is sent to, and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialBinding {
    /// These hosts, by HTTPS on port 443 only.
    Hosts(Vec<HostPattern>),
    /// The scheme, host and port of the URL in this configuration key.
    BaseUrl(String),
}

impl CredentialBinding {
    pub(crate) fn base_url(&self) -> Option<&str> {
        match self {
            Self::BaseUrl(key) => Some(key),
            Self::Hosts(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawCredential {
    #[serde(deserialize_with = "name")]
    name: String,
    #[serde(default, deserialize_with = "variables")]
    env: Vec<String>,
    #[serde(default, deserialize_with = "set")]
    hosts: Option<Vec<HostPattern>>,
    #[serde(default, deserialize_with = "optional_key")]
    base_url: Option<String>,
    #[serde(default = "authorization", deserialize_with = "header")]
    header: String,
    #[serde(default = "bearer", deserialize_with = "format")]
    format: String,
}

fn authorization() -> String {
    "authorization".to_owned()
}

fn bearer() -> String {
    "Bearer {}".to_owned()
}

impl TryFrom<RawCredential> for CredentialRequest {
    type Error = String;

    fn try_from(raw: RawCredential) -> Result<Self, String> {
        let binding = match (raw.hosts, raw.base_url) {
            (Some(hosts), None) => CredentialBinding::Hosts(hosts),
            (None, Some(key)) => CredentialBinding::BaseUrl(key),
            (Some(_), Some(_)) => return Err("`hosts` and `base-url` are both given; keep one".to_owned()),
            (None, None) => return Err("the key `hosts` is missing; write `hosts` or `base-url`".to_owned()),
        };
        Ok(Self { name: raw.name, env: raw.env, binding, header: raw.header, format: raw.format })
    }
}

/// A value that the user may set and the plugin may read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRequest {
    /// The key.
    #[serde(deserialize_with = "key")]
    pub key: String,
    /// One line that says what it is for.
    #[serde(default, deserialize_with = "optional_line")]
    pub description: Option<String>,
    /// Environment variable that sets it. One that is named like a secret is refused, because the
    /// plugin reads the value.
    #[serde(default, deserialize_with = "public_variable")]
    pub env: Option<String>,
    /// The value when nothing sets it.
    #[serde(default)]
    pub default: Option<String>,
}

/// A folder that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsRequest {
    /// `/workspace`.
    #[serde(deserialize_with = "mount")]
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
    #[serde(deserialize_with = "programs")]
    pub programs: Vec<String>,
}

/// The jobs that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobsRequest {
    /// Flavors.
    #[serde(deserialize_with = "flavors")]
    pub flavors: Vec<FlavorPattern>,
    /// US dollars over all jobs of a session.
    #[serde(deserialize_with = "usd")]
    pub max_usd: f64,
}

// Readers of single values. Each checks where it reads, so that the error has a position.

/// More rules than any plugin needs; the rules are searched for every request.
const MAX_RULES: usize = 64;

fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::deserialize(deserializer)?;
    if items.len() > MAX_RULES {
        return Err(de::Error::custom(format!("{} tables; write at most {MAX_RULES}", items.len())));
    }
    Ok(items)
}

fn checked<'de, D: Deserializer<'de>>(deserializer: D, ok: fn(&str) -> bool, advice: &str) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if ok(&text) { Ok(text) } else { Err(de::Error::custom(format!("`{}` does not fit; {advice}", shorten(&text)))) }
}

fn distinct<T: Eq + Hash + Ord + AsRef<str>>(what: &str, names: impl Iterator<Item = T>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!("the {what} `{}` is written twice; remove one", shorten(name.as_ref())));
        }
        seen.insert(name);
    }
    Ok(())
}

/// A list that says something: not empty, nothing twice, at most [`MAX_RULES`] items.
pub(crate) fn set<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de> + PartialEq,
{
    let items: Vec<T> = few(deserializer)?;
    if items.is_empty() {
        return Err(de::Error::custom("the list is empty; write at least one item, or remove the key"));
    }
    if let Some(index) = (1..items.len()).find(|index| items[..*index].contains(&items[*index])) {
        return Err(de::Error::custom(format!("item {} of the list is written twice; remove one", index + 1)));
    }
    Ok(Some(items))
}

fn strings<'de, D: Deserializer<'de>>(deserializer: D, ok: fn(&str) -> bool, advice: &str) -> Result<Vec<String>, D::Error> {
    let items: Vec<String> = set(deserializer)?.unwrap_or_default();
    match items.iter().find(|item| !ok(item)) {
        Some(item) => Err(de::Error::custom(format!("`{}` does not fit; {advice}", shorten(item)))),
        None => Ok(items),
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, is_name, "write lower-case letters, digits and dashes, at most 64")
}

pub(crate) fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, is_name, "write lower-case letters, digits and dashes, at most 64")
}

fn optional_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    checked(deserializer, is_name, "write the name of a configuration key, such as `base-url`").map(Some)
}

fn optional_line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    line(deserializer, 512).map(Some)
}

fn is_variable(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn variables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    strings(deserializer, is_variable, "write names such as `OPENAI_API_KEY`")
}

fn public_variable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let public = |text: &str| {
        let secret = |word| matches!(word, "TOKEN" | "KEY" | "SECRET" | "PASSWORD" | "PASS" | "PAT" | "CREDENTIAL" | "CREDENTIALS" | "AUTH");
        is_variable(text) && !text.split('_').any(secret)
    };
    checked(deserializer, public, "write a variable such as `OPENAI_BASE_URL`; a plugin reads its configuration, so secrets belong under [[request.credential]]").map(Some)
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    within(deserializer, 1, u16::MAX).map(Some)
}

fn max_response<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(1024), Size(1 << 30)).map(Some)
}

fn header<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let ok = |text: &str| {
        // These frame or route the message; a secret in them would change where it goes.
        let reserved = ["host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect"];
        let token = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (1..=64).contains(&text.len()) && token && !reserved.contains(&text) && !text.starts_with("proxy-")
    };
    checked(deserializer, ok, "write a header in lower case, such as `authorization` or `x-api-key`")
}

fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let ok = |text: &str| {
        text.len() <= 128 && text.matches("{}").count() == 1 && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
    };
    checked(deserializer, ok, "write printable text with `{}` once, such as `Bearer {}`")
}

pub(crate) fn mount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |text| text == WORKSPACE_MOUNT, "the only mount is `/workspace`")
}

pub(crate) fn programs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let ok = |text: &str| {
        (1..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    };
    strings(deserializer, ok, "write the names of programs without folder, such as `git`; there is no `*`")
}

pub(crate) fn flavors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FlavorPattern>, D::Error> {
    Ok(set(deserializer)?.unwrap_or_default())
}

/// US dollars: finite, not negative, and small enough that sums stay exact to the cent.
pub(crate) fn usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if !(0.0..=1e6).contains(&value) {
        return Err(de::Error::custom(format!("`{value}` is out of bounds; write US dollars from 0 to 1000000")));
    }
    Ok(value)
}
