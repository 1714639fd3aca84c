//! What the user configured, checked.

use ml_intern_plugin::Error;
use ml_intern_plugin::provider::settings::{Get, text, url};

/// The router of Hugging Face, whose own parameters another server would not know.
const ROUTER: &str = "https://router.huggingface.co/v1";

/// The plugin's configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Without a slash at its end.
    pub(crate) base_url: String,
    /// The organization that pays.
    pub(crate) bill_to: Option<String>,
}

impl Settings {
    /// Reads every key through `get`, which answers like the host's configuration.
    ///
    /// # Errors
    /// `invalid-input` naming the key whose value is not what its description asks for.
    pub(crate) fn read(get: Get<'_>) -> Result<Self, Error> {
        let bill_to = text(get, "bill-to")?;
        if let Some(name) = &bill_to
            && !name.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Error::InvalidInput(format!(
                "config `bill-to` is `{name}`: it must be the name of an organization"
            )));
        }
        Ok(Self {
            base_url: url(get, "base-url", ROUTER)?,
            bill_to,
        })
    }

    /// Whether requests go to the router itself.
    pub(crate) fn hosted(&self) -> bool {
        self.base_url == ROUTER
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
    fn only_the_router_itself_is_the_router() {
        for (url, hosted) in [
            (ROUTER, true),
            ("https://router.huggingface.co/v1//", true),
            (" ", true),
            ("http://localhost:1/v1", false),
            ("https://router.huggingface.co", false),
            ("https://router.huggingface.co.example.org/v1", false),
        ] {
            let settings = settings(&[("base-url", url)]).unwrap();
            assert_eq!(settings.hosted(), hosted, "{url}");
        }
    }

    #[test]
    fn an_organization_has_a_plain_name() {
        let name = |value| settings(&[("bill-to", value)]).map(|settings| settings.bill_to);
        assert_eq!(name(" my-org ").unwrap().as_deref(), Some("my-org"));
        assert_eq!(name("").unwrap(), None);
        for wrong in ["my org", "a\nb", "ü"] {
            assert!(
                matches!(name(wrong), Err(Error::InvalidInput(text)) if text.contains("bill-to"))
            );
        }
    }
}
