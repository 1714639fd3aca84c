//! Models: a table of the Claude models, by the names that they have here. The service lists its models at another
//! place, which signs for another service; models of other makers are asked by their name, and only their window and
//! price are unknown.

use ml_intern_plugin::provider::{Known, claude};
use ml_intern_plugin::{LongPrice, Model, Price};

/// Day of the table.
pub(crate) const AS_OF: &str = claude::AS_OF;

/// Profiles that spread requests over regions, by how their name begins, and what they cost beside the vendor's own
/// price: staying in a region, or in a part of the world, costs a tenth more from generation 4.5 on.
const PROFILES: [(&str, f64); 7] = [
    ("global.", 1.0),
    ("", 1.1),
    ("us.", 1.1),
    ("eu.", 1.1),
    ("apac.", 1.1),
    ("jp.", 1.1),
    ("au.", 1.1),
];

/// Names that have more than `anthropic.` before the vendor's own: later models do without.
const DATED: [(&str, &str); 4] = [
    ("claude-opus-4-6", "claude-opus-4-6-v1"),
    ("claude-opus-4-5", "claude-opus-4-5-20251101-v1:0"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929-v1:0"),
    ("claude-haiku-4-5", "claude-haiku-4-5-20251001-v1:0"),
];

/// Every model in every profile. Not every profile has every model: the service says so when it is asked.
pub(crate) fn all(price: Option<Price>) -> Vec<Model> {
    let models = PROFILES.iter().flat_map(|(prefix, factor)| {
        let one = move |known: &Known| model(known, prefix, *factor, price);
        claude::TABLE.iter().map(one)
    });
    models.collect()
}

fn model(known: &Known, prefix: &str, factor: f64, own: Option<Price>) -> Model {
    let dated = DATED.iter().find(|(id, _)| *id == known.id);
    let name = dated.map_or(known.id, |(_, name)| *name);
    let base = known.model(&format!("{prefix}anthropic.{name}"), AS_OF);
    let long = base.long_price.map(|long| LongPrice {
        price: times(long.price, factor),
        ..long
    });
    Model {
        price: own.or(base.price.map(|price| times(price, factor))),
        long_price: long.filter(|_| own.is_none()),
        ..base
    }
}

fn times(price: Price, factor: f64) -> Price {
    Price {
        input: price.input * factor,
        output: price.output * factor,
        cache_read: price.cache_read * factor,
        cache_write: price.cache_write * factor,
    }
}

/// Whether a name is one of a Claude model. A profile of the user's own does not tell.
pub(crate) fn is_claude(model: &str) -> bool {
    model.contains("anthropic.")
}

/// Whether a model takes marks for the cache in messages and instructions. In tools only Claude models do.
pub(crate) fn caches(model: &str) -> bool {
    is_claude(model) || model.contains("amazon.nova")
}

/// The name of the model itself, which is what tokens are counted by: without the profile.
pub(crate) fn bare(model: &str) -> &str {
    let prefixes = PROFILES.iter().filter(|(prefix, _)| !prefix.is_empty());
    let mut bare = prefixes.filter_map(|(prefix, _)| model.strip_prefix(prefix));
    bare.next().unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_its_name_and_its_price() {
        let all = all(None);
        let find = |id: &str| all.iter().find(|model| model.id == id).unwrap();
        for id in [
            "anthropic.claude-opus-4-8",
            "us.anthropic.claude-sonnet-4-6",
            "eu.anthropic.claude-opus-4-6-v1",
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
        ] {
            let model = find(id);
            assert!(model.context_window > 0 && model.tools, "{id}");
            assert_eq!(model.as_of.as_deref(), Some("2026-11-01"));
        }
        let output = |id: &str| (find(id).price.unwrap().output * 100.0).round();
        assert_eq!(output("global.anthropic.claude-opus-4-8"), 2500.0);
        assert_eq!(output("us.anthropic.claude-opus-4-8"), 2750.0);
        let long = find("us.anthropic.claude-haiku-5-5").long_price.unwrap();
        assert!((long.price.input - 0.55).abs() < 1e-9);
    }

    #[test]
    fn the_users_price_holds_for_every_model() {
        let own = times(claude::TABLE[0].price.unwrap(), 0.0);
        let all = all(Some(own));
        assert!(
            all.iter()
                .all(|model| model.price.is_some_and(|price| price.input == 0.0))
        );
        assert!(all.iter().all(|model| model.long_price.is_none()));
    }

    #[test]
    fn what_a_name_tells() {
        assert_eq!(bare("us.anthropic.claude-x"), "anthropic.claude-x");
        assert_eq!(bare("anthropic.claude-x"), "anthropic.claude-x");
        assert!(is_claude("eu.anthropic.claude-x") && caches("us.amazon.nova-pro-v1:0"));
        assert!(!caches("meta.llama4-maverick-17b-instruct-v1:0"));
    }
}
