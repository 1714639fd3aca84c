//! What the user configured, checked.

use ml_intern_plugin::provider::completions::ReturnedReasoning;
use ml_intern_plugin::provider::settings::{Get, flag, is_at, price, text, tokens, url};
use ml_intern_plugin::{Error, Price};

/// The hosted service, whose own parameters differ from those that other servers know.
const HOSTED: &str = "api.openai.com";

/// The protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// `POST /responses`.
    Responses,
    /// `POST /chat/completions`.
    ChatCompletions,
}

/// The plugin's configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Without a slash at its end.
    pub(crate) base_url: String,
    /// The protocol.
    pub(crate) api: Api,
    /// `max_tokens` or `max_completion_tokens`.
    pub(crate) max_tokens_field: String,
    /// What goes back of a model's reasoning, in chat completions.
    pub(crate) returned: ReturnedReasoning,
    /// Whether models of this server see images, where the server does not say so itself.
    pub(crate) images: Option<bool>,
    /// Tokens, where the server does not say so itself.
    pub(crate) context_window: Option<u32>,
    /// US dollars for a million tokens, when the user gave them.
    pub(crate) price: Option<Price>,
}

impl Settings {
    /// Reads every key through `get`, which answers like the host's configuration.
    ///
    /// # Errors
    /// `invalid-input` naming the key whose value is not what its description asks for.
    pub(crate) fn read(get: Get<'_>) -> Result<Self, Error> {
        let base_url = url(get, "base-url", &format!("https://{HOSTED}/v1"))?;
        let hosted = is_at(&base_url, HOSTED);
        let api = match text(get, "api")?.as_deref() {
            Some("responses") => Api::Responses,
            Some("chat-completions") => Api::ChatCompletions,
            None | Some("auto") if hosted => Api::Responses,
            None | Some("auto") => Api::ChatCompletions,
            Some(other) => {
                return Err(Error::InvalidInput(format!(
                    "config `api` is `{other}`: it must be `auto`, `responses` or `chat-completions`"
                )));
            }
        };
        let field = match hosted {
            true => "max_completion_tokens",
            false => "max_tokens",
        };
        Ok(Self {
            api,
            max_tokens_field: text(get, "max-tokens-field")?.unwrap_or_else(|| field.to_owned()),
            returned: match flag(get, "return-reasoning")? {
                Some(true) => ReturnedReasoning::Text,
                _ => ReturnedReasoning::None,
            },
            images: flag(get, "images")?,
            context_window: tokens(get, "context-window")?,
            price: price(get)?,
            base_url,
        })
    }

    /// Whether requests go to the hosted service itself.
    pub(crate) fn hosted(&self) -> bool {
        is_at(&self.base_url, HOSTED)
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
    fn protocol_and_fields_follow_the_server() {
        for (url, api, field) in [
            (
                "https://api.openai.com/v1/",
                Api::Responses,
                "max_completion_tokens",
            ),
            (
                "https://API.openai.com/v1",
                Api::Responses,
                "max_completion_tokens",
            ),
            (
                "http://localhost:8000/v1",
                Api::ChatCompletions,
                "max_tokens",
            ),
            (
                "https://api.openai.com.example.org/v1",
                Api::ChatCompletions,
                "max_tokens",
            ),
            (
                "https://example.org/api.openai.com",
                Api::ChatCompletions,
                "max_tokens",
            ),
        ] {
            let settings = settings(&[("base-url", url)]).unwrap();
            assert_eq!(
                (settings.api, settings.max_tokens_field.as_str()),
                (api, field),
                "{url}"
            );
        }
        let local = ("base-url", "http://localhost:1/v1");
        assert_eq!(
            settings(&[local, ("api", "responses")]).unwrap().api,
            Api::Responses
        );
        assert_eq!(
            settings(&[("api", "chat-completions")]).unwrap().api,
            Api::ChatCompletions
        );
    }

    #[test]
    fn empty_means_unset_and_nonsense_is_named() {
        let settings = settings(&[
            ("base-url", "  "),
            ("max-tokens-field", ""),
            ("images", " "),
        ])
        .unwrap();
        assert_eq!(settings.base_url, "https://api.openai.com/v1");
        assert!(settings.hosted() && settings.images.is_none());
        for (key, value) in [
            ("api", "both"),
            ("images", "yes"),
            ("context-window", "-1"),
            ("context-window", "1e6"),
            ("input-price", "1"),
            ("input-price", "free"),
        ] {
            let error = super::tests::settings(&[(key, value)]).unwrap_err();
            assert!(
                matches!(&error, Error::InvalidInput(text) if text.contains(key)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn prices_come_in_pairs() {
        let price = |pairs: &[(&str, &str)]| settings(pairs).unwrap().price.unwrap();
        let set = price(&[("input-price", "2"), ("output-price", "8.5")]);
        assert_eq!(
            (set.input, set.output, set.cache_read, set.cache_write),
            (2.0, 8.5, 2.0, 2.0)
        );
        let cached = price(&[
            ("input-price", "2"),
            ("output-price", "8"),
            ("cache-read-price", "0.2"),
        ]);
        assert_eq!(cached.cache_read, 0.2);
        assert!(settings(&[("output-price", "8")]).is_err());
    }
}
