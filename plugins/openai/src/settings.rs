//! What the user configured, checked.

use ml_intern_plugin::{Error, Price};

/// The hosted service, whose own parameters differ from those that local servers know.
const HOSTED: &str = "api.openai.com";

/// The plugin's configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Without a slash at its end.
    pub(crate) base_url: String,
    /// `max_tokens` or `max_completion_tokens`.
    pub(crate) max_tokens_field: String,
    /// The word that is sent for the effort `max`.
    pub(crate) max_effort: String,
    /// Send reasoning back with the calls that it led to.
    pub(crate) return_reasoning: bool,
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
    pub(crate) fn read(get: impl Fn(&str) -> Result<Option<String>, Error>) -> Result<Self, Error> {
        let get = |key: &str| {
            let value = get(key)?.map(|value| value.trim().to_owned());
            Ok::<_, Error>(value.filter(|value| !value.is_empty()))
        };
        let base_url = get("base-url")?.unwrap_or_else(|| format!("https://{HOSTED}/v1"));
        let base_url = base_url.trim_end_matches('/').to_owned();
        let field = match is_hosted(&base_url) {
            true => "max_completion_tokens",
            false => "max_tokens",
        };
        Ok(Self {
            base_url,
            max_tokens_field: get("max-tokens-field")?.unwrap_or_else(|| field.to_owned()),
            max_effort: get("max-effort")?.unwrap_or_else(|| "high".to_owned()),
            return_reasoning: flag("return-reasoning", get("return-reasoning")?)?.unwrap_or(false),
            images: flag("images", get("images")?)?,
            context_window: number(
                "context-window",
                "a number of tokens",
                get("context-window")?,
            )?,
            price: price(get)?,
        })
    }

    /// Whether requests go to the hosted service itself.
    pub(crate) fn hosted(&self) -> bool {
        is_hosted(&self.base_url)
    }
}

fn is_hosted(base_url: &str) -> bool {
    let rest = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.eq_ignore_ascii_case(HOSTED)
}

/// A price needs both main rates: with one of them a budget would see half of what is spent.
fn price(get: impl Fn(&str) -> Result<Option<String>, Error>) -> Result<Option<Price>, Error> {
    let read = |key: &str| {
        let Some(value) = get(key)? else {
            return Ok(None);
        };
        // A number as JSON writes it: the reader is there anyway, and knows no infinity.
        match serde_json::from_slice::<f64>(value.as_bytes()) {
            Ok(price) if price >= 0.0 => Ok(Some(price)),
            _ => Err(Error::InvalidInput(format!(
                "config `{key}` is `{value}`: it must be a number of US dollars"
            ))),
        }
    };
    match (
        read("input-price")?,
        read("output-price")?,
        read("cache-read-price")?,
    ) {
        (Some(input), Some(output), cached) => Ok(Some(Price {
            input,
            output,
            cache_read: cached.unwrap_or(input),
            cache_write: input,
        })),
        (None, None, None) => Ok(None),
        _ => Err(Error::InvalidInput(
            "config `input-price` and `output-price` must be set together".to_owned(),
        )),
    }
}

fn flag(key: &str, value: Option<String>) -> Result<Option<bool>, Error> {
    number(key, "`true` or `false`", value)
}

fn number<T: std::str::FromStr>(
    key: &str,
    what: &str,
    value: Option<String>,
) -> Result<Option<T>, Error> {
    let parse = |value: String| {
        let bad =
            |_| Error::InvalidInput(format!("config `{key}` is `{value}`: it must be {what}"));
        value.parse().map_err(bad)
    };
    value.map(parse).transpose()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings of a user who set these keys.
    pub(crate) fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::read(|key| {
            let found = pairs.iter().find(|(name, _)| *name == key);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn the_field_for_the_output_limit_follows_the_server() {
        for (url, field) in [
            ("https://api.openai.com/v1/", "max_completion_tokens"),
            ("https://API.openai.com/v1", "max_completion_tokens"),
            ("http://localhost:8000/v1", "max_tokens"),
            ("https://api.openai.com.example.org/v1", "max_tokens"),
            ("https://example.org/api.openai.com", "max_tokens"),
        ] {
            assert_eq!(
                settings(&[("base-url", url)]).unwrap().max_tokens_field,
                field,
                "{url}"
            );
        }
        let own = settings(&[
            ("max-tokens-field", "max_completion_tokens"),
            ("base-url", "http://localhost:1/v1"),
        ]);
        assert_eq!(own.unwrap().max_tokens_field, "max_completion_tokens");
    }

    #[test]
    fn blanks_and_slashes_around_the_base_url_go() {
        assert_eq!(
            settings(&[("base-url", " http://a:1/v1// ")])
                .unwrap()
                .base_url,
            "http://a:1/v1"
        );
        assert_eq!(
            settings(&[("base-url", "  ")]).unwrap().base_url,
            "https://api.openai.com/v1"
        );
    }

    #[test]
    fn prices_come_together_and_are_prices() {
        let price = settings(&[("input-price", "1.25"), ("output-price", "10")])
            .unwrap()
            .price
            .unwrap();
        assert_eq!(
            (price.input, price.output, price.cache_read),
            (1.25, 10.0, 1.25)
        );
        assert!(settings(&[]).unwrap().price.is_none());
        for bad in [
            &[("input-price", "1")][..],
            &[("cache-read-price", "1")],
            &[("input-price", "-1"), ("output-price", "1")],
            &[("input-price", "NaN"), ("output-price", "1")],
            &[("input-price", "a dollar"), ("output-price", "1")],
        ] {
            let Err(Error::InvalidInput(message)) = settings(bad) else {
                panic!("{bad:?}")
            };
            assert!(message.contains("-price"), "{message}");
        }
    }

    #[test]
    fn a_bad_value_names_its_key() {
        for (key, value) in [
            ("images", "yes"),
            ("context-window", "128k"),
            ("return-reasoning", "1"),
        ] {
            let Err(Error::InvalidInput(message)) = settings(&[(key, value)]) else {
                panic!("{key}")
            };
            assert!(
                message.contains(key) && message.contains(value),
                "{message}"
            );
        }
    }
}
