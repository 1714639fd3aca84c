//! `[[request.credential]]`: what the host adds to requests, and where.

use serde::Deserialize;

use super::read;
use crate::pattern::HostPattern;

/// A credential that the host adds to requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawCredential")]
pub struct CredentialRequest {
    /// The name under which the user knows it.
    pub name: String,
    /// Environment variables where users usually keep it; the host reads them. Of a header the first
    /// that is set; of AWS keys the access key id, the secret access key and the session token.
    pub env: Vec<String>,
    /// Where it is sent.
    pub binding: CredentialBinding,
    /// What the host does with it.
    pub kind: CredentialKind,
}

/// What the host does with a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialKind {
    /// Puts it in a header.
    Header {
        /// In lower case; `authorization` unless said otherwise.
        header: String,
        /// The header's value, with `{}` for the secret; `Bearer {}` unless said otherwise.
        format: String,
    },
    /// Signs the request with AWS keys, by AWS Signature Version 4.
    AwsSigV4 {
        /// The service as its signatures name it, such as `bedrock`.
        service: String,
        /// The configuration key that holds the region.
        region: String,
    },
}

impl CredentialKind {
    /// The configuration key of the region that is signed for.
    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::AwsSigV4 { region, .. } => Some(region),
            Self::Header { .. } => None,
        }
    }
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
    #[serde(deserialize_with = "read::name")]
    name: String,
    #[serde(default, deserialize_with = "read::variables")]
    env: Vec<String>,
    #[serde(default, deserialize_with = "read::set")]
    hosts: Option<Vec<HostPattern>>,
    #[serde(default, deserialize_with = "read::optional_key")]
    base_url: Option<String>,
    #[serde(default, deserialize_with = "read::header")]
    header: Option<String>,
    #[serde(default, deserialize_with = "read::format")]
    format: Option<String>,
    sign: Option<Sign>,
    #[serde(default, deserialize_with = "read::service")]
    service: Option<String>,
    #[serde(default, deserialize_with = "read::optional_key")]
    region: Option<String>,
}

#[derive(Deserialize)]
enum Sign {
    #[serde(rename = "aws-sigv4")]
    AwsSigV4,
}

impl TryFrom<RawCredential> for CredentialRequest {
    type Error = String;

    fn try_from(raw: RawCredential) -> Result<Self, String> {
        let binding = match (raw.hosts, raw.base_url) {
            (Some(hosts), None) => CredentialBinding::Hosts(hosts),
            (None, Some(key)) => CredentialBinding::BaseUrl(key),
            (Some(_), Some(_)) => {
                return Err("`hosts` and `base-url` are both given; keep one".to_owned());
            }
            (None, None) => {
                return Err("the key `hosts` is missing; write `hosts` or `base-url`".to_owned());
            }
        };
        let kind = match raw.sign {
            Some(Sign::AwsSigV4) => {
                if raw.header.is_some() || raw.format.is_some() {
                    return Err("`sign` says what is sent; remove `header` and `format`".to_owned());
                }
                if !matches!(raw.env.len(), 0 | 2 | 3) {
                    return Err("`env` of AWS keys is a list of two or three: the variables of the access key id, the secret access key and the session token".to_owned());
                }
                CredentialKind::AwsSigV4 {
                    service: needed("service", raw.service)?,
                    region: needed("region", raw.region)?,
                }
            }
            None if raw.service.is_some() || raw.region.is_some() => {
                return Err("`service` and `region` belong to `sign`; write sign = \"aws-sigv4\", or remove them".to_owned());
            }
            None => CredentialKind::Header {
                header: raw.header.unwrap_or_else(|| "authorization".to_owned()),
                format: raw.format.unwrap_or_else(|| "Bearer {}".to_owned()),
            },
        };
        Ok(Self {
            name: raw.name,
            env: raw.env,
            binding,
            kind,
        })
    }
}

fn needed(key: &str, value: Option<String>) -> Result<String, String> {
    value.ok_or_else(|| format!("the key `{key}` is missing; `sign` needs it"))
}
