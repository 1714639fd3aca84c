//! Credentials with their values.

use crate::egress::secret::Secret;

/// A credential with its value. Where it goes and what the host does with it is in the plugin's
/// effective grant, under the same name.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Name, as in the plugin manifest.
    pub name: String,
    /// The value, which no plugin sees.
    pub value: CredentialValue,
}

impl Credential {
    /// Each text of it that nobody may see.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.value.secrets()
    }
}

/// What a credential holds.
#[derive(Debug, Clone)]
pub enum CredentialValue {
    /// One text, for a header.
    Text(Secret),
    /// AWS keys, which sign.
    AwsKeys(AwsKeys),
}

impl CredentialValue {
    /// Each text of it that nobody may see.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let (one, keys) = match self {
            Self::Text(text) => (Some(text), None),
            Self::AwsKeys(keys) => (None, Some(keys)),
        };
        one.into_iter()
            .chain(keys.into_iter().flat_map(AwsKeys::secrets))
    }
}

/// AWS keys. Every text of them counts as a secret, the id too: with it, others can say whose keys
/// these are.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// 16 to 128 characters, sent with every request.
    pub access_key_id: Secret,
    /// Signs, and is never sent.
    pub secret_access_key: Secret,
    /// Of keys that expire; sent with every request.
    pub session_token: Option<Secret>,
}

impl AwsKeys {
    /// Keys of these texts; none where one of them is nothing that AWS issues: printable ASCII
    /// without white space and colons.
    pub fn new(id: &str, secret: &str, token: Option<&str>) -> Option<Self> {
        let fits = |text: &&str| {
            let text = text.trim();
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b':')
        };
        let all = [Some(id), Some(secret), token];
        if !all.iter().flatten().all(fits) {
            return None;
        }
        Some(Self {
            access_key_id: Secret::new(id),
            secret_access_key: Secret::new(secret),
            session_token: token.map(Secret::new),
        })
    }

    /// Reads `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` where there is one.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let (id, secret) = (parts.next()?, parts.next()?);
        Self::new(id, secret, parts.next())
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.access_key_id, &self.secret_access_key]
            .into_iter()
            .chain(&self.session_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_keys_are_read_from_one_line() {
        let keys = AwsKeys::parse(" AKIDEXAMPLE:a/b+c= : tok\n").unwrap();
        let texts: Vec<&str> = keys.secrets().map(Secret::expose).collect();
        assert_eq!(texts, ["AKIDEXAMPLE", "a/b+c=", "tok"]);
        assert!(AwsKeys::parse("id:secret").unwrap().session_token.is_none());
        for line in [
            "",
            "id",
            "id:",
            ":secret",
            "id:secret:",
            "id:a b",
            "i:d:e:f",
            "id:\u{e9}",
        ] {
            assert!(AwsKeys::parse(line).is_none(), "{line}");
        }
    }
}
