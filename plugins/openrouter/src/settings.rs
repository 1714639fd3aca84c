//! What the user configured, checked.

use ml_intern_plugin::Error;
use ml_intern_plugin::provider::settings::{Get, text, url};
use ml_intern_plugin::provider::value::{self, Value};

/// The service.
const HOSTED: &str = "https://openrouter.ai/api/v1";

/// The plugin's configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Without a slash at its end.
    pub(crate) base_url: String,
    /// Preferences for the choice of a provider, as a JSON object.
    pub(crate) provider: Option<String>,
}

impl Settings {
    /// Reads every key through `get`, which answers like the host's configuration.
    ///
    /// # Errors
    /// `invalid-input` naming the key whose value is not what its description asks for.
    pub(crate) fn read(get: Get<'_>) -> Result<Self, Error> {
        let object = |text: String| match value::parse(text.as_bytes()).is_ok_and(Value::is_object)
        {
            true => Ok(text),
            false => Err(Error::InvalidInput(
                "config `provider` must be a JSON object".to_owned(),
            )),
        };
        Ok(Self {
            base_url: url(get, "base-url", HOSTED)?,
            provider: text(get, "provider")?.map(object).transpose()?,
        })
    }
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
    fn preferences_are_an_object_or_nothing() {
        let unset = settings(&[("provider", " "), ("base-url", "")]).unwrap();
        assert_eq!((unset.base_url.as_str(), unset.provider), (HOSTED, None));
        let set = settings(&[
            ("provider", r#"{"sort":"price"}"#),
            ("base-url", "http://a/v1/"),
        ]);
        let set = set.unwrap();
        assert_eq!(set.provider.as_deref(), Some(r#"{"sort":"price"}"#));
        assert_eq!(set.base_url, "http://a/v1");
        for wrong in ["price", "[]", "{", "{},\"model\":\"x\""] {
            let error = settings(&[("provider", wrong)]).unwrap_err();
            assert!(matches!(error, Error::InvalidInput(text) if text.contains("`provider`")));
        }
    }
}
