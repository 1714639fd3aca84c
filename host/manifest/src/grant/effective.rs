//! Request ∩ grant, computed once at load.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::suggestion;
use crate::error::{Denial, Error};
use crate::grant::credential::{CredentialRule, Credentials};
use crate::grant::request::Request;
use crate::grant::{AgentRules, FsRules, Grant, HttpRules, JobsRules, ProcessRules};
use crate::pattern::{HostPattern, Scheme, is_plain_path};
use crate::plugin_ref::shorten;

/// What one plugin may do, one object of rules per capability: each can be handed on by itself.
#[derive(Debug, Clone)]
pub struct Effective {
    /// Requests to the network.
    pub http: Arc<HttpRules>,
    /// Folders.
    pub fs: Arc<FsRules>,
    /// Native programs.
    pub process: Arc<ProcessRules>,
    /// Remote compute.
    pub jobs: Arc<JobsRules>,
    /// The session's model and tools.
    pub agent: Arc<AgentRules>,
    /// Credentials that the host adds to requests.
    pub credentials: Arc<Credentials>,
    /// What the plugin reads as its configuration: the user's values, then the author's defaults.
    pub config: Arc<BTreeMap<String, String>>,
}

impl Effective {
    /// Intersects what is asked with what is allowed. `section` is the table of the run manifest
    /// that holds the plugin (`plugins.arxiv`, `providers.openai`), for messages. `config` holds
    /// what the user set, in the manifest or the environment, and no defaults: a base URL found
    /// there may be a private address.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration key that the plugin does not declare, and for a base
    /// URL or a region that is not one.
    pub fn compute(
        section: &str,
        request: &Request,
        grant: &Grant,
        config: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let held = Held {
            section: section.into(),
            read_only: false,
        };
        let base_urls = base_urls(section, request, config)?;
        let config = configuration(section, request, config)?;
        let credentials = Credentials::compute(request, grant, &base_urls, &config, held.clone())?;
        Ok(Self {
            http: HttpRules::compute(request, grant, &base_urls, held.clone()).into(),
            fs: FsRules::compute(request, grant, held.clone()).into(),
            process: ProcessRules::compute(request, grant, held.clone()).into(),
            jobs: JobsRules::compute(request, grant, held.clone()).into(),
            agent: AgentRules::compute(request, grant, held).into(),
            credentials: credentials.into(),
            config: config.into(),
        })
    }

    /// The same, narrowed to what a call declared read-only may do: folders are read, only GET and
    /// HEAD leave, no program runs, no job is submitted or ended.
    #[must_use]
    pub fn held_read_only(&self) -> Self {
        let mut held = self.clone();
        Arc::make_mut(&mut held.http).hold_read_only();
        Arc::make_mut(&mut held.fs).hold_read_only();
        Arc::make_mut(&mut held.process).hold_read_only();
        Arc::make_mut(&mut held.jobs).hold_read_only();
        held
    }

    /// The first credential bound to this place. `host` is a URL parser's.
    pub fn credential_for(&self, scheme: &str, host: &str, port: u16) -> Option<&CredentialRule> {
        self.credentials
            .rules()
            .iter()
            .find(|rule| rule.is_for(scheme, host, port))
    }

    /// One line for each thing the plugin may do, in words. Empty: it only computes.
    pub fn describe(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.fs.describe().into_iter().collect();
        lines.extend(self.http.describe());
        lines.extend(self.process.describe());
        lines.extend(self.process.describe_network());
        lines.extend(self.jobs.describe());
        lines.extend(self.jobs.describe_network());
        lines.extend(self.agent.describe());
        lines.extend(
            self.credentials
                .rules()
                .iter()
                .map(CredentialRule::describe),
        );
        lines
    }
}

/// A URL from the configuration, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    pub(crate) scheme: Scheme,
    pub(crate) host: HostPattern,
    pub(crate) port: u16,
    /// Without a slash at the end.
    pub(crate) path: String,
    pub(crate) set_by_user: bool,
}

/// The base URLs that rules speak of. Keys that nothing sets, or sets to nothing, are absent.
fn base_urls(
    section: &str,
    request: &Request,
    config: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, BaseUrl>, Error> {
    let http = request
        .http
        .iter()
        .filter_map(|rule| rule.target.base_url());
    let credentials = request
        .credential
        .iter()
        .filter_map(|credential| credential.binding.base_url());
    let mut urls = BTreeMap::new();
    for key in http.chain(credentials) {
        let value = match config.get(key) {
            Some(value) => Some(value.clone()),
            None => default_of(section, request, config, key)?,
        };
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        let value = value.as_str();
        let mut url = parse_url(value).map_err(|advice| Error::Config {
            section: section.to_owned(),
            key: key.to_owned(),
            message: format!(
                "not a base URL: `{}`; {advice}",
                shorten(without_secrets(value))
            ),
        })?;
        url.set_by_user = config.contains_key(key);
        urls.insert(key.to_owned(), url);
    }
    Ok(urls)
}

/// What of a URL may be shown: webhooks keep secrets in path and query, others before the host.
fn without_secrets(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    if url.contains('@') {
        return &url[..start];
    }
    let end = url[start..]
        .find(['/', '\\', '?', '#'])
        .map_or(url.len(), |at| start + at);
    &url[..end]
}

fn parse_url(text: &str) -> Result<BaseUrl, String> {
    let example = "write one such as `https://api.example.org/v1`";
    let (scheme, rest) = text.split_once("://").ok_or(example)?;
    let scheme = Scheme::from_exact(&scheme.to_ascii_lowercase()).ok_or(example)?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.contains('@') {
        return Err("leave the user and password out; keys are credentials".to_owned());
    }
    // An IPv6 address holds colons, but only within its brackets.
    let colon = authority
        .rfind(':')
        .filter(|at| !authority[*at..].contains(']'));
    let (host, port) = match colon {
        Some(at) => (&authority[..at], port(&authority[at + 1..]).ok_or(example)?),
        None => (authority, scheme.default_port()),
    };
    let host: HostPattern = host.parse().map_err(|error: Error| error.to_string())?;
    if !host.is_exact() {
        return Err(example.to_owned());
    }
    if rest.contains('#') {
        return Err("leave out the part from `#` on".to_owned());
    }
    let path = rest
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    if !path.is_empty() && !is_plain_path(path) {
        return Err("its path holds `..`, `//`, a backslash, a space or an encoded separator; write it plainly".to_owned());
    }
    Ok(BaseUrl {
        scheme,
        host,
        port,
        path: path.to_owned(),
        set_by_user: false,
    })
}

/// Digits only, as in a URL: the standard library reads `+80` too.
pub(crate) fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

fn configuration(
    section: &str,
    request: &Request,
    config: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let declared: Vec<&str> = request
        .config
        .iter()
        .map(|config| config.key.as_str())
        .collect();
    if let Some(key) = config.keys().find(|key| !declared.contains(&key.as_str())) {
        let advice = match (suggestion(key, &declared), declared.is_empty()) {
            (Some(name), _) => format!("did you mean `{name}`?"),
            (None, true) => "it has no configuration".to_owned(),
            (None, false) => format!("it knows `{}`", declared.join("`, `")),
        };
        return Err(Error::Config {
            section: section.to_owned(),
            key: key.clone(),
            message: format!("the plugin has no such configuration key; {advice}"),
        });
    }
    let mut all = config.clone();
    for wanted in &request.config {
        if !config.contains_key(&wanted.key)
            && let Some(default) = default_of(section, request, config, &wanted.key)?
        {
            all.insert(wanted.key.clone(), default);
        }
    }
    Ok(all)
}

/// The author's default of a key. It may hold the value of another key in braces, as in
/// `https://api.{region}.example.org`: one plain word, so that a host stays the author's.
fn default_of(
    section: &str,
    request: &Request,
    config: &BTreeMap<String, String>,
    key: &str,
) -> Result<Option<String>, Error> {
    let wanted = |key: &str| request.config.iter().find(|config| config.key == key);
    let Some(text) = wanted(key).and_then(|config| config.default.as_deref()) else {
        return Ok(None);
    };
    let parts = text.split_once('{').and_then(|(before, rest)| {
        let (other, after) = rest.split_once('}')?;
        Some((before, wanted(other)?, after))
    });
    let Some((before, other, after)) = parts else {
        return Ok(Some(text.to_owned()));
    };
    let value = config.get(&other.key).or(other.default.as_ref());
    let value = value.map_or("", |value| value.trim());
    let word = (1..=63).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !word {
        return Err(Error::Config {
            section: section.to_owned(),
            key: other.key.clone(),
            message: format!(
                "`{}` cannot be a part of `{key}`; write lower-case letters, digits and dashes",
                shorten(value)
            ),
        });
    }
    Ok(Some(format!("{before}{value}{after}")))
}

/// What every set of rules needs to explain a denial.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Table of the run manifest that holds the plugin.
    pub(crate) section: Arc<str>,
    /// Whether the call was declared read-only and is held to it.
    pub(crate) read_only: bool,
}

impl Held {
    /// `[plugins.arxiv.grant] body`.
    pub(crate) fn grant_line(&self, body: &str) -> String {
        format!("[{}.grant] {body}", self.section)
    }

    /// The denial of a call that grants would allow, were it not declared read-only.
    pub(crate) fn denial(&self, capability: &'static str, asked: &str) -> Denial {
        Denial {
            capability,
            detail: format!(
                "{asked} is not allowed in a call that the plugin declares read-only; its author can declare it with: read-only: false"
            ),
        }
    }
}

/// `text` as a TOML basic string.
pub fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
