//! Models: what the service lists, and of prices, which it does not list, what is known.

use crate::settings::Settings;
use ml_intern_plugin::provider::value::{self, Value};
use ml_intern_plugin::provider::{Known, claude, errors};
use ml_intern_plugin::{Error, Model};

/// In the order in which they are listed.
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Adds the models of a page of `GET /models`; returns the id after which the next page begins, if there is one.
///
/// # Errors
/// `upstream` (retryable) when the body is no list of models.
pub(crate) fn page(
    body: &[u8],
    settings: &Settings,
    all: &mut Vec<Model>,
) -> Result<Option<String>, Error> {
    let names = ["data", "has_more", "last_id"];
    let [data, more, last] = value::sent("list of models", body, names)?;
    if !data.is_list() {
        return Err(no_list(body));
    }
    for listed in data.elements() {
        let id = listed.get("id").string().ok_or_else(|| no_list(body))?;
        if !listed.get("lifecycle").is("retired") {
            all.push(model(&id, listed, settings));
        }
    }
    Ok(last.owned().filter(|_| more.boolean() == Some(true)))
}

fn no_list(body: &[u8]) -> Error {
    let start = errors::beginning(body);
    errors::broken(&format!(
        "the server's answer is no list of models: {start}"
    ))
}

fn model(id: &str, listed: Value<'_>, settings: &Settings) -> Model {
    let base = match Known::of(claude::TABLE, id) {
        Some(known) => known.model(id, claude::AS_OF),
        None => Model {
            id: id.to_owned(),
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
    let count = |count: Value<'_>| count.tokens().filter(|count| *count > 0);
    let [input, output, capabilities] =
        listed.pick(["max_input_tokens", "max_tokens", "capabilities"]);
    let [effort, image] = capabilities.pick(["effort", "image_input"]);
    let supports = |support: Value<'_>| support.get("supported").boolean() == Some(true);
    let own = EFFORTS.iter().filter(|word| supports(effort.get(word)));
    let efforts = match effort.is_object() {
        true => own.map(|word| (*word).to_owned()).collect(),
        false => base.efforts,
    };
    Model {
        context_window: count(input).unwrap_or(base.context_window),
        max_output: count(output).unwrap_or(base.max_output),
        images: match image.is_object() {
            true => supports(image),
            false => base.images,
        },
        efforts,
        price: settings.price.or(base.price),
        long_price: base.long_price.filter(|_| settings.price.is_none()),
        ..base
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
