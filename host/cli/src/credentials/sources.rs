//! Where a credential is looked for, in which order.
//!
//! What the user named comes first; then the variables that the plugin's author named and the user granted; then what
//! was kept with `ml-intern login`; last the login of the Hub's own client. So a variable of one shell can stand in
//! for what is kept for all.

use super::file::{self, OwnFolder, Trust, Unsafe};
use super::key_store::KeyStore;
use super::map;
use crate::config::variable;
use crate::error::{Failure, Kind, Result};
use crate::paths::{Paths, hub_logins};
use ml_intern_manifest::{CredentialMap, CredentialOrigin, CredentialRule};
use ml_intern_runtime::Secret;
use zeroize::Zeroizing;

/// Who names this variable means the Hub's token, wherever its own client keeps it.
const HUB_VARIABLE: &str = "HF_TOKEN";

/// A credential that is there.
pub(crate) struct Found {
    pub(crate) value: Secret,
    /// Where it was found, in words.
    pub(crate) place: String,
}

impl Found {
    fn new(value: &Zeroizing<String>, place: impl Into<String>) -> Self {
        Self {
            value: Secret::new(value),
            place: place.into(),
        }
    }
}

/// All places.
pub(crate) struct Sources {
    pub(crate) map: CredentialMap,
    pub(crate) own: OwnFolder,
}

impl Sources {
    pub(crate) fn open(paths: &Paths) -> Result<Self> {
        Ok(Self {
            map: map::load(&paths.credential_map())?,
            own: OwnFolder::new(paths.credentials()),
        })
    }

    /// The credential, or nothing where it is in no place. Fails where it is in one that cannot be trusted or reached:
    /// another place would be a surprise.
    pub(crate) async fn find(&self, rule: &CredentialRule) -> Result<Option<Found>> {
        let name = rule.name.as_str();
        let origin = self.map.get(name);
        match origin {
            Some(CredentialOrigin::Variable(variable)) => return Ok(in_variable(variable)),
            Some(CredentialOrigin::File(path)) => {
                let value =
                    file::read(path, Trust::Private).map_err(|problem| refused(name, problem))?;
                return Ok(
                    value.map(|value| Found::new(&value, format!("file {}", path.display())))
                );
            }
            Some(CredentialOrigin::KeyStore | CredentialOrigin::OwnFile) | None => {}
        }
        if let Some(found) = rule.env.iter().find_map(|variable| in_variable(variable)) {
            return Ok(Some(found));
        }
        let kept = match origin {
            Some(CredentialOrigin::KeyStore) => {
                let value = KeyStore::find(name).await?;
                value.map(|value| Found::new(&value, "key store"))
            }
            _ => {
                let value = self
                    .own
                    .get(name)
                    .map_err(|problem| refused(name, problem))?;
                value.map(|value| Found::new(&value, "file store"))
            }
        };
        match kept {
            Some(found) => Ok(Some(found)),
            None if rule.env.iter().any(|variable| variable == HUB_VARIABLE) => hub_login(name),
            None => Ok(None),
        }
    }
}

fn in_variable(name: &str) -> Option<Found> {
    let value = Zeroizing::new(variable(name)?);
    Some(Found::new(&value, format!("variable {name}")))
}

/// What `hf auth login` left.
fn hub_login(name: &str) -> Result<Option<Found>> {
    for path in hub_logins() {
        let value = file::read(&path, Trust::Foreign).map_err(|problem| refused(name, problem))?;
        if let Some(value) = value {
            return Ok(Some(Found::new(
                &value,
                format!("login of `hf` ({})", path.display()),
            )));
        }
    }
    Ok(None)
}

/// A refusal says what would mend it.
pub(crate) fn refused(name: &str, problem: Unsafe) -> Failure {
    let error = anyhow::anyhow!("the credential `{name}` is not read: {problem}");
    let failure = Failure::new(Kind::Credentials, error);
    match problem.mend {
        Some(mend) => failure.hint(mend),
        None => failure,
    }
}
