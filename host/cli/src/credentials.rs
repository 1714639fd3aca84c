//! The user's credentials: where each is kept, and its value for as long as a session lasts.

mod aws;
mod file;
mod key_store;
mod map;
mod sources;

pub(crate) use file::{Trust, read as read_file};
pub(crate) use key_store::KeyStore;
pub(crate) use map::edit;
pub(crate) use sources::{AWS_LINE, Found, Sources, refused};

use crate::compose::Loaded;
use crate::error::Result;
use crate::paths::Paths;
use ml_intern_manifest::{CredentialRule, Effective};
use ml_intern_runtime::{Credential, CredentialValue, Secret};
use ml_intern_trace::{KnownSecret, SecretRules, is_secret_variable};
use std::collections::BTreeMap;

/// Bytes of a value; the longest tokens have a few thousand.
pub(crate) const LONGEST: usize = 64 << 10;

/// The values that a session's plugins may have added to their requests.
#[derive(Default)]
pub(crate) struct Credentials {
    found: Vec<(CredentialRule, Found)>,
}

impl Credentials {
    /// Looks for everything that the plugins were granted. Nothing is opened but what one of them needs.
    pub(crate) async fn find(paths: &Paths, loaded: &[Loaded]) -> Result<Self> {
        let sources = Sources::open(paths)?;
        let mut found: Vec<(CredentialRule, Found)> = Vec::new();
        for rule in loaded
            .iter()
            .flat_map(|one| one.effective.credentials.rules())
        {
            if found.iter().any(|(other, _)| other.is_same_secret(rule)) {
                continue;
            }
            if let Some(one) = sources.find(rule).await? {
                found.push((rule.clone(), one));
            }
        }
        Ok(Self { found })
    }

    /// The values for one plugin.
    pub(crate) fn of(&self, effective: &Effective) -> Vec<Credential> {
        let rules = effective.credentials.rules().iter();
        let values = rules.filter_map(|rule| {
            Some(Credential {
                name: rule.name.clone(),
                value: self.value(rule)?.clone(),
            })
        });
        values.collect()
    }

    /// Values for jobs: by name, as the variables where users keep them.
    pub(crate) fn for_jobs(&self) -> BTreeMap<String, Vec<(String, String)>> {
        let with_variables = self.found.iter().filter(|(rule, _)| !rule.env.is_empty());
        let named = with_variables.map(|(rule, found)| {
            let texts = found.value.secrets().map(Secret::expose);
            let pairs = rule.env.iter().cloned().zip(texts.map(str::to_owned));
            (rule.name.clone(), pairs.collect())
        });
        named.collect()
    }

    /// The rules by which everything is redacted that a session writes down, shows or tells a model.
    pub(crate) fn rules(&self) -> SecretRules {
        let granted = self.found.iter().map(|(rule, found)| KnownSecret {
            name: rule.name.clone(),
            spellings: found.value.secrets().flat_map(Secret::spellings).collect(),
        });
        SecretRules::new(granted.chain(of_environment()))
    }

    fn value(&self, rule: &CredentialRule) -> Option<&CredentialValue> {
        let found = self
            .found
            .iter()
            .find(|(other, _)| other.is_same_secret(rule));
        found.map(|(_, found)| &found.value)
    }
}

/// What is secret in the host's own environment, whoever it is for: programs that escape their cleared one must not
/// spread it either. It stays there: taking a variable away is safe in a program with one thread only.
pub(crate) fn of_environment() -> Vec<KnownSecret> {
    let text = std::env::vars_os().filter_map(|(name, value)| {
        Some((
            name.into_string().ok()?,
            zeroize::Zeroizing::new(value.into_string().ok()?),
        ))
    });
    let secret = text.filter(|(name, value)| is_secret_variable(name, value));
    let known = secret.map(|(name, value)| KnownSecret {
        name,
        spellings: Secret::new(&value).spellings(),
    });
    known.collect()
}
