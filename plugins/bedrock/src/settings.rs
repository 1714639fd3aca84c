//! What the user configured, checked.

use ml_intern_plugin::provider::settings::{Get, price, text, url};
use ml_intern_plugin::{Error, Price};

/// What stands before the region in the host name of the service's own endpoints.
const ENDPOINT: &str = "bedrock-runtime.";

/// The plugin's configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Without a slash at its end.
    pub(crate) base_url: String,
    /// US dollars for a million tokens, when the user gave them.
    pub(crate) price: Option<Price>,
}

impl Settings {
    /// Reads every key through `get`, which answers like the host's configuration.
    ///
    /// # Errors
    /// `invalid-input` naming the key whose value is not what its description asks for, or that `region` and
    /// `base-url` are of two regions: the host signs for the one, and the other would refuse the signature with
    /// words that help nobody.
    pub(crate) fn read(get: Get<'_>) -> Result<Self, Error> {
        let region = text(get, "region")?.unwrap_or_else(|| "us-east-1".to_owned());
        let own = format!("https://{ENDPOINT}{region}.amazonaws.com");
        let base_url = url(get, "base-url", &own)?;
        match region_of(&base_url) {
            Some(other) if other != region => Err(Error::InvalidInput(format!(
                "config `region` is `{region}`, and `base-url` leads to `{other}`: set `base-url = \"{own}\"` (or AWS_ENDPOINT_URL_BEDROCK_RUNTIME)"
            ))),
            _ => Ok(Self {
                base_url,
                price: price(get)?,
            }),
        }
    }
}

/// The region of one of the service's own endpoints.
fn region_of(url: &str) -> Option<&str> {
    let (_, host) = url.split_once("://")?;
    let (region, rest) = host.strip_prefix(ENDPOINT)?.split_once('.')?;
    rest.starts_with("amazonaws.com").then_some(region)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings of a user who set these keys.
    pub(crate) fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::read(&|key| {
            let found = pairs.iter().find(|(name, _)| *name == key);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn region_and_base_url_go_together() {
        let own = "https://bedrock-runtime.us-east-1.amazonaws.com";
        assert_eq!(settings(&[]).unwrap().base_url, own);
        let europe = ("region", "eu-central-1");
        assert_eq!(
            settings(&[europe]).unwrap().base_url,
            "https://bedrock-runtime.eu-central-1.amazonaws.com"
        );
        for private in ["https://vpce-1.example.org/", "http://localhost:1"] {
            assert!(
                settings(&[europe, ("base-url", private)]).is_ok(),
                "{private}"
            );
        }
        let error = settings(&[europe, ("base-url", own)]).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidInput(text) if text.contains("`us-east-1`") && text.contains("base-url")),
            "{error:?}"
        );
        assert!(settings(&[("input-price", "1")]).is_err());
    }
}
