//! The credentials that the host adds to a plugin's requests, or signs them with.

use std::collections::BTreeMap;

use crate::error::{Denial, Error};
use crate::grant::Grant;
use crate::grant::effective::{BaseUrl, Held, toml_string};
use crate::grant::request::{CredentialBinding, CredentialKind, CredentialRequest, Request};
use crate::pattern::{HostPattern, Scheme, origin};
use crate::plugin_ref::{is_name, shorten};

/// The credentials that the host may add to one plugin's requests.
#[derive(Debug, Clone)]
pub struct Credentials {
    rules: Vec<CredentialRule>,
    requested: Vec<String>,
    held: Held,
}

/// One granted credential and the places it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRule {
    /// The name under which the user knows it.
    pub name: String,
    /// Environment variables that may hold it; of AWS keys, one for each of the three texts.
    pub env: Vec<String>,
    /// What the host does with it.
    pub applied: CredentialUse,
    places: Vec<(Scheme, HostPattern, u16)>,
}

impl CredentialRule {
    /// A credential that the host itself uses; no plugin's request gets it.
    pub fn of_host(name: &str, variable: &str) -> Self {
        Self {
            name: name.to_owned(),
            env: vec![variable.to_owned()],
            applied: CredentialUse::Header {
                header: "authorization".to_owned(),
                format: "Bearer {}".to_owned(),
            },
            places: Vec::new(),
        }
    }
}

/// What the host does with a credential, with what the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialUse {
    /// Puts it in a header.
    Header {
        /// In lower case.
        header: String,
        /// The header's value, with `{}` for the secret.
        format: String,
    },
    /// Signs the request with AWS keys, by AWS Signature Version 4.
    AwsSigV4 {
        /// The service as its signatures name it.
        service: String,
        /// None until the configuration says one.
        region: Option<String>,
        /// The configuration key that says it.
        region_key: String,
    },
}

impl Credentials {
    /// `config` holds the defaults too.
    pub(super) fn compute(
        request: &Request,
        grant: &Grant,
        base_urls: &BTreeMap<String, BaseUrl>,
        config: &BTreeMap<String, String>,
        held: Held,
    ) -> Result<Self, Error> {
        let rule = |wanted: &CredentialRequest| {
            Ok(CredentialRule {
                name: wanted.name.clone(),
                env: wanted.env.clone(),
                applied: applied(&held.section, &wanted.kind, config)?,
                places: places(&wanted.binding, base_urls),
            })
        };
        // Of all that is asked for: what is wrong with a configuration is so under any grant.
        let rules: Result<Vec<CredentialRule>, Error> =
            request.credential.iter().map(rule).collect();
        let mut rules = rules?;
        rules.retain(|rule| grant.credentials.contains(&rule.name));
        Ok(Self {
            rules,
            requested: request
                .credential
                .iter()
                .map(|wanted| wanted.name.clone())
                .collect(),
            held,
        })
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.rules.retain(|rule| other.rules.contains(rule));
        both
    }

    /// Every granted credential, in the order of the plugin manifest.
    pub fn rules(&self) -> &[CredentialRule] {
        &self.rules
    }

    /// Whether a credential of this name is granted.
    pub fn allows(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| rule.name == name)
    }

    /// As [`Self::allows`], with the reason why not.
    ///
    /// # Errors
    /// The line that would allow it.
    pub fn check(&self, name: &str) -> Result<(), Denial> {
        if self.allows(name) {
            return Ok(());
        }
        let asked = format!("the credential `{}`", shorten(name));
        let detail = if self.requested.iter().any(|own| own == name) {
            let rule = format!("credentials = [{}]", toml_string(name));
            format!(
                "{asked} is not granted; allow it in ml-intern.toml with: {}",
                self.held.grant_line(&rule)
            )
        } else if !is_name(name) {
            format!("{asked} cannot be granted; credentials have names such as `hf`")
        } else {
            format!(
                "{asked} is not among what the plugin asks for; its author can ask in plugin.toml with: [[request.credential]] name = {}",
                toml_string(name)
            )
        };
        Err(Denial {
            capability: "credential",
            detail,
        })
    }
}

fn places(
    binding: &CredentialBinding,
    base_urls: &BTreeMap<String, BaseUrl>,
) -> Vec<(Scheme, HostPattern, u16)> {
    match binding {
        CredentialBinding::Hosts(hosts) => hosts
            .iter()
            .map(|host| (Scheme::Https, host.clone(), 443))
            .collect(),
        CredentialBinding::BaseUrl(key) => base_urls
            .get(key)
            .map(|url| (url.scheme, url.host.clone(), url.port))
            .into_iter()
            .collect(),
    }
}

fn applied(
    section: &str,
    kind: &CredentialKind,
    config: &BTreeMap<String, String>,
) -> Result<CredentialUse, Error> {
    Ok(match kind {
        CredentialKind::Header { header, format } => CredentialUse::Header {
            header: header.clone(),
            format: format.clone(),
        },
        CredentialKind::AwsSigV4 { service, region } => CredentialUse::AwsSigV4 {
            service: service.clone(),
            region: region_in(section, region, config)?,
            region_key: region.clone(),
        },
    })
}

fn region_in(
    section: &str,
    key: &str,
    config: &BTreeMap<String, String>,
) -> Result<Option<String>, Error> {
    match config.get(key).filter(|value| !value.is_empty()) {
        Some(region) if !is_name(region) => Err(Error::Config {
            section: section.to_owned(),
            key: key.to_owned(),
            message: format!(
                "not a region: `{}`; write one such as `us-east-1`",
                shorten(region)
            ),
        }),
        region => Ok(region.cloned()),
    }
}

impl CredentialRule {
    /// Whether the credential goes to this place. `host` is a URL parser's.
    pub fn is_for(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.places.iter().any(|(own, pattern, own_port)| {
            own.as_str() == scheme && *own_port == port && pattern.matches(host)
        })
    }

    /// Whether both come from the same texts. Two plugins may call different things by one name: what
    /// is looked for is the same only with the same variables, and for the same kind of use.
    pub fn is_same_secret(&self, other: &Self) -> bool {
        let signs = |rule: &Self| rule.signs().is_some();
        (&self.name, &self.env, signs(self)) == (&other.name, &other.env, signs(other))
    }

    /// The variables that hold it, in words: any of them, or of AWS keys both. Empty: none is named.
    pub fn variables(&self) -> String {
        match self.signs() {
            None => self.env.join(" or "),
            Some(_) => self.env[..self.env.len().min(2)].join(" and "),
        }
    }

    /// By what it signs and for which service, in words; none where it is added to a header.
    pub fn signs(&self) -> Option<String> {
        match &self.applied {
            CredentialUse::Header { .. } => None,
            CredentialUse::AwsSigV4 { service, .. } => {
                Some(format!("AWS SigV4, service {service}"))
            }
        }
    }

    /// What the host does with it, in words: "with the credential `hf`".
    pub fn in_words(&self) -> String {
        match self.signs() {
            None => format!("with the credential `{}`", self.name),
            Some(how) => format!("signed with the credential `{}` ({how})", self.name),
        }
    }

    /// Where it goes, in words; nowhere until a base URL is set.
    pub fn places(&self) -> Vec<String> {
        let place = |(scheme, host, port): &(Scheme, HostPattern, u16)| match (scheme, port) {
            (Scheme::Https, 443) => host.to_string(),
            _ => origin(*scheme, host, *port),
        };
        self.places.iter().map(place).collect()
    }

    pub(super) fn describe(&self) -> String {
        let places = self.places();
        let mut line = match self.signs() {
            None => format!("uses the credential `{}`", self.name),
            Some(how) => format!("signs with the credential `{}` ({how})", self.name),
        };
        if !self.env.is_empty() {
            line.push_str(&format!(" ({})", self.env.join(", ")));
        }
        if places.is_empty() {
            line.push_str(" once its base URL is set");
        } else {
            line.push_str(&format!(" for {}", places.join(", ")));
        }
        line
    }
}
