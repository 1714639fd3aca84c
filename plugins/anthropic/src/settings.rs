//! What the user configured, checked.

use ml_intern_plugin::provider::settings::{Get, flag, price, text, tokens, url};
use ml_intern_plugin::{Error, Price};

/// Output tokens of a reply, where nobody says: the service insists on a limit, and a reply that takes longer than
/// ten minutes is one that connections do not survive.
const MAX_TOKENS: u32 = 32_000;

/// The plugin's configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Ends in `/v1`.
    pub(crate) base_url: String,
    /// Output tokens, where the request does not say.
    pub(crate) max_tokens: u32,
    /// Whether models may think.
    pub(crate) thinking: bool,
    /// Whether tools whose schema allows it are sent as strict.
    pub(crate) strict_tools: bool,
    /// The header `anthropic-beta`.
    pub(crate) beta: Option<String>,
    /// US dollars for a million tokens, when the user gave them.
    pub(crate) price: Option<Price>,
}

impl Settings {
    /// Reads every key through `get`, which answers like the host's configuration.
    ///
    /// # Errors
    /// `invalid-input` naming the key whose value is not what its description asks for.
    pub(crate) fn read(get: Get<'_>) -> Result<Self, Error> {
        let mut base_url = url(get, "base-url", "https://api.anthropic.com/v1")?;
        // The vendor's own client takes the URL without it, from the same variable.
        if !base_url.ends_with("/v1") {
            base_url.push_str("/v1");
        }
        let thinking = match text(get, "thinking")?.as_deref() {
            None | Some("auto") => true,
            Some("off") => false,
            Some(other) => {
                return Err(Error::InvalidInput(format!(
                    "config `thinking` is `{other}`: it must be `auto` or `off`"
                )));
            }
        };
        Ok(Self {
            base_url,
            max_tokens: tokens(get, "max-tokens")?.unwrap_or(MAX_TOKENS),
            thinking,
            strict_tools: flag(get, "strict-tools")?.unwrap_or(false),
            beta: text(get, "beta")?,
            price: price(get)?,
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
    fn both_spellings_of_the_base_url_work() {
        for (written, read) in [
            ("", "https://api.anthropic.com/v1"),
            ("https://api.anthropic.com", "https://api.anthropic.com/v1"),
            (
                "https://api.anthropic.com/v1/",
                "https://api.anthropic.com/v1",
            ),
            ("http://gate/anthropic/", "http://gate/anthropic/v1"),
        ] {
            assert_eq!(
                settings(&[("base-url", written)]).unwrap().base_url,
                read,
                "{written}"
            );
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (key, value) in [
            ("thinking", "yes"),
            ("max-tokens", "many"),
            ("strict-tools", "1"),
            ("input-price", "1"),
        ] {
            let error = settings(&[(key, value)]).unwrap_err();
            assert!(
                matches!(&error, Error::InvalidInput(text) if text.contains(key)),
                "{error:?}"
            );
        }
        let unset = settings(&[]).unwrap();
        assert!(unset.thinking && !unset.strict_tools && unset.beta.is_none());
        assert_eq!(unset.max_tokens, 32_000);
    }
}
