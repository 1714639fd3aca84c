//! Models: what the server lists of them, what the user says of them, and what is known of the hosted ones.

use crate::settings::Settings;
use ml_intern_plugin::provider::completions::models::{self, Listed};
use ml_intern_plugin::provider::{Known, price};
use ml_intern_plugin::{Error, LongPrice, Model, Price};

/// Day of the table: the service's own price list and model pages as others quote them.
pub(crate) const AS_OF: &str = "2026-11-01";

/// Input tokens above which the newer models cost more.
const LONG: u32 = 272_000;

const LOW_TO_HIGH: &[&str] = &["low", "medium", "high"];
const MINIMAL_TO_HIGH: &[&str] = &["minimal", "low", "medium", "high"];
const NONE_TO_HIGH: &[&str] = &["none", "low", "medium", "high"];
const NONE_TO_XHIGH: &[&str] = &["none", "low", "medium", "high", "xhigh"];
const NONE_TO_MAX: &[&str] = &["none", "low", "medium", "high", "xhigh", "max"];
const LOW_TO_MAX: &[&str] = &["low", "medium", "high", "xhigh", "max"];

/// Models of the hosted service. It lists only names.
pub(crate) const TABLE: &[Known] = &[
    long(
        "gpt-6.1-sol",
        1_050_000,
        LOW_TO_MAX,
        price(2.0, 10.0, 0.10, 2.5),
    ),
    long(
        "gpt-6-sol",
        1_050_000,
        NONE_TO_MAX,
        price(2.0, 10.0, 0.20, 2.5),
    ),
    long(
        "gpt-6.1-terra",
        1_050_000,
        NONE_TO_MAX,
        price(1.0, 5.0, 0.05, 1.25),
    ),
    long(
        "gpt-6-luna",
        400_000,
        NONE_TO_MAX,
        price(0.10, 0.50, 0.01, 0.125),
    ),
    unpriced("gpt-6.2-sol", 1_050_000, LOW_TO_MAX),
    unpriced("gpt-6-astra", 1_050_000, LOW_TO_MAX),
    long(
        "gpt-5.6-sol",
        1_050_000,
        NONE_TO_MAX,
        price(5.0, 30.0, 0.50, 5.0),
    ),
    long(
        "gpt-5.6-terra",
        1_050_000,
        NONE_TO_MAX,
        price(2.0, 12.0, 0.20, 2.0),
    ),
    long(
        "gpt-5.6-luna",
        400_000,
        NONE_TO_MAX,
        price(0.20, 1.20, 0.02, 0.20),
    ),
    long(
        "gpt-5.5",
        1_050_000,
        NONE_TO_XHIGH,
        price(5.0, 30.0, 0.50, 5.0),
    ),
    long(
        "gpt-5.4",
        1_050_000,
        NONE_TO_XHIGH,
        price(2.5, 15.0, 0.25, 2.5),
    ),
    plain(
        "gpt-5.4-mini",
        400_000,
        128_000,
        NONE_TO_XHIGH,
        price(0.75, 4.5, 0.075, 0.75),
    ),
    plain(
        "gpt-5.4-nano",
        400_000,
        128_000,
        NONE_TO_XHIGH,
        price(0.20, 1.25, 0.02, 0.20),
    ),
    plain(
        "gpt-5.2",
        400_000,
        128_000,
        NONE_TO_XHIGH,
        price(1.75, 14.0, 0.175, 1.75),
    ),
    plain(
        "gpt-5.1",
        400_000,
        128_000,
        NONE_TO_HIGH,
        price(1.25, 10.0, 0.125, 1.25),
    ),
    plain(
        "gpt-5",
        400_000,
        128_000,
        MINIMAL_TO_HIGH,
        price(1.25, 10.0, 0.125, 1.25),
    ),
    plain(
        "gpt-5-mini",
        400_000,
        128_000,
        MINIMAL_TO_HIGH,
        price(0.25, 2.0, 0.025, 0.25),
    ),
    plain(
        "gpt-5-nano",
        400_000,
        128_000,
        MINIMAL_TO_HIGH,
        price(0.05, 0.40, 0.005, 0.05),
    ),
    plain("gpt-4.1", 1_047_576, 32_768, &[], price(2.0, 8.0, 0.5, 2.0)),
    plain("gpt-4o", 128_000, 16_384, &[], price(2.5, 10.0, 1.25, 2.5)),
    plain(
        "gpt-4o-mini",
        128_000,
        16_384,
        &[],
        price(0.15, 0.60, 0.075, 0.15),
    ),
    plain(
        "o3",
        200_000,
        100_000,
        LOW_TO_HIGH,
        price(2.0, 8.0, 0.5, 2.0),
    ),
    plain(
        "o4-mini",
        200_000,
        100_000,
        LOW_TO_HIGH,
        price(1.1, 4.4, 0.275, 1.1),
    ),
];

const fn plain(
    id: &'static str,
    context_window: u32,
    max_output: u32,
    efforts: &'static [&'static str],
    price: Price,
) -> Known {
    Known {
        id,
        context_window,
        max_output,
        images: true,
        efforts,
        price: Some(price),
        long_price: None,
    }
}

const fn unpriced(
    id: &'static str,
    context_window: u32,
    efforts: &'static [&'static str],
) -> Known {
    Known {
        price: None,
        ..plain(
            id,
            context_window,
            128_000,
            efforts,
            price(0.0, 0.0, 0.0, 0.0),
        )
    }
}

/// Above [`LONG`] input costs twice as much and output half as much again, of the whole request.
const fn long(
    id: &'static str,
    context_window: u32,
    efforts: &'static [&'static str],
    short: Price,
) -> Known {
    let long = price(
        short.input * 2.0,
        short.output * 1.5,
        short.cache_read * 2.0,
        short.cache_write * 2.0,
    );
    Known {
        long_price: Some(LongPrice {
            above: LONG,
            price: long,
        }),
        ..plain(id, context_window, 128_000, efforts, short)
    }
}

/// The models of an answer to `GET /models`. A context window or output limit of 0 is unknown.
///
/// # Errors
/// `upstream` (retryable) when the body is no list of models.
pub(crate) fn parse(body: &[u8], settings: &Settings) -> Result<Vec<Model>, Error> {
    let listed = models::parse(body)?.into_iter();
    Ok(listed.map(|listed| model(listed, settings)).collect())
}

fn model(listed: Listed, settings: &Settings) -> Model {
    let hosted = settings.hosted();
    let known = Known::of(TABLE, &listed.id).filter(|_| hosted);
    let base = match known {
        Some(known) => known.model(&listed.id, AS_OF),
        None => Model {
            id: listed.id.clone(),
            context_window: 0,
            max_output: 0,
            tools: true,
            images: hosted,
            efforts: Vec::new(),
            price: None,
            long_price: None,
            as_of: None,
        },
    };
    let own_price = settings.price.or(listed.price);
    Model {
        // The user's word is first: only they know how a local server was started.
        context_window: settings
            .context_window
            .or(listed.context_window)
            .unwrap_or(base.context_window),
        max_output: listed.max_output.unwrap_or(base.max_output),
        // Few servers say reliably that a model takes no tools; the ones of interest do.
        tools: listed.tools.unwrap_or(true),
        images: settings.images.or(listed.images).unwrap_or(base.images),
        price: own_price.or(base.price),
        long_price: base.long_price.filter(|_| own_price.is_none()),
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    fn models(body: &str, pairs: &[(&str, &str)]) -> Vec<Model> {
        parse(body.as_bytes(), &settings(pairs).unwrap()).unwrap()
    }

    const LOCAL: (&str, &str) = ("base-url", "http://localhost:1/v1");

    #[test]
    fn the_user_knows_best_how_a_server_was_started() {
        let body = r#"{"data":[{"id":"a","context_length":1000},{"id":"gpt-5"}]}"#;
        let found = models(body, &[LOCAL]);
        assert_eq!(
            (found[0].context_window, found[1].context_window),
            (1000, 0)
        );
        assert!(
            found
                .iter()
                .all(|model| !model.images && model.price.is_none() && model.as_of.is_none())
        );
        let set = models(
            body,
            &[LOCAL, ("context-window", "32768"), ("images", "true")],
        );
        assert!(
            set.iter()
                .all(|model| model.context_window == 32768 && model.images)
        );
    }

    #[test]
    fn of_the_hosted_service_more_is_known_than_it_lists() {
        let body = r#"{"data":[{"id":"gpt-5.5-2026-04-23"},{"id":"o3"},{"id":"omni-moderation"},{"id":"gpt-4o-mini"}]}"#;
        let found = models(body, &[]);
        assert_eq!(found[0].context_window, 1_050_000);
        let long = found[0].long_price.unwrap();
        assert_eq!(
            (long.above, long.price.input, long.price.output),
            (272_000, 10.0, 45.0)
        );
        assert_eq!(found[0].as_of.as_deref(), Some(AS_OF));
        assert_eq!(
            (found[2].context_window, found[2].price.is_some()),
            (0, false)
        );
        let efforts: Vec<_> = found.iter().map(|model| model.efforts.len()).collect();
        assert_eq!(efforts, [5, 3, 0, 0]);
        let priced = models(body, &[("input-price", "1"), ("output-price", "2")]);
        assert!(priced.iter().all(|model| {
            model.price.is_some_and(|price| price.output == 2.0) && model.long_price.is_none()
        }));
    }
}
