//! Models: what the service lists, and of prices, which it does not list, what is known.

use crate::settings::Settings;
use ml_intern_plugin::provider::lenient::{number, text};
use ml_intern_plugin::provider::{Known, claude, errors};
use ml_intern_plugin::{Error, Model};
use serde::Deserialize;

#[derive(Deserialize)]
struct Page {
    data: Vec<Listed>,
    #[serde(default)]
    has_more: Option<bool>,
    #[serde(default, deserialize_with = "text")]
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default, deserialize_with = "text")]
    lifecycle: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    max_tokens: Option<u64>,
    #[serde(default)]
    capabilities: Option<Capabilities>,
}

#[derive(Deserialize)]
struct Capabilities {
    #[serde(default)]
    effort: Option<Efforts>,
    #[serde(default)]
    image_input: Option<Support>,
}

/// In the order in which they are listed.
#[derive(Deserialize)]
struct Efforts {
    #[serde(default)]
    low: Option<Support>,
    #[serde(default)]
    medium: Option<Support>,
    #[serde(default)]
    high: Option<Support>,
    #[serde(default)]
    xhigh: Option<Support>,
    #[serde(default)]
    max: Option<Support>,
}

#[derive(Deserialize)]
struct Support {
    #[serde(default)]
    supported: Option<bool>,
}

/// Adds the models of a page of `GET /models`; returns the id after which the next page begins, if there is one.
///
/// # Errors
/// `upstream` (retryable) when the body is no list of models.
pub(crate) fn page(
    body: &[u8],
    settings: &Settings,
    all: &mut Vec<Model>,
) -> Result<Option<String>, Error> {
    let page: Page = serde_json::from_slice(body).map_err(|error| {
        errors::broken(&format!(
            "the server's answer is no list of models ({error}): {}",
            errors::bounded(&String::from_utf8_lossy(body), 200)
        ))
    })?;
    let callable = |listed: &Listed| listed.lifecycle.as_deref() != Some("retired");
    let callable = page.data.into_iter().filter(callable);
    all.extend(callable.map(|listed| model(listed, settings)));
    Ok(page.last_id.filter(|_| page.has_more == Some(true)))
}

fn model(listed: Listed, settings: &Settings) -> Model {
    let base = match Known::of(claude::TABLE, &listed.id) {
        Some(known) => known.model(&listed.id, claude::AS_OF),
        None => Model {
            id: listed.id.clone(),
            context_window: 0,
            max_output: 0,
            tools: true,
            images: true,
            efforts: Vec::new(),
            price: None,
            long_price: None,
            as_of: None,
        },
    };
    // Some gateways list 0 or nothing.
    let count = |count: Option<u64>| {
        let count = count.filter(|count| *count > 0);
        count.map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    };
    let capabilities = listed.capabilities;
    let images = capabilities
        .as_ref()
        .and_then(|all| all.image_input.as_ref().map(supports));
    let efforts = capabilities.and_then(|all| all.effort);
    Model {
        context_window: count(listed.max_input_tokens).unwrap_or(base.context_window),
        max_output: count(listed.max_tokens).unwrap_or(base.max_output),
        images: images.unwrap_or(base.images),
        efforts: efforts.map_or(base.efforts, |efforts| efforts.words()),
        price: settings.price.or(base.price),
        long_price: base.long_price.filter(|_| settings.price.is_none()),
        ..base
    }
}

fn supports(support: &Support) -> bool {
    support.supported == Some(true)
}

impl Efforts {
    fn words(&self) -> Vec<String> {
        let all = [
            ("low", &self.low),
            ("medium", &self.medium),
            ("high", &self.high),
            ("xhigh", &self.xhigh),
            ("max", &self.max),
        ];
        let own = all
            .iter()
            .filter(|(_, support)| support.as_ref().is_some_and(supports));
        own.map(|(word, _)| (*word).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    fn models(body: &str, pairs: &[(&str, &str)]) -> (Vec<Model>, Option<String>) {
        let mut all = Vec::new();
        let next = page(body.as_bytes(), &settings(pairs).unwrap(), &mut all).unwrap();
        (all, next)
    }

    #[test]
    fn the_service_says_what_a_model_can_and_the_table_what_it_costs() {
        let (found, next) = models(
            r#"{"data":[
                {"type":"model","id":"claude-opus-5-5","lifecycle":"active","max_input_tokens":2000000,"max_tokens":256000,
                 "capabilities":{"effort":{"supported":true,"low":{"supported":true},"medium":{"supported":true},
                 "high":{"supported":true},"xhigh":null,"max":{"supported":false}},"image_input":{"supported":false},"batch":{"supported":true}}},
                {"id":"claude-2.1","lifecycle":"retired"},
                {"id":"claude-haiku-4-5-20251001","max_input_tokens":0},
                {"id":"claude-fable-5-2","lifecycle":"deprecated","max_input_tokens":null}
            ],"has_more":true,"first_id":"a","last_id":"claude-fable-5-2"}"#,
            &[],
        );
        assert_eq!(next.as_deref(), Some("claude-fable-5-2"));
        let [opus, haiku, fable] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!((opus.context_window, opus.max_output), (2_000_000, 256_000));
        assert!(!opus.images && opus.price.is_some_and(|price| price.input == 4.0));
        assert_eq!(opus.efforts, ["low", "medium", "high"]);
        assert_eq!((haiku.context_window, haiku.max_output), (200_000, 64_000));
        assert_eq!(haiku.as_of.as_deref(), Some("2026-11-01"));
        assert_eq!((fable.context_window, fable.price.is_none()), (0, true));
        assert!(fable.as_of.is_none() && fable.images);
    }

    #[test]
    fn the_users_price_holds_for_every_model() {
        let (found, next) = models(
            r#"{"data":[{"id":"claude-haiku-5-5"}],"has_more":false,"last_id":"x"}"#,
            &[("input-price", "1"), ("output-price", "2")],
        );
        assert!(next.is_none());
        assert!(found[0].price.is_some_and(|price| price.output == 2.0));
        assert!(found[0].long_price.is_none());
    }

    #[test]
    fn no_list_is_a_retryable_failure() {
        for body in ["", "{}", "[]", r#"{"data":{}}"#, "<html>"] {
            let mut all = Vec::new();
            let error = page(body.as_bytes(), &settings(&[]).unwrap(), &mut all).unwrap_err();
            assert!(
                matches!(error, Error::Upstream(upstream) if upstream.retryable),
                "{body}"
            );
        }
    }
}
