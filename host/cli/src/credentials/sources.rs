//! Where a credential is looked for, in which order.
//!
//! What the user named comes first; then the variables that the plugin's author named and the user granted; then what
//! was kept with `ml-intern login`; last the login of the service's own client: the Hub's, or a profile of AWS. So a
//! variable of one shell can stand in for what is kept for all.

use super::file::{self, OwnFolder, Trust, Unsafe};
use super::key_store::KeyStore;
use super::{aws, map};
use crate::config::variable;
use crate::error::{Failure, Kind, Result};
use crate::paths::{Paths, aws_credentials, hub_logins};
use ml_intern_manifest::{CredentialMap, CredentialOrigin, CredentialRule};
use ml_intern_runtime::{AwsKeys, CredentialValue, Secret};
use zeroize::Zeroizing;

/// Who names this variable means the Hub's token, wherever its own client keeps it.
const HUB_VARIABLE: &str = "HF_TOKEN";

/// What plugins and users call that token.
const HUB_NAME: &str = "hf";

/// A credential that is there.
pub(crate) struct Found {
    pub(crate) value: CredentialValue,
    /// Where it was found, in words.
    pub(crate) place: String,
}

impl Found {
    /// One line, as the rule needs it.
    fn line(
        rule: &CredentialRule,
        line: &Zeroizing<String>,
        place: impl Into<String>,
    ) -> Result<Self> {
        let place = place.into();
        if rule.signs().is_none() {
            let value = CredentialValue::Text(Secret::new(line));
            return Ok(Self { value, place });
        }
        match AwsKeys::parse(line) {
            Some(keys) => Ok(Self::keys(keys, place)),
            None => {
                let problem = format!("what is in {place} is not {AWS_LINE}");
                let mend = format!("ml-intern login {}", rule.name);
                Err(refused(&rule.name, Unsafe::new(problem, mend)))
            }
        }
    }

    fn keys(keys: AwsKeys, place: String) -> Self {
        let value = CredentialValue::AwsKeys(keys);
        Self { value, place }
    }
}

/// AWS keys as one line.
pub(crate) const AWS_LINE: &str = "ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]";

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

    /// The user's token for the Hub, where the host itself asks the Hub for something.
    pub(crate) async fn hub_token(&self) -> Result<Option<Zeroizing<String>>> {
        let rule = CredentialRule::of_host(HUB_NAME, HUB_VARIABLE);
        let found = self.find(&rule).await?;
        Ok(found.and_then(|found| {
            let secret = found.value.secrets().next()?;
            Some(Zeroizing::new(secret.expose().to_owned()))
        }))
    }

    /// The credential, or nothing where it is in no place. Fails where it is in one that cannot be trusted or reached:
    /// another place would be a surprise.
    pub(crate) async fn find(&self, rule: &CredentialRule) -> Result<Option<Found>> {
        let name = rule.name.as_str();
        let origin = self.map.get(name);
        match origin {
            Some(CredentialOrigin::Variable(variable)) => return in_variable(rule, variable),
            Some(CredentialOrigin::File(path)) => {
                let value =
                    file::read(path, Trust::Private).map_err(|problem| refused(name, problem))?;
                let found = |value| Found::line(rule, &value, format!("file {}", path.display()));
                return value.map(found).transpose();
            }
            Some(CredentialOrigin::KeyStore | CredentialOrigin::OwnFile) | None => {}
        }
        if let Some(found) = in_variables(rule)? {
            return Ok(Some(found));
        }
        let (value, place) = match origin {
            Some(CredentialOrigin::KeyStore) => (KeyStore::find(name).await?, "key store"),
            _ => {
                let value = self.own.get(name);
                (
                    value.map_err(|problem| refused(name, problem))?,
                    "file store",
                )
            }
        };
        match value {
            Some(value) => Found::line(rule, &value, place).map(Some),
            None => logged_in(rule),
        }
    }
}

fn in_variable(rule: &CredentialRule, name: &str) -> Result<Option<Found>> {
    let value = variable(name).map(Zeroizing::new);
    let found = |value| Found::line(rule, &value, format!("variable {name}"));
    value.map(found).transpose()
}

/// The variables of the plugin's author.
fn in_variables(rule: &CredentialRule) -> Result<Option<Found>> {
    if rule.signs().is_none() {
        let set = rule.env.iter().find(|name| variable(name).is_some());
        return set.map_or(Ok(None), |name| in_variable(rule, name));
    }
    let keys =
        aws::in_variables(&rule.env, variable).map_err(|problem| refused(&rule.name, problem))?;
    let place = format!("variables {}", rule.env.join(", "));
    Ok(keys.map(|keys| Found::keys(keys, place)))
}

/// What the service's own client has left, where the rule means that service.
fn logged_in(rule: &CredentialRule) -> Result<Option<Found>> {
    if rule.signs().is_some() {
        return match rule.env.first().map(String::as_str) {
            Some(aws::ID_VARIABLE) => aws_profile(rule),
            _ => Ok(None),
        };
    }
    match rule.env.iter().any(|variable| variable == HUB_VARIABLE) {
        true => hub_login(rule),
        false => Ok(None),
    }
}

/// What `hf auth login` left.
fn hub_login(rule: &CredentialRule) -> Result<Option<Found>> {
    for path in hub_logins() {
        let value =
            file::read(&path, Trust::Foreign).map_err(|problem| refused(&rule.name, problem))?;
        if let Some(value) = value {
            let place = format!("login of `hf` ({})", path.display());
            return Found::line(rule, &value, place).map(Some);
        }
    }
    Ok(None)
}

/// What `aws configure` left.
fn aws_profile(rule: &CredentialRule) -> Result<Option<Found>> {
    let Some(path) = aws_credentials() else {
        return Ok(None);
    };
    let found = aws::in_profile(&path, variable(aws::PROFILE_VARIABLE))
        .map_err(|problem| refused(&rule.name, problem))?;
    Ok(found.map(|(keys, profile)| {
        let place = format!("profile `{profile}` of `aws` ({})", path.display());
        Found::keys(keys, place)
    }))
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
